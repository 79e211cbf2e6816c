//! What is done with the session of a channel from outside: re-INVITEs of our own, for one.

use std::ptr;

use crate::ffi::ao2::Ao2;
use crate::ffi::channel::OwnedChannel;
use crate::ffi::{late, sys};

use super::channel::session_of;
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
    let Some(session) = session_of_channel(channel_id) else {
        return false;
    };
    // SAFETY: a session.
    unsafe { task::push(session, run) }
}

/// The session of a PJSIP channel that is not hung up.
fn session_of_channel(channel_id: &str) -> Option<Ao2> {
    let channel = OwnedChannel::find(channel_id)?;
    let locked = channel.get()?.lock();
    // SAFETY: NULL, or a session that lives while the channel is locked; it gets a reference before that ends.
    unsafe { Ao2::share(session_of(&locked).cast()) }
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
