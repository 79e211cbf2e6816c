//! `CiphertrunkTransports`, `CiphertrunkCertificates`.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::time::SystemTime;

use policy::date::Date;
use sip_tls::CertInfo;

use crate::ffi::manager::{Action, Fields, Privilege, Request};
use crate::observe::cli::reasons::when;
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
        let own = own.iter().map(|(name, it)| fields(name, "", "", it));
        // Of many connections with one peer one certificate.
        let mut known = BTreeSet::new();
        let peers = transport::all();
        let peers = peers.iter().filter_map(|shown| {
            let peer = shown.tls.as_ref()?.peer.as_ref()?;
            let remote = shown.about.remote.to_string();
            known
                .insert(peer.sha256)
                .then(|| fields("", &shown.about.wanted, &remote, peer))
        });
        request.list(
            "Certificates will follow",
            "CiphertrunkCertificateEntry",
            c"CiphertrunkCertificatesComplete",
            own.chain(peers),
        );
    }
}

fn fields(transport: &str, name: &str, remote: &str, certificate: &CertInfo) -> Fields {
    const DAY: i64 = 86_400;
    let left = certificate.not_after - when(SystemTime::now()).0;
    Fields::new()
        .with("Transport", transport)
        .with("PeerName", name)
        .with("RemoteAddress", remote)
        .with("Names", certificate.names().join(", "))
        .with("Issuer", &certificate.issuer.info)
        .with("NotBefore", Date(certificate.not_before))
        .with("NotAfter", Date(certificate.not_after))
        .with("DaysLeft", left.div_euclid(DAY))
}
