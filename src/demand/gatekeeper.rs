//! Every message of a call, looked at before it leaves and when it comes.

use std::sync::atomic::Ordering;

use policy::demand::identity::Presented;
use policy::demand::{Demand, DescribedMedia, Exchange, Link, TlsVersion, Unmet};
use policy::message::{self, Tag};
use policy::offered::Offered;
use sip_tls::TlsInfo;

use super::told::{report, report_unsent};
use super::watched::{BOUND, CALLS, Calls, Watched};
use crate::ffi::pjsip::gate::{Comes, Gate, Outgoing, Over, redirects};
use crate::media::calls::{Incoming, look_at_refused_offer};
use crate::proof;

/// `488 Not Acceptable Here`: the media.
const NOT_ACCEPTABLE_HERE: u16 = 488;
/// `403 Forbidden`: the way that the message came.
const FORBIDDEN: u16 = 403;

pub(super) fn link(over: Over) -> Link {
    match over {
        Over::InClear(name) => Link::InClear(name),
        Over::Foreign => Link::Foreign,
        Over::Ours(security) => Link::Ours {
            // What OpenSSL names otherwise is no version that anybody demands.
            version: TlsVersion::from_openssl(security.version).unwrap_or(TlsVersion::V1_0),
            verified: security.verified,
            exchange: match &security.tls {
                None => Exchange::Awaited,
                Some(tls) => Exchange::Done(tls.group.clone()),
            },
            presented: security
                .tls
                .map_or(Presented::Awaited, |tls| presented(&tls)),
        },
    }
}

fn presented(tls: &TlsInfo) -> Presented {
    match &tls.peer {
        None => Presented::Nothing,
        Some(certificate) => Presented::Certificate {
            certificate: proof::certificate(certificate),
            is_verified: tls.faults.is_empty(),
        },
    }
}

pub(super) fn judge(demand: &Demand, link: &Link, media: &[DescribedMedia]) -> Result<(), Unmet> {
    demand.judge_signaling(link)?;
    judge_media(demand, media)
}

pub(super) fn judge_media(demand: &Demand, media: &[DescribedMedia]) -> Result<(), Unmet> {
    media.iter().try_for_each(|line| demand.judge_media(line))
}

/// Looks at every message before it leaves, and at every description that comes.
pub struct Gatekeeper;

impl Gate for Gatekeeper {
    fn may_leave(outgoing: &Outgoing<'_>) -> bool {
        let octets = outgoing.octets();
        let mut calls = CALLS.lock();
        let Some(call) = call_of(&mut calls, octets) else {
            return true;
        };
        let media = message::media(octets);
        if let Err((endpoint, call_id, unmet)) = may_go(call, octets, |demand| {
            judge(demand, &link(outgoing.over()), &media)
        }) {
            drop(calls);
            report_unsent(&endpoint, &call_id, &unmet);
            return false;
        }
        if !media.is_empty() && !message::is_an_end(octets) {
            call.sent = media;
            if message::is_response(octets) {
                call.answer.clear();
            }
        }
        if let Some(key) = call.answers(octets) {
            drop(calls);
            look_at_refused_offer(key);
        }
        true
    }

    fn come(message: &Incoming<'_>) -> Comes {
        let mut calls = CALLS.lock();
        let Some(call) = Tag::new(&message.own_tag()).and_then(|tag| calls.get_mut(&tag)) else {
            return Comes::Whole;
        };
        let octets = message.octets();
        let status = message.status();
        let is_offer = status.is_none() && message::may_offer(octets);
        let media = message::media_of_body(message.body());
        if !media.is_empty() {
            call.is_described = true;
            if !is_offer {
                call.answer.clone_from(&media);
            }
        }
        // What describes nothing takes no offer's place: it may be the refreshment of a session whose offer is still under way.
        if is_offer && !media.is_empty() {
            call.offered = Offered::by(octets, media.clone());
        }
        if call.demand.is_nothing() {
            return Comes::Whole;
        }
        let judged = match status {
            Some(status) if redirects(status) => match call.stays {
                true => Err(Unmet::Forwarded),
                false => Ok(()),
            },
            // It came the way that its request took.
            Some(_) => judge_media(&call.demand, &media),
            None if media.is_empty() => Ok(()),
            None => judge(&call.demand, &link(message.over()), &media),
        };
        let Err(unmet) = judged else {
            return Comes::Whole;
        };
        let (endpoint, call_id) = (call.endpoint.clone(), call.call_id.clone());
        let (is_new, comes, what) = if is_offer {
            // The call goes on as it was.
            let which = message::cseq(octets);
            let is_new = call.refused != which;
            call.refused = which;
            let status = status_of(&unmet);
            (is_new, Comes::Answered(status), "from the peer is refused")
        } else {
            let is_new = call.unmet.is_none();
            call.lacks(unmet.clone());
            (is_new, Comes::WithoutBody, "from the peer is not heeded")
        };
        drop(calls);
        if is_new {
            report(&endpoint, &call_id, what, &unmet);
        }
        comes
    }
}

/// How a request is refused that lacks it.
pub(super) fn status_of(unmet: &Unmet) -> u16 {
    if unmet.is_of_media() {
        NOT_ACCEPTABLE_HERE
    } else {
        FORBIDDEN
    }
}

/// Whether a message may go to this peer, whose handshake was to come when it was [looked at](Gatekeeper).
pub fn may_go_to(octets: &[u8], tls: &TlsInfo) -> bool {
    if BOUND.load(Ordering::Relaxed) == 0 {
        return true;
    }
    let mut calls = CALLS.lock();
    let Some(call) = call_of(&mut calls, octets) else {
        return true;
    };
    let judged = may_go(call, octets, |demand| {
        demand.judge_exchange(&Exchange::Done(tls.group.clone()))?;
        demand.judge_peer(tls.verified_names().as_deref(), &presented(tls))
    });
    drop(calls);
    let Err((endpoint, call_id, unmet)) = judged else {
        return true;
    };
    report_unsent(&endpoint, &call_id, &unmet);
    false
}

/// The call that a message of this side's belongs to.
fn call_of<'a>(calls: &'a mut Calls, octets: &[u8]) -> Option<&'a mut Watched> {
    if calls.is_empty() {
        return None;
    }
    calls.get_mut(&message::own_tag(octets)?)
}

/// Whether a message of a call may go; otherwise the call's endpoint and Call-ID, and what it lacks.
fn may_go(
    call: &mut Watched,
    octets: &[u8],
    judge: impl FnOnce(&Demand) -> Result<(), Unmet>,
) -> Result<(), (String, String, Unmet)> {
    if call.demand.is_nothing() || message::is_an_end(octets) {
        return Ok(());
    }
    judge(&call.demand).map_err(|unmet| {
        call.lacks(unmet.clone());
        (call.endpoint.clone(), call.call_id.clone(), unmet)
    })
}
