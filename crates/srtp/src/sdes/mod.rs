//! SDES (RFC 4568): the value of an SDP `a=crypto:` attribute (section 9), and the offer and answer of them
//! ([`negotiation`]).

mod age;
mod description;
mod error;
mod lines;
mod mki;
pub mod negotiation;
mod parse;
#[cfg(test)]
mod tests;
mod write;

pub use age::{KeyAge, KeyLifetimes};
pub use description::{Fault, MediaLine};
pub use error::SdesError;
pub use lines::{Entropy, NoEntropy, offered_suites};

use crate::error::PolicyError;
use crate::policy::{MasterKey, Mki, Policy, SessionParams};
use crate::suite::Suite;

/// Longest value that is read, in octets. [`MAX_REMOTE_KEYS`](crate::MAX_REMOTE_KEYS) keys with
/// MKIs of 128 octets, written in decimal, fit.
pub const MAX_LINE: usize = 4_096;

/// Shortest lifetime accepted, in packets: almost six hours of 20 ms packets. What is shorter
/// would ask for a new key in the middle of a call.
pub const MIN_LIFETIME: u64 = 1 << 20;

/// Longest lifetime accepted: no key may be used for more (RFC 3711 section 9.2).
pub const MAX_LIFETIME: u64 = 1 << 48;

/// Which MKIs a peer may announce.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MkiRule {
    /// None, or the value 1 in any length.
    #[default]
    One,
    /// Whatever RFC 4568 section 6.1 allows.
    Any,
}

/// What is accepted.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Suites.
    pub suites: &'a [Suite],
    /// MKIs.
    pub mki: MkiRule,
    /// Session parameters that weaken protection.
    pub params: SessionParams,
}

/// One `inline:` key.
#[derive(Clone, Debug)]
pub struct KeyParam {
    /// Master key and salt.
    pub key: MasterKey,
    /// Packets the key may be used for, if the line says so: 2^20 to 2^48.
    pub lifetime: Option<u64>,
    /// The key's MKI.
    pub mki: Option<Mki>,
}

/// A crypto attribute: ours to write, or a peer's as [`parse`](CryptoLine::parse) read it.
#[derive(Clone, Debug)]
pub struct CryptoLine {
    /// 0 to 999,999,999; an answer has the tag of the line it answers.
    pub tag: u32,
    /// The suite.
    pub suite: Suite,
    /// The suite is named as drafts of RFC 6188 had it; an answer names it likewise.
    pub old_name: bool,
    /// At least one key; several have different MKIs of one length.
    pub keys: Vec<KeyParam>,
    /// Session parameters.
    pub params: SessionParams,
}

impl CryptoLine {
    /// One policy per key, for [`set_remote`](crate::Session::set_remote) (a peer's line) or
    /// [`set_local`](crate::Session::set_local) (the one key of ours).
    pub fn policies(&self) -> Result<Vec<Policy>, PolicyError> {
        self.keys
            .iter()
            .map(|k| Policy::with_params(self.suite, k.key.clone(), k.mki.clone(), self.params))
            .collect()
    }
}
