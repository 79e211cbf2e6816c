//! The calls of PJSIP's of which something is demanded, and all that have come: a demand for both legs may be made later.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use log::Level;
use policy::config::Srtp;
use policy::demand::identity::Presented;
use policy::demand::{Demand, DescribedMedia, Link, TlsVersion, Unmet};
use policy::message;
use sip_tls::TlsInfo;
use srtp::Suite;

use crate::config;
use crate::ffi::call::{Call, SessionKey};
use crate::ffi::channel::{self, Channel, OwnedChannel};
use crate::ffi::pjsip::gate::{Gate, Outgoing, Over};
use crate::ffi::sync::Mutex;
use crate::limited;
use crate::media::calls::{Incoming, Session, key_of};
use crate::proof;

/// `488 Not Acceptable Here`: the media.
const NOT_ACCEPTABLE_HERE: u16 = 488;
/// `403 Forbidden`: the way that the message came.
const FORBIDDEN: u16 = 403;

/// One call.
#[derive(Debug)]
struct Watched {
    key: SessionKey,
    endpoint: String,
    /// Its channel's unique id, once it has one.
    channel: Option<String>,
    demand: Demand,
    /// The suite of the keys that a DTLS handshake has brought.
    dtls: Option<Suite>,
    /// What the peer's first INVITE came over, and offered.
    came: Option<(Link, Vec<DescribedMedia>)>,
    /// What was refused last.
    unmet: Option<Unmet>,
    /// It is being hung up for that.
    hung_up: bool,
    /// It is bound to a certificate.
    is_bound: bool,
}

impl Watched {
    /// It lacks something, and is [to end](look).
    fn lacks(&mut self, unmet: Unmet) {
        if self.unmet.is_none() {
            count(&unmet);
        }
        self.unmet = Some(unmet);
    }
}

/// By Call-ID.
static CALLS: Mutex<BTreeMap<String, Watched>> = Mutex::new(BTreeMap::new());
/// How many of them are bound to a certificate.
static BOUND: AtomicUsize = AtomicUsize::new(0);
/// Calls that were refused since load, by code.
static REFUSED: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// A call is refused for this.
pub fn count(unmet: &Unmet) {
    *REFUSED.lock().entry(unmet.code()).or_default() += 1;
}

/// Calls that were refused since load, by code.
pub fn refused() -> Vec<(&'static str, u64)> {
    let refused = REFUSED.lock();
    refused
        .iter()
        .map(|(code, count)| (*code, *count))
        .collect()
}

