//! Which session a channel has, and which media.

use std::ptr;

use crate::ffi::call::SessionKey;
use crate::ffi::channel::Channel;
use crate::ffi::rtp::OwnedRtp;
use crate::ffi::sys;

/// The session of a channel, NULL if it is not PJSIP's or is hung up. Good while the channel is locked, by which chan_pjsip gives
/// it up.
fn session_of(channel: Channel<'_>) -> *mut sys::ast_sip_session {
    if channel.technology() != "PJSIP" {
        return ptr::null_mut();
    }
    // SAFETY: alive, and locked by the callers; what chan_pjsip keeps with a channel of its own is an `ast_sip_channel_pvt`.
    unsafe {
        let private =
            sys::ast_channel_tech_pvt(channel.as_ptr()).cast::<sys::ast_sip_channel_pvt>();
        if private.is_null() {
            ptr::null_mut()
        } else {
            (*private).session
        }
    }
}

/// The session of a PJSIP channel. `None`: the channel is not PJSIP's, or is hung up.
pub fn key_of(channel: Channel<'_>) -> Option<SessionKey> {
    let _locked = channel.lock();
    let session = session_of(channel);
    (!session.is_null()).then(|| SessionKey(session.addr()))
}

/// The RTP instances of a PJSIP channel, for audio and video.
///
/// Bridges do not get them by `ast_rtp_glue` where T.38 may come.
pub fn media_of(channel: Channel<'_>) -> [Option<OwnedRtp>; 2] {
    let _locked = channel.lock();
    let session = session_of(channel);
    if session.is_null() {
        return [None, None];
    }
    // SAFETY: alive while the channel is locked. Its media in force are read as chan_pjsip does for `ast_rtp_glue`, with the channel
    // locked and not in the serializer.
    unsafe { in_force(session) }
}

/// The RTP instances of a session's media in force, for audio and video.
///
/// # Safety
///
/// The session lives during the call, in its serializer or with its channel locked: the state is exchanged whole, and an instance
/// stays while a stream has it.
pub(super) unsafe fn in_force(session: *mut sys::ast_sip_session) -> [Option<OwnedRtp>; 2] {
    // SAFETY: by the caller.
    unsafe {
        let state = (*session).active_media_state;
        if state.is_null() {
            return [None, None];
        }
        [sys::AST_MEDIA_TYPE_AUDIO, sys::AST_MEDIA_TYPE_VIDEO].map(|kind| {
            let media = *(*state).default_session.get(kind as usize)?;
            OwnedRtp::share(media.as_ref()?.rtp)
        })
    }
}
