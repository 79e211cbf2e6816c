//! Whether a peer's certificate is good, and whether it is the peer's that was asked for.
//!
//! The chain is OpenSSL's business. The name is compared as RFC 5922 7.2 says and as Asterisk's `pjsip_transport_events.c` does it
//! for wildcards, with the name that the caller asked for, never with one from DNS.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use openssl::x509::{X509StoreContextRef, X509VerifyResult};

use crate::cert_info::{AltName, CertInfo};
use crate::ossl_ext::hostname_mismatch;

/// What is wrong with a peer's certificate. The groups are those of PJSIP's `pj_ssl_cert_verify_flag_t`, finer where an operator has
/// to do different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CertFault {
    /// The issuer of a certificate in the chain is neither sent nor known.
    IssuerNotFound,
    /// It ends in a CA that we do not trust.
    Untrusted,
    /// It is signed by itself, and we do not trust it.
    SelfSigned,
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// It cannot be decoded.
    InvalidFormat,
    /// It may not be used for this (extended key usage, or not a CA).
    InvalidPurpose,
    /// A signature in the chain does not fit.
    IssuerMismatch,
    /// The revocation list is missing or bad.
    Crl,
    /// It is revoked.
    Revoked,
    /// The chain is too long.
    ChainTooLong,
    /// A key or digest is too weak for our security level.
    Weak,
    /// It belongs to another name than the one asked for.
    NameMismatch,
    /// Another of OpenSSL's `X509_V_ERR_*`.
    Other(i32),
}

impl CertFault {
    /// Reads a verify result of OpenSSL (`X509_V_ERR_*` in `x509_vfy.h`, whose values never change). `None` is success.
    #[must_use]
    pub fn from_openssl(result: X509VerifyResult) -> Option<CertFault> {
        Some(match result.as_raw() {
            0 => return None,
            2 | 20 => CertFault::IssuerNotFound,
            4 | 6 | 13 | 14 => CertFault::InvalidFormat,
            7 | 21 | 29 | 30 | 31 | 32 => CertFault::IssuerMismatch,
            9 => CertFault::NotYetValid,
            10 => CertFault::Expired,
            3 | 5 | 8 | 11 | 12 | 15 | 16 | 33 => CertFault::Crl,
            18 => CertFault::SelfSigned,
            19 | 27 => CertFault::Untrusted,
            22 | 25 => CertFault::ChainTooLong,
            23 => CertFault::Revoked,
            24 | 26 | 28 | 79 => CertFault::InvalidPurpose,
            62 | 64 => CertFault::NameMismatch,
            66..=68 => CertFault::Weak,
            other => CertFault::Other(other),
        })
    }
}

/// The name that the caller asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerName {
    /// A host or domain name, without a final dot.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

impl PeerName {
    /// Reads a name as a SIP URI's host part has it: a name, an IPv4 address, an IPv6 address with or without brackets.
    #[must_use]
    pub fn parse(host: &str) -> PeerName {
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        match bare.parse() {
            Ok(ip) => PeerName::Ip(ip),
            Err(_) => PeerName::Dns(host.strip_suffix('.').unwrap_or(host).to_owned()),
        }
    }

    fn is(&self, text: &str) -> bool {
        match self {
            PeerName::Dns(name) => !name.is_empty() && name.eq_ignore_ascii_case(text),
            PeerName::Ip(ip) => {
                text.strip_prefix('[')
                    .and_then(|rest| rest.strip_suffix(']'))
                    .unwrap_or(text)
                    .parse()
                    == Ok(*ip)
            }
        }
    }

    /// `verify_cert_name` of `pjsip_transport_events.c`: `*.` stands for exactly one first label.
    fn is_below(&self, pattern: &str) -> bool {
        let (PeerName::Dns(name), Some(domain)) = (self, pattern.strip_prefix("*.")) else {
            return false;
        };
        name.split_once('.').is_some_and(|(label, rest)| {
            !label.is_empty() && !rest.is_empty() && rest.eq_ignore_ascii_case(domain)
        })
    }
}

/// Whether the certificate belongs to `name`.
///
/// The alternative names decide: DNS, IP address, and SIP URI without user part; the common name only if there is no such extension
/// (RFC 5922 7.1). A `*.` is taken for any first label of a DNS name or common name only if `wildcards` (`allow_wildcard_certs`).
#[must_use]
pub fn matches(name: &PeerName, certificate: &CertInfo, wildcards: bool) -> bool {
    let text = |text: &str| name.is(text) || wildcards && name.is_below(text);
    if !certificate.has_alt_names {
        return text(&certificate.subject.cn);
    }
    certificate.alt_names.iter().any(|alt| match alt {
        AltName::Dns(dns) => text(dns),
        AltName::Ip(ip) => *name == PeerName::Ip(*ip),
        AltName::Uri(uri) => sip_host(uri).is_some_and(|host| name.is(host)),
        AltName::Email(_) => false,
    })
}

/// The host of a SIP URI that names a domain; `None` if it names a user or is no SIP URI (RFC 5922 7.1).
fn sip_host(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips")
        || rest.contains('@')
    {
        return None;
    }
    let host_port = rest.split([';', '?']).next()?;
    match host_port.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':') =>
        {
            Some(host)
        }
        _ => Some(host_port),
    }
}

/// Watches OpenSSL verify one chain: collects what is wrong, and says whether to go on.
#[derive(Debug)]
pub(crate) struct Verifier {
    /// Whether a fault ends the handshake.
    enforce: bool,
    name: Option<PeerName>,
    wildcards: bool,
    faults: Mutex<Vec<CertFault>>,
}

impl Verifier {
    pub(crate) fn new(enforce: bool, name: Option<PeerName>, wildcards: bool) -> Self {
        Verifier {
            enforce,
            name,
            wildcards,
            faults: Mutex::new(Vec::new()),
        }
    }

    /// OpenSSL's callback, called for every certificate of the chain, the peer's own (depth 0) last.
    pub(crate) fn step(&self, ok: bool, store: &mut X509StoreContextRef) -> bool {
        if !ok && let Some(fault) = CertFault::from_openssl(store.error()) {
            self.add(fault);
            return !self.enforce;
        }
        if store.error_depth() == 0
            && let Some(certificate) = store.current_cert()
        {
            // A certificate whose names cannot be read has none of them.
            if !self.check_name(CertInfo::of(certificate).ok().as_ref()) && self.enforce {
                store.set_error(hostname_mismatch());
                return false;
            }
        }
        true
    }

    /// Compares the name, and remembers if it does not match.
    pub(crate) fn check_name(&self, certificate: Option<&CertInfo>) -> bool {
        let Some(name) = &self.name else { return true };
        let good =
            certificate.is_some_and(|certificate| matches(name, certificate, self.wildcards));
        if !good {
            self.add(CertFault::NameMismatch);
        }
        good
    }

    pub(crate) fn enforces(&self) -> bool {
        self.enforce
    }

    pub(crate) fn name(&self) -> Option<&PeerName> {
        self.name.as_ref()
    }

    pub(crate) fn add(&self, fault: CertFault) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }

    pub(crate) fn faults(&self) -> Vec<CertFault> {
        self.faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
