//! The sending half: which key, which index, and whether that index may still be used.

use packet_crypto::Kernels;

use crate::error::{PolicyError, ProtectError};
use crate::index::{RTCP_INDEXES, RTP_INDEXES, guess};
use crate::kdf::{KeyId, derive};
use crate::payload_hash::PayloadHash;
use crate::policy::{Mki, Policy};
use crate::replay::{Seen, WINDOW, Window};
use crate::rtcp;
use crate::rtp::RtpHeader;
use crate::stats::KeyUsage;
use crate::suite::Suite;
use crate::transform::Transform;

/// Most SSRCs under one local key, and most local policies of one session.
pub const MAX_LOCAL_SOURCES: usize = 256;

/// Local keys no longer in use whose indexes are remembered.
const REMEMBERED_KEYS: usize = 64;

/// How many of the latest payloads are told from others. A retransmission that is older finds
/// its index used and nothing to compare with.
const HASHED: u64 = 64;

/// The SSRCs that a local policy protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalSsrc {
    /// Every SSRC without a policy of its own.
    Any,
    /// This one.
    Specific(u32),
}

/// A packet was protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) len: usize,
    /// Under an index used before, for the same payload.
    pub(crate) repeated: bool,
}

/// What was sent from one SSRC under one key.
struct Stream {
    ssrc: u32,
    rtp: Option<Window>,
    /// Payload hashes of the latest indexes, by index modulo [`HASHED`].
    hashes: Option<Box<[u64; HASHED as usize]>>,
    /// The next SRTCP index.
    rtcp_next: u64,
}

/// Everything sent under one master key. It outlives the key's use: should the key come back,
/// no index is used twice.
struct KeyRecord {
    id: KeyId,
    /// Greater for a key set later.
    age: u64,
    payload_hash: PayloadHash,
    packets: KeyUsage,
    streams: Vec<Stream>,
}

/// A local policy in force (or staged).
struct Active {
    ssrc: LocalSsrc,
    /// The key's place in `Sender::records`.
    record: usize,
    transform: Transform,
    mki: Option<Mki>,
}

/// A local policy whose key is derived, but not in force.
struct Staged {
    ssrc: LocalSsrc,
    id: KeyId,
    payload_hash: PayloadHash,
    transform: Transform,
    mki: Option<Mki>,
}

/// Packet indexes used under local keys, without the keys themselves; for the session that
/// follows this one. See [`Session::into_local_contexts`](crate::Session::into_local_contexts).
#[derive(Default)]
pub struct LocalContexts(Vec<KeyRecord>);

impl LocalContexts {
    /// Whether nothing was sent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Default)]
pub(crate) struct Sender {
    records: Vec<KeyRecord>,
    active: Vec<Active>,
    staged: Vec<Staged>,
    keys_set: u64,
    /// Record and stream of the last RTP packet, for the statistics.
    last: Option<(usize, u32)>,
}

impl Sender {
    pub(crate) fn resume(contexts: LocalContexts) -> Self {
        let keys_set = contexts.0.iter().map(|r| r.age + 1).max().unwrap_or(0);
        Sender {
            records: contexts.0,
            keys_set,
            ..Sender::default()
        }
    }

    pub(crate) fn into_contexts(self) -> LocalContexts {
        let mut records = self.records;
        records.retain(|r| !r.streams.is_empty());
        LocalContexts(records)
    }

    /// Makes `policy` the one to send with, now.
    pub(crate) fn set(
        &mut self,
        kernels: &'static Kernels,
        ssrc: LocalSsrc,
        policy: &Policy,
    ) -> Result<(), PolicyError> {
        self.check_room(ssrc)?;
        let staged = Staged::new(kernels, ssrc, policy)?;
        self.install(staged);
        Ok(())
    }

    /// Prepares `policy`, in place of one already staged for these SSRCs.
    pub(crate) fn stage(
        &mut self,
        kernels: &'static Kernels,
        ssrc: LocalSsrc,
        policy: &Policy,
    ) -> Result<(), PolicyError> {
        self.check_room(ssrc)?;
        let staged = Staged::new(kernels, ssrc, policy)?;
        self.staged.retain(|s| s.ssrc != ssrc);
        self.staged.push(staged);
        Ok(())
    }

    pub(crate) fn commit(&mut self) {
        for staged in std::mem::take(&mut self.staged) {
            self.install(staged);
        }
    }

    pub(crate) fn cancel(&mut self) {
        self.staged.clear();
    }

