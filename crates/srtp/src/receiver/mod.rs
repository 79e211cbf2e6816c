//! The receiving half: which keys are tried, and what a verified packet changes.
//!
//! Nothing is changed before a packet has authenticated (RFC 3711 section 3.3, step 8).

#[cfg(feature = "batch")]
mod batch;
mod trial;

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

/// What was received from one SSRC under one key.
struct Stream {
    ssrc: u32,
    rtp: Option<Window>,
    rtcp: Option<Window>,
    /// Greater for a stream heard later.
    heard: u64,
}

/// Everything received under one master key.
#[repr(C)]
pub(crate) struct KeyRecord {
    // What a packet touches comes first.
    streams: Few<Stream>,
    packets: KeyUsage,
    heard: u64,
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
    last: Option<(u32, u32)>,
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
        let mut new: Few<(KeyId, Transform)> = Few::new();
        for policy in policies {
            let mut derived = Derived::unset();
            derived.derive(kernels, policy.key())?;
            let (suite, params) = (policy.suite(), policy.params());
            let transform = Transform::new(kernels, suite, params, &derived.rtp, &derived.rtcp)?;
            new.push((derived.id.clone(), transform));
        }
        let same = |key: &RemoteKey, policy: &Policy, id: &KeyId| {
            self.records[key.record].id == *id
                && key.transform.suite() == policy.suite()
                && key.transform.params() == policy.params()
                && key.mki.as_ref() == policy.mki()
        };
        let again = self.current.as_ref().is_some_and(|current| {
            let mut pairs = current.keys.iter().zip(policies).zip(&new);
            current.keys.len() == policies.len() && pairs.all(|((k, p), (id, _))| same(k, p, id))
        });
        if again {
            // Also the peer's way to take back a description that is still pending.
            self.pending = None;
            self.unsettled = false;
            return Ok(());
        }
        self.pending = None;
        self.forget_idle_records();
        let mut keys = Few::with_capacity(policies.len());
        for (policy, (id, transform)) in policies.iter().zip(new) {
            let record = self.record_of(id);
            keys.push(RemoteKey {
                record,
                transform,
                mki: policy.mki().cloned(),
            });
        }
        let generation = Generation { keys, peer_moved };
        if self.current.is_none() {
            self.current = Some(generation);
        } else {
            self.pending = Some(Box::new(generation));
            self.unsettled = true;
        }
        Ok(())
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

    fn record_of(&mut self, id: KeyId) -> usize {
        if let Some(known) = self.records.iter().position(|r| r.id == id) {
            return known;
        }
        self.records.reserve_exact(1);
        self.records.push(KeyRecord {
            id,
            heard: self.clock,
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
        loop {
            let idle: Vec<_> = (0..self.records.len())
                .filter(|&i| !self.in_use(i))
                .collect();
            let empty = idle.iter().find(|&&i| self.records[i].streams.is_empty());
            let oldest = idle.iter().min_by_key(|&&i| self.records[i].heard);
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
            self.last = match self.last {
                Some((r, _)) if r as usize == oldest => None,
                Some((r, ssrc)) => Some((r - u32::from(r as usize > oldest), ssrc)),
                None => None,
            };
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
        let verified = self.open_rtp(&header, packet)?;
        Ok(self.accept_rtp(&verified, now_ms))
    }

    /// What a verified RTP packet changes; returns its length.
    #[inline]
    pub(crate) fn accept_rtp(&mut self, verified: &Verified, now_ms: u64) -> usize {
        let record = self.commit(verified, now_ms);
        mark(&mut record.stream(verified.ssrc).rtp, verified.index);
        record.packets.rtp += 1;
        self.last = Some((verified.record as u32, verified.ssrc));
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
        let record = self.commit(&verified, now_ms);
        mark(&mut record.stream(ssrc).rtcp, verified.index);
        record.packets.rtcp += 1;
        Ok(verified.len)
    }

    /// What a verified packet changes for its key: it is in use now.
    #[inline]
    fn commit(&mut self, verified: &Verified, now_ms: u64) -> &mut KeyRecord {
        if verified.role == Role::Pending {
            let new = self.pending.take().map(|g| *g);
            let old = std::mem::replace(&mut self.current, new);
            self.retire(old, now_ms);
        }
        self.clock += 1;
        let record = &mut self.records.as_mut_slice()[verified.record];
        record.heard = self.clock;
        record
    }

    /// Suite and packets of the remote key heard last, or of the first one set.
    pub(crate) fn key_in_use(&self) -> Option<(Suite, KeyUsage)> {
        let keys = &self.current.as_ref()?.keys;
        let heard = self
            .last
            .and_then(|(record, _)| keys.iter().find(|k| k.record == record as usize));
        let key = heard.or(keys.first())?;
        Some((key.transform.suite(), self.records[key.record].packets))
    }

    /// Rollover counter of the SSRC from which RTP came last.
    pub(crate) fn roc(&self) -> Option<u32> {
        let (record, ssrc) = self.last?;
        let window = self.records.get(record as usize)?.rtp_window(ssrc)?;
        Some((window.highest() >> 16) as u32)
    }
}

impl KeyRecord {
    /// The SSRC's stream, which is new if this is its first packet.
    #[inline]
    fn stream(&mut self, ssrc: u32) -> &mut Stream {
        let place = match self.streams.iter().position(|s| s.ssrc == ssrc) {
            Some(known) => known,
            None => self.new_stream(ssrc),
        };
        let stream = &mut self.streams.as_mut_slice()[place];
        stream.heard = self.heard;
        stream
    }

    /// The place of a new stream.
    #[cold]
    fn new_stream(&mut self, ssrc: u32) -> usize {
        let new = Stream {
            ssrc,
            rtp: None,
            rtcp: None,
            heard: 0,
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

    #[inline]
    fn rtp_window(&self, ssrc: u32) -> Option<&Window> {
        self.streams.iter().find(|s| s.ssrc == ssrc)?.rtp.as_ref()
    }

    fn rtcp_window(&self, ssrc: u32) -> Option<&Window> {
        self.streams.iter().find(|s| s.ssrc == ssrc)?.rtcp.as_ref()
    }
}

#[inline]
fn mark(window: &mut Option<Window>, index: u64) {
    match window {
        Some(window) => _ = window.take(index),
        None => *window = Some(Window::starting_at(index)),
    }
}

fn check_set(policies: &[Policy]) -> Result<(), PolicyError> {
    if policies.is_empty() || policies.len() > MAX_REMOTE_KEYS {
        return Err(PolicyError::KeyCount);
    }
    check_mki_set(policies.iter().map(Policy::mki))
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
