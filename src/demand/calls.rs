//! The calls of PJSIP's of which something is demanded, and all that have come: a demand for both legs may be made later.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};

use log::Level;
use policy::config::Srtp;
use policy::demand::identity::Presented;
use policy::demand::{Demand, DescribedMedia, Link, TlsVersion, Unmet};
use policy::message::{self, Tag};
use sip_tls::TlsInfo;
use srtp::{SessionParams, Suite};

use crate::config;
use crate::ffi::call::{Call, SessionKey};
use crate::ffi::channel::{self, Channel, OwnedChannel};
use crate::ffi::pjsip::gate::{Comes, Gate, Outgoing, Over, redirects};
use crate::ffi::sync::Mutex;
use crate::limited;
use crate::media::calls::{Incoming, Session, channel_of, key_of};
use crate::observe::refusals::{self, Who};
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
    /// For the log.
    call_id: String,
    /// Its channel's unique id, once it has one.
    channel: Option<String>,
    demand: Demand,
    /// The suite of the keys that a DTLS handshake has brought.
    dtls: Option<Suite>,
    /// What the peer's first INVITE came over, and offered.
    came: Option<(Link, Vec<DescribedMedia>)>,
    /// The latest descriptions: this side's, and the peer's answer to it.
    sent: Vec<DescribedMedia>,
    answer: Vec<DescribedMedia>,
    /// A description of the peer's has come.
    is_described: bool,
    /// What was refused last.
    unmet: Option<Unmet>,
    /// It is being hung up for that.
    hung_up: bool,
    /// The latest request of the peer's that was refused in the call, by its `CSeq`.
    refused: Option<String>,
    /// Where the peer forwards it, the demand does not follow.
    stays: bool,
    /// A certain name or certificate is demanded of its peer, and it is counted in [`BOUND`].
    is_bound: bool,
}

impl Watched {
    fn new(facts: &Call, demand: Demand) -> Self {
        Self {
            key: facts.key,
            endpoint: facts.endpoint.clone(),
            call_id: facts.call_id.clone(),
            channel: None,
            is_bound: false,
            demand,
            dtls: None,
            came: None,
            sent: Vec::new(),
            answer: Vec::new(),
            is_described: false,
            unmet: None,
            hung_up: false,
            refused: None,
            stays: false,
        }
    }

    /// Demands more of it.
    fn demand_more(&mut self, more: &Demand) {
        self.demand = std::mem::take(&mut self.demand).and(more);
        self.count_bound();
    }

    fn count_bound(&mut self) {
        if !self.is_bound && self.demand.is_of_identity() {
            self.is_bound = true;
            BOUND.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// It lacks something, and is [to end](look).
    fn lacks(&mut self, unmet: Unmet) {
        if self.unmet.is_none() {
            count(&unmet);
        }
        self.unmet = Some(unmet);
    }
}

/// The calls. One whose dialog has no tag of this side cannot be told from others, and is not among them; pjsip gives each its tag.
struct Calls {
    by_tag: BTreeMap<Tag, Watched>,
    tags: BTreeMap<SessionKey, Tag>,
}

impl Calls {
    fn is_empty(&self) -> bool {
        self.by_tag.is_empty()
    }

    /// By the tag of this side in the dialog.
    fn get_mut(&mut self, tag: &Tag) -> Option<&mut Watched> {
        self.by_tag.get_mut(tag)
    }

    /// By its session.
    fn of(&mut self, key: SessionKey) -> Option<&mut Watched> {
        self.by_tag.get_mut(self.tags.get(&key)?)
    }

    fn insert(&mut self, tag: Tag, mut call: Watched) {
        call.count_bound();
        self.tags.insert(call.key, tag.clone());
        self.by_tag.insert(tag, call);
    }

    fn remove(&mut self, key: SessionKey) {
        let call = self
            .tags
            .remove(&key)
            .and_then(|tag| self.by_tag.remove(&tag));
        if call.is_some_and(|call| call.is_bound) {
            BOUND.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

static CALLS: Mutex<Calls> = Mutex::new(Calls {
    by_tag: BTreeMap::new(),
    tags: BTreeMap::new(),
});
/// How many of them are bound to a name or certificate.
static BOUND: AtomicUsize = AtomicUsize::new(0);
/// Calls that were refused since load, by code.
static REFUSED: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// The calls whose channels were [told](tell_all) last, by the unique id of their first channel.
static TOLD: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());
/// Calls that are refused, go on, and are not tried again meanwhile.
const TOLD_MAX: usize = 256;

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
    judge_media(demand, media)
}

fn judge_media(demand: &Demand, media: &[DescribedMedia]) -> Result<(), Unmet> {
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
            let which = message::header(octets, "cseq");
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
            report(&endpoint, "", &call_id, what, &unmet);
        }
        comes
    }
}

/// How a request is refused that lacks it.
fn status_of(unmet: &Unmet) -> u16 {
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
        demand.judge_peer(tls.verified_names().as_deref(), &presented(tls))
    });
    drop(calls);
    let Err((endpoint, call_id, unmet)) = judged else {
        return true;
    };
    report_unsent(&endpoint, &call_id, &unmet);
    false
}