    /// Lets the policy of `from` protect `to` instead.
    pub(crate) fn change_source(&mut self, from: u32, to: u32) {
        if from == to
            || !self
                .active
                .iter()
                .any(|a| a.ssrc == LocalSsrc::Specific(from))
        {
            return;
        }
        self.active.retain(|a| a.ssrc != LocalSsrc::Specific(to));
        for active in &mut self.active {
            if active.ssrc == LocalSsrc::Specific(from) {
                active.ssrc = LocalSsrc::Specific(to);
            }
        }
        for staged in &mut self.staged {
            if staged.ssrc == LocalSsrc::Specific(from) {
                staged.ssrc = LocalSsrc::Specific(to);
            }
        }
    }

    fn check_room(&self, ssrc: LocalSsrc) -> Result<(), PolicyError> {
        let known = |s: LocalSsrc| s == ssrc;
        let in_use = self.active.len() + self.staged.len();
        if in_use < MAX_LOCAL_SOURCES
            || self.active.iter().any(|a| known(a.ssrc))
            || self.staged.iter().any(|s| known(s.ssrc))
        {
            Ok(())
        } else {
            Err(PolicyError::TooManyLocal)
        }
    }

    /// The packet indexes belong to the master key, whatever suite or MKI goes with it: an 80-
    /// and a 32-bit suite under one key have the same key stream.
    fn install(&mut self, staged: Staged) {
        let Staged {
            ssrc,
            id,
            payload_hash,
            transform,
            mki,
        } = staged;
        self.active.retain(|a| a.ssrc != ssrc);
        let age = self.keys_set;
        self.keys_set += 1;
        let record = match self.records.iter().position(|r| r.id == id) {
            Some(known) => known,
            None => {
                let new = KeyRecord {
                    id,
                    age,
                    payload_hash,
                    packets: KeyUsage::default(),
                    streams: Vec::new(),
                };
                match self.slot_to_forget() {
                    Some(slot) => {
                        self.records[slot] = new;
                        slot
                    }
                    None => {
                        self.records.push(new);
                        self.records.len() - 1
                    }
                }
            }
        };
        self.records[record].age = age;
        self.active.push(Active {
            ssrc,
            record,
            transform,
            mki,
        });
    }

    /// The oldest of the keys out of use, when there are enough of them. Keys come from a random
    /// generator: one that was not used for 64 changes does not come back.
    fn slot_to_forget(&self) -> Option<usize> {
        let mut idle = (0..self.records.len())
            .filter(|&i| self.active.iter().all(|a| a.record != i))
            .collect::<Vec<_>>();
        if idle.len() < REMEMBERED_KEYS {
            return None;
        }
        idle.sort_by_key(|&i| self.records[i].age);
        idle.first().copied()
    }

    fn active(&self, ssrc: u32) -> Option<&Active> {
        let by = |which| self.active.iter().find(|a| a.ssrc == which);
        by(LocalSsrc::Specific(ssrc)).or_else(|| by(LocalSsrc::Any))
    }

    pub(crate) fn protect_rtp(
        &mut self,
        src: &[u8],
        dst: &mut [u8],
    ) -> Result<Sealed, ProtectError> {
        let header = RtpHeader::parse_clear(src)?;
        let by = |which| self.active.iter().find(|a| a.ssrc == which);
        let active = by(LocalSsrc::Specific(header.ssrc))
            .or_else(|| by(LocalSsrc::Any))
            .ok_or(ProtectError::NoKey)?;
        let mki = active.mki.as_ref().map_or(&[][..], Mki::octets);
        let transform = &active.transform;
        if dst.len() < src.len() + mki.len() + transform.rtp_tag_len() {
            return Err(ProtectError::BufferTooSmall);
        }
        let record = &mut self.records[active.record];
        if record.packets.rtp >= RTP_INDEXES {
            return Err(ProtectError::KeyExhausted);
        }
        let position = record.streams.iter().position(|s| s.ssrc == header.ssrc);
        let known = position.map(|i| &record.streams[i]);
        let index = next_index(known, header.seq)?;
        let hash = transform
            .may_repeat()
            .then(|| record.payload_hash.of(&src[header.len..]));
        let repeated = match known.and_then(|s| s.rtp.as_ref()).map(|w| w.look_up(index)) {
            None | Some(Seen::New) => false,
            Some(Seen::TooOld) => return Err(ProtectError::IndexTooOld),
            Some(Seen::Used) => {
                let sent = known.and_then(|s| s.hash_of(index));
                if sent.is_none() || sent != hash {
                    return Err(ProtectError::ReusedIndex);
                }
                true
            }
        };
        let stream = match position {
            Some(i) => &mut record.streams[i],
            None => record.add(header.ssrc)?,
        };
        let len = transform.seal_rtp(&header, index, src, dst, mki);
        if !repeated {
            stream.mark(index, hash);
        }
        record.packets.rtp += 1;
        self.last = Some((active.record, header.ssrc));
        Ok(Sealed { len, repeated })
    }

