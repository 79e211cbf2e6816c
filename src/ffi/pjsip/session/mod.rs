//! `ast_sip_session`: which call a media stream belongs to, and what its descriptions say, as plain values.
//!
//! `ast_sdp_crypto_api` is given an RTP instance and no call. A supplement tells when sessions begin and end; a stream's
//! session is the one, among those of the serializer that runs now, whose media holds that very instance. Nobody else
//! changes a session's media while its serializer runs our task, so reading it there is safe, and no other session is
//! ever looked into.

mod channel;
mod facts;
mod refresh;
mod supplement;
mod task;

use std::collections::BTreeMap;
use std::ptr;

use crate::ffi::ao2::Ao2;
use crate::ffi::call::{Call, SessionKey};
use crate::ffi::channel::OwnedChannel;
use crate::ffi::rtp::RtpInstance;
use crate::ffi::sdes::Stream;
use crate::ffi::sync::Mutex;
use crate::ffi::sys;

pub use channel::{key_of, media_of};
pub use facts::Session;
pub use refresh::{later_by_channel, offer_again};
pub use supplement::{Registration, Supplement, register};

/// Live sessions and the addresses of their serializers, by address. Addresses only: nothing is read through them outside
/// of [`find`].
static LIVE: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

/// Sessions that hold a copy of our supplement.
pub fn count() -> usize {
    LIVE.lock().len()
}

/// The call that `rtp` belongs to, asked from within that call's serializer; `None` elsewhere.
pub fn call_of(rtp: RtpInstance<'_>) -> Option<Call> {
    find(is_of(rtp), |session, media| session.call(Some(media)))
}

/// Has `run` be called with the session that `rtp` belongs to when its serializer is done with what it does now. To be asked
/// for from within that serializer. `false`: it will not be.
pub fn later(rtp: RtpInstance<'_>, run: fn(&Session<'_>)) -> bool {
    // SAFETY: a live session: whoever uses its media in its serializer now has a reference.
    let session = find(is_of(rtp), |session, _| unsafe {
        Ao2::share(session.as_ptr().cast())
    });
    session.flatten().is_some_and(|session| {
        // SAFETY: the object is a session: it was shared from one above.
        unsafe { task::push(session, run) }
    })
}

/// Whether a media line is the one of `rtp`.
fn is_of(rtp: RtpInstance<'_>) -> impl Fn(*const sys::ast_sip_session_media) -> bool {
    move |media| {
        // SAFETY: `find` vouches for the session's media.
        unsafe { (*media).rtp == rtp.as_ptr() }
    }
}

/// The channel of a call, asked from within that call's serializer; `None` elsewhere, and before it has one.
pub fn channel_of(key: SessionKey) -> Option<OwnedChannel> {
    in_serializer(key, |session| session.channel().map(OwnedChannel::share)).flatten()
}

/// As [`later`], for the session itself.
pub fn later_of(key: SessionKey, run: fn(&Session<'_>)) -> bool {
    // SAFETY: a live session, of which whoever runs the task has a reference.
    let session = in_serializer(key, |session| unsafe {
        Ao2::share(session.as_ptr().cast())
    });
    session.flatten().is_some_and(|session| {
        // SAFETY: the object is a session: it was shared from one above.
        unsafe { task::push(session, run) }
    })
}

/// What `look` finds in a session, asked from within its serializer; `None` elsewhere.
fn in_serializer<R>(key: SessionKey, look: impl FnOnce(&Session<'_>) -> R) -> Option<R> {
    // SAFETY: reads a thread-local of Asterisk's.
    let serializer = unsafe { sys::ct_current_serializer() };
    if serializer.is_null() || LIVE.lock().get(&key.0) != Some(&serializer.addr()) {
        return None;
    }
    // SAFETY: a live session, as `find` argues; it stays while a task of its serializer runs, which has a reference.
    let session = unsafe { Session::from_raw(ptr::with_exposed_provenance_mut(key.0)) }?;
    Some(look(&session))
}

/// The call that a stream belongs to, likewise.
pub fn call_of_stream(stream: Stream<'_>) -> Option<Call> {
    find(
        |media| {
            // SAFETY: `find` vouches for the session's media.
            unsafe { ptr::eq((*media).srtp, stream.as_ptr()) }
        },
        |session, media| session.call(Some(media)),
    )
}

/// What `look` finds in the session of this thread's serializer that has a media line for which `is_it`.
fn find<R>(
    is_it: impl Fn(*const sys::ast_sip_session_media) -> bool,
    look: impl Fn(&Session<'_>, *const sys::ast_sip_session_media) -> R,
) -> Option<R> {
    // SAFETY: reads a thread-local of Asterisk's.
    let serializer = unsafe { sys::ct_current_serializer() };
    if serializer.is_null() {
        return None;
    }
    let live = LIVE.lock();
    live.iter()
        .filter(|(_, of_session)| **of_session == serializer.addr())
        .find_map(|(address, _)| {
            // SAFETY: a session's destructor first calls `destroy`, which waits for the lock held here, so a session in the
            // map is whole until this closure ends; its media change only in its serializer, which runs this very task.
            let session = unsafe { Session::from_raw(ptr::with_exposed_provenance_mut(*address)) }?;
            let media = session.media().find(|media| is_it(*media))?;
            Some(look(&session, media))
        })
}