/// A DTLS handshake has brought keys of this suite for a stream of the channel with this unique id. `false`: nothing of it may go, and
/// the call is [hung up](look).
pub fn permits_dtls(channel: &str, suite: Suite) -> bool {
    let mut calls = CALLS.lock();
    let call = calls
        .by_tag
        .values_mut()
        .find(|call| call.channel.as_deref() == Some(channel));
    let Some(call) = call else {
        return true;
    };
    call.dtls = Some(suite);
    let Err(unmet) = call.demand.judge_dtls(suite) else {
        return true;
    };
    let (call_id, endpoint) = (call.call_id.clone(), call.endpoint.clone());
    // RTCP's keys come too, and those of other streams.
    let is_known = call.unmet.is_some();
    call.lacks(unmet.clone());
    drop(calls);
    if is_known {
        return false;
    }
    let what = "is not sent, and the call is hung up";
    report_of("a stream", &endpoint, "", &call_id, what, &unmet);
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

fn report_unsent(endpoint: &str, call_id: &str, unmet: &Unmet) {
    report(endpoint, "", call_id, "is not sent", unmet);
}

fn report(endpoint: &str, peer: &str, call_id: &str, what: &str, unmet: &Unmet) {
    report_of("a message", endpoint, peer, call_id, what, unmet);
}

fn report_of(subject: &str, endpoint: &str, peer: &str, call_id: &str, what: &str, unmet: &Unmet) {
    let who = Who {
        peer,
        endpoint,
        call_id,
    };
    refusals::note(unmet.code(), who, format_args!("{unmet}"));
    limited::log(
        Level::Warn,
        unmet.code(),
        endpoint,
        format_args!(
            "{subject} of a call with endpoint {endpoint} {what} ({}): {unmet}. Call-ID {call_id}",
            unmet.code()
        ),
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
    let stays = !of_channel.is_nothing() && session.channel().is_some_and(Channel::is_originated);
    let Some(tag) = Tag::new(&session.own_tag()) else {
        return;
    };
    let mut calls = CALLS.lock();
    if let Some(call) = calls.get_mut(&tag) {
        call.channel = channel;
        return;
    }
    drop(calls);
    if let Some(channel) = session.channel() {
        take_back_reason(channel);
    }
    let mut calls = CALLS.lock();
    // One of which nothing is demanded now may be bridged with one that demands.
    let call = Watched {
        channel,
        stays,
        ..Watched::new(&facts, demand)
    };
    calls.insert(tag, call);
}

/// An INVITE has come. `false`: it is refused.
pub fn invited(session: &Session<'_>, invite: &Incoming<'_>) -> bool {
    let facts = session.facts();
    let mut came = (link(invite.over()), message::media_of_body(invite.body()));
    if came.1.iter().any(DescribedMedia::is_optional) && !session.takes_sdes() {
        // The answer will be in clear.
        for line in came.1.iter_mut().filter(|line| line.is_optional()) {
            line.suites.clear();
        }
    }
    let demand = demanded_of_endpoint(&facts.endpoint);
    let Some(tag) = Tag::new(&session.own_tag()) else {
        return true;
    };
    let mut calls = CALLS.lock();
    if calls.get_mut(&tag).is_some() {
        // One in the call: what we answer is looked at before it leaves.
        return true;
    }
    let judged = judge(&demand, &came.0, &came.1);
    let mut call = Watched {
        is_described: !came.1.is_empty(),
        came: Some(came),
        ..Watched::new(&facts, demand)
    };
    if let Err(unmet) = &judged {
        call.lacks(unmet.clone());
    }
    calls.insert(tag, call);
    drop(calls);
    let Err(unmet) = judged else {
        return true;
    };
    report(
        &facts.endpoint,
        &facts.peer,
        &facts.call_id,
        &format!("from {} is refused", facts.peer),
        &unmet,
    );
    session.refuse(status_of(&unmet));
    false
}

/// An INVITE that came is to be answered: by now the call has its channel.
pub fn answering(session: &Session<'_>) {
    let channel = session.channel().map(Channel::unique_id);
    let key = session.key();
    let mut calls = CALLS.lock();
    if let Some(call) = calls.of(key) {
        call.channel = channel;
    }
}

/// A message of the peer's has been dealt with. `true`: it was not heeded for a demand, and the call ends.
pub fn answered(session: &Session<'_>) -> bool {
    let key = session.key();
    let channel = session.channel();
    let (unmet, is_first) = {
        let mut calls = CALLS.lock();
        let Some(call) = calls.of(key) else {
            return false;
        };
        let Some(unmet) = call.unmet.clone() else {
            return false;
        };
        let before = call.hung_up;
        call.hung_up |= channel.is_some();
        (unmet, !before)
    };
    if is_first && let Some(channel) = channel {
        tell_all(channel, &unmet);
        session.hang_up();
    }
    true
}

/// The call is about to end because the peer's answer left a stream in clear, which is told already.
pub fn ends_in_clear(session: &Session<'_>, kind: &str) {
    let key = session.key();
    let unmet = Unmet::MediaInClear(kind.to_owned());
    {
        let mut calls = CALLS.lock();
        let call = calls.of(key);
        let Some(call) = call.filter(|call| call.demand.is_of_media()) else {
            return;
        };
        call.lacks(unmet.clone());
        call.hung_up = true;
    }
    if let Some(channel) = session.channel() {
        tell_all(channel, &unmet);
    }
}

/// The call is over, before the [watch](look) has seen that something of it was refused.
pub fn ending(session: &Session<'_>) {
    let key = session.key();
    let unmet = {
        let mut calls = CALLS.lock();
        let call = calls.of(key);
        call.and_then(|call| call.unmet.clone())
    };
    let (Some(unmet), Some(channel)) = (unmet, session.channel()) else {
        return;
    };
    channel.set_cause();
    tell_all(channel, &unmet);
}

/// Tells every channel of the call: whoever dialled is among them, and what Asterisk knows of a call does not say who.
pub fn tell_all(channel: Channel<'_>, unmet: &Unmet) {
    let linked_id = channel.linked_id();
    {
        let mut told = TOLD.lock();
        told.retain(|id| *id != linked_id);
        if told.len() == TOLD_MAX {
            told.pop_front();
        }
        told.push_back(linked_id.clone());
    }
    channel::each_of_call(&linked_id, |channel| super::tell(channel, unmet));
}

/// A call is tried again, or another way: the reason of an earlier refusal is not its.
fn take_back_reason(channel: Channel<'_>) {
    let linked_id = channel.linked_id();
    let was_told = {
        let mut told = TOLD.lock();
        let place = told.iter().position(|id| *id == linked_id);
        place.and_then(|place| told.remove(place)).is_some()
    };
    if was_told {
        channel::each_of_call(&linked_id, super::take_back_reason);
    }
}

/// The session is gone.
pub fn ended(key: SessionKey) {
    CALLS.lock().remove(key);
}

/// Hangs up the calls of which a message could not be sent. The watch asks.
pub fn look() {
    let to_end: Vec<(SessionKey, String, Unmet)> = {
        let calls = CALLS.lock();
        let refused = calls
            .by_tag
            .values()
            .filter(|call| call.unmet.is_some() && !call.hung_up);
        refused
            .filter_map(|call| Some((call.key, call.channel.clone()?, call.unmet.clone()?)))
            .collect()
    };
    for (key, channel, unmet) in to_end {
        // One that is not found, for a masquerade exchanges ids, is tried again.
        if let Some(channel) = OwnedChannel::find(&channel)
            && let Some(channel) = channel.get()
        {
            let mut calls = CALLS.lock();
            if let Some(call) = calls.of(key) {
                call.hung_up = true;
            }
            drop(calls);
            tell_all(channel, &unmet);
            channel.hang_up();
        }
    }
}

/// Whether the leg of `channel` itself has what is demanded: what is in force, or, where nothing is agreed yet, what was offered. From
/// now on it is demanded of each of its messages.
pub fn judge_own_leg(channel: Channel<'_>, demand: &Demand) -> Result<(), Unmet> {
    let key = key_of(channel).ok_or(Unmet::Unseen)?;
    let unique_id = channel.unique_id();
    let (demand, is_agreed) = {
        let mut calls = CALLS.lock();
        let call = calls.of(key).ok_or(Unmet::Unseen)?;
        call.demand_more(demand);
        call.channel = Some(unique_id);
        if let Some((link, _)) = &call.came {
            call.demand.judge_signaling(link)?;
        }
        call.dtls
            .map_or(Ok(()), |suite| call.demand.judge_dtls(suite))?;
        judge_media(&call.demand, &call.sent)?;
        judge_media(&call.demand, &call.answer)?;
        let is_agreed = call.is_described && !call.sent.is_empty();
        if let Some((_, offer)) = &call.came
            && !is_agreed
        {
            judge_media(&call.demand, offer)?;
        }
        (call.demand.clone(), is_agreed)
    };
    // A description says what is meant, and not what came of it.
    match is_agreed {
        true => demand.judge_leg(&proof::now(channel)),
        false => Ok(()),
    }
}

/// Whether the call of a channel has had to meet this all the time.
pub fn covers(channel: Channel<'_>, demand: &Demand) -> bool {
    let Some(key) = key_of(channel) else {
        return false;
    };
    let mut calls = CALLS.lock();
    let call = calls.of(key);
    call.is_some_and(|call| call.demand.covers(demand))
}

/// From now on this is demanded of each message of a channel's call as well.
pub fn demand_more(channel: Channel<'_>, demand: &Demand) {
    let Some(key) = key_of(channel) else {
        return;
    };
    let mut calls = CALLS.lock();
    if let Some(call) = calls.of(key) {
        call.demand_more(demand);
    }
}

/// Whether SRTP is demanded of a call.
pub fn is_of_media(key: SessionKey) -> bool {
    let mut calls = CALLS.lock();
    let call = calls.of(key);
    call.is_some_and(|call| call.demand.is_of_media())
}

/// What may be negotiated in a call, without what is too weak for its demands: suites, and parameters that take protection away.
pub fn restricted(call: &Call, mut srtp: Srtp) -> Srtp {
    let of_channel = channel_of(call.key)
        .and_then(|channel| channel.get().map(super::demanded_of))
        .unwrap_or_default();
    let demand = demanded_of_endpoint(&call.endpoint).and(&of_channel);
    if demand.is_of_media() {
        srtp.allow = SessionParams::default();
    }
    srtp.accept.retain(|suite| demand.permits(*suite));
    // Where none is left, what would be offered is: the message with it does not leave, and the caller is told why.
    if srtp.offer.iter().any(|suite| demand.permits(*suite)) {
        srtp.offer.retain(|suite| demand.permits(*suite));
    }
    srtp
}
