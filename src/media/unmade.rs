//! Calls that do not come about for a reason of encryption: our refusal of the peer's offer, its refusal of ours, and a name
//! without an address. Asterisk tells of none of them why.

use log::Level;
use policy::offer::{Encryption, Endpoint};
use policy::reasons::Row;
use policy::reasons::call::{Remote, of_offer, of_remote};

use crate::config;
use crate::demand;
use crate::limited;
use crate::observe::refusals::{self, Who};

use super::calls::{Call, Session, Unresolved};

/// `415 Unsupported Media Type`
const UNSUPPORTED_MEDIA_TYPE: u16 = 415;
/// `488 Not Acceptable Here`
const NOT_ACCEPTABLE_HERE: u16 = 488;
/// `606 Not Acceptable`
const NOT_ACCEPTABLE: u16 = 606;

fn is_about_media(status: u16) -> bool {
    [UNSUPPORTED_MEDIA_TYPE, NOT_ACCEPTABLE_HERE, NOT_ACCEPTABLE].contains(&status)
}

/// The options of the session's endpoint.
fn endpoint(session: &Session<'_>) -> Endpoint {
    let options = session.endpoint_options();
    Endpoint::of(|name| options.get(name).map(|value| value.as_str()))
}

/// An INVITE of the peer's is answered with a refusal.
pub fn refusing(session: &Session<'_>, status: u16) {
    if !is_about_media(status) {
        return;
    }
    // One in the call is told when the refusal leaves: pjsip refuses some itself, and those do not come by here.
    if demand::is_offered_in_call(session.key()) {
        return;
    }
    let call = session.facts();
    if refusals::is_told(&call.call_id) {
        return;
    }
    let offer = session.offer();
    let Some((why, line)) = endpoint(session).refuses(&offer) else {
        return;
    };
    let what = format!("the offer (m={} {})", line.kind, line.transport);
    tell(&call, of_offer(&why), &what, "is refused", status);
}

/// A re-INVITE or an UPDATE of the peer's was refused. The call goes on as it was.
pub fn refused_in_call(session: &Session<'_>) {
    let Some((status, offer)) = demand::refused_offer(session.key()) else {
        return;
    };
    if !is_about_media(status) {
        return;
    }
    // An a=crypto line that was refused has been told as that.
    let Some((why, line)) = endpoint(session).refuses(&offer) else {
        return;
    };
    let what = format!("the new offer (m={} {})", line.kind, line.transport);
    let happened = "is refused and changes nothing";
    tell(&session.facts(), of_offer(&why), &what, happened, status);
}

/// An INVITE of ours was refused by the peer.
pub fn refused(session: &Session<'_>, status: u16) {
    if !is_about_media(status) {
        return;
    }
    let call = session.facts();
    if refusals::is_told(&call.call_id) {
        return;
    }
    let (why, what) = match endpoint(session).encryption {
        Encryption::None => (
            Remote::RefusedClear,
            "our offer of media in clear".to_owned(),
        ),
        Encryption::Dtls => (Remote::RefusedSrtp, "our offer of DTLS-SRTP".to_owned()),
        Encryption::Sdes => {
            let config = config::current();
            let suites = config.srtp_of(Some(&call.endpoint)).offer.iter();
            let suites: Vec<&str> = suites.map(|suite| suite.name()).collect();
            (
                Remote::RefusedSrtp,
                format!("our offer of SDES with {}", suites.join(", ")),
            )
        }
    };
    tell(&call, of_remote(&why), &what, "was refused by it", status);
}

/// A call is over.
pub fn ending(session: &Session<'_>) {
    let Some((status, why)) = session.end() else {
        return;
    };
    if !session.is_outgoing() {
        // Where the peer demands reliable responses, a refusal does not come by as one of the session's.
        refusing(session, status);
        return;
    }
    // What pjlib's resolver fails with; it appends the constants' names to its sentences.
    let is_about_the_name = ["PJLIB_UTIL_EDNS", "PJ_ERESOLVE"]
        .iter()
        .any(|name| why.contains(name));
    if !is_about_the_name {
        return;
    }
    let call = session.facts();
    let row = of_remote(&Remote::NoAddress);
    note(&call, row, &why);
    limited::log(
        Level::Warn,
        row.code,
        &call.endpoint,
        format_args!(
            "a call to endpoint '{}' was not sent, reason {}: {}. Peer {}, Call-ID {} ({why})",
            call.endpoint,
            row.code,
            row.words(),
            call.peer,
            call.call_id
        ),
    );
}

/// Requests outside of calls.
pub struct Requests;

impl Unresolved for Requests {
    fn unsent(method: &str, name: &str) {
        let row = of_remote(&Remote::NoAddress);
        let who = Who {
            peer: name,
            ..Who::default()
        };
        refusals::note(row.code, who, format_args!("{} ({method})", row.words()));
        limited::log(
            Level::Warn,
            row.code,
            name,
            format_args!(
                "{method} to {name} was not sent, reason {}: {}",
                row.code,
                row.words()
            ),
        );
    }
}

fn note(call: &Call, row: &Row, what: &str) {
    refusals::note(
        row.code,
        Who::of(call),
        format_args!("{} ({what})", row.words()),
    );
}

fn tell(call: &Call, row: &Row, what: &str, happened: &str, status: u16) {
    note(call, row, &format!("{what}, {status}"));
    limited::log(
        Level::Warn,
        row.code,
        &call.endpoint,
        format_args!(
            "{what} of a call with endpoint '{}' {happened} ({status}), reason {}: {}. Peer {}, Call-ID {}",
            call.endpoint,
            row.code,
            row.words(),
            call.peer,
            call.call_id
        ),
    );
}