fn link(over: Over) -> Link {
    match over {
        Over::InClear(name) => Link::InClear(name),
        Over::Foreign => Link::Foreign,
        Over::Ours(security) => Link::Ours {
            // What OpenSSL names otherwise is no version that anybody demands.
            version: TlsVersion::from_openssl(security.version).unwrap_or(TlsVersion::V1_0),
            verified: security.verified,
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

fn judge(demand: &Demand, link: &Link, media: &[DescribedMedia]) -> Result<(), Unmet> {
    demand.judge_signaling(link)?;
    media.iter().try_for_each(|line| demand.judge_media(line))
}

/// Looks at every message before it leaves.
pub struct Gatekeeper;

impl Gate for Gatekeeper {
    fn may_leave(outgoing: &Outgoing<'_>) -> bool {
        may_go(outgoing.octets(), |demand, octets| {
            judge(demand, &link(outgoing.over()), &message::media(octets))
        })
    }
}

/// Whether a message may go to this peer, whose handshake was to come when it was [looked at](Gatekeeper).
pub fn may_go_to(octets: &[u8], tls: &TlsInfo) -> bool {
    BOUND.load(Ordering::Relaxed) == 0
        || may_go(octets, |demand, _| {
            demand.judge_certificate(&presented(tls))
        })
}

fn may_go(octets: &[u8], judge: impl FnOnce(&Demand, &[u8]) -> Result<(), Unmet>) -> bool {
    let mut calls = CALLS.lock();
    if calls.is_empty() {
        return true;
    }
    let Some((call_id, call)) =
        message::call_id(octets).and_then(|id| calls.get_mut(&id).map(|call| (id, call)))
    else {
        return true;
    };
    if call.demand.is_nothing() || message::is_an_end(octets) {
        return true;
    }
    let Err(unmet) = judge(&call.demand, octets) else {
        return true;
    };
    let endpoint = call.endpoint.clone();
    call.lacks(unmet.clone());
    drop(calls);
    let what = format!("a message of a call with endpoint {endpoint} is not sent");
    report(&endpoint, &call_id, &what, &unmet);
    false
}

/// A DTLS handshake has brought keys of this suite for a stream of the channel with this unique id. `false`: nothing of it may go, and
/// the call is [hung up](look).
pub fn permits_dtls(channel: &str, suite: Suite) -> bool {
    let mut calls = CALLS.lock();
    let call = calls
        .iter_mut()
        .find(|(_, call)| call.channel.as_deref() == Some(channel));
    let Some((call_id, call)) = call else {
        return true;
    };
    call.dtls = Some(suite);
    let Err(unmet) = call.demand.judge_dtls(suite) else {
        return true;
    };
    let (call_id, endpoint) = (call_id.clone(), call.endpoint.clone());
    // RTCP's keys come too, and those of other streams.
    let is_known = call.unmet.is_some();
    call.lacks(unmet.clone());
    drop(calls);
    if is_known {
        return false;
    }
    let what = format!("a call with endpoint {endpoint} is hung up");
    report(&endpoint, &call_id, &what, &unmet);
    false
}

fn report(endpoint: &str, call_id: &str, what: &str, unmet: &Unmet) {
    limited::log(
        Level::Warn,
        unmet.code(),
        endpoint,
        format_args!("{what} ({}): {unmet}. Call-ID {call_id}", unmet.code()),
    );
}

/// What the configuration demands of the endpoint.
fn demanded_of_endpoint(endpoint: &str) -> Demand {
    config::current().demand_of(endpoint).clone()
}

/// A call of ours is to be begun, or changed.
pub fn inviting(session: &Session<'_>) {
    let facts = session.facts();
    let of_channel = session
        .channel()
        .map(super::demanded_of)
        .unwrap_or_default();
    let demand = demanded_of_endpoint(&facts.endpoint).and(&of_channel);
    let channel = session.channel().map(Channel::unique_id);
    let mut calls = CALLS.lock();
    if let Some(call) = calls.get_mut(&facts.call_id) {
        call.channel = channel;
        return;
    }
    if demand.is_nothing() {
        return;
    }
    let call = Watched {
        key: facts.key,
        endpoint: facts.endpoint,
        channel,
        is_bound: demand.is_of_certificate(),
        demand,
        dtls: None,
        came: None,
        unmet: None,
        hung_up: false,
    };
    watch(&mut calls, facts.call_id, call);
}

fn watch(calls: &mut BTreeMap<String, Watched>, call_id: String, call: Watched) {
    if call.is_bound {
        BOUND.fetch_add(1, Ordering::Relaxed);
    }
    calls.insert(call_id, call);
}

/// An INVITE has come. `false`: it is refused.
pub fn invited(session: &Session<'_>, invite: &Incoming<'_>) -> bool {
    let facts = session.facts();
    let came = (link(invite.over()), message::media(invite.octets()));
    let demand = demanded_of_endpoint(&facts.endpoint);
    let mut calls = CALLS.lock();
    if calls.contains_key(&facts.call_id) {
        // One in the call: what we answer is looked at before it leaves.
        return true;
    }
    let judged = judge(&demand, &came.0, &came.1);
    let mut call = Watched {
        key: facts.key,
        endpoint: facts.endpoint.clone(),
        channel: None,
        is_bound: demand.is_of_certificate(),
        demand,
        dtls: None,
        came: Some(came),
        unmet: None,
        hung_up: false,
    };
    if let Err(unmet) = &judged {
        call.lacks(unmet.clone());
    }
    watch(&mut calls, facts.call_id.clone(), call);
    drop(calls);
    let Err(unmet) = judged else {
        return true;
    };
    report(
        &facts.endpoint,
        &facts.call_id,
        &format!(
            "a message of a call with endpoint {} from {} is refused",
            facts.endpoint, facts.peer
        ),
        &unmet,
    );
    session.refuse(if unmet.is_of_media() {
        NOT_ACCEPTABLE_HERE
    } else {
        FORBIDDEN
    });
    false
}

/// An INVITE that came is to be answered: by now the call has its channel.
pub fn answering(session: &Session<'_>) {
    let channel = session.channel().map(Channel::unique_id);
    let key = session.key();
    let mut calls = CALLS.lock();
    if let Some(call) = calls.values_mut().find(|call| call.key == key) {
        call.channel = channel;
    }
}

/// The call is over, before the [watch](look) has seen that something of it was refused.
pub fn ending(session: &Session<'_>) {
    let key = session.key();
    let unmet = {
        let calls = CALLS.lock();
        let call = calls.values().find(|call| call.key == key);
        call.and_then(|call| call.unmet.clone())
    };
    let (Some(unmet), Some(channel)) = (unmet, session.channel()) else {
        return;
    };
    channel.set_cause();
    tell_all(channel, &unmet);
}

/// Tells every channel of the call: whoever dialled is among them, and what Asterisk knows of a call does not say who.
fn tell_all(channel: Channel<'_>, unmet: &Unmet) {
    channel::each_of_call(&channel.linked_id(), |channel| super::tell(channel, unmet));
}

/// The session is gone.
pub fn ended(key: SessionKey) {
    CALLS.lock().retain(|_, call| {
        let is_gone = call.key == key;
        if is_gone && call.is_bound {
            BOUND.fetch_sub(1, Ordering::Relaxed);
        }
        !is_gone
    });
}

/// Hangs up the calls of which a message could not be sent. The watch asks.
pub fn look() {
    let to_end: Vec<(String, Unmet)> = {
        let mut calls = CALLS.lock();
        let refused = calls
            .values_mut()
            .filter(|call| call.unmet.is_some() && !call.hung_up);
        refused
            .filter_map(|call| {
                call.hung_up = call.channel.is_some();
                call.channel.clone().zip(call.unmet.clone())
            })
            .collect()
    };
    for (channel, unmet) in to_end {
        if let Some(channel) = OwnedChannel::find(&channel)
            && let Some(channel) = channel.get()
        {
            tell_all(channel, &unmet);
            channel.hang_up();
        }
    }
}

/// Whether the leg of `channel` itself has what is demanded. From now on it is demanded of each of its messages.
pub fn judge_own_leg(channel: Channel<'_>, demand: &Demand) -> Result<(), Unmet> {
    let key = key_of(channel).ok_or(Unmet::Unseen)?;
    let mut calls = CALLS.lock();
    let call = calls
        .values_mut()
        .find(|call| call.key == key)
        .ok_or(Unmet::Unseen)?;
    call.demand = call.demand.clone().and(demand);
    call.channel = Some(channel.unique_id());
    // A call of ours was judged when it was sent.
    if let Some((link, media)) = &call.came {
        judge(&call.demand, link, media)?;
    }
    // Or it is judged when the keys come.
    call.dtls
        .map_or(Ok(()), |suite| call.demand.judge_dtls(suite))
}

/// What may be negotiated in a call, without the suites that are too weak for its demands.
pub fn restricted(call: &Call, mut srtp: Srtp) -> Srtp {
    let of_channel = OwnedChannel::find(&call.channel)
        .and_then(|channel| channel.get().map(super::demanded_of))
        .unwrap_or_default();
    let demand = demanded_of_endpoint(&call.endpoint).and(&of_channel);
    srtp.accept.retain(|suite| demand.permits(*suite));
    // Where none is left, what would be offered is: the message with it does not leave, and the caller is told why.
    if srtp.offer.iter().any(|suite| demand.permits(*suite)) {
        srtp.offer.retain(|suite| demand.permits(*suite));
    }
    srtp
}
