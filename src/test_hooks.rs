//! Deliberate faults, for the host tests. They exist in builds with the feature `test-hooks` alone.

use crate::ffi::rtp::RtpInstance;

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

#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
/// Nothing, in a build for use.
pub fn begun(_rtp: RtpInstance) {}

#[cfg(feature = "test-hooks")]
pub use armed::{arm_panic, begun, extra_age, panic_if_armed, retransmit, set_extra_age};

#[cfg(feature = "test-hooks")]
mod armed {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::{Point, RtpInstance};

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

    static RETRANSMIT: AtomicBool = AtomicBool::new(false);

    /// From now on Asterisk retransmits what new sessions send, whatever the endpoint. By itself it does so for
    /// `webrtc = yes` alone, whose suite is always AES_CM_128.
    pub fn retransmit() {
        RETRANSMIT.store(true, Ordering::Relaxed);
    }

    /// A session begins. See [`retransmit`].
    pub fn begun(rtp: RtpInstance) {
        if RETRANSMIT.load(Ordering::Relaxed) {
            rtp.retransmit();
        }
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
