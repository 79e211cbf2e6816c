//! What is kept of each leg.

use std::collections::BTreeMap;
use std::sync::Arc;
#[cfg(feature = "pjsip")]
use std::time::SystemTime;

use policy::facts::{Facts, Signaling};

use crate::ffi::channel::Channel;
use crate::ffi::rtp::MediaStream;
use crate::ffi::sync::Mutex;
use crate::media::calls::{self, SessionKey};

#[cfg(feature = "pjsip")]
use super::signaling::{self, Connection};
use super::streams::{self, Seen};

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
    /// Once it has a channel.
    place: Option<Place>,
    /// Its channel is being hung up.
    is_ending: bool,
}

/// By which a leg is asked for while another channel is locked, so that its own cannot be.
#[derive(Clone)]
struct Place {
    /// Its channel's name.
    name: String,
    /// The unique id of the first channel of its call.
    call: String,
    /// A call of this side's made the channel.
    is_dialed: bool,
    /// The streams of what is agreed.
    media: Arc<Vec<MediaStream>>,
}

/// All of them.
struct Legs {
    by_session: BTreeMap<SessionKey, Leg>,
    /// Those that have a place, by [`Place::call`].
    by_call: BTreeMap<String, Vec<SessionKey>>,
}

/// A leaf among the locks: nothing of Asterisk's is called while it is held.
static LEGS: Mutex<Legs> = Mutex::new(Legs {
    by_session: BTreeMap::new(),
    by_call: BTreeMap::new(),
});

impl Legs {
    /// The leg is of no call any more, as far as others ask.
    fn forget(&mut self, key: SessionKey) -> Option<Place> {
        let place = self.by_session.get_mut(&key)?.place.take()?;
        if let Some(keys) = self.by_call.get_mut(&place.call) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.by_call.remove(&place.call);
            }
        }
        Some(place)
    }
}

/// A message of a leg has come.
#[cfg(feature = "pjsip")]
pub fn heard(session: &calls::Session<'_>, connection: Connection) {
    let mut signaling = signaling::facts(&connection);
    let (is_outgoing, has_t38) = (session.is_outgoing(), session.has_t38());
    // One that this message ends was there.
    let media = session.streams();
    let now = streams::of_media(&media);
    let mut legs = LEGS.lock();
    let leg = legs.by_session.entry(session.key()).or_default();
    leg.call
        .get_or_insert_with(|| (session.facts(), SystemTime::now()));
    signaling.was_in_clear |= leg
        .signaling
        .as_ref()
        .is_some_and(|before| before.was_in_clear);
    leg.signaling = Some(signaling);
    leg.is_outgoing = is_outgoing;
    leg.had_t38 |= has_t38;
    streams::keep(&mut leg.seen, now);
}

/// The leg is answered, by either side, or what is agreed may be another now.
#[cfg(feature = "pjsip")]
pub fn answered(session: &calls::Session<'_>) {
    let Some(channel) = session.channel() else {
        return;
    };
    let media = session.streams();
    let now = streams::of_media(&media);
    let place = Place {
        name: channel.name(),
        call: channel.linked_id(),
        is_dialed: session.is_outgoing() && !channel.is_originated(),
        media: Arc::new(media),
    };
    let unique_id = channel.unique_id();
    let key = session.key();
    let mut legs = LEGS.lock();
    // The instances of before may be their last: not under the lock.
    let before = legs.forget(key);
    if let Some(leg) = legs.by_session.get_mut(&key) {
        if let Some((call, _)) = &mut leg.call {
            call.channel = unique_id;
        }
        streams::keep(&mut leg.seen, now);
        let call = place.call.clone();
        leg.place = Some(place);
        legs.by_call.entry(call).or_default().push(key);
    }
    drop(legs);
    drop(before);
}

/// The calls of PJSIP's, the oldest first.
#[cfg(feature = "pjsip")]
pub fn live() -> Vec<Live> {
    let mut live: Vec<Live> = {
        let legs = LEGS.lock();
        let live = legs.by_session.values().filter_map(|leg| {
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
    let mut legs = LEGS.lock();
    let place = legs.forget(key);
    let leg = legs.by_session.remove(&key);
    // What it kept of its streams may be their last: not under the lock.
    drop(legs);
    drop((leg, place));
}

/// What protects a channel at this moment, whatever did before.
#[cfg(feature = "pjsip")]
pub fn now(channel: Channel<'_>) -> Facts {
    let key = calls::key_of(channel);
    let media = streams::facts(&streams::of(channel, key.is_some()), channel.is_t38());
    let signaling = key.and_then(|key| LEGS.lock().by_session.get(&key)?.signaling.clone());
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
    let Some(leg) = key.and_then(|key| legs.by_session.get_mut(&key)) else {
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
    (
        facts(signaling, &seen, had_t38),
        is_outgoing && !channel.is_originated(),
    )
}

fn facts(signaling: Option<Signaling>, seen: &[Seen], had_t38: bool) -> Facts {
    Facts {
        signaling: signaling.ok_or("no message of the call has come yet"),
        media: streams::facts(seen, had_t38),
    }
}

/// Another leg of a call.
#[cfg(feature = "pjsip")]
pub struct Beside {
    /// Its channel's name.
    pub name: String,
    /// A call of this side's made the channel.
    pub is_dialed: bool,
    /// It is being hung up too: it has looked at this one, or will.
    pub is_ending: bool,
    /// What is known of it now.
    pub facts: Facts,
}

/// The other legs of the call of a channel that is being hung up. No other channel is locked for it.
#[cfg(feature = "pjsip")]
pub fn beside(channel: Channel<'_>) -> Vec<Beside> {
    let own = calls::key_of(channel);
    let call = channel.linked_id();
    let mut legs = LEGS.lock();
    if let Some(leg) = own.and_then(|own| legs.by_session.get_mut(&own)) {
        leg.is_ending = true;
    }
    let keys = legs.by_call.get(&call).map_or(&[][..], Vec::as_slice);
    let others = keys
        .iter()
        .filter(|key| Some(**key) != own)
        .filter_map(|key| {
            let leg = legs.by_session.get(key)?;
            let (signaling, seen) = (leg.signaling.clone(), leg.seen.clone());
            let place = leg.place.clone()?;
            Some((place, leg.is_ending, signaling, seen, leg.had_t38))
        });
    let others: Vec<_> = others.collect();
    drop(legs);
    let known = others
        .into_iter()
        .map(|(place, is_ending, signaling, mut seen, had_t38)| {
            streams::keep(&mut seen, streams::of_media(&place.media));
            Beside {
                name: place.name,
                is_dialed: place.is_dialed,
                is_ending,
                facts: facts(signaling, &seen, had_t38),
            }
        });
    known.collect()
}
