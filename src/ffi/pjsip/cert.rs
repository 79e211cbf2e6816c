//! `pj_ssl_cert_info` and `pj_ssl_sock_info`: what Asterisk is told of a connection's certificates.

use std::ffi::CString;
use std::net::SocketAddr;
use std::{mem, ptr};

use super::{from_socket_addr, pj_str};
use crate::ffi::{c_text, sys};

/// A name in a certificate's subjectAltName.
#[derive(Debug, Clone)]
pub enum AltName {
    /// `dNSName`
    Dns(String),
    /// `uniformResourceIdentifier`
    Uri(String),
    /// `iPAddress`, as text
    Ip(String),
    /// `rfc822Name`
    Email(String),
}

/// A certificate, as Asterisk and its handlers read it.
#[derive(Debug, Clone, Default)]
pub struct Certificate {
    /// 1 or 3; 0 is "there is none".
    pub version: u32,
    /// Serial number, most significant octet first.
    pub serial: Vec<u8>,
    /// Subject: common name, and all in one line.
    pub subject: (String, String),
    /// Issuer, likewise.
    pub issuer: (String, String),
    /// Validity, seconds since 1970.
    pub validity: (i64, i64),
    /// subjectAltName.
    pub alt_names: Vec<AltName>,
    /// PEM.
    pub pem: String,
}

/// What a connection's state is reported with.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Whether the handshake is done.
    pub established: bool,
    /// The cipher's number in IANA's registry.
    pub cipher: u16,
    /// Our end.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
    /// Ours.
    pub own: Certificate,
    /// The peer's.
    pub peer: Certificate,
    /// What is wrong with the peer's: `PJ_SSL_CERT_E*`.
    pub verify_status: u32,
}

/// Bits of [`Facts::verify_status`].
pub mod verify {
    use crate::ffi::sys;

    /// The issuer of a certificate is not known.
    pub const ISSUER_NOT_FOUND: u32 = sys::PJ_SSL_CERT_EISSUER_NOT_FOUND.cast_unsigned();
    /// It is not trusted.
    pub const UNTRUSTED: u32 = sys::PJ_SSL_CERT_EUNTRUSTED.cast_unsigned();
    /// It has expired or is not valid yet.
    pub const VALIDITY_PERIOD: u32 = sys::PJ_SSL_CERT_EVALIDITY_PERIOD.cast_unsigned();
    /// It cannot be decoded.
    pub const INVALID_FORMAT: u32 = sys::PJ_SSL_CERT_EINVALID_FORMAT.cast_unsigned();
    /// It is for something else.
    pub const INVALID_PURPOSE: u32 = sys::PJ_SSL_CERT_EINVALID_PURPOSE.cast_unsigned();
    /// A signature does not fit.
    pub const ISSUER_MISMATCH: u32 = sys::PJ_SSL_CERT_EISSUER_MISMATCH.cast_unsigned();
    /// Revocation list.
    pub const CRL_FAILURE: u32 = sys::PJ_SSL_CERT_ECRL_FAILURE.cast_unsigned();
    /// Revoked.
    pub const REVOKED: u32 = sys::PJ_SSL_CERT_EREVOKED.cast_unsigned();
    /// Too long a chain.
    pub const CHAIN_TOO_LONG: u32 = sys::PJ_SSL_CERT_ECHAIN_TOO_LONG.cast_unsigned();
    /// Too weak.
    pub const WEAK_SIGNATURE: u32 = super::super::versions::WEAK_SIGNATURE;
    /// Another name.
    pub const IDENTITY_NOT_MATCH: u32 = sys::PJ_SSL_CERT_EIDENTITY_NOT_MATCH.cast_unsigned();
    /// Anything else.
    pub const UNKNOWN: u32 = sys::PJ_SSL_CERT_EUNKNOWN.cast_unsigned();
}

/// A [`Certificate`] in C's shape, with the texts that it points to.
struct RawCertificate {
    info: sys::pj_ssl_cert_info,
    _texts: Vec<CString>,
    _entries: Vec<AltEntry>,
}

/// The element type of `subj_alt_name.entry`, which has no name in C.
#[repr(C)]
struct AltEntry {
    kind: sys::pj_ssl_cert_name_type,
    name: sys::pj_str_t,
}

impl RawCertificate {
    fn new(certificate: &Certificate) -> Self {
        // SAFETY: a plain C structure, for which zero is valid.
        let mut info: sys::pj_ssl_cert_info = unsafe { mem::zeroed() };
        let mut texts = Vec::new();
        // A CString's octets stay where they are when it moves into the Vec.
        let mut keep = |text: &str| {
            let text = c_text(text);
            let borrowed = pj_str(&text);
            texts.push(text);
            borrowed
        };
        info.version = certificate.version;
        let room = info.serial_no.len();
        let serial = &certificate.serial[certificate.serial.len().saturating_sub(room)..];
        info.serial_no[room - serial.len()..].copy_from_slice(serial);
        info.subject.cn = keep(&certificate.subject.0);
        info.subject.info = keep(&certificate.subject.1);
        info.issuer.cn = keep(&certificate.issuer.0);
        info.issuer.info = keep(&certificate.issuer.1);
        info.validity.start.sec = certificate.validity.0;
        info.validity.end.sec = certificate.validity.1;
        info.validity.gmt = 1;
        info.raw = keep(&certificate.pem);
        let mut entries: Vec<AltEntry> = certificate
            .alt_names
            .iter()
            .map(|name| {
                let (kind, text) = match name {
                    AltName::Dns(text) => (sys::PJ_SSL_CERT_NAME_DNS, text),
                    AltName::Uri(text) => (sys::PJ_SSL_CERT_NAME_URI, text),
                    AltName::Ip(text) => (sys::PJ_SSL_CERT_NAME_IP, text),
                    AltName::Email(text) => (sys::PJ_SSL_CERT_NAME_RFC822, text),
                };
                AltEntry {
                    kind,
                    name: keep(text),
                }
            })
            .collect();
        info.subj_alt_name.cnt = u32::try_from(entries.len()).unwrap_or(0);
        info.subj_alt_name.entry = entries.as_mut_ptr().cast();
        Self {
            info,
            _texts: texts,
            _entries: entries,
        }
    }
}

/// Calls `with` with `facts` in C's shape. The pointer is for the time of the call.
pub(super) fn with_state_info<R>(
    facts: &Facts,
    with: impl FnOnce(*mut sys::pjsip_tls_state_info) -> R,
) -> R {
    let mut own = RawCertificate::new(&facts.own);
    let mut peer = RawCertificate::new(&facts.peer);
    // SAFETY: a plain C structure, for which zero is valid.
    let mut socket: sys::pj_ssl_sock_info = unsafe { mem::zeroed() };
    socket.established = facts.established.into();
    socket.cipher = facts.cipher.into();
    socket.local_addr = from_socket_addr(facts.local);
    socket.remote_addr = from_socket_addr(facts.remote);
    socket.local_cert_info = &raw mut own.info;
    socket.remote_cert_info = &raw mut peer.info;
    socket.verify_status = facts.verify_status;
    let mut info = sys::pjsip_tls_state_info {
        ssl_sock_info: &raw mut socket,
    };
    with(ptr::from_mut(&mut info))
}
