//! From a channel's RTP instances to the facts of its media.

use std::mem;
use std::sync::Arc;

use policy::facts::{Known, Srtp, Stream};

use crate::ffi::channel::Channel;
use crate::ffi::rtp::{Counts, MediaStream, OwnedRtp};
use crate::media::calls;
use crate::media::registry;
use crate::media::session::LiveSession;

/// Said of T.38.
const T38: &str = "image";

/// How many streams that are gone are kept: a peer can end one and begin another as often as it likes.
const MOST_GONE: usize = 4;

/// A stream, as it was seen.
#[derive(Clone)]
pub struct Seen {
    kind: &'static str,
    /// The address of its RTP instance, by which it is known again.
    instance: usize,
    protection: Protection,
    /// Its SRTP session is that of several streams, of which it counts the packets together.
    is_bundled: bool,
    /// A packet of it was counted before it had SRTP.
    was_in_clear: bool,
    /// Declined, or there no more.
    is_removed: bool,
    counts: Option<Counts>,
}

/// What protects it.
#[derive(Clone)]
enum Protection {
    /// A session of ours. Kept, for its counters, when Asterisk is done with it.
    Ours(LiveSession),
    /// Another engine's.
    Foreign,
    /// None yet: a DTLS handshake is to bring keys.
    Awaited,
    /// None.
    None,
}

/// A channel's streams now: by its session of PJSIP's, or by what another driver gives to bridges.
pub fn of(channel: Channel<'_>, has_session: bool) -> Vec<Seen> {
    let media = match has_session {
        true => calls::media_of(channel),
        false => channel.media(),
    };
    of_media(&media)
}

/// These, as they are now.
pub fn of_media(media: &[MediaStream]) -> Vec<Seen> {
    let carriers: Vec<usize> = media
        .iter()
        .filter_map(|stream| Some(stream.carrier.as_ref()?.get()?.address()))
        .collect();
    let mut seen = Vec::new();
    for stream in media {
        let Some(rtp) = stream.rtp.get() else {
            continue;
        };
        let carrier = stream.carrier.as_ref().and_then(OwnedRtp::get);
        // Asterisk encrypts what is bundled with the session of the instance that carries it.
        let protecting = carrier.unwrap_or(rtp);
        let protection = match protecting.srtp_session() {
            Some(address) => registry::at(address).map_or(Protection::Foreign, Protection::Ours),
            None if protecting.is_dtls() => Protection::Awaited,
            None => Protection::None,
        };
        let stream = Seen {
            kind: stream.kind,
            instance: rtp.address(),
            protection,
            is_bundled: carrier.is_some() || carriers.contains(&rtp.address()),
            was_in_clear: false,
            is_removed: stream.is_removed,
            counts: rtp.counts(),
        };
        enter(&mut seen, stream);
    }
    seen
}

/// Behind the others of its kind; the kinds in the order of their names.
fn enter(seen: &mut Vec<Seen>, stream: Seen) {
    let place = seen.partition_point(|before| before.kind <= stream.kind);
    seen.insert(place, stream);
}

/// Enters what is seen now before what was seen before. A stream is known by its RTP instance: one that is gone stays as it was, until
/// another of its kind is there and nothing of it went in clear, or may have.
pub fn keep(seen: &mut Vec<Seen>, mut now: Vec<Seen>) {
    let mut gone = mem::take(seen);
    let kinds: Vec<_> = now.iter().map(|stream| stream.kind).collect();
    // Those that are there come first of their kind.
    now.sort_by_key(|stream| stream.is_removed);
    for mut stream in now {
        let before = gone
            .iter()
            .position(|before| before.instance == stream.instance);
        if let Some(place) = before {
            stream.counts = stream.counts.or(gone[place].counts);
            if gone[place].is_replaced_by(&stream) {
                let before = gone.remove(place);
                stream.was_in_clear = before.was_in_clear || before.has_passed_in_clear();
            }
        }
        enter(seen, stream);
    }
    gone.retain(|before| !kinds.contains(&before.kind) || before.stream().in_clear != Ok(false));
    // What is left out changes nothing of what is known of all: one in clear is enough, and so is one of which it is not known.
    gone.sort_by_key(|before| before.stream().in_clear != Ok(true));
    gone.truncate(MOST_GONE);
    for before in gone {
        enter(seen, before);
    }
}

