//! Whether a peer's certificate is good, and whether it is the peer's that was asked for.
//!
//! The chain is OpenSSL's business. The name is compared as RFC 5922 7.2 says and as Asterisk's `pjsip_transport_events.c` does it
//! for wildcards, with the name that the caller asked for, never with one from DNS.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use openssl::x509::{X509StoreContextRef, X509VerifyResult};
use openssl_sys as ffi;

use crate::cert_info::{AltName, CertInfo};
use crate::offending::Offending;
use crate::ossl_ext::{
    X509_V_ERR_NO_ISSUER_PUBLIC_KEY, application_verification, hostname_mismatch,
    is_for_either_side,
};
use crate::rules::Rules;
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
    /// It is none of those that the profile pins.
    NotPinned,
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
            ffi::X509_V_ERR_UNABLE_TO_GET_CRL
            | ffi::X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE
            | ffi::X509_V_ERR_CRL_SIGNATURE_FAILURE
            | ffi::X509_V_ERR_CRL_NOT_YET_VALID
            | ffi::X509_V_ERR_CRL_HAS_EXPIRED
            | ffi::X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD
            | ffi::X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD
            | ffi::X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER => CertFault::Crl,
            ffi::X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT => CertFault::SelfSigned,
            ffi::X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN | ffi::X509_V_ERR_CERT_UNTRUSTED => {
                CertFault::Untrusted
            }
            ffi::X509_V_ERR_CERT_CHAIN_TOO_LONG | ffi::X509_V_ERR_PATH_LENGTH_EXCEEDED => {
                CertFault::ChainTooLong
            }
            ffi::X509_V_ERR_CERT_REVOKED => CertFault::Revoked,
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
    /// A client's ClientHello may bring others.
    rules: Mutex<Arc<Rules>>,
    name: Option<PeerName>,
    /// The profile that a ClientHello has chosen is not loaded.
    unusable: AtomicBool,
    faults: Mutex<Vec<CertFault>>,
    /// The certificate of the first of them, where it is known.
    offending: Mutex<Option<Arc<Offending>>>,
}

impl Verifier {
    pub(crate) fn new(rules: Arc<Rules>, name: Option<PeerName>) -> Self {
        Verifier {
            rules: Mutex::new(rules),
            name,
            unusable: AtomicBool::new(false),
            faults: Mutex::new(Vec::new()),
            offending: Mutex::new(None),
        }
    }

    /// Those of the profile that the connection is of.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.lock())
    }

    /// The peer has chosen another profile, before it has shown a certificate.
    pub(crate) fn set_rules(&self, rules: Arc<Rules>) {
        *self.rules.lock() = rules;
    }

    /// The peer has chosen one that is not loaded.
    pub(crate) fn set_unusable(&self) {
        self.unusable.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_unusable(&self) -> bool {
        self.unusable.load(Ordering::Relaxed)
    }

    /// OpenSSL's callback, called for every certificate of the chain, the peer's own (depth 0) last.
    pub(crate) fn step(&self, ok: bool, store: &mut X509StoreContextRef) -> bool {
        let rules = self.rules();
        if !ok && let Some(fault) = CertFault::from_openssl(store.error()) {
            let current = store.current_cert();
            // Of the faults of this kind that one alone which an extended key usage makes.
            if store.error().as_raw() == ffi::X509_V_ERR_INVALID_PURPOSE
                && store.error_depth() == 0
                && rules.any_eku
                && current.is_some_and(is_for_either_side)
            {
                store.set_error(X509VerifyResult::OK);
                return true;
            }
            if let Some(certificate) = current {
                self.blame(store.error_depth(), CertInfo::of(certificate).ok().as_ref());
            }
            self.add(fault);
            return !rules.enforce;
        }
        if store.error_depth() == 0
            && let Some(certificate) = store.current_cert()
        {
            // A certificate whose names cannot be read has none of them.
            let info = CertInfo::of(certificate).ok();
            if !rules.has_pinned(Some(certificate)) {
                self.blame(0, info.as_ref());
                self.add(CertFault::NotPinned);
                store.set_error(application_verification());
                return false;
            }
            if !self.check_name(info.as_ref()) && rules.enforce {
                store.set_error(hostname_mismatch());
                return false;
            }
        }
        true
    }

    /// The name that the certificate is for, among those that will do.
    fn named<'a>(&'a self, rules: &'a Rules, certificate: &CertInfo) -> Option<&'a PeerName> {
        let wanted = match rules.names.is_empty() {
            true => self.name.as_slice(),
            false => &rules.names,
        };
        wanted
            .iter()
            .find(|name| matches(name, certificate, rules.wildcards))
    }

    /// Compares the name, and remembers if it does not match.
    pub(crate) fn check_name(&self, certificate: Option<&CertInfo>) -> bool {
        if self.name.is_none() {
            return true;
        }
        let rules = self.rules();
        let good = certificate.is_some_and(|it| self.named(&rules, it).is_some());
        if !good {
            self.blame(0, certificate);
            self.add(CertFault::NameMismatch);
        }
        good
    }

    /// The name that was asked for, of a server; the one that its certificate is for, where the profile wants another.
    pub(crate) fn compared(&self, certificate: Option<&CertInfo>) -> Option<PeerName> {
        let asked = self.name.as_ref()?;
        let rules = self.rules();
        let named = certificate.and_then(|it| self.named(&rules, it));
        named.or(rules.names.first()).or(Some(asked)).cloned()
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

    pub(crate) fn add(&self, fault: CertFault) {
        let mut faults = self.faults.lock();
        match fault {
            _ if faults.contains(&fault) => {}
            // It ends every connection, and what is before it need not.
            CertFault::NotPinned => faults.insert(0, fault),
            _ => faults.push(fault),
        }
    }

    pub(crate) fn faults(&self) -> Vec<CertFault> {
        self.faults.lock().clone()
    }

    /// What ends the connection, if the handshake has not.
    pub(crate) fn verdict(&self) -> Option<CertFault> {
        let first = self.faults.lock().first().copied()?;
        (first == CertFault::NotPinned || self.rules().enforce).then_some(first)
    }
}
