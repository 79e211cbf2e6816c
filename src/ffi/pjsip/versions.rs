//! What differs between the pjprojects and Asterisks that the module is built for. `build.rs` learns it from the headers
//! and says it as a `cfg`; nobody else has one.

use crate::ffi::sys;

/// Whether a factory has a published name, which its transports are to take over. Before pjproject 2.16 there was no such
/// flag, and every transport had its own address.
///
/// # Safety
///
/// `factory` is live, and nobody changes it meanwhile.
pub(super) unsafe fn has_published_name(factory: *const sys::pjsip_tpfactory) -> bool {
    #[cfg(pjsip_has_addr_name)]
    // SAFETY: live, by the caller.
    return unsafe { (*factory).has_addr_name != 0 };
    #[cfg(not(pjsip_has_addr_name))]
    {
        let _ = factory;
        false
    }
}

/// Gives a factory the flag of another one.
///
/// # Safety
///
/// Both are live, and nobody else uses `to` meanwhile.
pub(super) unsafe fn copy_published_flag(
    from: *const sys::pjsip_tpfactory,
    to: *mut sys::pjsip_tpfactory,
) {
    #[cfg(pjsip_has_addr_name)]
    // SAFETY: both live and `to` ours alone, by the caller.
    unsafe {
        (*to).has_addr_name = (*from).has_addr_name;
    }
    #[cfg(not(pjsip_has_addr_name))]
    let _ = (from, to);
}

/// Says of a transport whether its local name is the factory's published one.
///
/// # Safety
///
/// `transport` is live, and nobody else uses it meanwhile.
pub(super) unsafe fn set_published_flag(transport: *mut sys::pjsip_transport, published: bool) {
    #[cfg(pjsip_has_addr_name)]
    // SAFETY: live and ours alone, by the caller.
    unsafe {
        (*transport).has_addr_name = published.into();
    }
    #[cfg(not(pjsip_has_addr_name))]
    let _ = (transport, published);
}

/// A signature of a certificate is too weak. Before pjproject 2.15 that had no bit of its own.
#[cfg(pj_has_weak_signature)]
pub(super) const WEAK_SIGNATURE: sys::pj_ssl_cert_verify_flag_t = sys::PJ_SSL_CERT_EWEAK_SIGNATURE;
#[cfg(not(pj_has_weak_signature))]
pub(super) const WEAK_SIGNATURE: sys::pj_ssl_cert_verify_flag_t = sys::PJ_SSL_CERT_EUNKNOWN;

/// Where Asterisk keeps when it saw certificate and key last, to start a listener again whose files were touched. Asterisk
/// 16 does not, and never starts one again for that.
///
/// # Safety
///
/// `state` is live.
pub(super) unsafe fn file_times(
    state: *mut sys::ast_sip_transport_state,
) -> Option<[*mut libc::stat; 2]> {
    #[cfg(transport_state_has_file_times)]
    // SAFETY: live, by the caller; a `struct stat` is one in libc's words too.
    return Some(unsafe {
        [
            (&raw mut (*state).cert_file_stat).cast(),
            (&raw mut (*state).privkey_file_stat).cast(),
        ]
    });
    #[cfg(not(transport_state_has_file_times))]
    {
        let _ = state;
        None
    }
}
