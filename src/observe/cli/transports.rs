//! `ciphertrunk show transports` and `show certificates`.

use std::fmt;

use policy::date::Date;
use sip_tls::select::Destination;
use sip_tls::{CertInfo, Named};

use crate::console;
use crate::ffi::cli::{Console, Outcome};
use crate::transport;

use super::Rows;

pub fn show_transports(console: &mut Console<'_>) -> Outcome {
    let Some(rows) = Rows::of(console, 3) else {
        return Outcome::Usage;
    };
    let tls = transport::current();
    let transports = tls.as_ref().map(|tls| tls.listening()).unwrap_or_default();
    let left = tls.map(|tls| tls.left()).unwrap_or_default();
    for transport in transports.iter().take(rows.most()) {
        console!(
            console,
            "Transport: {} Address: {} Certificate: {}",
            transport.name,
            transport.address,
            transport.certificate
        );
        console!(console, "  In force: {}", transport.options);
        console!(console, "  Files watched: {}", transport.watch);
        for named in &transport.profiles {
            show_profile(console, named);
        }
        for warning in &transport.warnings {
            console!(console, "  WARNING: {warning}");
        }
    }
    for (name, reason) in left.iter().take(rows.most()) {
        console!(console, "Transport: {name} NOT ours: {reason}");
    }
    rows.end(console, transports.len(), "TLS transports");
    if !left.is_empty() {
        rows.end(console, left.len(), "not ours");
    }
    Outcome::Done
}

/// Whose a profile is, and what may be negotiated.
fn show_profile(console: &mut Console<'_>, named: &Named) {
    let words = |list: &[Destination]| match list {
        [] => "-".to_owned(),
        list => list
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    };
    let from = match &named.profile {
        Ok(profile) => format!("from {} on", profile.method().name()),
        Err(_) => "NOT loaded".to_owned(),
    };
    console!(
        console,
        "  Profile: {} Match: {} Server name: {} TLS: {from}",
        named.name,
        words(&named.selectors.destinations),
        words(&named.selectors.server_names)
    );
    if let Err(reason) = &named.profile {
        console!(console, "  WARNING: profile '{}': {reason}", named.name);
    }
}

pub fn show_certificates(console: &mut Console<'_>) -> Outcome {
    let Some(rows) = Rows::of(console, 3) else {
        return Outcome::Usage;
    };
    let own = transport::current()
        .map(|tls| tls.certificates())
        .unwrap_or_default();
    for (transport, own) in own.iter().take(rows.most()) {
        console!(
            console,
            "Transport: {transport} File: {} ({} of {}) {}",
            own.file.display(),
            own.position,
            own.of,
            Certificate(&own.info)
        );
    }
    // Of many connections with one peer one certificate.
    let peers = transport::peers_certificates();
    for (about, tls) in peers.iter().take(rows.most()) {
        if let Some(peer) = &tls.peer {
            let whose = super::connections::peer_of(about);
            console!(console, "Peer: {whose} {}", Certificate(peer));
        }
    }
    rows.end(console, own.len(), "certificates of ours");
    rows.end(console, peers.len(), "certificates of connected peers");
    Outcome::Done
}

/// What a certificate says, in a row.
pub struct Certificate<'a>(pub &'a CertInfo);

impl fmt::Display for Certificate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(certificate) = self;
        write!(
            f,
            "Names: {} Issuer: {} Valid: {} to {} ",
            certificate.names().join(", "),
            certificate.issuer.info,
            Date(certificate.not_before),
            Date(certificate.not_after)
        )?;
        match transport::expiry::end_of(certificate).days() {
            ..0 => write!(f, "(EXPIRED)"),
            days => write!(f, "({days} days left)"),
        }
    }
}
