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
use crate::ffi::pjsip::digits::{self, Digits};
use crate::ffi::rtp::{LockedRtp, OwnedRtp, RtpInstance};
use crate::ffi::srtp::{Owner, owner};

use super::passing::NATIVE;
use super::session::Session;
use super::{calls, registry};

/// That chan_pjsip's answer to native bridges is ours, and its digits come by here; dropping it gives both back.
#[derive(Debug)]
pub struct Registration {
    _bridge: Exchange,
    _digits: Exchange,
}

/// Answers native bridges for chan_pjsip. `None`: PJSIP's channels have no glue, or send no digits.
pub fn register(pjsip: Pjsip) -> Option<Registration> {
    let digits = digits::watch::<Ours>(pjsip)?;
    Some(Registration {
        _bridge: glue::bridge::<Ours>(pjsip)?,
        _digits: digits,
    })
}

struct Ours;

/// In a native bridge `res_rtp_asterisk` takes the other leg's SSRC for its own, and would send a digit with that SSRC and its own sequence numbers:
/// two packets might have one index, so that the digit or what the other leg sends behind it would be refused. The digit has an SSRC for
/// itself, and the instance's lock is held until it has begun: a packet of the other leg's in between would bring its SSRC back. Behind that it
/// sends nothing until the digit's end. chan_pjsip's function locks nothing but that instance.
impl Digits for Ours {
    type Kept = Option<LockedRtp>;

    fn begins(channel: Channel<'_>) -> Self::Kept {
        let is_ours = |rtp: RtpInstance<'_>| rtp.srtp_session().and_then(registry::at).is_some();
        let mut streams = calls::media_of(channel).into_iter();
        // The one that digits are sent by.
        let audio = streams.find(|stream| stream.kind == "audio" && !stream.is_removed)?;
        if !audio.rtp.get().is_some_and(is_ours)
            || channel.bridge_technology().as_deref() != Some(NATIVE)
        {
            return None;
        }
        let locked = audio.rtp.lock();
        locked.get().inspect(|rtp| rtp.change_source())?;
        Some(locked)
    }
}

impl Bridging for Ours {
    fn may_be_native(channel: Channel<'_>, rtp: RtpInstance<'_>) -> bool {
        if !config::current().native_bridge || owner() != Owner::Ours {
            return false;
        }
        // Another engine's, or none yet: what would pass is not known to be encrypted.
        let Some(session) = rtp.srtp_session().and_then(registry::at) else {
            return false;
        };
        let may_be = session.may_pass_others()
            && is_alone(channel, rtp)
            && channel.all_others(|other| !is_listened_to(other));
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
        // Those packets have Asterisk's own sequence numbers under the other leg's SSRC.
        && !stream.keeps_alive
        && !stream.is_listened_to
        && is_it(&stream.rtp)
        && !rtp.has_extensions()
        && !rtp.retransmits()
}

/// Whether chan_pjsip listens to what comes from a channel, which it does in the core. A leg in clear may be native for chan_pjsip all the
/// same, which was the core's as long as the other leg's encryption kept both there.
fn is_listened_to(channel: Channel<'_>) -> bool {
    calls::media_of(channel)
        .iter()
        .any(|stream| stream.is_listened_to)
}

impl Session {
    /// Whether another leg's packets may leave under its keys.
    fn may_pass_others(&self) -> bool {
        // DTLS-SRTP is what browsers have, with more in their packets than passes.
        self.history().source() == KeySource::Sdes
            && !self.is_broken()
            && !self.is_forbidden()
            && !self.is_spent()
            && !self.passing().is_over()
            && self.stats().local_suite.is_some()
    }
}
