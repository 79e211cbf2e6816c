//! `pj_ssl_cert_info` and `pj_ssl_sock_info`: what Asterisk is told of a connection's certificates.

use std::ffi::CString;
use std::mem;
use std::net::SocketAddr;

use sip_tls::verify::CertFault;
use sip_tls::{AltName, CertInfo, TlsInfo};

use super::{address, strings, versions};
use crate::ffi::{c_text, sys};

/// What a connection's state is reported with.
pub(super) struct Facts<'a> {
    /// Whether the handshake is done.
    established: bool,
    /// The cipher's number in IANA's registry.
    cipher: u16,
    local: SocketAddr,
    remote: SocketAddr,
    own: Option<&'a CertInfo>,
    peer: Option<&'a CertInfo>,
    /// What is wrong with the peer's: `pj_ssl_cert_verify_flag_t`.
    verify_status: u32,
}

impl<'a> Facts<'a> {
    /// An established connection's.
    pub(super) fn established(info: &'a TlsInfo) -> Self {
        // Asterisk would apply verify_server and allow_wildcard_certs of the transport to them. What a profile says of its peers has been
        // applied: a connection that is up is good by it.
        let is_judged = info.profile.is_some();
        let faults = info.faults.iter().filter(|_| !is_judged);
        Self {
            established: true,
            cipher: info.cipher_id,
            local: info.local,
            remote: info.remote,
            own: info.own.as_deref(),
            peer: info.peer.as_ref(),
            verify_status: faults.fold(0, |status, fault| status | verify_flag(*fault)),
        }
    }

    /// A connection's that is gone or never came.
    pub(super) fn none(local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            established: false,
            cipher: 0,
            local,
            remote,
            own: None,
            peer: None,
            verify_status: 0,
        }
    }
}

/// pjlib's bit for a fault.
fn verify_flag(fault: CertFault) -> u32 {
    let flag = match fault {
        CertFault::IssuerNotFound => sys::PJ_SSL_CERT_EISSUER_NOT_FOUND,
        CertFault::Untrusted | CertFault::SelfSigned => sys::PJ_SSL_CERT_EUNTRUSTED,
        CertFault::Expired | CertFault::NotYetValid => sys::PJ_SSL_CERT_EVALIDITY_PERIOD,
        CertFault::InvalidFormat => sys::PJ_SSL_CERT_EINVALID_FORMAT,
        CertFault::InvalidPurpose => sys::PJ_SSL_CERT_EINVALID_PURPOSE,
        CertFault::IssuerMismatch => sys::PJ_SSL_CERT_EISSUER_MISMATCH,
        CertFault::Crl => sys::PJ_SSL_CERT_ECRL_FAILURE,
        CertFault::Revoked => sys::PJ_SSL_CERT_EREVOKED,
        CertFault::ChainTooLong => sys::PJ_SSL_CERT_ECHAIN_TOO_LONG,
        CertFault::Weak => versions::WEAK_SIGNATURE,
        CertFault::NameMismatch => sys::PJ_SSL_CERT_EIDENTITY_NOT_MATCH,
        // It ends the handshake.
        CertFault::NotPinned => sys::PJ_SSL_CERT_EUNTRUSTED,
        CertFault::Other(_) => sys::PJ_SSL_CERT_EUNKNOWN,
    };
    flag.cast_unsigned()
}

/// The element type of `subj_alt_name.entry`, which has no name in C.
#[repr(C)]
struct AltEntry {
    kind: sys::pj_ssl_cert_name_type,
    name: sys::pj_str_t,
}

/// Calls `with` with a certificate in C's shape; one that is not there has version 0. The pointer is for the time of the
/// call, and what it points to does not move meanwhile.
fn with_certificate<R>(
    certificate: Option<&CertInfo>,
    with: impl FnOnce(*mut sys::pj_ssl_cert_info) -> R,
) -> R {
    // SAFETY: a plain C structure of integers and pointers, for which all zeroes is a value.
    let mut info: sys::pj_ssl_cert_info = unsafe { mem::zeroed() };
    let Some(certificate) = certificate else {
        return with(&raw mut info);
    };
    let texts = [
        &certificate.subject.cn,
        &certificate.subject.info,
        &certificate.issuer.cn,
        &certificate.issuer.info,
        &certificate.pem,
    ]
    .map(|text| c_text(text));
    let names: Vec<(sys::pj_ssl_cert_name_type, CString)> = certificate
        .alt_names
        .iter()
        .map(|name| match name {
            AltName::Dns(text) => (sys::PJ_SSL_CERT_NAME_DNS, c_text(text)),
            AltName::Uri(text) => (sys::PJ_SSL_CERT_NAME_URI, c_text(text)),
            AltName::Ip(ip) => (sys::PJ_SSL_CERT_NAME_IP, c_text(&ip.to_string())),
            AltName::Email(text) => (sys::PJ_SSL_CERT_NAME_RFC822, c_text(text)),
        })
        .collect();
    // From here on nothing that is pointed to moves.
    let mut entries: Vec<AltEntry> = names
        .iter()
        .map(|(kind, text)| AltEntry {
            kind: *kind,
            name: strings::pointing_to(text),
        })
        .collect();
    let [subject_cn, subject, issuer_cn, issuer, pem] =
        texts.each_ref().map(|text| strings::pointing_to(text));
    info.version = certificate.version;
    // The end of a number that is too long, and zeroes before one that is shorter.
    let room = info.serial_no.len();
    let serial = &certificate.serial[certificate.serial.len().saturating_sub(room)..];
    info.serial_no[room - serial.len()..].copy_from_slice(serial);
    info.subject.cn = subject_cn;
    info.subject.info = subject;
    info.issuer.cn = issuer_cn;
    info.issuer.info = issuer;
    info.validity.start.sec = certificate.not_before;
    info.validity.end.sec = certificate.not_after;
    info.validity.gmt = 1;
    info.raw = pem;
    info.subj_alt_name.cnt = u32::try_from(entries.len()).unwrap_or(0);
    info.subj_alt_name.entry = entries.as_mut_ptr().cast();
    with(&raw mut info)
}

/// Calls `with` with `facts` in C's shape. The pointer is for the time of the call.
pub(super) fn with_state_info<R>(
    facts: &Facts<'_>,
    with: impl FnOnce(*mut sys::pjsip_tls_state_info) -> R,
) -> R {
    with_certificate(facts.own, |own| {
        with_certificate(facts.peer, |peer| {
            // SAFETY: a plain C structure of integers and pointers, for which all zeroes is a value.
            let mut socket: sys::pj_ssl_sock_info = unsafe { mem::zeroed() };
            socket.established = facts.established.into();
            socket.cipher = facts.cipher.into();
            socket.local_addr = address::from_socket_addr(facts.local);
            socket.remote_addr = address::from_socket_addr(facts.remote);
            socket.local_cert_info = own;
            socket.remote_cert_info = peer;
            socket.verify_status = facts.verify_status;
            let mut info = sys::pjsip_tls_state_info {
                ssl_sock_info: &raw mut socket,
            };
            with(&raw mut info)
        })
    })
}
