//! Which key opens which stream.
//!
//! A key opens a stream when a packet authenticates under it, so addresses need not fit: a capture may be of another side of a
//! NAT. Where the capture begins late, the rollover counter is not zero: the first packets are tried again and again, and
//! [`srtp::Session`] looks for it, 46 turns of the sequence number far.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use policy::keylog::KeyLine;
use srtp::{Session, UnprotectError};

use crate::capture::Datagram;
use crate::g711;
use crate::rtp::{Kind, Rtp, kind};

/// How often a packet is tried with a key: with every second try the session looks one turn further.
const TRIES: usize = 120;
/// The packets of a stream that are tried in full with every key, where none has opened it yet.
const FIRST: u64 = 8;
/// One packet of so many later ones is tried once with every key: a new one may have come.
const LATER: u64 = 50;
/// The longest silence that a recording has for packets that are not there; what is longer is left out.
const LONGEST_SILENCE: i32 = 10 * g711::RATE as i32;
/// Samples that a recording has at most: four hours.
const MOST_SAMPLES: usize = 4 * 60 * 60 * g711::RATE as usize;

/// A packet in clear.
pub type Clear = Datagram;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Flow {
    source: SocketAddr,
    destination: SocketAddr,
    ssrc: u32,
    is_rtcp: bool,
}

/// A stream, one way, of one source.
pub struct Stream {
    /// From.
    pub source: SocketAddr,
    /// To.
    pub destination: SocketAddr,
    /// Its SSRC.
    pub ssrc: u32,
    /// It is one of RTCP.
    pub is_rtcp: bool,
    /// Packets of it.
    pub packets: u64,
    /// Those that were opened.
    pub opened: u64,
    /// Those that came before: a capture has them twice, or the network.
    pub repeated: u64,
    /// The keys that opened any, by their places in the file.
    pub keys: Vec<usize>,
    /// Its payload types, and packets of each.
    pub payload_types: BTreeMap<u8, u64>,
    /// G.711, decoded.
    pub samples: Vec<i16>,
    /// The timestamp behind the last sample.
    next: Option<u32>,
    /// Its session, with the last key that opened something.
    open: Option<(usize, Session)>,
}

/// What was opened of a capture.
pub struct Opened<'a> {
    keys: &'a [KeyLine],
    flows: BTreeMap<Flow, Stream>,
    /// In the capture's order.
    pub clear: Vec<Clear>,
}

/// Opens what `keys` open of these datagrams.
pub fn open(keys: &[KeyLine], datagrams: impl IntoIterator<Item = Datagram>) -> Opened<'_> {
    let mut opened = Opened::new(keys);
    for datagram in datagrams {
        opened.take(datagram);
    }
    opened
}

impl<'a> Opened<'a> {
    /// With nothing yet.
    pub fn new(keys: &'a [KeyLine]) -> Self {
        Self {
            keys,
            flows: BTreeMap::new(),
            clear: Vec::new(),
        }
    }

    /// The streams that look like RTP or RTCP, encrypted or not.
    pub fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.flows.values()
    }

    /// Takes the next datagram.
    pub fn take(&mut self, mut datagram: Datagram) {
        let (ssrc, is_rtcp) = match kind(&datagram.payload) {
            Some(Kind::Rtp(ssrc)) => (ssrc, false),
            Some(Kind::Rtcp(ssrc)) => (ssrc, true),
            None => return,
        };
        let flow = Flow {
            source: datagram.source,
            destination: datagram.destination,
            ssrc,
            is_rtcp,
        };
        let stream = self.flows.entry(flow).or_insert_with(|| Stream::new(flow));
        stream.packets += 1;
        if stream.take(self.keys, &mut datagram.payload, datagram.time) {
            self.clear.push(datagram);
        }
    }
}

impl Stream {
    fn new(flow: Flow) -> Self {
        Self {
            source: flow.source,
            destination: flow.destination,
            ssrc: flow.ssrc,
            is_rtcp: flow.is_rtcp,
            packets: 0,
            opened: 0,
            repeated: 0,
            keys: Vec::new(),
            payload_types: BTreeMap::new(),
            samples: Vec::new(),
            next: None,
            open: None,
        }
    }

