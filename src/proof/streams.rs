//! From a channel's RTP instances to the facts of its media.

use std::sync::Arc;

use policy::facts::{Known, Srtp, Stream};

use crate::ffi::channel::Channel;
use crate::ffi::rtp::{Counts, OwnedRtp};
use crate::media::calls;
use crate::media::registry;
use crate::media::session::LiveSession;

/// What Asterisk calls them.
const KINDS: [&str; 2] = ["audio", "video"];

/// Said of T.38.
const T38: &str = "image";

/// A stream, as it was seen.
#[derive(Clone)]
pub struct Seen {
    kind: &'static str,
    protection: Protection,
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
    of_instances(&media)
}

/// The streams of these instances, for audio and video.
pub fn of_instances(media: &[Option<OwnedRtp>; 2]) -> Vec<Seen> {
    let streams = KINDS.into_iter().zip(media);
    streams
        .filter_map(|(kind, instance)| {
            let rtp = instance.as_ref()?.get()?;
            let protection = match rtp.srtp_session() {
                Some(address) => {
                    registry::at(address).map_or(Protection::Foreign, Protection::Ours)
                }
                None if rtp.is_dtls() => Protection::Awaited,
                None => Protection::None,
            };
            Some(Seen {
                kind,
                protection,
                counts: rtp.counts(),
            })
        })
        .collect()
}

/// Enters what is seen now beside what was seen before: a stream that is gone stays as it was. One whose protection is another now
/// takes the place, unless a packet of it went in clear: that stays as well.
pub fn keep(seen: &mut Vec<Seen>, now: Vec<Seen>) {
    for stream in now {
        seen.retain(|before| {
            before.kind != stream.kind
                || (!is_same(before, &stream) && before.stream().in_clear == Ok(true))
        });
        let place = seen
            .iter()
            .take_while(|before| before.kind <= stream.kind)
            .count();
        seen.insert(place, stream);
    }
}

fn is_same(before: &Seen, now: &Seen) -> bool {
    match (&before.protection, &now.protection) {
        (Protection::Ours(before), Protection::Ours(now)) => Arc::ptr_eq(before, now),
        // What had no keys has some, of which their session says how it began.
        (Protection::None | Protection::Awaited, _) => true,
        _ => false,
    }
}

/// What is known of them.
pub fn facts(seen: &[Seen], had_t38: bool) -> Known<Vec<Stream>> {
    let mut streams: Vec<Stream> = seen.iter().map(Seen::stream).collect();
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
                packets: packets(session),
                srtp: Some(srtp(session)),
                in_clear: match session.is_broken() {
                    true => Err("the session failed by a fault of Ciphertrunk's"),
                    false => session.history().in_clear(),
                },
                ..plain
            },
            Protection::Foreign => Stream {
                in_clear: Err("the stream's SRTP is not Ciphertrunk's"),
                ..plain
            },
            Protection::Awaited => Stream {
                in_clear: match counts {
                    Ok(counts) if counts.sent + counts.received > 0 => Ok(true),
                    _ => Err("the DTLS handshake is not done"),
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
    }
}
