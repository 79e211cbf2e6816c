//! From the engine's facts to those that Asterisk reads (`pjsip_tls_state_info`).

use std::net::SocketAddr;

use sip_tls::verify::CertFault;
use sip_tls::{AltName, CertInfo, Code, Reason, TlsInfo};

use crate::ffi::pjsip::Status;
use crate::ffi::pjsip::state::{self, Certificate, TlsFacts, verify};

/// An established connection's.
pub fn of(info: &TlsInfo) -> TlsFacts {
    TlsFacts {
        established: true,
        cipher: info.cipher_id,
        local: info.local,
        remote: info.remote,
        own: info.own.as_deref().map(certificate).unwrap_or_default(),
        peer: info.peer.as_ref().map(certificate).unwrap_or_default(),
        verify_status: info
            .faults
            .iter()
            .fold(0, |status, fault| status | bit(*fault)),
    }
}

/// A connection's that is gone or never came.
pub fn none(local: SocketAddr, remote: SocketAddr) -> TlsFacts {
    TlsFacts {
        established: false,
        cipher: 0,
        local,
        remote,
        own: Certificate::default(),
        peer: Certificate::default(),
        verify_status: 0,
    }
}

fn certificate(info: &CertInfo) -> Certificate {
    Certificate {
        version: info.version,
        serial: info.serial.clone(),
        subject: (info.subject.cn.clone(), info.subject.info.clone()),
        issuer: (info.issuer.cn.clone(), info.issuer.info.clone()),
        validity: (info.not_before, info.not_after),
        alt_names: info
            .alt_names
            .iter()
            .map(|name| match name {
                AltName::Dns(text) => state::AltName::Dns(text.clone()),
                AltName::Uri(text) => state::AltName::Uri(text.clone()),
                AltName::Ip(ip) => state::AltName::Ip(ip.to_string()),
                AltName::Email(text) => state::AltName::Email(text.clone()),
            })
            .collect(),
        pem: info.pem.clone(),
    }
}

/// pjlib's bit for a fault (`pj_ssl_cert_verify_flag_t`).
fn bit(fault: CertFault) -> u32 {
    match fault {
        CertFault::IssuerNotFound => verify::ISSUER_NOT_FOUND,
        CertFault::Untrusted | CertFault::SelfSigned => verify::UNTRUSTED,
        CertFault::Expired | CertFault::NotYetValid => verify::VALIDITY_PERIOD,
        CertFault::InvalidFormat => verify::INVALID_FORMAT,
        CertFault::InvalidPurpose => verify::INVALID_PURPOSE,
        CertFault::IssuerMismatch => verify::ISSUER_MISMATCH,
        CertFault::Crl => verify::CRL_FAILURE,
        CertFault::Revoked => verify::REVOKED,
        CertFault::ChainTooLong => verify::CHAIN_TOO_LONG,
        CertFault::Weak => verify::WEAK_SIGNATURE,
        CertFault::NameMismatch => verify::IDENTITY_NOT_MATCH,
        CertFault::Other(_) => verify::UNKNOWN,
    }
}

/// What pjsip is told a connection ended with.
pub fn status(reason: &Reason) -> Status {
    match reason.code {
        Code::ConnectTimeout | Code::HandshakeTimeout | Code::Silent => Status::TIMED_OUT,
        Code::ClosedHere => Status::CANCELLED,
        _ if reason.fault.is_some() => Status::TLS_CERT_VERIFY,
        _ if reason.stage == sip_tls::Stage::Open => Status::NOT_CONNECTED,
        _ => Status::TLS_CONNECT,
    }
}
