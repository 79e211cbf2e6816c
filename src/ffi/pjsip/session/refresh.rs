//! Re-INVITEs of our own.

use std::ffi::{CStr, CString, c_int, c_void};
use std::ptr;

use crate::ffi::guard::guard;
use crate::ffi::{late, sys, text};

/// Has the call of a PJSIP channel, by its unique id, send a re-INVITE with a new description. Not from a media thread: it
/// locks channels. `false`: there is no such call.
pub fn offer_again(channel_id: &str) -> bool {
    // PJSIP may have been loaded after us: then its functions are not known here.
    if late::found().is_none() {
        return false;
    }
    // An empty name would find any channel.
    let Some(channel_id) = CString::new(channel_id).ok().filter(|id| !id.is_empty()) else {
        return false;
    };
    let session = session_of_channel(&channel_id);
    if session.is_null() {
        return false;
    }
    // SAFETY: a session of which we have a reference, which the task gives back; its serializer lives as long.
    unsafe {
        if sys::ct_sip_push_task((*session).serializer, Some(refresh), session.cast()) == 0 {
            return true;
        }
    }
    release(session.cast());
    false
}

/// A reference to the session of a PJSIP channel; NULL if there is none.
fn session_of_channel(channel_id: &CStr) -> *mut sys::ast_sip_session {
    // SAFETY: a text that stays during the call; the channel comes back with a reference of ours, is locked while its
    // technology and what that keeps are read, and a session found there gets a reference before the lock is given back.
    unsafe {
        let channel = sys::ast_channel_get_by_name(channel_id.as_ptr());
        if channel.is_null() {
            return ptr::null_mut();
        }
        let mut session = ptr::null_mut();
        sys::ct_channel_lock(channel);
        let technology = sys::ast_channel_tech(channel);
        if !technology.is_null() && text((*technology).type_).is_some_and(|kind| kind == "PJSIP") {
            let private = sys::ast_channel_tech_pvt(channel).cast::<sys::ast_sip_channel_pvt>();
            if !private.is_null() && !(*private).session.is_null() {
                session = (*private).session;
                count_references(session.cast(), 1);
            }
        }
        sys::ct_channel_unlock(channel);
        release(channel.cast());
        session
    }
}

/// In the session's serializer, with a reference that is given back here.
///
/// # Safety
///
/// `session` is an `ast_sip_session` of which the caller gives one reference away.
unsafe extern "C" fn refresh(session: *mut c_void) -> c_int {
    guard((), || {
        // SAFETY: a session that our reference keeps; NULL for every callback is "none", and for the media "as it is".
        unsafe {
            sys::ast_sip_session_refresh(
                session.cast(),
                None,
                None,
                None,
                sys::AST_SIP_SESSION_REFRESH_METHOD_INVITE,
                1,
                ptr::null_mut(),
            );
        }
    });
    release(session);
    0
}

/// Gives back one reference of ours.
fn release(object: *mut c_void) {
    // SAFETY: `object` is an `ao2` object of which this file has taken a reference, and its callers give it back once.
    unsafe { count_references(object, -1) };
}

/// # Safety
///
/// A live `ao2` object; for -1, one of which the caller has a reference.
unsafe fn count_references(object: *mut c_void, change: c_int) {
    // SAFETY: by the caller; the texts are for Asterisk's debugging and static.
    unsafe {
        sys::__ao2_ref(
            object,
            change,
            ptr::null(),
            c"ciphertrunk".as_ptr(),
            0,
            c"session".as_ptr(),
        );
    }
}
