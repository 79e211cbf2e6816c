//! `ciphertrunk show transports` and `show certificates`.

use std::collections::BTreeSet;

use policy::date::Date;
use sip_tls::select::Destination;
use sip_tls::{CertInfo, Named};

use crate::console;
use crate::ffi::cli::{Console, Outcome};
use crate::transport;

use super::Rows;
use super::reasons::when;

pub fn show_transports(console: &mut Console<'_>) -> Outcome {
    if console.words.len() != 3 {
        return Outcome::Usage;
    }
    let tls = transport::current();
    let transports = tls.as_ref().map(|tls| tls.listening()).unwrap_or_default();
    let left = tls.map(|tls| tls.left()).unwrap_or_default();
    for transport in &transports {
        console!(
            console,
            "Transport: {} Address: {} Certificate: {}",
            transport.name,
            transport.address,
            transport.certificate
        );
        for named in &transport.profiles {
            show_profile(console, named);
        }
        for warning in &transport.warnings {
            console!(console, "  WARNING: {warning}");
        }
    }
    for (name, reason) in &left {
        console!(console, "Transport: {name} NOT ours: {reason}");
    }
    console!(console, "{} TLS transports", transports.len());
    if !left.is_empty() {
        console!(console, "{} not ours", left.len());
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
    for (transport, certificate) in &own {
        print(console, &format!("Transport: {transport}"), certificate);
    }
    // Of many connections with one peer one certificate.
    let mut known = BTreeSet::new();
    let mut peers = transport::all();
    peers.retain(|shown| {
        let peer = shown.tls.as_ref().and_then(|tls| tls.peer.as_ref());
        peer.is_some_and(|peer| known.insert(peer.sha256))
    });
    for shown in peers.iter().take(rows.most()) {
        if let Some(peer) = shown.tls.as_ref().and_then(|tls| tls.peer.as_ref()) {
            let whose = super::connections::peer_of(shown);
            print(console, &format!("Peer: {whose}"), peer);
        }
    }
    console!(console, "{} certificates of ours", own.len());
    rows.end(console, peers.len(), "certificates of connected peers");
    Outcome::Done
}

fn print(console: &mut Console<'_>, whose: &str, certificate: &CertInfo) {
    const DAY: i64 = 86_400;
    let days = (certificate.not_after - when(std::time::SystemTime::now()).0).div_euclid(DAY);
    console!(
        console,
        "{whose} Names: {} Issuer: {} Valid: {} to {} ({})",
        certificate.names().join(", "),
        certificate.issuer.info,
        Date(certificate.not_before),
        Date(certificate.not_after),
        match days {
            ..0 => "EXPIRED".to_owned(),
            days => format!("{days} days left"),
        }
    );
}