    pub(crate) fn protect_rtcp(
        &mut self,
        src: &[u8],
        dst: &mut [u8],
    ) -> Result<usize, ProtectError> {
        let ssrc = rtcp::parse(src)?;
        let by = |which| self.active.iter().find(|a| a.ssrc == which);
        let active = by(LocalSsrc::Specific(ssrc))
            .or_else(|| by(LocalSsrc::Any))
            .ok_or(ProtectError::NoKey)?;
        let mki = active.mki.as_ref().map_or(&[][..], Mki::octets);
        let transform = &active.transform;
        let trailer = rtcp::INDEX_WORD + mki.len() + transform.suite().rtcp_tag_len();
        if dst.len() < src.len() + trailer {
            return Err(ProtectError::BufferTooSmall);
        }
        let record = &mut self.records[active.record];
        if record.packets.rtcp >= RTCP_INDEXES {
            return Err(ProtectError::KeyExhausted);
        }
        let stream = match record.streams.iter().position(|s| s.ssrc == ssrc) {
            Some(i) => &mut record.streams[i],
            None => record.add(ssrc)?,
        };
        // A stream's indexes are among the key's packets, so one is left.
        let index = stream.rtcp_next as u32;
        let len = transform.seal_rtcp(ssrc, index, src, dst, mki);
        stream.rtcp_next += 1;
        record.packets.rtcp += 1;
        Ok(len)
    }

    /// Suite and packets of the key that protects `ssrc`, or of the last one set.
    pub(crate) fn key_in_use(&self) -> Option<(Suite, KeyUsage)> {
        let active = self
            .last
            .and_then(|(_, ssrc)| self.active(ssrc))
            .or(self.active.last())?;
        Some((
            active.transform.suite(),
            self.records[active.record].packets,
        ))
    }

    /// Rollover counter of the SSRC that sent last.
    pub(crate) fn roc(&self) -> Option<u32> {
        let (record, ssrc) = self.last?;
        let record = self.records.get(record)?;
        let stream = record.streams.iter().find(|s| s.ssrc == ssrc)?;
        Some((stream.rtp.as_ref()?.highest() >> 16) as u32)
    }
}

/// The index of a packet to send. What lies just before index 0 was sent before the stream's
/// first packet, by a reordering network in front of us, and has no index.
fn next_index(known: Option<&Stream>, seq: u16) -> Result<u64, ProtectError> {
    let Some(window) = known.and_then(|s| s.rtp.as_ref()) else {
        return Ok(u64::from(seq));
    };
    let highest = window.highest();
    let behind = (highest as u16).wrapping_sub(seq);
    if u64::from(behind) > highest && u64::from(behind) < WINDOW {
        return Err(ProtectError::IndexTooOld);
    }
    guess(highest, seq).ok_or(ProtectError::KeyExhausted)
}

impl Staged {
    fn new(
        kernels: &'static Kernels,
        ssrc: LocalSsrc,
        policy: &Policy,
    ) -> Result<Self, PolicyError> {
        let derived = derive(kernels, policy.key())?;
        Ok(Staged {
            ssrc,
            payload_hash: PayloadHash::new(&derived.payload_hash),
            transform: Transform::new(kernels, policy.suite(), policy.params(), &derived)?,
            mki: policy.mki().cloned(),
            id: derived.id,
        })
    }
}

impl KeyRecord {
    fn add(&mut self, ssrc: u32) -> Result<&mut Stream, ProtectError> {
        if self.streams.len() >= MAX_LOCAL_SOURCES {
            return Err(ProtectError::TooManySources);
        }
        self.streams.reserve_exact(1);
        self.streams.push(Stream {
            ssrc,
            rtp: None,
            hashes: None,
            rtcp_next: 0,
        });
        let last = self.streams.len() - 1;
        Ok(&mut self.streams[last])
    }
}

impl Stream {
    fn mark(&mut self, index: u64, hash: Option<u64>) {
        let window = match &mut self.rtp {
            Some(window) => {
                window.mark(index);
                window
            }
            None => self.rtp.insert(Window::starting_at(index)),
        };
        if let Some(hash) = hash
            && window.highest() - index < HASHED
        {
            let hashes = self
                .hashes
                .get_or_insert_with(|| Box::new([0; HASHED as usize]));
            hashes[(index % HASHED) as usize] = hash;
        }
    }

    /// The hash of the payload sent under a used index, if it is still known.
    fn hash_of(&self, index: u64) -> Option<u64> {
        let age = self.rtp.as_ref()?.highest().checked_sub(index)?;
        let hashes = self.hashes.as_ref()?;
        (age < HASHED).then(|| hashes[(index % HASHED) as usize])
    }
}
