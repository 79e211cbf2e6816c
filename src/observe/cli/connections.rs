//! `ciphertrunk show connections`, `show connection X`, `show peers`.

use std::collections::BTreeMap;
use std::sync::Arc;

use sip_tls::TlsInfo;

use crate::console;
use crate::ffi::cli::{Console, Outcome};
use crate::ffi::pjsip::transport::Direction;
use crate::transport::{self, About, Shown};

use super::Rows;
use super::reasons::when;
use super::transports::Certificate;

/// The name that was asked for, and the address; the address alone of one that connected to us.
pub fn peer_of(about: &About) -> String {
    if about.wanted.is_empty() {
        return about.remote.to_string();
    }
    format!("{} ({})", about.wanted, about.remote)
}

/// The profile of `ciphertrunk.conf`.
fn profile(shown: &Shown) -> &str {
    shown.about.profile.as_deref().unwrap_or("-")
}

pub fn direction(shown: &Shown) -> &'static str {
    match shown.about.direction {
        Direction::Incoming => "in",
        Direction::Outgoing => "out",
    }
}

/// Whether the peer is who it says, in a word.
pub fn verified(shown: &Shown) -> &'static str {
    match shown.tls.as_deref() {
        None => "-",
        Some(tls) if tls.peer.is_none() => "no certificate",
        Some(tls) if tls.faults.is_empty() => "yes",
        Some(_) => "no",
    }
}

/// The names in the peer's certificate.
pub fn identity(shown: &Shown) -> String {
    let peer = shown.tls.as_ref().and_then(|tls| tls.peer.as_ref());
    peer.map_or_else(|| "-".to_owned(), |peer| peer.names().join(", "))
}

pub fn show_connections(console: &mut Console<'_>) -> Outcome {
    let Some(rows) = Rows::of(console, 3) else {
        return Outcome::Usage;
    };
    let (first, total) = transport::first(rows.most());
    for shown in &first {
        let tls = shown.tls.as_deref();
        console!(
            console,
            "Connection: {} Transport: {} Profile: {} Direction: {} Peer: {} TLS: {} Cipher: {} Group: {} Identity: {} Verified: {} \
             Since: {} Messages in: {} Messages out: {} Queue: {}",
            shown.id,
            shown.about.transport,
            profile(shown),
            direction(shown),
            peer_of(&shown.about),
            tls.map_or("handshake", |tls| tls.version),
            tls.map_or("-", |tls| tls.cipher),
            tls.and_then(|tls| tls.group.as_deref()).unwrap_or("-"),
            identity(shown),
            verified(shown),
            when(shown.since),
            shown.messages[0],
            shown.messages[1],
            shown.queued
        );
    }
    rows.end(console, total, "TLS connections");
    Outcome::Done
}

pub fn show_connection(console: &mut Console<'_>) -> Outcome {
    let (Some(wanted), Some(rows)) = (console.words.get(3).cloned(), Rows::of(console, 4)) else {
        return Outcome::Usage;
    };
    let all = transport::meant_by(&wanted);
    for shown in all.iter().take(rows.most()) {
        print(console, shown);
    }
    rows.end(console, all.len(), &format!("TLS connections of {wanted}"));
    Outcome::Done
}

fn print(console: &mut Console<'_>, shown: &Shown) {
    console!(console, "Connection: {}", shown.id);
    console!(console, "Transport: {}", shown.about.transport);
    console!(console, "Profile: {}", profile(shown));
    console!(console, "Direction: {}", direction(shown));
    console!(console, "Peer: {}", peer_of(&shown.about));
    console!(console, "Since: {}", when(shown.since));
    if let Some(tls) = shown.tls.as_deref() {
        console!(console, "TLS: {}", tls.version);
        console!(console, "Cipher: {}", tls.cipher);
        console!(console, "Group: {}", tls.group.as_deref().unwrap_or("-"));
        console!(
            console,
            "Session resumed: {}",
            if tls.resumed { "yes" } else { "no" }
        );
        console!(
            console,
            "Server name: {}",
            tls.sni.as_deref().unwrap_or("-")
        );
        console!(console, "Local address: {}", tls.local);
        if let Some(peer) = &tls.peer {
            console!(console, "Identity: {}", peer.names().join(", "));
            console!(console, "Issuer: {}", peer.issuer.info);
            console!(
                console,
                "Valid: {} to {}",
                policy::date::Date(peer.not_before),
                policy::date::Date(peer.not_after)
            );
        }
        for fault in &tls.faults {
            let code = sip_tls::Reason::from(*fault).code.facts();
            console!(console, "Fault: {} ({})", code.sentence, code.name);
        }
    }
    console!(console, "Verified: {}", verified(shown));
    console!(console, "Messages in: {}", shown.messages[0]);
    console!(console, "Messages out: {}", shown.messages[1]);
    console!(console, "Queue: {}", shown.queued);
    console!(
        console,
        "Carried a call: {}",
        if shown.has_carried_call { "yes" } else { "no" }
    );
}

/// What is summed up of a peer.
#[derive(Default)]
struct Peer {
    connections: usize,
    verified: usize,
    messages: [u64; 2],
    /// The certificate that expires first, of those of its connections.
    certificate: Option<Arc<TlsInfo>>,
}

impl Peer {
    fn add_certificate(&mut self, tls: Option<Arc<TlsInfo>>) {
        let end = |tls: &Arc<TlsInfo>| tls.peer.as_ref().map(|peer| peer.not_after);
        let (known, new) = (
            self.certificate.as_ref().and_then(end),
            tls.as_ref().and_then(end),
        );
        if new.is_some() && known.is_none_or(|known| new < Some(known)) {
            self.certificate = tls;
        }
    }
}

pub fn show_peers(console: &mut Console<'_>) -> Outcome {
    let Some(rows) = Rows::of(console, 3) else {
        return Outcome::Usage;
    };
    let mut peers: BTreeMap<String, Peer> = BTreeMap::new();
    for shown in transport::all() {
        let peer = peers.entry(key(&shown)).or_default();
        peer.connections += 1;
        peer.verified += usize::from(verified(&shown) == "yes");
        for way in [0, 1] {
            peer.messages[way] += shown.messages[way];
        }
        peer.add_certificate(shown.tls);
    }
    let total = peers.len();
    for (name, peer) in peers.iter().take(rows.most()) {
        let tls = peer.certificate.as_deref();
        let certificate = tls.and_then(|tls| tls.peer.as_ref()).map_or_else(
            || "Certificate: none".to_owned(),
            |it| Certificate(it).to_string(),
        );
        console!(
            console,
            "Peer: {name} Connections: {} Verified: {} Messages in: {} Messages out: {} {certificate}",
            peer.connections,
            peer.verified,
            peer.messages[0],
            peer.messages[1]
        );
    }
    rows.end(console, total, "peers");
    Outcome::Done
}

fn key(shown: &Shown) -> String {
    match shown.about.wanted.as_str() {
        "" => shown.about.remote.ip().to_string(),
        wanted => wanted.to_owned(),
    }
}

/// Numbers, names and addresses, for the word behind `connection` or `peer`.
pub fn names(position: usize) -> Vec<String> {
    if position != 3 {
        return Vec::new();
    }
    let mut names: Vec<String> = transport::all()
        .iter()
        .flat_map(|shown| [shown.id.to_string(), key(shown)])
        .collect();
    names.sort();
    names.dedup();
    names
}
