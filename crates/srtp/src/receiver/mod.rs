//! The receiving half: which keys are tried, and what a verified packet changes.
//!
//! Nothing is changed before a packet has authenticated (RFC 3711 section 3.3, step 8).

#[cfg(feature = "batch")]
mod batch;
mod heard;
mod next;
mod search;
mod trial;

use std::num::NonZero;

use packet_crypto::Kernels;

use crate::Few;
use crate::error::{PolicyError, UnprotectError};
use crate::kdf::{Derived, KeyId};
use crate::policy::{Mki, Policy};
use crate::replay::Window;
use crate::rtcp;
use crate::rtp::RtpHeader;
use crate::stats::KeyUsage;
use crate::suite::Suite;
use crate::transform::Transform;
use heard::Heard;
use trial::Verified;

/// Most remote keys in force together; a packet that nobody sent costs one try for each.
pub const MAX_REMOTE_KEYS: usize = 8;

/// Most SSRCs remembered under one remote key. Only a peer that has the key can bring new ones;
/// at the limit the one not heard for longest goes, so that a peer which keeps changing its SSRC
/// is heard, and at worst an old packet of that SSRC could be replayed.
pub const MAX_REMOTE_SOURCES: usize = 32;

/// Remote keys out of use whose contexts are remembered, for a peer that goes back to one.
const REMEMBERED_KEYS: usize = 8;

/// How long the old key is still tried after the new one has taken over: packets under way.
pub const OLD_KEY_MS: u64 = 2_000;

/// Milliseconds in a tick: so many bits.
const TICK: u32 = 6;

/// Ticks, one second, after which a stream may go on before the packets that were heard, when nothing of it was heard
/// meanwhile. While it is heard, what is older than the window is late or held back by somebody.
const MAY_GO_BACK: u16 = 1000 >> TICK;

/// What was received from one SSRC under one key.
#[repr(C)]
struct Stream {
    ssrc: u32,
    /// Packets in a row that failed, of RTP.
    missed: u16,
    /// When the first of them came, in ticks. (Each 70 minutes it looks like now, for a second.)
    missed_at: u16,
    rtp: Option<Heard>,
    /// Greater for a stream heard later.
    heard: u64,
    rtcp: Option<Window>,
}

impl Stream {
    /// A packet of RTP failed.
    fn miss(&mut self, now_ms: u64) {
        if self.missed == 0 {
            self.missed_at = ticks(now_ms);
        }
        self.missed = search::count(self.missed);
    }

    /// Whether RTP has been failing for so long that the peer may have gone back.
    fn is_unheard(&self, now_ms: u64) -> bool {
        self.missed > 0 && ticks(now_ms).wrapping_sub(self.missed_at) >= MAY_GO_BACK
    }
}

fn ticks(now_ms: u64) -> u16 {
    (now_ms >> TICK) as u16
}

/// Everything received under one master key.
#[repr(C)]
pub(crate) struct KeyRecord {
    // What a packet touches comes first.
    streams: Few<Stream>,
    packets: KeyUsage,
    id: KeyId,
}

struct RemoteKey {
    /// The key's place in `Receiver::records`.
    record: usize,
    transform: Transform,
    mki: Option<Mki>,
}

/// The keys of one remote description.
struct Generation {
    keys: Few<RemoteKey>,
    /// The peer's address changed with it: a counter from zero is the likelier one.
    peer_moved: bool,
    /// It came again, and no stream has gone back since: a peer may begin its sequence numbers anew with a description.
    renewed: bool,
    /// Packets that failed since it came, for the SSRCs that were not heard yet.
    missed: u16,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Current,
    Pending,
    Old,
}

/// What a packet touches comes first.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Receiver {
    current: Option<Generation>,
    pending: Option<Box<Generation>>,
    old: Option<Box<(Generation, u64)>>,
    records: Few<KeyRecord>,
    clock: u64,
    /// SSRC of the last RTP packet.
    last_ssrc: u32,
    /// The place of its key in `records`, plus one.
    last_record: Option<NonZero<u16>>,
    /// The last description brought new keys, and may still be refused.
    unsettled: bool,
}

