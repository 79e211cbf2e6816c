//! The receiving half: which keys are tried, and what a verified packet changes.
//!
//! Nothing is changed before a packet has authenticated (RFC 3711 section 3.3, step 8).

use packet_crypto::Kernels;

use crate::error::{Malformed, PolicyError, UnprotectError};
use crate::index::{RTCP_INDEXES, guess};
use crate::kdf::{KeyId, derive};
use crate::policy::{Mki, Policy};
use crate::replay::{Seen, Window};
use crate::rtcp;
use crate::rtp::RtpHeader;
use crate::stats::KeyUsage;
use crate::suite::Suite;
use crate::transform::Transform;

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
struct KeyRecord {
    id: KeyId,
    heard: u64,
    packets: KeyUsage,
    streams: Vec<Stream>,
}

struct RemoteKey {
    /// The key's place in `Receiver::records`.
    record: usize,
    transform: Transform,
    mki: Option<Mki>,
}

/// The keys of one remote description.
struct Generation {
    keys: Vec<RemoteKey>,
    /// The peer's address changed with it: a counter from zero is the likelier one.
    peer_moved: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Current,
    Pending,
    Old,
}

#[derive(Default)]
pub(crate) struct Receiver {
    records: Vec<KeyRecord>,
    current: Option<Generation>,
    pending: Option<Generation>,
    old: Option<(Generation, u64)>,
    /// The last description brought new keys, and may still be refused.
    unsettled: bool,
    clock: u64,
    last: Option<(usize, u32)>,
}

/// A packet verified: under which key, and as which index.
struct Verified {
    role: Role,
    record: usize,
    index: u64,
    len: usize,
}

/// Why no key fits, the most telling reason winning.
struct Verdict(UnprotectError);

