//! From a connection to the facts of signalling.

use policy::facts::{Certificate, Signaling, Tls};
use sip_tls::verify::PeerName;
use sip_tls::{AltName, CertInfo, TlsInfo};

pub use crate::ffi::pjsip::transport::Connection;

/// What is known of it.
pub fn facts(connection: &Connection) -> Signaling {
    let tls = match &connection.tls {
        Some(info) => Ok(tls(info)),
        None if connection.is_secure => {
            Err("the transport is not Ciphertrunk's, which alone tells")
        }
        None => Err("the transport is not TLS"),
    };
    Signaling {
        transport: connection.kind.clone(),
        is_secure: connection.is_secure,
        was_in_clear: !connection.is_secure,
        tls,
    }
}

fn tls(info: &TlsInfo) -> Tls {
    let is_verified = info.peer.is_some() && info.faults.is_empty();
    let verified_name = match &info.wanted {
        None => Err("no name was asked for: the peer connected to us"),
        Some(_) if !is_verified => Err("the certificate is not verified"),
        Some(PeerName::Dns(name)) => Ok(name.clone()),
        Some(PeerName::Ip(address)) => Ok(address.to_string()),
    };
    Tls {
        version: info.version.to_owned(),
        cipher: info.cipher.to_owned(),
        group: info
            .group
            .clone()
            .ok_or("the handshake had no group, or OpenSSL does not tell it"),
        is_resumed: info.resumed,
        is_verified,
        verified_name,
        certificate: info
            .peer
            .as_ref()
            .map(certificate)
            .ok_or("the peer sent no certificate"),
    }
}

/// A certificate as the facts have it.
pub fn certificate(info: &CertInfo) -> Certificate {
    let name = |name: &AltName| match name {
        AltName::Dns(name) => format!("DNS:{name}"),
        AltName::Uri(uri) => format!("URI:{uri}"),
        AltName::Ip(address) => format!("IP:{address}"),
        AltName::Email(address) => format!("email:{address}"),
    };
    Certificate {
        subject: info.subject.info.clone(),
        issuer: info.issuer.info.clone(),
        alt_names: info.alt_names.iter().map(name).collect(),
        serial: info.serial.clone(),
        sha256: info.sha256,
        not_after: info.not_after,
    }
}
