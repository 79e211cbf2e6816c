//! Whether a peer's certificate is good, and whether it is the peer's that was asked for.
//!
//! The chain is OpenSSL's business. The name is compared as RFC 5922 7.2 says and as Asterisk's `pjsip_transport_events.c` does it
//! for wildcards, with the name that the caller asked for, never with one from DNS.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use openssl::x509::{X509StoreContextRef, X509VerifyResult};
use openssl_sys as ffi;

use crate::cert_info::{AltName, CertInfo};
use crate::offending::Offending;
use crate::ossl_ext::{X509_V_ERR_NO_ISSUER_PUBLIC_KEY, hostname_mismatch};
use crate::sync::Mutex;

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
            ffi::X509_V_OK => return None,
            ffi::X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT
            | ffi::X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY => CertFault::IssuerNotFound,
            ffi::X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE
            | ffi::X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY
            | ffi::X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD
            | ffi::X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD => CertFault::InvalidFormat,
            ffi::X509_V_ERR_CERT_SIGNATURE_FAILURE
            | ffi::X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE
            | ffi::X509_V_ERR_SUBJECT_ISSUER_MISMATCH
            | ffi::X509_V_ERR_AKID_SKID_MISMATCH
            | ffi::X509_V_ERR_AKID_ISSUER_SERIAL_MISMATCH
            | ffi::X509_V_ERR_KEYUSAGE_NO_CERTSIGN => CertFault::IssuerMismatch,
            ffi::X509_V_ERR_CERT_NOT_YET_VALID => CertFault::NotYetValid,
            ffi::X509_V_ERR_CERT_HAS_EXPIRED => CertFault::Expired,
            ffi::X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT => CertFault::SelfSigned,
            ffi::X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN | ffi::X509_V_ERR_CERT_UNTRUSTED => {
                CertFault::Untrusted
            }
            ffi::X509_V_ERR_CERT_CHAIN_TOO_LONG | ffi::X509_V_ERR_PATH_LENGTH_EXCEEDED => {
                CertFault::ChainTooLong
            }
            X509_V_ERR_NO_ISSUER_PUBLIC_KEY
            | ffi::X509_V_ERR_INVALID_PURPOSE
            | ffi::X509_V_ERR_CERT_REJECTED
            | ffi::X509_V_ERR_INVALID_CA => CertFault::InvalidPurpose,
            ffi::X509_V_ERR_HOSTNAME_MISMATCH | ffi::X509_V_ERR_IP_ADDRESS_MISMATCH => {
                CertFault::NameMismatch
            }
            ffi::X509_V_ERR_EE_KEY_TOO_SMALL
            | ffi::X509_V_ERR_CA_KEY_TOO_SMALL
            | ffi::X509_V_ERR_CA_MD_TOO_WEAK => CertFault::Weak,
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

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerName::Dns(name) => f.write_str(name),
            PeerName::Ip(address) => address.fmt(f),
        }
    }
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
pub(crate) fn sip_host(uri: &str) -> Option<&str> {
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
    /// The certificate of the first of them, where it is known.
    offending: Mutex<Option<Arc<Offending>>>,
}

impl Verifier {
    pub(crate) fn new(enforce: bool, name: Option<PeerName>, wildcards: bool) -> Self {
        Verifier {
            enforce,
            name,
            wildcards,
            faults: Mutex::new(Vec::new()),
            offending: Mutex::new(None),
        }
    }

    /// OpenSSL's callback, called for every certificate of the chain, the peer's own (depth 0) last.
    pub(crate) fn step(&self, ok: bool, store: &mut X509StoreContextRef) -> bool {
        if !ok && let Some(fault) = CertFault::from_openssl(store.error()) {
            if let Some(certificate) = store.current_cert() {
                self.blame(store.error_depth(), CertInfo::of(certificate).ok().as_ref());
            }
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
            self.blame(0, certificate);
            self.add(CertFault::NameMismatch);
        }
        good
    }

    /// The certificate at `depth` is why.
    pub(crate) fn blame(&self, depth: u32, certificate: Option<&CertInfo>) {
        let mut offending = self.offending.lock();
        if let Some(certificate) = certificate
            && offending.is_none()
        {
            *offending = Some(Arc::new(Offending::new(depth, certificate)));
        }
    }

    pub(crate) fn offending(&self) -> Option<Arc<Offending>> {
        self.offending.lock().clone()
    }

    pub(crate) fn enforces(&self) -> bool {
        self.enforce
    }

    pub(crate) fn name(&self) -> Option<&PeerName> {
        self.name.as_ref()
    }

    pub(crate) fn add(&self, fault: CertFault) {
        let mut faults = self.faults.lock();
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }

    pub(crate) fn faults(&self) -> Vec<CertFault> {
        self.faults.lock().clone()
    }
}
