//! Demands on a call: what a leg must have before anything of it may leave, and whether it has.
//!
//! A demand is made in the dialplan (`CIPHERTRUNK_REQUIRE`), by Asterisk's own `CHANNEL(secure_bridge_...)`, or for an endpoint
//! in `ciphertrunk.conf`. Several are added up; none takes anything back.

pub mod identity;
mod judge;
mod leg;
mod parse;
mod unmet;

#[cfg(test)]
mod tests;

use std::fmt;

use srtp::Suite;

use identity::Binding;
use parse::bad;

pub use judge::{DescribedMedia, Exchange, Link};
pub use parse::BadDemand;
pub use unmet::Unmet;

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.0 (RFC 2246).
    V1_0,
    /// TLS 1.1 (RFC 4346).
    V1_1,
    /// TLS 1.2 (RFC 5246).
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

impl TlsVersion {
    const ALL: [(&str, Self); 4] = [
        ("tls1.0", Self::V1_0),
        ("tls1.1", Self::V1_1),
        ("tls1.2", Self::V1_2),
        ("tls1.3", Self::V1_3),
    ];

    /// By OpenSSL's name, e.g. `TLSv1.3`.
    pub fn from_openssl(name: &str) -> Option<Self> {
        match name {
            "TLSv1" => Some(Self::V1_0),
            "TLSv1.1" => Some(Self::V1_1),
            "TLSv1.2" => Some(Self::V1_2),
            "TLSv1.3" => Some(Self::V1_3),
            _ => None,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        let found = Self::ALL
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known));
        found.map(|(_, version)| *version)
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1_0 => "TLS 1.0",
            Self::V1_1 => "TLS 1.1",
            Self::V1_2 => "TLS 1.2",
            Self::V1_3 => "TLS 1.3",
        })
    }
}

/// Where the keys of SRTP come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySource {
    /// `a=crypto` lines (RFC 4568).
    Sdes,
    /// A DTLS handshake (RFC 5764).
    Dtls,
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sdes => "SDES",
            Self::Dtls => "DTLS-SRTP",
        })
    }
}

/// What is demanded of a leg. The default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// `signaling`: SIP over TLS, of this version or a later one.
    signaling: Option<TlsVersion>,
    /// `signaling = pq`: the keys come from an exchange that a quantum computer does not break either.
    post_quantum: bool,
    /// `media`: SRTP.
    media: bool,
    /// The least suite; a stronger one is good too.
    suite: Option<Suite>,
    /// The only source of keys.
    keys: Option<KeySource>,
    /// `verified`: the peer's certificate was verified.
    verified: bool,
    /// ... and names this.
    name: Option<String>,
    /// The certificates that an endpoint is bound to.
    certificate: Option<Binding>,
    /// `both_legs`: of the leg that makes the demand as well.
    both_legs: bool,
    /// Why nothing meets it: a demand that could not be understood is not one that is ignored.
    impossible: Option<String>,
}

impl Demand {
    /// Signalling over TLS (`CHANNEL(secure_bridge_signaling)`).
    pub fn of_signaling() -> Self {
        Self {
            signaling: Some(TlsVersion::V1_0),
            ..Self::default()
        }
    }

    /// Media over SRTP (`CHANNEL(secure_bridge_media)`).
    pub fn of_media() -> Self {
        Self {
            media: true,
            ..Self::default()
        }
    }

    /// One of these certificates, at the other end of the connection.
    pub fn of_certificate(binding: Binding) -> Self {
        Self {
            certificate: Some(binding),
            ..Self::default()
        }
    }

    /// What nothing meets: in the place of a demand that was made, and of which nobody knows what it was.
    pub fn lost() -> Self {
        Self {
            impossible: Some("a demand could not be handed on to the channel".to_owned()),
            ..Self::default()
        }
    }

    /// What nothing meets: in the place of a demand that cannot be made.
    pub fn impossible(reason: &BadDemand) -> Self {
        Self {
            impossible: Some(reason.0.clone()),
            ..Self::default()
        }
    }

    /// Demands that as well.
    ///
    /// # Errors
    ///
    /// Both together cannot be met, or not be compared. Nothing has changed then.
    pub fn add(&mut self, other: &Self) -> Result<(), BadDemand> {
        let suite = match (self.suite, other.suite) {
            (Some(one), Some(another)) if one.is_at_least(another) => Some(one),
            (Some(one), Some(another)) if another.is_at_least(one) => Some(another),
            (Some(one), Some(another)) => {
                return bad(format!(
                    "neither {} nor {} is the stronger suite: a call cannot be asked for both",
                    one.name(),
                    another.name()
                ));
            }
            (one, another) => one.or(another),
        };
        if let (Some(one), Some(another)) = (self.keys, other.keys)
            && one != another
        {
            return bad(format!("keys cannot come from {one} and from {another}"));
        }
        if let (Some(one), Some(another)) = (&self.name, &other.name)
            && one != another
        {
            return bad(format!(
                "a certificate is asked for the name {one} and for the name {another}"
            ));
        }
        if let (Some(one), Some(another)) = (&self.certificate, &other.certificate)
            && one != another
        {
            return bad(format!(
                "the peer is bound to the certificate {one}, and to {another}"
            ));
        }
        self.suite = suite;
        self.signaling = self.signaling.max(other.signaling);
        self.post_quantum |= other.post_quantum;
        self.media |= other.media;
        self.keys = self.keys.or(other.keys);
        self.verified |= other.verified;
        if self.name.is_none() {
            self.name.clone_from(&other.name);
        }
        if self.certificate.is_none() {
            self.certificate.clone_from(&other.certificate);
        }
        self.both_legs |= other.both_legs;
        if self.impossible.is_none() {
            self.impossible.clone_from(&other.impossible);
        }
        Ok(())
    }

    /// Both together, or what is impossible where they cannot be.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        match self.add(other) {
            Ok(()) => self,
            Err(reason) => Self::impossible(&reason),
        }
    }

    /// Whether media are to be encrypted.
    pub fn is_of_media(&self) -> bool {
        self.media || self.impossible.is_some()
    }

    /// Whether the signalling is to be encrypted.
    pub fn is_of_signaling(&self) -> bool {
        !self.is_about_media_alone()
    }

    /// Whether something is demanded that only the handshake shows: a name or certificate of the peer's, the group of the key exchange.
    pub fn is_of_handshake(&self) -> bool {
        self.name.is_some() || self.certificate.is_some() || self.post_quantum
    }

    /// Whether the leg that makes the demand is asked as well.
    pub fn is_for_both_legs(&self) -> bool {
        self.both_legs
    }

    /// Whether nothing is demanded.
    pub fn is_nothing(&self) -> bool {
        self.is_about_media_alone() && !self.media
    }

    /// Whether nothing is demanded of the signalling.
    fn is_about_media_alone(&self) -> bool {
        self.signaling.is_none()
            && !self.verified
            && self.certificate.is_none()
            && self.impossible.is_none()
    }
}