impl Receiver {
    /// See [`Session::set_remote`](crate::Session::set_remote).
    pub(crate) fn set(
        &mut self,
        kernels: &'static Kernels,
        policies: &[Policy],
        peer_moved: bool,
        now_ms: u64,
    ) -> Result<(), PolicyError> {
        self.expire(now_ms);
        check_set(policies)?;
        // The keys are made where they stay, and their places found when it is known that they are new.
        let mut keys: Few<RemoteKey> = Few::with_capacity(policies.len());
        let mut ids: Few<KeyId> = Few::with_capacity(policies.len());
        for policy in policies {
            let mut derived = Derived::unset();
            derived.derive(kernels, policy.key())?;
            let (suite, params) = (policy.suite(), policy.params());
            keys.push(RemoteKey {
                record: 0,
                transform: Transform::new(kernels, suite, params, &derived.rtp, &derived.rtcp)?,
                mki: policy.mki().cloned(),
            });
            ids.push(derived.id.clone());
        }
        let same = |known: &RemoteKey, new: &RemoteKey, id: &KeyId| {
            self.records[known.record].id == *id
                && known.transform.suite() == new.transform.suite()
                && known.transform.params() == new.transform.params()
                && known.mki == new.mki
        };
        let again = self.current.as_ref().is_some_and(|current| {
            let mut pairs = current.keys.iter().zip(&keys).zip(&ids);
            current.keys.len() == keys.len() && pairs.all(|((k, n), id)| same(k, n, id))
        });
        if again {
            // Also the peer's way to take back a description that is still pending.
            self.pending = None;
            self.unsettled = false;
            self.renew();
            return Ok(());
        }
        if !self.unsettled
            && let Some(agreed) = self.pending.take()
        {
            // It stands, though nothing was heard under it: should the new description be refused, it is what is in force.
            let before = self.current.replace(*agreed);
            self.retire(before, now_ms);
        }
        self.pending = None;
        self.forget_idle_records();
        for (key, id) in keys.iter_mut().zip(&ids) {
            key.record = self.record_of(id);
        }
        let generation = Generation {
            keys,
            peer_moved,
            // Under a key that comes back, too, the peer may begin anew.
            renewed: self.current.is_some(),
            missed: 0,
        };
        if self.current.is_none() {
            self.current = Some(generation);
        } else {
            self.pending = Some(Box::new(generation));
            self.unsettled = true;
        }
        Ok(())
    }

    /// See [`Session::renew`](crate::Session::renew).
    pub(crate) fn renew(&mut self) {
        if let Some(current) = &mut self.current {
            current.renewed = true;
        }
    }

    /// The description stands: it can no longer be refused.
    pub(crate) fn commit_description(&mut self) {
        self.unsettled = false;
    }

    /// The description was refused: as if it had never come.
    pub(crate) fn cancel(&mut self, now_ms: u64) {
        self.expire(now_ms);
        if !std::mem::take(&mut self.unsettled) {
            return;
        }
        if self.pending.take().is_none()
            && let Some(old) = self.old.take()
        {
            // The peer was faster than the refusal: back to the key that stands.
            let refused = self.current.replace(old.0);
            self.retire(refused, now_ms);
        }
    }

    /// `generation` is tried for a while yet.
    fn retire(&mut self, generation: Option<Generation>, now_ms: u64) {
        self.old = generation.map(|g| Box::new((g, now_ms.saturating_add(OLD_KEY_MS))));
    }

    /// Drops the old key when its time is over.
    #[inline]
    pub(crate) fn expire(&mut self, now_ms: u64) {
        if self.old.as_ref().is_some_and(|old| now_ms >= old.1) {
            self.old = None;
        }
    }

    fn record_of(&mut self, id: &KeyId) -> usize {
        if let Some(known) = self.records.iter().position(|r| r.id == *id) {
            return known;
        }
        self.records.reserve_exact(1);
        self.records.push(KeyRecord {
            id: id.clone(),
            packets: KeyUsage::default(),
            streams: Few::new(),
        });
        self.records.len() - 1
    }

    fn generation(&self, role: Role) -> Option<&Generation> {
        match role {
            Role::Current => self.current.as_ref(),
            Role::Pending => self.pending.as_deref(),
            Role::Old => self.old.as_ref().map(|old| &old.0),
        }
    }

    fn in_use(&self, record: usize) -> bool {
        [Role::Current, Role::Pending, Role::Old]
            .into_iter()
            .filter_map(|role| self.generation(role))
            .any(|g| g.keys.iter().any(|k| k.record == record))
    }

