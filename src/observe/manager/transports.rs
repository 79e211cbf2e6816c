//! `CiphertrunkTransports`, `CiphertrunkCertificates`.

use std::ffi::CStr;

use policy::date::Date;
use sip_tls::CertInfo;

use crate::ffi::manager::{Action, Fields, Privilege, Request};
use crate::transport;

use super::yes;

/// `CiphertrunkTransports`: as `ciphertrunk show transports`.
pub enum Transports {}

impl Action for Transports {
    const NAME: &'static CStr = c"CiphertrunkTransports";
    const PRIVILEGE: Privilege = Privilege::SystemOrReporting;

    fn run(request: &Request<'_>) {
        let tls = transport::current();
        let ours = tls.as_ref().map(|tls| tls.listening()).unwrap_or_default();
        let left = tls.map(|tls| tls.left()).unwrap_or_default();
        let fields = |name: &str, is_ours, address: &str, certificate: &str, note: &str| {
            Fields::new()
                .with("Transport", name)
                .with("Ours", yes(is_ours))
                .with("Address", address)
                .with("Certificate", certificate)
                .with("Warnings", note)
        };
        let ours = ours.iter().map(|it| {
            let (address, certificate) = (it.address.to_string(), it.certificate.to_string());
            fields(
                &it.name,
                true,
                &address,
                &certificate,
                &it.warnings.join("; "),
            )
        });
        let left = left
            .iter()
            .map(|(name, reason)| fields(name, false, "", "", reason));
        request.list(
            "TLS transports will follow",
            "CiphertrunkTransportEntry",
            c"CiphertrunkTransportsComplete",
            ours.chain(left),
        );
    }
}

/// `CiphertrunkCertificates`: as `ciphertrunk show certificates`.
pub enum Certificates {}

impl Action for Certificates {
    const NAME: &'static CStr = c"CiphertrunkCertificates";
    const PRIVILEGE: Privilege = Privilege::SystemOrReporting;

    fn run(request: &Request<'_>) {
        let own = transport::current()
            .map(|tls| tls.certificates())
            .unwrap_or_default();
        let own = own.iter().map(|(name, it)| {
            let of_ours = Fields::new()
                .with("Transport", name)
                .with("File", it.file.display())
                .with("Position", it.position)
                .with("ChainLength", it.of);
            with_certificate(of_ours, &it.info)
        });
        // Of many connections with one peer one certificate.
        let peers = transport::peers_certificates();
        let peers = peers.iter().filter_map(|(about, tls)| {
            let peer = tls.peer.as_ref()?;
            let of_peer = Fields::new()
                .with("PeerName", &about.wanted)
                .with("RemoteAddress", about.remote);
            Some(with_certificate(of_peer, peer))
        });
        request.list(
            "Certificates will follow",
            "CiphertrunkCertificateEntry",
            c"CiphertrunkCertificatesComplete",
            own.chain(peers),
        );
    }
}

fn with_certificate(fields: Fields, certificate: &CertInfo) -> Fields {
    fields
        .with("Names", certificate.names().join(", "))
        .with("Issuer", &certificate.issuer.info)
        .with("NotBefore", Date(certificate.not_before))
        .with("NotAfter", Date(certificate.not_after))
        .with("DaysLeft", transport::expiry::end_of(certificate).days())
}
