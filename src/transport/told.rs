//! What is told of a connection's end: words for the log, and the record of what was refused.

use std::fmt;
use std::net::SocketAddr;

use sip_tls::frame::Fault;
use sip_tls::{Code, Reason, Side};

use crate::observe::refusals::{self, Came, Who};

/// Whether there is nothing to say that an operator could use: a normal end, or that of a loop, which is told once for all its
/// connections.
pub fn is_quiet(reason: &Reason) -> bool {
    reason.side == Side::Nobody || reason.code == Code::LoopFailed
}

/// What it was, which message, what was done about it, where in the stream, and who can change it.
pub fn skipped(fault: &Fault<'_>) -> String {
    let which = fault.label();
    let which = if which.is_none() {
        String::new()
    } else {
        format!(" ({which})")
    };
    let answered = fault.status().map_or_else(
        || "it is skipped".to_owned(),
        |status| format!("it is answered {status} and skipped"),
    );
    let next = if fault.is_end_known {
        ""
    } else {
        "; where it ends is not known, so the next message is looked for where a TLS record begins"
    };
    format!(
        "{}{which}, {}: {answered}, the connection stays{next} (to change there)",
        fault.kind, fault.place
    )
}

/// Stage, sentence, and who can change it.
pub fn told(reason: &Reason) -> String {
    let stage = reason.stage.words();
    let code = reason.code.facts().name;
    let side = match reason.side {
        Side::Ours => " (to change here)",
        Side::Theirs => " (to change there)",
        Side::Either => " (here or there)",
        Side::Nobody => "",
    };
    format!("{stage}: {reason}{side}, reason {code}")
}

/// How a client came to us.
pub fn came(remote: SocketAddr, local: SocketAddr) -> Option<Came<'static>> {
    Some(Came {
        remote,
        local: Some(local),
        over: "TLS",
    })
}

/// Into the record.
pub fn enter(reason: &Reason, peer: &str, transport: &str, came: Option<Came<'_>>) {
    note(
        reason.code.facts().name,
        peer,
        transport,
        came,
        format_args!("{reason}"),
    );
}

pub fn note(
    code: &'static str,
    peer: &str,
    transport: &str,
    came: Option<Came<'_>>,
    sentence: fmt::Arguments<'_>,
) {
    let who = Who {
        peer,
        endpoint: transport,
        call_id: "",
        came,
    };
    refusals::note(code, who, sentence);
}