    /// Forgets keys out of use: those never heard, and the longest unheard of more than
    /// [`REMEMBERED_KEYS`].
    fn forget_idle_records(&mut self) {
        while !self.records.is_empty() {
            let idle: Vec<_> = (0..self.records.len())
                .filter(|&i| !self.in_use(i))
                .collect();
            let empty = idle.iter().find(|&&i| self.records[i].streams.is_empty());
            let oldest = idle.iter().min_by_key(|&&i| self.records[i].heard());
            let oldest = match (empty, oldest) {
                (Some(&empty), _) => empty,
                (None, Some(&oldest)) if idle.len() > REMEMBERED_KEYS => oldest,
                _ => return,
            };
            self.records.remove(oldest);
            let shift = |g: &mut Generation| {
                for key in &mut g.keys {
                    key.record -= usize::from(key.record > oldest);
                }
            };
            self.current.iter_mut().for_each(shift);
            self.old.iter_mut().for_each(|old| shift(&mut old.0));
            match self.last() {
                Some((record, _)) if record == oldest => self.last_record = None,
                Some((record, ssrc)) => self.set_last(record - usize::from(record > oldest), ssrc),
                None => (),
            }
        }
    }

    #[inline]
    pub(crate) fn unprotect_rtp(
        &mut self,
        packet: &mut [u8],
        now_ms: u64,
    ) -> Result<usize, UnprotectError> {
        self.expire(now_ms);
        let header = RtpHeader::parse(packet)?;
        let opened = self.open_rtp(&header, packet, now_ms);
        self.settle_rtp(header.ssrc, opened, now_ms)
    }

    /// What becomes of an RTP packet of this SSRC.
    #[inline]
    fn settle_rtp(
        &mut self,
        ssrc: u32,
        opened: Result<Verified, UnprotectError>,
        now_ms: u64,
    ) -> Result<usize, UnprotectError> {
        match opened {
            Ok(verified) => Ok(self.accept_rtp(&verified, now_ms)),
            Err(why) => {
                self.miss(ssrc, now_ms);
                Err(why)
            }
        }
    }

    /// An RTP packet of this SSRC failed.
    #[cold]
    fn miss(&mut self, ssrc: u32, now_ms: u64) {
        let streams = self.records.iter_mut().flat_map(|r| &mut r.streams);
        for stream in streams.filter(|s| s.ssrc == ssrc) {
            stream.miss(now_ms);
        }
        let records = &self.records;
        let is_heard = |key: &RemoteKey| records[key.record].heard_rtp(ssrc).is_some();
        for generation in self.current.iter_mut().chain(self.pending.as_deref_mut()) {
            if !generation.keys.iter().any(is_heard) {
                generation.missed = search::count(generation.missed);
            }
        }
    }

    /// Packets in a row of this SSRC that failed; of all that were never heard, where it is one.
    pub(crate) fn missed(&self, ssrc: u32) -> u16 {
        let streams = self.records.iter().flat_map(|r| &r.streams);
        let of_ssrc = streams.filter(|s| s.ssrc == ssrc && s.rtp.is_some());
        let latest = of_ssrc.max_by_key(|s| s.heard).map(|s| s.missed);
        latest.unwrap_or(self.current.as_ref().map_or(0, |current| current.missed))
    }

    /// What a verified RTP packet changes; returns its length.
    #[inline]
    pub(crate) fn accept_rtp(&mut self, verified: &Verified, now_ms: u64) -> usize {
        let (record, clock) = self.commit(verified, now_ms);
        let stream = record.stream(verified.ssrc, clock);
        stream.missed = 0;
        let went_back = match &mut stream.rtp {
            Some(heard) => heard.take(verified.index),
            new => {
                *new = Some(Heard::starting_at(verified.index));
                false
            }
        };
        record.packets.rtp += 1;
        if went_back && let Some(current) = &mut self.current {
            current.renewed = false;
        }
        self.set_last(verified.record, verified.ssrc);
        verified.len
    }

    pub(crate) fn unprotect_rtcp(
        &mut self,
        kernels: &'static Kernels,
        packet: &mut [u8],
        now_ms: u64,
    ) -> Result<usize, UnprotectError> {
        self.expire(now_ms);
        let ssrc = rtcp::parse(packet)?;
        let verified = self.open_rtcp(kernels, ssrc, packet)?;
        let (record, clock) = self.commit(&verified, now_ms);
        match &mut record.stream(ssrc, clock).rtcp {
            Some(window) => _ = window.take(verified.index),
            window => *window = Some(Window::starting_at(verified.index)),
        }
        record.packets.rtcp += 1;
        Ok(verified.len)
    }

