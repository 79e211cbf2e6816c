//! `CHANNEL(secure_signaling)` and `CHANNEL(secure_media)` of PJSIP's channels, which chan_pjsip does not know: `1`, or nothing.

use crate::ffi::channel::Channel;
use crate::ffi::pjsip::reading::{Question, Reading};
use crate::proof;

/// Says what is.
pub struct Secure;

impl Reading for Secure {
    fn is(channel: Channel<'_>, question: Question) -> bool {
        let facts = proof::now(channel);
        match question {
            Question::Signaling => facts.signaling.is_ok_and(|it| it.is_secure),
            Question::Media => facts
                .media
                .is_ok_and(|streams| streams.iter().all(|stream| stream.srtp.is_some())),
        }
    }
}
