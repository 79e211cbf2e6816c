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

#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
/// Nothing, in a build for use.
pub fn extra_age() -> u64 {
    0
}

#[cfg(feature = "test-hooks")]
pub use armed::{arm_panic, extra_age, panic_if_armed, set_extra_age};

#[cfg(feature = "test-hooks")]
mod armed {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::Point;

    static PROTECT: AtomicBool = AtomicBool::new(false);
    static UNPROTECT: AtomicBool = AtomicBool::new(false);

    static EXTRA_AGE: AtomicU64 = AtomicU64::new(0);

    /// Keys look as if they had protected so many packets more.
    pub fn set_extra_age(packets: u64) {
        EXTRA_AGE.store(packets, Ordering::Relaxed);
    }

    /// See [`set_extra_age`].
    pub fn extra_age() -> u64 {
        EXTRA_AGE.load(Ordering::Relaxed)
    }

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
