//! The seam between Asterisk and this folder: what Asterisk's tables lead to, and their registration.

use std::fmt;
use std::sync::Arc;

use crate::drain;
use crate::ffi::rtp::RtpInstance;
use crate::ffi::srtp::{Attached, Engine, Kind};
use crate::ffi::{sdes, srtp as engine};
use crate::keylog;

#[cfg(feature = "pjsip")]
use super::answer::Answers;
#[cfg(feature = "pjsip")]
use super::calls;
use super::policy::PolicyBuilder;
use super::refusal;
use super::registry;
use super::sdes::StreamNegotiator;
use super::session::{LiveSession, Session};

/// Asterisk's SRTP engine.
pub struct Ciphertrunk;

impl Engine for Ciphertrunk {
    type Session = Session;
    type Policy = PolicyBuilder;

    fn create(rtp: RtpInstance<'_>, remote: Option<&PolicyBuilder>) -> Option<Session> {
        // SDES has decided already. A new stream of a call that has others (BUNDLE, a second codec's) is no new call.
        let is_negotiated = remote.is_some_and(PolicyBuilder::is_negotiated);
        if drain::is_on() && !is_negotiated {
            let channel = rtp.channel_id();
            if !registry::has_channel(&channel) {
                refusal::report_draining("the keys of DTLS-SRTP are not taken", &channel);
                return None;
            }
        }
        Session::new(rtp, remote)
    }

    fn attached(session: &LiveSession, remote: Option<&PolicyBuilder>) {
        registry::add(session);
        if let Some(remote) = remote {
            remote.hand_back(session);
        }
    }

    fn replace(session: &LiveSession, rtp: RtpInstance<'_>, remote: &PolicyBuilder) -> bool {
        remote.hand_back(session);
        let set = session.set_remote(rtp, remote);
        keylog::session(session, Some(rtp));
        set
    }

    fn detached(session: &Attached<Session>) {
        session.set_detached();
        registry::remove(session);
    }

    fn add_stream(session: &Session, rtp: RtpInstance<'_>, local: &PolicyBuilder) -> bool {
        let set = session.set_local(rtp, local);
        // SDES tells when it knows whose call it is.
        if !local.is_negotiated() {
            keylog::session(session, Some(rtp));
        }
        set
    }

    fn change_source(session: &Session, from: u32, to: u32) {
        session.change_source(from, to);
    }

    fn unprotect(
        session: &Session,
        rtp: RtpInstance<'_>,
        kind: Kind,
        packet: &mut [u8],
    ) -> Option<usize> {
        session.unprotect(rtp, kind, packet)
    }

    fn protect(session: &Session, kind: Kind, packet: &[u8], out: &mut [u8]) -> Option<usize> {
        session.protect(kind, packet, out)
    }

    fn random(octets: &mut [u8]) -> bool {
        openssl::rand::rand_bytes(octets).is_ok()
    }
}

/// Makes the session of `rtp` with its first keys, or gives them to the one that it has.
pub(super) fn add_keys(
    rtp: RtpInstance<'_>,
    remote: PolicyBuilder,
    local: PolicyBuilder,
) -> Option<Arc<Attached<Session>>> {
    let (remote, _) = engine::add_policies::<Ciphertrunk>(rtp, remote, local)?;
    remote.session()
}

/// Why it is not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Another SRTP engine is.
    Engine,
    /// Another SDES negotiation is.
    Sdes,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Engine => {
                "another SRTP engine is in use. Put `noload = res_srtp.so` into modules.conf and restart Asterisk, or load \
                 this module when no encrypted call is up"
            }
            Self::Sdes => "another module negotiates SDES (ast_sdp_crypto_api)",
        })
    }
}

/// Makes ours Asterisk's SRTP engine, until the value is dropped.
///
/// # Errors
///
/// Another module is there first.
pub fn register_engine() -> Result<engine::Registration, Taken> {
    engine::register::<Ciphertrunk>().ok_or(Taken::Engine)
}

/// The same where another engine has the place: the [watch](super::watch) puts ours there as soon as it is free.
pub fn claim_engine() -> engine::Registration {
    engine::claim::<Ciphertrunk>()
}

/// Makes ours the SDES negotiation, likewise.
///
/// # Errors
///
/// Another module is there first.
pub fn register_sdes() -> Result<sdes::Registration, Taken> {
    sdes::register::<StreamNegotiator>().ok_or(Taken::Sdes)
}

/// Has PJSIP's sessions tell of their calls, likewise.
#[cfg(feature = "pjsip")]
pub fn register_supplement() -> calls::Registration {
    calls::register::<Answers>()
}
