//! The Asterisk that loaded us: its versions, and what can be probed of its layout.

#[cfg(feature = "pjsip")]
use std::ffi::{c_int, c_void};
#[cfg(feature = "pjsip")]
use std::ptr;

use super::{sys, text};

/// The Asterisk version whose headers the module was built with.
pub const BUILT_ASTERISK: &str = env!("CIPHERTRUNK_ASTERISK_VERSION");

/// The running Asterisk's version.
pub fn asterisk_version() -> String {
    // SAFETY: a static string.
    unsafe { text(sys::ast_get_version()) }.unwrap_or_default()
}

/// The running pjproject's version.
#[cfg(feature = "pjsip")]
pub fn pj_version() -> String {
    // SAFETY: a static string.
    unsafe { text(sys::pj_get_version()) }.unwrap_or_default()
}

/// The `major.minor` of the pjproject that the module was built with.
#[cfg(feature = "pjsip")]
pub fn built_pj_branch() -> String {
    // SAFETY: a string constant of the shim's.
    unsafe { text(sys::ct_built_pj_branch) }.unwrap_or_default()
}

/// `PJSIP_MAX_PKT_LEN`, as built and as the running pjproject has it (`None`: it could not be asked).
#[cfg(feature = "pjsip")]
pub fn pjsip_max_packet() -> (u32, Option<u32>) {
    extern "C" fn probe(found: *mut c_void) -> c_int {
        // SAFETY: the address of the caller's `found`, which waits for this task; a servant thread is known to pjlib.
        unsafe { *found.cast::<u32>() = sys::ct_probe_pjsip_max_pkt_len() };
        0
    }
    let mut found = 0u32;
    // SAFETY: waits until `probe` is done with `found`.
    let failed = unsafe { sys::ct_sip_servant_wait(Some(probe), ptr::from_mut(&mut found).cast()) };
    // SAFETY: a constant of the shim's.
    let built = unsafe { sys::ct_built_pjsip_max_pkt_len };
    (built, (failed == 0 && found != 0).then_some(found))
}

/// How unloading another module ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unloaded {
    /// It was loaded and is gone.
    Gone,
    /// It was not loaded, or it is in use and stays.
    Refused,
}

/// Unloads module `name` if nothing uses it (`module unload NAME`).
pub fn unload_module(name: &str) -> Unloaded {
    let name = super::c_text(name);
    // SAFETY: the name lives during the call. Called at load or by the watch, never from inside that module.
    if unsafe { sys::ast_unload_resource(name.as_ptr(), 0) } == 0 {
        Unloaded::Gone
    } else {
        Unloaded::Refused
    }
}

/// Milliseconds of a clock that never goes back, to about 4 ms: it is read for each packet, so it is the cheap one.
pub fn monotonic_ms() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: fills `now`; the clock exists on every Linux that Asterisk runs on.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut now) };
    now.tv_sec.cast_unsigned() * 1000 + now.tv_nsec.cast_unsigned() / 1_000_000
}
