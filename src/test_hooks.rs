//! What the host tests can do to the media path, beside the faults of [`crate::ffi::fault`]. In a build for use there is
//! nothing of it, and asking costs nothing.

use crate::ffi::fault;
use crate::ffi::rtp::RtpInstance;

/// The fault point in the next packet to protect.
pub const PROTECT: &str = "protect";
/// The same of a packet to unprotect.
pub const UNPROTECT: &str = "unprotect";

/// Panics if the fault is armed, once.
#[inline(always)]
pub fn panic_if_armed(point: &'static str) {
    assert!(
        !fault::fires(point),
        "deliberate panic for a test in {point}"
    );
}

#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
/// Packets by which keys look older: none, in a build for use.
pub fn extra_packets() -> u64 {
    0
}

#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
/// SSRCs by which keys look fuller: none, in a build for use.
pub fn extra_sources() -> usize {
    0
}

#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
/// Nothing, in a build for use.
pub fn session_begins(_rtp: RtpInstance<'_>) {}

#[cfg(feature = "test-hooks")]
pub use armed::{
    extra_packets, extra_sources, retransmit, session_begins, set_extra_packets, set_extra_sources,
};

#[cfg(feature = "test-hooks")]
mod armed {
    use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

    use super::RtpInstance;

    static EXTRA_PACKETS: AtomicU64 = AtomicU64::new(0);

    /// Keys look as if they had protected so many packets more.
    pub fn set_extra_packets(packets: u64) {
        EXTRA_PACKETS.store(packets, Ordering::Relaxed);
    }

    /// See [`set_extra_packets`].
    pub fn extra_packets() -> u64 {
        EXTRA_PACKETS.load(Ordering::Relaxed)
    }

    static EXTRA_SOURCES: AtomicUsize = AtomicUsize::new(0);

    /// Keys look as if Asterisk had sent with so many SSRCs more.
    pub fn set_extra_sources(sources: usize) {
        EXTRA_SOURCES.store(sources, Ordering::Relaxed);
    }

    /// See [`set_extra_sources`].
    pub fn extra_sources() -> usize {
        EXTRA_SOURCES.load(Ordering::Relaxed)
    }

    static RETRANSMIT: AtomicBool = AtomicBool::new(false);

    /// From now on Asterisk retransmits what new sessions send, whatever the endpoint. By itself it does so for
    /// `webrtc = yes` alone, whose suite is always AES_CM_128.
    pub fn retransmit() {
        RETRANSMIT.store(true, Ordering::Relaxed);
    }

    /// A session begins. See [`retransmit`].
    pub fn session_begins(rtp: RtpInstance<'_>) {
        if RETRANSMIT.load(Ordering::Relaxed) {
            rtp.retransmit();
        }
    }
}