/// What is known of them.
pub fn facts(seen: &[Seen], had_t38: bool) -> Known<Vec<Stream>> {
    let mut streams: Vec<Stream> = seen
        .iter()
        .filter(|stream| !stream.is_removed || stream.has_passed())
        .map(Seen::stream)
        .collect();
    if had_t38 {
        streams.push(Stream {
            kind: T38,
            srtp: None,
            packets: Err("T.38 is not counted"),
            lost: Err("T.38 is not counted"),
            in_clear: Ok(true),
        });
    }
    if streams.is_empty() {
        return Err("the channel has no media of its own now");
    }
    Ok(streams)
}

impl Seen {
    /// Packets of it were counted.
    fn has_passed(&self) -> bool {
        self.counts
            .is_some_and(|counts| counts.sent + counts.received > 0)
    }

    fn has_passed_in_clear(&self) -> bool {
        matches!(self.protection, Protection::None | Protection::Awaited) && self.has_passed()
    }

    /// Whether `now`, of the same instance, says all that there is to say of it.
    fn is_replaced_by(&self, now: &Self) -> bool {
        match (&self.protection, &now.protection) {
            (Protection::Ours(before), Protection::Ours(now)) => Arc::ptr_eq(before, now),
            // What had no keys has some, of which their session says how it began.
            (Protection::None | Protection::Awaited, _)
            | (Protection::Foreign, Protection::Foreign) => true,
            _ => false,
        }
    }

    fn stream(&self) -> Stream {
        let counts = self.counts.ok_or("Asterisk does not count this stream");
        let plain = Stream {
            kind: self.kind,
            srtp: None,
            packets: counts.map(|counts| [counts.sent, counts.received]),
            lost: counts.map(|counts| counts.lost),
            in_clear: Ok(true),
        };
        match &self.protection {
            Protection::Ours(session) => Stream {
                packets: match self.is_bundled {
                    true => plain.packets,
                    false => packets(session),
                },
                srtp: Some(srtp(session)),
                in_clear: match (self.was_in_clear, session.is_broken()) {
                    (true, _) => Ok(true),
                    (false, true) => Err("the session failed by a fault of Ciphertrunk's"),
                    (false, false) => session.history().in_clear(),
                },
                ..plain
            },
            Protection::Foreign => Stream {
                in_clear: match self.was_in_clear {
                    true => Ok(true),
                    false => Err("the stream's SRTP is not Ciphertrunk's"),
                },
                ..plain
            },
            Protection::Awaited => Stream {
                in_clear: match self.was_in_clear || self.has_passed() {
                    true => Ok(true),
                    false => Err("the DTLS handshake is not done"),
                },
                ..plain
            },
            Protection::None => plain,
        }
    }
}

fn packets(session: &LiveSession) -> Known<[u64; 2]> {
    if session.is_broken() {
        return Err("the session failed by a fault of Ciphertrunk's");
    }
    let counters = session.stats().counters;
    Ok([counters.sent_rtp, counters.received_rtp])
}

fn srtp(session: &LiveSession) -> Srtp {
    let stats = session.stats();
    let suite =
        |suite: Option<srtp::Suite>| suite.map(srtp::Suite::name).ok_or("there is no key yet");
    Srtp {
        suites: [suite(stats.local_suite), suite(stats.remote_suite)],
        source: session.history().source(),
        replays: stats.counters.replays,
        failures: stats.counters.auth_failures,
        roc: [
            stats.local_roc.ok_or("no packet has been sent"),
            stats.remote_roc.ok_or("no packet has come"),
        ],
        rekeys: session.history().rekeys(),
        is_unencrypted: session.history().is_unencrypted(),
    }
}
