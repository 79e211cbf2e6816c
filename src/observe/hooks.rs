//! Deliberate faults, for the host tests. They exist in builds with the feature `test-hooks` alone.

/// Where a fault can be armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// In the next `protect`.
    Protect,
    /// In the next `unprotect`.
    Unprotect,
}

#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
/// Nothing, in a build for use.
pub fn panic_if_armed(_point: Point) {}

#[cfg(feature = "test-hooks")]
pub use armed::{arm_panic, panic_if_armed};

#[cfg(feature = "test-hooks")]
mod armed {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::Point;

    static PROTECT: AtomicBool = AtomicBool::new(false);
    static UNPROTECT: AtomicBool = AtomicBool::new(false);

    fn switch(point: Point) -> &'static AtomicBool {
        match point {
            Point::Protect => &PROTECT,
            Point::Unprotect => &UNPROTECT,
        }
    }

    /// The next pass through `point` panics, once.
    pub fn arm_panic(point: Point) {
        switch(point).store(true, Ordering::Relaxed);
    }

    /// Panics if armed.
    pub fn panic_if_armed(point: Point) {
        assert!(
            !switch(point).swap(false, Ordering::Relaxed),
            "deliberate panic for a test at {point:?}"
        );
    }
}