    /// Opens a packet in place. `false`: it is not opened.
    fn take(&mut self, keys: &[KeyLine], packet: &mut Vec<u8>, time: Duration) -> bool {
        let now = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        if let Some((_, session)) = &mut self.open {
            match unprotect(session, self.is_rtcp, packet, now) {
                Ok(clear) => {
                    *packet = clear;
                    self.enter(packet);
                    return true;
                }
                Err(UnprotectError::Replayed | UnprotectError::IndexTooOld) => {
                    self.repeated += 1;
                    return false;
                }
                Err(_) => {}
            }
        }
        let tries = match (self.packets <= FIRST, self.packets.is_multiple_of(LATER)) {
            (true, _) => TRIES,
            // With a key before, the next one may come at any packet.
            (_, true) => 1,
            _ if self.open.is_some() => 1,
            _ => return false,
        };
        let before = self.open.as_ref().map(|(key, _)| *key);
        for (number, key) in keys.iter().enumerate() {
            if Some(number) == before || !self.may_be(key) {
                continue;
            }
            if let Some((session, clear)) = first(key, self.is_rtcp, packet, now, tries) {
                self.open = Some((number, session));
                if !self.keys.contains(&number) {
                    self.keys.push(number);
                }
                *packet = clear;
                self.enter(packet);
                return true;
            }
        }
        false
    }

    /// Whether a key is to be tried. One without authentication opens anything: it needs the address that stands beside it.
    fn may_be(&self, key: &KeyLine) -> bool {
        let params = key.policy.params();
        self.is_rtcp
            || !params.unauthenticated_srtp
            || key
                .peer
                .parse()
                .is_ok_and(|peer: SocketAddr| [self.source, self.destination].contains(&peer))
    }

    /// A packet is open.
    fn enter(&mut self, packet: &[u8]) {
        self.opened += 1;
        if self.is_rtcp {
            return;
        }
        let Some(rtp) = Rtp::parse(packet) else {
            return;
        };
        *self.payload_types.entry(rtp.payload_type).or_default() += 1;
        if let Some(decode) = g711::decoder(rtp.payload_type) {
            self.hear(rtp, decode);
        }
    }

    /// Puts samples where the timestamp says, and silence where nothing came.
    fn hear(&mut self, rtp: Rtp<'_>, decode: fn(u8) -> i16) {
        let ahead = self
            .next
            .map_or(0, |next| rtp.timestamp.wrapping_sub(next).cast_signed());
        let length = self.samples.len();
        if length + rtp.payload.len() > MOST_SAMPLES {
            return;
        }
        let late = usize::try_from(ahead.unsigned_abs()).unwrap_or(usize::MAX);
        let at = match ahead {
            // It comes behind one that is later, and has its place.
            ..0 if late <= length && late < g711::RATE as usize => length - late,
            0..=LONGEST_SILENCE => (length + late).min(MOST_SAMPLES - rtp.payload.len()),
            // A jump: the stream goes on where it is.
            _ => length,
        };
        let end = at + rtp.payload.len();
        if end > length {
            self.samples.resize(end, 0);
        }
        for (sample, code) in self.samples[at..end].iter_mut().zip(rtp.payload) {
            *sample = decode(*code);
        }
        if end >= length {
            let octets = u32::try_from(rtp.payload.len()).unwrap_or(0);
            self.next = Some(rtp.timestamp.wrapping_add(octets));
        }
    }
}

fn unprotect(
    session: &mut Session,
    is_rtcp: bool,
    packet: &[u8],
    now: u64,
) -> Result<Vec<u8>, UnprotectError> {
    let mut clear = packet.to_vec();
    let length = match is_rtcp {
        true => session.unprotect_rtcp(&mut clear, now)?,
        false => session.unprotect_rtp(&mut clear, now)?,
    };
    clear.truncate(length);
    Ok(clear)
}

/// A session with `key` that opens a packet, and what it is then.
fn first(
    key: &KeyLine,
    is_rtcp: bool,
    packet: &[u8],
    now: u64,
    tries: usize,
) -> Option<(Session, Vec<u8>)> {
    let mut session = Session::new(srtp::kernels());
    session
        .set_remote(std::slice::from_ref(&key.policy), false, now)
        .ok()?;
    // RTCP's index stands in the packet.
    let tries = if is_rtcp { 1 } else { tries };
    for _ in 0..tries {
        match unprotect(&mut session, is_rtcp, packet, now) {
            Ok(clear) => return Some((session, clear)),
            Err(UnprotectError::AuthFailed) => {}
            Err(_) => return None,
        }
    }
    None
}
