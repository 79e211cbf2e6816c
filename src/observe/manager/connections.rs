//! `CiphertrunkConnections`, `CiphertrunkConnectionClose`.

use std::ffi::CStr;

use policy::date::Date;

use crate::ffi::manager::{Action, Fields, Privilege, Request};
use crate::observe::cli::connections::{direction, identity, verified};
use crate::observe::cli::reasons::when;
use crate::transport::{self, Shown, Which};

use super::yes;

/// `CiphertrunkConnections`: as `ciphertrunk show connections` and `show connection`.
pub enum Connections {}

impl Action for Connections {
    const NAME: &'static CStr = c"CiphertrunkConnections";
    const PRIVILEGE: Privilege = Privilege::SystemOrReporting;

    fn run(request: &Request<'_>) {
        let (id, peer) = (request.header(c"Connection"), request.header(c"Peer"));
        let mut all = match &peer {
            Some(peer) => transport::meant_by(peer),
            None => transport::all(),
        };
        all.retain(|shown| id.as_ref().is_none_or(|id| id.parse() == Ok(shown.id)));
        request.list(
            "TLS connections will follow",
            "CiphertrunkConnectionEntry",
            c"CiphertrunkConnectionsComplete",
            all.iter().map(fields),
        );
    }
}

fn fields(shown: &Shown) -> Fields {
    let tls = shown.tls.as_deref();
    let peer = tls.and_then(|tls| tls.peer.as_ref());
    let faults = tls.map_or_else(Vec::new, |tls| {
        let codes = tls.faults.iter();
        codes
            .map(|fault| sip_tls::Reason::from(*fault).code.facts().name)
            .collect()
    });
    let date = |date: Option<i64>| date.map_or_else(String::new, |date| Date(date).to_string());
    Fields::new()
        .with("Connection", shown.id)
        .with("Transport", &shown.about.transport)
        .with(
            "Profile",
            shown.about.profile.as_deref().unwrap_or_default(),
        )
        .with("Direction", direction(shown))
        .with("PeerName", &shown.about.wanted)
        .with("RemoteAddress", shown.about.remote)
        .with(
            "LocalAddress",
            tls.map_or_else(String::new, |tls| tls.local.to_string()),
        )
        .with("State", tls.map_or("handshake", |_| "up"))
        .with("TLSVersion", tls.map_or("", |tls| tls.version))
        .with("Cipher", tls.map_or("", |tls| tls.cipher))
        .with(
            "Group",
            tls.and_then(|tls| tls.group.as_deref()).unwrap_or_default(),
        )
        .with("Resumed", tls.map_or("", |tls| yes(tls.resumed)))
        .with(
            "ServerName",
            tls.and_then(|tls| tls.sni.as_deref()).unwrap_or_default(),
        )
        .with(
            "Identity",
            peer.map_or_else(String::new, |_| identity(shown)),
        )
        .with(
            "Issuer",
            peer.map_or_else(String::new, |peer| peer.issuer.info.to_string()),
        )
        .with("NotBefore", date(peer.map(|peer| peer.not_before)))
        .with("NotAfter", date(peer.map(|peer| peer.not_after)))
        .with(
            "Verified",
            match verified(shown) {
                "-" => "",
                word => word,
            },
        )
        .with("Faults", faults.join(","))
        .with("Since", when(shown.since))
        .with("MessagesIn", shown.messages[0])
        .with("MessagesOut", shown.messages[1])
        .with("Queue", shown.queued)
        .with("CarriedCall", yes(shown.has_carried_call))
}

/// `CiphertrunkConnectionClose`: as `ciphertrunk close connection` and `close peer`.
pub enum ConnectionClose {}

impl Action for ConnectionClose {
    const NAME: &'static CStr = c"CiphertrunkConnectionClose";
    const PRIVILEGE: Privilege = Privilege::System;

    fn run(request: &Request<'_>) {
        let (id, peer) = (request.header(c"Connection"), request.header(c"Peer"));
        let which = match (&id, &peer) {
            (Some(id), None) => match id.parse() {
                Ok(id) => Which::Id(id),
                Err(_) => return request.fail("Connection is the number of a connection"),
            },
            (None, Some(peer)) => Which::Peer(peer),
            _ => return request.fail("Say which: Connection or Peer, and not both"),
        };
        let closed = transport::close(which);
        if closed == 0 {
            return request.fail("There is no such connection");
        }
        log::info!("{closed} TLS connections are closed by the manager interface ({which:?})");
        request.succeed(&format!("{closed} connections are being closed"));
    }
}
