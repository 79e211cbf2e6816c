//! [`calls`](super::calls) of a build without PJSIP: none is known.

use srtp::Suite;

use crate::ffi::channel::Channel;
use crate::ffi::rtp::{MediaStream, RtpInstance};
use crate::ffi::sdes::Stream;

pub use crate::ffi::call::{Call, SessionKey};

/// What PJSIP's sessions tell. Never made: there is no [`Pjsip`](crate::ffi::late::Pjsip).
#[derive(Debug)]
pub enum Registration {}

/// Live calls that are known.
pub fn count() -> usize {
    0
}

/// The call that `rtp` belongs to.
pub fn call_of(_: RtpInstance<'_>) -> Option<Call> {
    None
}

/// The call that a stream belongs to.
pub fn call_of_stream(_: Stream<'_>) -> Option<Call> {
    None
}

/// The session of a channel.
pub fn key_of(_: Channel<'_>) -> Option<SessionKey> {
    None
}

/// The streams of a session's channel.
pub fn media_of(_: Channel<'_>) -> Vec<MediaStream> {
    Vec::new()
}

/// There is no such call.
pub fn look_at_answer(_: RtpInstance<'_>) {}

/// There is no such call.
pub fn look_at_answer_of(_channel_id: &str) {}

/// No call is known of which anything could be demanded.
pub fn permits_dtls(_channel_id: &str, _: Suite) -> bool {
    true
}

/// `false`: there is no such call.
pub fn offer_again(_channel_id: &str) -> bool {
    false
}
