//! The pjproject that runs, and the one that the module was built with.

use std::ffi::{c_int, c_void};
use std::ptr;

use crate::ffi::guard::guard;
use crate::ffi::late::Pjsip;
use crate::ffi::{sys, text};

/// The running one's version.
pub fn version(_: Pjsip) -> String {
    // SAFETY: a static string.
    unsafe { text(sys::pj_get_version()) }.unwrap_or_default()
}

/// The `major.minor` of the one that the module was built with.
pub fn built_branch() -> String {
    // SAFETY: a string constant of the shim's.
    unsafe { text(sys::ct_built_pj_branch) }.unwrap_or_default()
}

/// `PJSIP_MAX_PKT_LEN`, as built and as the running one has it (`None`: it could not be asked).
pub fn max_packet(_: Pjsip) -> (u32, Option<u32>) {
    extern "C" fn probe(found: *mut c_void) -> c_int {
        guard(-1, || {
            // SAFETY: the address of the caller's `found`, which waits for this task; a servant thread is known to pjlib.
            unsafe { *found.cast::<u32>() = sys::ct_probe_pjsip_max_pkt_len() };
            0
        })
    }
    let mut found = 0u32;
    // SAFETY: waits until `probe` is done with `found`.
    let failed = unsafe { sys::ct_sip_servant_wait(Some(probe), ptr::from_mut(&mut found).cast()) };
    // SAFETY: a constant of the shim's.
    let built = unsafe { sys::ct_built_pjsip_max_pkt_len };
    (built, (failed == 0 && found != 0).then_some(found))
}
