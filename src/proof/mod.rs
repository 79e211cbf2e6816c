//! What is known of how a call is encrypted: for the dialplan ([`function`]), and for the CDR and CEL ([`record`]).
//!
//! Signalling is noted when a message of the call comes, in the call's serializer; media are asked for when somebody wants to know,
//! and what was seen last is kept, because a stream can end before its call. The model is `policy::facts`.

pub mod function;
#[cfg(feature = "pjsip")]
pub mod record;
#[cfg(feature = "pjsip")]
mod signaling;
mod streams;
pub mod words;

use std::collections::BTreeMap;
#[cfg(feature = "pjsip")]
use std::time::SystemTime;

use policy::facts::{Facts, Signaling};

use crate::ffi::channel::Channel;
use crate::ffi::sync::Mutex;
use crate::media::calls::{self, SessionKey};

#[cfg(feature = "pjsip")]
pub use signaling::{Connection, certificate};
use streams::Seen;

/// A call, for a list.
#[cfg(feature = "pjsip")]
#[derive(Debug, Clone)]
pub struct Live {
    /// Whose it is.
    pub call: calls::Call,
    /// This side began it.
    pub is_outgoing: bool,
    /// When its first message came.
    pub since: SystemTime,
    /// What its latest message came over: `TLS TLSv1.3`.
    pub transport: Option<String>,
}

/// What is kept of one leg: a session of PJSIP's, from its first message to its end.
#[derive(Default)]
struct Leg {
    /// Whose it is, and when its first message came.
    #[cfg(feature = "pjsip")]
    call: Option<(calls::Call, SystemTime)>,
    /// Of what its latest message came on.
    signaling: Option<Signaling>,
    /// This side began it.
    is_outgoing: bool,
    /// T.38 was agreed: its packets are not encrypted.
    had_t38: bool,
    /// Its streams, as they were seen last.
    seen: Vec<Seen>,
}

/// A leaf among the locks: nothing of Asterisk's is called while it is held.
static LEGS: Mutex<BTreeMap<SessionKey, Leg>> = Mutex::new(BTreeMap::new());

/// A message of a leg has come.
#[cfg(feature = "pjsip")]
pub fn heard(session: &calls::Session<'_>, connection: Connection) {
    let signaling = signaling::facts(&connection);
    let (is_outgoing, has_t38) = (session.is_outgoing(), session.has_t38());
    let mut legs = LEGS.lock();
    let leg = legs.entry(session.key()).or_default();
    leg.call
        .get_or_insert_with(|| (session.facts(), SystemTime::now()));
    leg.signaling = Some(signaling);
    leg.is_outgoing = is_outgoing;
    leg.had_t38 |= has_t38;
}

/// A message of a leg is about to be answered: it has its channel by now.
#[cfg(feature = "pjsip")]
pub fn answering(session: &calls::Session<'_>) {
    let channel = session.channel().map(Channel::unique_id);
    if let Some(Leg {
        call: Some((call, _)),
        ..
    }) = LEGS.lock().get_mut(&session.key())
        && let Some(channel) = channel
    {
        call.channel = channel;
    }
}

/// The calls of PJSIP's, the oldest first.
#[cfg(feature = "pjsip")]
pub fn live() -> Vec<Live> {
    let mut live: Vec<Live> = {
        let legs = LEGS.lock();
        let live = legs.values().filter_map(|leg| {
            let (call, since) = leg.call.clone()?;
            let transport = leg.signaling.as_ref().map(|signaling| {
                let version = signaling.tls.as_ref().map_or("", |tls| &tls.version);
                format!("{} {version}", signaling.transport)
                    .trim()
                    .to_owned()
            });
            Some(Live {
                call,
                is_outgoing: leg.is_outgoing,
                since,
                transport,
            })
        });
        live.collect()
    };
    live.sort_by_key(|live| live.since);
    live
}

/// A leg is gone, and nobody can ask for it any more: its channel has been hung up before.
pub fn ended(key: SessionKey) {
    let leg = LEGS.lock().remove(&key);
    // What it kept of its streams may be their last: not under the lock.
    drop(leg);
}

/// What protects a channel at this moment, whatever did before.
#[cfg(feature = "pjsip")]
pub fn now(channel: Channel<'_>) -> Facts {
    let key = calls::key_of(channel);
    let media = streams::facts(&streams::of(channel, key.is_some()), channel.is_t38());
    let signaling = key.and_then(|key| LEGS.lock().get(&key)?.signaling.clone());
    Facts {
        signaling: signaling.ok_or("no message of the call has come"),
        media,
    }
}

/// What is known of a channel now, and whether a call of this side's made it.
pub fn look(channel: Channel<'_>) -> (Facts, bool) {
    let key = calls::key_of(channel);
    let now = streams::of(channel, key.is_some());
    let is_t38 = channel.is_t38();
    let mut legs = LEGS.lock();
    let Some(leg) = key.and_then(|key| legs.get_mut(&key)) else {
        drop(legs);
        let why = match key {
            Some(_) => "no message of the call has come since Ciphertrunk was loaded",
            None => {
                "the channel is not PJSIP's, whose driver alone tells of its signalling, or it is hung up"
            }
        };
        let facts = Facts {
            signaling: Err(why),
            media: streams::facts(&now, is_t38),
        };
        return (facts, false);
    };
    leg.had_t38 |= is_t38;
    streams::keep(&mut leg.seen, now);
    let (signaling, seen) = (leg.signaling.clone(), leg.seen.clone());
    let (had_t38, is_outgoing) = (leg.had_t38, leg.is_outgoing);
    drop(legs);
    let facts = Facts {
        signaling: signaling.ok_or("no message of the call has come yet"),
        media: streams::facts(&seen, had_t38),
    };
    (facts, is_outgoing && !channel.is_originated())
}
