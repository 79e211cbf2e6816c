//! Encrypted calls in Asterisk's native RTP bridge, by which packets pass from one RTP instance to the other without the core.
//!
//! chan_pjsip forbids that to every call with `media_encryption`. Here it is decided which of them may: what passes is encrypted by the
//! session of the instance that sends it, as everything is.

use policy::facts::KeySource;

use crate::config;
use crate::ffi::channel::Channel;
use crate::ffi::exchange::Exchange;
use crate::ffi::glue::{self, Bridging};
use crate::ffi::late::Pjsip;
use crate::ffi::rtp::{OwnedRtp, RtpInstance};
use crate::ffi::srtp::{Owner, owner};

use super::session::Session;
use super::{calls, registry};

/// That chan_pjsip's answer to native bridges is ours; dropping it gives it back.
pub type Registration = Exchange;

/// Answers native bridges for chan_pjsip. `None`: PJSIP's channels have no glue.
pub fn register(pjsip: Pjsip) -> Option<Registration> {
    glue::bridge::<Ours>(pjsip)
}

struct Ours;

impl Bridging for Ours {
    fn may_be_native(channel: Channel<'_>, rtp: RtpInstance<'_>) -> bool {
        if !config::current().native_bridge || owner() != Owner::Ours {
            return false;
        }
        // Another engine's, or none yet: what would pass is not known to be encrypted.
        let Some(session) = rtp.srtp_session().and_then(registry::at) else {
            return false;
        };
        let may_be = session.may_pass_others() && is_alone(channel, rtp);
        if may_be {
            // It may never receive, which is when they are asked for otherwise.
            session.refresh_names(rtp);
            session.passing().begin(channel);
        }
        may_be
    }
}

/// Whether its audio is all that a channel has, and nothing in the packets' headers belongs to this leg alone.
fn is_alone(channel: Channel<'_>, rtp: RtpInstance<'_>) -> bool {
    let media = calls::media_of(channel);
    let mut streams = media.iter().filter(|stream| !stream.is_removed);
    let (Some(stream), None) = (streams.next(), streams.next()) else {
        return false;
    };
    let is_it = |own: &OwnedRtp| own.get().is_some_and(|own| own.address() == rtp.address());
    stream.kind == "audio"
        && stream.carrier.is_none()
        && is_it(&stream.rtp)
        && !rtp.has_extensions()
        && !rtp.retransmits()
}

impl Session {
    /// Whether another leg's packets may leave under its keys.
    fn may_pass_others(&self) -> bool {
        // DTLS-SRTP is what browsers have, with more in their packets than passes.
        self.history().source() == KeySource::Sdes
            && !self.is_broken()
            && !self.is_forbidden()
            && !self.passing().is_over()
            && self.stats().local_suite.is_some()
    }
}