impl Verdict {
    fn note(&mut self, why: UnprotectError) {
        let rank = |e: UnprotectError| match e {
            UnprotectError::Replayed => 5,
            UnprotectError::IndexTooOld => 4,
            UnprotectError::KeyExhausted => 3,
            UnprotectError::AuthFailed => 2,
            UnprotectError::Unencrypted => 1,
            _ => 0,
        };
        if rank(why) > rank(self.0) {
            self.0 = why;
        }
    }
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
        let derived = policies
            .iter()
            .map(|p| derive(kernels, p.key()))
            .collect::<Result<Vec<_>, _>>()?;
        let is = |g: &Generation| {
            g.keys.len() == policies.len()
                && g.keys.iter().zip(policies).zip(&derived).all(|((k, p), d)| {
                    self.records[k.record].id == d.id
                        && k.transform.suite() == p.suite()
                        && k.transform.params() == p.params()
                        && k.mki.as_ref() == p.mki()
                })
        };
        if self.current.as_ref().is_some_and(is) {
            // Also the peer's way to take back a description that is still pending.
            self.pending = None;
            self.unsettled = false;
            return Ok(());
        }
        if self.pending.as_ref().is_some_and(is) {
            return Ok(());
        }
        let transforms = policies
            .iter()
            .zip(&derived)
            .map(|(p, d)| Transform::new(kernels, p.suite(), p.params(), d))
            .collect::<Result<Vec<_>, _>>()?;
        self.pending = None;
        self.forget_idle_records();
        let mut keys = Vec::with_capacity(policies.len());
        for ((policy, derived), transform) in policies.iter().zip(derived).zip(transforms) {
            let record = self.record_of(derived.id);
            keys.push(RemoteKey { record, transform, mki: policy.mki().cloned() });
        }
        let generation = Generation { keys, peer_moved };
        if self.current.is_none() {
            self.current = Some(generation);
        } else {
            self.pending = Some(generation);
            self.unsettled = true;
        }
        Ok(())
    }

    /// The description was refused: as if it had never come.
    pub(crate) fn cancel_pending(&mut self, now_ms: u64) {
        self.expire(now_ms);
        if !std::mem::take(&mut self.unsettled) {
            return;
        }
        if self.pending.take().is_none()
            && let Some((old, _)) = self.old.take()
        {
            // The peer was faster than the refusal: back to the key that stands.
            let refused = self.current.replace(old);
            self.old = refused.map(|g| (g, now_ms.saturating_add(OLD_KEY_MS)));
        }
    }

    /// Drops the old key when its time is over.
    pub(crate) fn expire(&mut self, now_ms: u64) {
        if self.old.as_ref().is_some_and(|(_, until)| now_ms >= *until) {
            self.old = None;
            self.unsettled = self.unsettled && self.pending.is_some();
        }
    }

    fn record_of(&mut self, id: KeyId) -> usize {
        if let Some(known) = self.records.iter().position(|r| r.id == id) {
            return known;
        }
        self.records.push(KeyRecord {
            id,
            heard: self.clock,
            packets: KeyUsage::default(),
            streams: Vec::new(),
        });
        self.records.len() - 1
    }

    fn generations(&self) -> impl Iterator<Item = (Role, &Generation)> {
        let current = self.current.iter().map(|g| (Role::Current, g));
        let pending = self.pending.iter().map(|g| (Role::Pending, g));
        let old = self.old.iter().map(|(g, _)| (Role::Old, g));
        current.chain(pending).chain(old)
    }

    /// Forgets the longest unheard keys out of use, down to [`REMEMBERED_KEYS`].
    fn forget_idle_records(&mut self) {
        loop {
            let in_use = |i: usize| {
                self.generations().any(|(_, g)| g.keys.iter().any(|k| k.record == i))
            };
            let idle: Vec<_> = (0..self.records.len()).filter(|&i| !in_use(i)).collect();
            let Some(&oldest) = idle.iter().min_by_key(|&&i| self.records[i].heard) else {
                return;
            };
            if idle.len() <= REMEMBERED_KEYS {
                return;
            }
            self.records.remove(oldest);
            let shift = |g: &mut Generation| {
                for key in &mut g.keys {
                    key.record -= usize::from(key.record > oldest);
                }
            };
            self.current.iter_mut().for_each(shift);
            self.old.iter_mut().for_each(|(g, _)| shift(g));
            self.last = match self.last {
                Some((r, _)) if r == oldest => None,
                Some((r, ssrc)) => Some((r - usize::from(r > oldest), ssrc)),
                None => None,
            };
        }
    }

    pub(crate) fn unprotect_rtp(
        &mut self,
        packet: &mut [u8],
        now_ms: u64,
    ) -> Result<usize, UnprotectError> {
        self.expire(now_ms);
        let header = RtpHeader::parse(packet)?;
        let verified = self.open_rtp(&header, packet)?;
        let stream = self.commit(&verified, header.ssrc, now_ms);
        mark(&mut stream.rtp, verified.index);
        self.records[verified.record].packets.rtp += 1;
        self.last = Some((verified.record, header.ssrc));
        Ok(verified.len)
    }

    pub(crate) fn unprotect_rtcp(
        &mut self,
        packet: &mut [u8],
        now_ms: u64,
    ) -> Result<usize, UnprotectError> {
        self.expire(now_ms);
        let ssrc = rtcp::parse(packet)?;
        let verified = self.open_rtcp(ssrc, packet)?;
        let stream = self.commit(&verified, ssrc, now_ms);
        mark(&mut stream.rtcp, verified.index);
        self.records[verified.record].packets.rtcp += 1;
        Ok(verified.len)
    }

    /// Tries key after key. One without authentication fits everything, so it comes last, and of
    /// several such the newest first.
    fn open_rtp(&self, header: &RtpHeader, packet: &mut [u8]) -> Result<Verified, UnprotectError> {
        if self.current.is_none() {
            return Err(UnprotectError::NoKey);
        }
        let mut verdict = Verdict(UnprotectError::Malformed(Malformed::TooShort));
        let tagless = |k: &RemoteKey| k.transform.rtp_tag_len() == 0;
        let generations = || self.generations().map(|(role, g)| (role, g, false));
        let newest_first = self
            .generations()
            .map(|(role, g)| (role, g, true))
            .collect::<ArrayOfThree<_>>();
        let _ = newest_first;
        for (role, generation, last_resort) in generations() {
            for key in generation.keys.iter().filter(|k| tagless(k) == last_resort) {
                let _ = (role, key, &mut verdict, &packet, header);
            }
        }
        Err(verdict.0)
    }
}
