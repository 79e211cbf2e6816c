//! Calls, as far as they are known: those of PJSIP. Whoever else makes calls (chan_sip) tells nothing of them.

pub use crate::ffi::call::{Call, SessionKey};
pub use crate::ffi::pjsip::gate::Incoming;
pub use crate::ffi::pjsip::session::{
    Registration, Session, Supplement, call_of, call_of_stream, channel_of, count, key_of,
    media_of, offer_again, register,
};
pub use crate::ffi::pjsip::unresolved::Unresolved;

use srtp::Suite;

use crate::demand;
use crate::ffi::pjsip::session::{later, later_by_channel, later_of};
use crate::ffi::rtp::RtpInstance;

/// A line of the peer's answer for `rtp` was refused: its call is looked at as soon as Asterisk is done with that answer.
pub fn look_at_answer(rtp: RtpInstance<'_>) {
    // Where there is no memory for it, the next message of the call brings it.
    later(rtp, super::answer::look_at);
}

/// An offer of the peer's in a call was refused, by pjsip or Asterisk: why is looked at as soon as that is done.
pub fn look_at_refused_offer(key: SessionKey) {
    later_of(key, super::unmade::refused_in_call);
}

/// Whether the call of a channel, by its unique id, may have the keys of this suite that a DTLS handshake has brought.
pub fn permits_dtls(channel_id: &str, suite: Suite) -> bool {
    demand::permits_dtls(channel_id, suite)
}

/// As [`look_at_answer`], for the call of a channel, by its unique id.
pub fn look_at_answer_of(channel_id: &str) {
    later_by_channel(channel_id, super::answer::look_at_final);
}
