//! The calls of PJSIP's of which something is demanded, and all that have come: a demand for both legs may be made later.

use policy::config::Srtp;
use policy::demand::{Demand, DescribedMedia, Unmet};
use policy::message::{self, Tag};
use srtp::{SessionParams, Suite};

use super::gatekeeper::{judge, judge_media, link, status_of};
use super::told::{report_of, take_back_reason, tell_all};
use super::watched::{CALLS, Watched};
use crate::config;
use crate::ffi::call::{Call, SessionKey};
use crate::ffi::channel::{Channel, OwnedChannel};
use crate::media::calls::{Incoming, Session, channel_of, key_of};
use crate::observe::refusals::Who;
use crate::proof;

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
    let who = Who {
        endpoint: &endpoint,
        call_id: &call_id,
        ..Who::default()
    };
    report_of("a stream", who, what, &unmet);
    false
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
    let what = format!("from {} is refused", facts.peer);
    report_of("a message", Who::of(&facts), &what, &unmet);
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

/// Whether the peer's latest offer came in a call that was begun, and is not answered.
pub fn is_offered_in_call(key: SessionKey) -> bool {
    let mut calls = CALLS.lock();
    calls.of(key).is_some_and(|call| call.offered.is_open())
}

/// The offer in a call that was refused last, and with which status; once.
pub fn refused_offer(key: SessionKey) -> Option<(u16, Vec<DescribedMedia>)> {
    let mut calls = CALLS.lock();
    calls.of(key)?.refused_offer.take()
}

/// The endpoint and the Call-ID of a channel's call; empty where it is not PJSIP's.
pub fn names(channel: Channel<'_>) -> (String, String) {
    let Some(key) = key_of(channel) else {
        return Default::default();
    };
    let mut calls = CALLS.lock();
    let call = calls.of(key);
    call.map(|call| (call.endpoint.clone(), call.call_id.clone()))
        .unwrap_or_default()
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
