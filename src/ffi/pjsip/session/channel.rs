//! Which session a channel has, and which media.

use std::ptr;

use crate::ffi::call::SessionKey;
use crate::ffi::channel::{Channel, Locked};
use crate::ffi::rtp::{MediaStream, OwnedRtp};
use crate::ffi::sys;

/// The session of a channel, NULL if it is not PJSIP's or is hung up. Good as long as the lock is held.
pub(super) fn session_of(channel: &Locked<'_>) -> *mut sys::ast_sip_session {
    // chan_pjsip's hangup has a task end the session and free what the channel keeps, with no lock of the channel's.
    if channel.channel().technology() != "PJSIP" || channel.is_given_up() {
        return ptr::null_mut();
    }
    // SAFETY: alive and locked; what chan_pjsip keeps with a channel of its own is an `ast_sip_channel_pvt`, with a reference to its
    // session, until the task of a hangup, which nobody asks for while the channel is locked.
    unsafe {
        let private = sys::ast_channel_tech_pvt(channel.channel().as_ptr())
            .cast::<sys::ast_sip_channel_pvt>();
        if private.is_null() {
            ptr::null_mut()
        } else {
            (*private).session
        }
    }
}

/// The session of a PJSIP channel. `None`: the channel is not PJSIP's, or is hung up.
pub fn key_of(channel: Channel<'_>) -> Option<SessionKey> {
    let locked = channel.lock();
    let session = session_of(&locked);
    (!session.is_null()).then(|| SessionKey(session.addr()))
}

/// The streams of a PJSIP channel; none once it is hung up.
///
/// Bridges do not get them by `ast_rtp_glue` where T.38 may come, and never more than one of a kind.
pub fn media_of(channel: Channel<'_>) -> Vec<MediaStream> {
    let locked = channel.lock();
    let session = session_of(&locked);
    if session.is_null() {
        return Vec::new();
    }
    // SAFETY: alive while the channel is locked. Its media in force are read as chan_pjsip does for `ast_rtp_glue`, with the channel
    // locked and not in the serializer: a negotiation exchanges them under that lock, and a hangup's task has not been asked for.
    // Asterisk drops them without that lock in `ast_sip_session_terminate` for a channel that is up in two rare cases, for us as for its own
    // readers (docs/safety.md).
    unsafe { in_force(session) }
}

/// The streams of a session's media in force, in the order of its description.
///
/// # Safety
///
/// The session lives during the call, in its serializer or with its channel locked: the state is exchanged whole, and an instance
/// stays while a stream has it.
pub(super) unsafe fn in_force(session: *mut sys::ast_sip_session) -> Vec<MediaStream> {
    // SAFETY: by the caller; the vector has `current` elements, and what it holds lives as long as the state.
    let (lines, is_listened_to): (Vec<_>, _) = unsafe {
        let state = (*session).active_media_state;
        if state.is_null() {
            return Vec::new();
        }
        let sessions = &raw const (*state).sessions;
        let lines = (0..(*sessions).current)
            .map(|i| ((*(*sessions).elems.add(i)).as_ref(), is_removed(state, i)));
        // Set with the session, and taken away when nothing is to be listened for any more.
        (lines.collect(), !(*session).dsp.is_null())
    };
    let streams = lines.iter().filter_map(|(media, is_removed)| {
        let media = (*media)?;
        let kind = match media.type_ {
            sys::AST_MEDIA_TYPE_AUDIO => "audio",
            sys::AST_MEDIA_TYPE_VIDEO => "video",
            _ => "other",
        };
        // The first line of a bundle is its transport, as `ast_sip_session_media_get_transport` has it.
        let first = (media.bundled != 0)
            .then(|| {
                let mut lines = lines.iter().filter_map(|(media, _)| *media);
                lines.find(|line| line.bundle_group == media.bundle_group)
            })
            .flatten()
            .filter(|first| !ptr::eq(*first, media));
        // SAFETY: NULL, or alive while their streams have them.
        unsafe {
            Some(MediaStream {
                kind,
                rtp: OwnedRtp::share(media.rtp)?,
                carrier: first.and_then(|first| OwnedRtp::share(first.rtp)),
                is_removed: *is_removed,
                keeps_alive: media.keepalive_sched_id >= 0,
                is_listened_to,
            })
        }
    });
    streams.collect()
}

/// Whether the `index`th stream of a state was declined or removed.
///
/// # Safety
///
/// A state that lives and does not change during the call.
unsafe fn is_removed(state: *const sys::ast_sip_session_media_state, index: usize) -> bool {
    // SAFETY: by the caller; the topology has as many streams as it says.
    unsafe {
        let topology = (*state).topology;
        let Ok(position) = u32::try_from(index) else {
            return false;
        };
        if topology.is_null()
            || i64::from(position) >= i64::from(sys::ast_stream_topology_get_count(topology))
        {
            return false;
        }
        let stream = sys::ast_stream_topology_get_stream(topology, position);
        !stream.is_null() && sys::ast_stream_get_state(stream) == sys::AST_STREAM_STATE_REMOVED
    }
}
