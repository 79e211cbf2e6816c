//! The certificate that a peer was refused for, as a line of the log tells it.

use std::fmt;

use openssl::asn1::Asn1Time;

use crate::cert_info::CertInfo;

/// Names that are told; a certificate may have hundreds.
const NAMES: usize = 4;
/// Characters of a name or subject that are told: they are the peer's words.
const LENGTH: usize = 120;

/// What was in a certificate that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offending {
    /// Which one of the chain: 0 is the peer's own, 1 the one that signed it.
    pub depth: u32,
    /// Its names, or its subject where it has none.
    pub names: Vec<String>,
    /// Names that are not among them.
    pub more: usize,
    /// Who signed it.
    pub issuer: String,
    /// Seconds since 1970 UTC.
    pub not_before: i64,
    /// Seconds since 1970 UTC.
    pub not_after: i64,
}

impl Offending {
    /// What is told of `certificate`.
    pub(crate) fn new(depth: u32, certificate: &CertInfo) -> Self {
        let mut names = certificate.names();
        names.retain(|name| !name.is_empty());
        if depth > 0 || names.is_empty() {
            names = vec![certificate.subject.info.clone()];
        }
        let more = names.len().saturating_sub(NAMES);
        names.truncate(NAMES);
        Self {
            depth,
            names: names.iter().map(|name| plain(name)).collect(),
            more,
            issuer: plain(&certificate.issuer.info),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
        }
    }
}

/// The peer's words without what a log or a terminal would take for its own.
fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '?' } else { c };
    text.chars().map(shown).take(LENGTH).collect()
}

impl fmt::Display for Offending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.depth {
            0 => f.write_str("its own certificate, "),
            depth => write!(f, "certificate {depth} of its chain, "),
        }?;
        write!(f, "for {}", self.names.join(", "))?;
        if self.more > 0 {
            write!(f, " and {} more", self.more)?;
        }
        write!(
            f,
            ", issued by {}, valid from {} to {}",
            self.issuer,
            date(self.not_before),
            date(self.not_after)
        )
    }
}

/// As OpenSSL writes it: `Jan  1 00:00:00 2026 GMT`.
fn date(seconds: i64) -> String {
    Asn1Time::from_unix(seconds).map_or_else(|_| "?".to_owned(), |time| time.to_string())
}