    /// What a verified packet changes for its key: it is in use now.
    #[inline]
    fn commit(&mut self, verified: &Verified, now_ms: u64) -> (&mut KeyRecord, u64) {
        if verified.role == Role::Pending {
            let new = self.pending.take().map(|g| *g);
            let old = std::mem::replace(&mut self.current, new);
            self.retire(old, now_ms);
        }
        self.clock += 1;
        let record = &mut self.records.as_mut_slice()[verified.record];
        (record, self.clock)
    }

    #[inline]
    fn set_last(&mut self, record: usize, ssrc: u32) {
        self.last_ssrc = ssrc;
        self.last_record = NonZero::new(record as u16 + 1);
    }

    /// Record and SSRC of the last RTP packet.
    fn last(&self) -> Option<(usize, u32)> {
        let record = usize::from(self.last_record?.get()) - 1;
        Some((record, self.last_ssrc))
    }

    /// Suite and packets of the remote key heard last, or of the first one set.
    pub(crate) fn key_in_use(&self) -> Option<(Suite, KeyUsage)> {
        let keys = &self.current.as_ref()?.keys;
        let heard = self
            .last()
            .and_then(|(record, _)| keys.iter().find(|k| k.record == record));
        let key = heard.or(keys.first())?;
        Some((key.transform.suite(), self.records[key.record].packets))
    }

    /// Rollover counter of the SSRC from which RTP came last.
    pub(crate) fn roc(&self) -> Option<u32> {
        let (record, ssrc) = self.last()?;
        let heard = self.records.get(record)?.heard_rtp(ssrc)?;
        Some((heard.highest() >> 16) as u32)
    }
}

impl KeyRecord {
    /// The SSRC's stream, which is new if this is its first packet.
    #[inline]
    fn stream(&mut self, ssrc: u32, clock: u64) -> &mut Stream {
        let place = match self.streams.iter().position(|s| s.ssrc == ssrc) {
            Some(known) => known,
            None => self.new_stream(ssrc),
        };
        let stream = &mut self.streams.as_mut_slice()[place];
        stream.heard = clock;
        stream
    }

    /// The place of a new stream.
    #[cold]
    fn new_stream(&mut self, ssrc: u32) -> usize {
        let new = Stream {
            ssrc,
            missed: 0,
            missed_at: 0,
            rtp: None,
            heard: 0,
            rtcp: None,
        };
        let unheard = (0..self.streams.len()).min_by_key(|&i| self.streams[i].heard);
        match unheard {
            Some(i) if self.streams.len() >= MAX_REMOTE_SOURCES => {
                self.streams[i] = new;
                i
            }
            _ => {
                self.streams.reserve_exact(1);
                self.streams.push(new);
                self.streams.len() - 1
            }
        }
    }

    /// Greater for a key heard later.
    fn heard(&self) -> u64 {
        self.streams.iter().map(|s| s.heard).max().unwrap_or(0)
    }

    /// The SSRC's stream, when RTP was heard from it.
    fn stream_of(&self, ssrc: u32) -> Option<(&Stream, &Heard)> {
        let stream = self.streams.iter().find(|s| s.ssrc == ssrc)?;
        Some((stream, stream.rtp.as_ref()?))
    }

    #[inline]
    fn heard_rtp(&self, ssrc: u32) -> Option<&Heard> {
        self.streams.iter().find(|s| s.ssrc == ssrc)?.rtp.as_ref()
    }

    fn rtcp_window(&self, ssrc: u32) -> Option<&Window> {
        self.streams.iter().find(|s| s.ssrc == ssrc)?.rtcp.as_ref()
    }
}

fn check_set(policies: &[Policy]) -> Result<(), PolicyError> {
    if policies.is_empty() || policies.len() > MAX_REMOTE_KEYS {
        return Err(PolicyError::KeyCount);
    }
    match policies {
        [_] => Ok(()),
        _ => check_mki_set(policies.iter().map(Policy::mki)),
    }
}

/// Several keys are told apart by their MKIs, of one length (RFC 4568 section 6.1).
pub(crate) fn check_mki_set<'a>(
    mkis: impl Iterator<Item = Option<&'a Mki>>,
) -> Result<(), PolicyError> {
    let mkis: Few<_> = mkis.collect();
    for (i, mki) in mkis.iter().enumerate().skip(1) {
        for before in &mkis[..i] {
            match (mki, before) {
                (Some(a), Some(b)) if a != b && a.octets().len() == b.octets().len() => (),
                _ => return Err(PolicyError::MkiSet),
            }
        }
    }
    Ok(())
}
