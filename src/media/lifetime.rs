//! Lifetimes of master keys, as descriptions give them (RFC 4568 section 6.1). The hard limits of RFC 3711 section 9.2 hold
//! without this, in `crates/srtp`.
//!
//! Looked at every few seconds and not with each packet: the shortest lifetime is hours of audio, and a minute of anything.

use std::time::Duration;

use srtp::KeyUsage;
use srtp::sdes::CryptoLine;

use crate::ffi::session;
use crate::test_hooks as hooks;

use super::registry;

/// How often they are looked at.
pub const INTERVAL: Duration = Duration::from_secs(2);

/// The lifetimes of the two keys in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of the key that we send with, in packets, if our line says one.
    pub local: Option<u64>,
    /// The same of the peer's.
    pub remote: Option<u64>,
    /// `strict_lifetime`: what a key that has reached it protects is dropped.
    pub strict: bool,
}

impl Lifetimes {
    /// Of what was agreed. A line with several keys has the shortest of theirs.
    pub fn of(local: &CryptoLine, remote: &CryptoLine, strict: bool) -> Self {
        let shortest = |line: &CryptoLine| line.keys.iter().filter_map(|key| key.lifetime).min();
        Self {
            local: shortest(local),
            remote: shortest(remote),
            strict,
        }
    }
}

/// How far a key is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Age {
    /// Below nine tenths of its lifetime, or it has none.
    #[default]
    Fresh,
    /// Time for another one.
    Old,
    /// At its end.
    Spent,
}

impl Age {
    /// RTP and RTCP packets each count against the lifetime (RFC 4568 section 6.1: the lesser decides).
    pub fn of(usage: KeyUsage, lifetime: Option<u64>) -> Self {
        let Some(lifetime) = lifetime else {
            return Self::Fresh;
        };
        let used = usage.rtp.max(usage.rtcp) + hooks::extra_age();
        if used >= lifetime {
            Self::Spent
        } else if used >= lifetime - lifetime / 10 {
            Self::Old
        } else {
            Self::Fresh
        }
    }
}

/// Looks at all sessions.
pub fn look() {
    for session in registry::live() {
        let (local, remote) = session.grow_older();
        let names = session.names();
        if local.is_some_and(|age| age >= Age::Old) && !session::offer_again(&names.channel) {
            log::warn!(
                "the local SRTP key of {names} is old, and the channel cannot offer a new one"
            );
        }
        if local == Some(Age::Spent) {
            log::warn!(
                "the local SRTP key of {names} is at the end of its lifetime: the peer took no new one"
            );
        }
        match remote {
            Some(Age::Old) => log::warn!(
                "the peer's SRTP key nears the end of the lifetime that it announced ({names}), and no new one has come"
            ),
            Some(Age::Spent) => {
                log::warn!("the peer's SRTP key is behind the lifetime that it announced ({names})")
            }
            _ => {}
        }
    }
}
