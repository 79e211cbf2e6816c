//! What is done with the session of a channel from outside: re-INVITEs of our own, for one.

use std::ffi::{CStr, CString};
use std::ptr;

use crate::ffi::ao2::Ao2;
use crate::ffi::{late, sys, text};

use super::{Session, task};

/// Has the call of a PJSIP channel, by its unique id, send a re-INVITE with a new description. Not from a media thread: it
/// locks channels. `false`: there is no such call.
pub fn offer_again(channel_id: &str) -> bool {
    later_by_channel(channel_id, |session| session.refresh())
}

/// Has `run` be called with the session of a PJSIP channel, by its unique id, in the session's serializer. Not from a media
/// thread: it locks channels. `false`: there is no such call.
pub fn later_by_channel(channel_id: &str, run: fn(&Session<'_>)) -> bool {
    // PJSIP may have been loaded after us: then its functions are not known here.
    if late::found().is_none() {
        return false;
    }
    // An empty name would find any channel.
    let Some(channel_id) = CString::new(channel_id).ok().filter(|id| !id.is_empty()) else {
        return false;
    };
    let Some(session) = session_of_channel(&channel_id) else {
        return false;
    };
    // SAFETY: a session.
    unsafe { task::push(session, run) }
}

/// The session of a PJSIP channel.
fn session_of_channel(channel_id: &CStr) -> Option<Ao2> {
    let channel =
        // SAFETY: a text that stays during the call; NULL, or the channel with a reference for us, comes back.
        unsafe { Ao2::from_raw(sys::ast_channel_get_by_name(channel_id.as_ptr()).cast()) };
    let channel = channel?;
    let raw = channel.as_ptr().cast();
    let mut session = None;
    // SAFETY: our reference keeps the channel, which is locked while its technology and what that keeps are read; a session
    // found there lives as long, and gets a reference before the lock is given back.
    unsafe {
        sys::ct_channel_lock(raw);
        let technology = sys::ast_channel_tech(raw);
        if !technology.is_null() && text((*technology).type_).is_some_and(|kind| kind == "PJSIP") {
            let private = sys::ast_channel_tech_pvt(raw).cast::<sys::ast_sip_channel_pvt>();
            if !private.is_null() {
                session = Ao2::share((*private).session.cast());
            }
        }
        sys::ct_channel_unlock(raw);
    }
    session
}

impl Session<'_> {
    /// Sends a re-INVITE with a new description.
    fn refresh(&self) {
        // SAFETY: alive, in its serializer; NULL for every callback is "none", and for the media "as it is".
        unsafe {
            sys::ast_sip_session_refresh(
                self.as_ptr(),
                None,
                None,
                None,
                sys::AST_SIP_SESSION_REFRESH_METHOD_INVITE,
                1,
                ptr::null_mut(),
            );
        }
    }
}
