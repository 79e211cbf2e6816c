//! The sending half: which key, which index, and whether that index may still be used.

#[cfg(feature = "batch")]
mod batch;
mod fingerprint;
mod next;
mod placed;
mod record;
mod sources;

use packet_crypto::Kernels;

use crate::Few;
use crate::error::{PolicyError, ProtectError};
use crate::kdf::{Derived, KeyId};
use crate::policy::{Mki, Policy};
use crate::rtcp;
use crate::rtp::RtpHeader;
use crate::stats::KeyUsage;
use crate::suite::Suite;
use crate::transform::Transform;
pub(crate) use fingerprint::PayloadKey;
pub(crate) use placed::{Placed, Sent};
use record::Again;
pub(crate) use record::KeyRecord;
pub use sources::{MAX_LOCAL_SOURCES, MAX_PASSING_SOURCES};
use sources::{Own, Source};

/// Most local policies of one session.
pub const MAX_LOCAL_POLICIES: usize = 256;

/// Local keys no longer in use whose indexes are remembered.
const REMEMBERED_KEYS: usize = 64;

/// The SSRCs that a local policy protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalSsrc {
    /// Every SSRC without a policy of its own.
    Any,
    /// This one.
    Specific(u32),
}

/// A local policy in force (or staged).
struct Active {
    ssrc: LocalSsrc,
    /// The key's place in `Sender::records`.
    record: usize,
    transform: Transform,
    mki: Option<Mki>,
}

impl Active {
    /// `ssrc`, which it protects.
    #[inline]
    fn source<'a>(&self, ssrc: u32, own: &'a Own) -> Source<'a> {
        let may_pass = self.ssrc == LocalSsrc::Any && own.is_known();
        Source {
            ssrc,
            own: may_pass.then_some(own),
        }
    }
}

/// A local policy whose key is derived, but not in force.
struct Staged {
    ssrc: LocalSsrc,
    id: KeyId,
    payload_key: PayloadKey,
    transform: Transform,
    mki: Option<Mki>,
}

/// What a packet touches comes first.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Sender {
    /// Record and stream of the last RTP packet, for the statistics.
    last: Option<(u32, u32)>,
    /// The host sends lost packets again: more of the latest ones are told from others.
    keeps: bool,
    keys_set: u32,
    active: Few<Active>,
    records: Few<KeyRecord>,
    staged: Box<[Staged]>,
    own: Own,
}

impl Sender {
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
        let before = std::mem::take(&mut self.staged).into_iter();
        let others = before.filter(|s| s.ssrc != ssrc);
        self.staged = others.chain([staged]).collect();
        Ok(())
    }

    pub(crate) fn commit(&mut self) {
        for staged in std::mem::take(&mut self.staged) {
            self.install(staged);
        }
    }

    pub(crate) fn cancel(&mut self) {
        self.staged = Box::default();
    }

    /// See [`Session::keep_sent`](crate::Session::keep_sent).
    pub(crate) fn keep_sent(&mut self) {
        self.keeps = true;
        for active in &self.active {
            self.records[active.record].keep_if(active.transform.may_repeat());
        }
    }

    /// See [`Session::set_own_source`](crate::Session::set_own_source).
    pub(crate) fn set_own(&mut self, ssrc: u32) {
        self.own.add(ssrc);
    }

    /// Lets the policy of `from` protect `to` instead.
    pub(crate) fn change_source(&mut self, from: u32, to: u32) {
        // `from` may be one that passes through, which Asterisk takes for its own in a native bridge.
        if self.own.is_known() {
            self.own.refresh(from);
            self.own.add(to);
        }
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
        if in_use < MAX_LOCAL_POLICIES
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
            payload_key,
            transform,
            mki,
        } = staged;
        self.active.retain(|a| a.ssrc != ssrc);
        let age = self.keys_set;
        self.keys_set += 1;
        let record = match self.records.iter().position(|r| r.id == id) {
            Some(known) => known,
            None => {
                if let Some(slot) = self.slot_to_forget() {
                    self.records[slot] = KeyRecord::new(id, payload_key);
                    slot
                } else {
                    self.records.reserve_exact(1);
                    self.records.push(KeyRecord::new(id, payload_key));
                    self.records.len() - 1
                }
            }
        };
        self.records[record].age = age;
        self.records[record].keep_if(self.keeps && transform.may_repeat());
        self.active.push(Active {
            ssrc,
            record,
            transform,
            mki,
        });
    }

    /// A key out of use that never sent, or the oldest when there are enough of them. Keys come
    /// from a random generator: one that was not used for 64 changes does not come back.
    fn slot_to_forget(&self) -> Option<usize> {
        let idle =
            || (0..self.records.len()).filter(|&i| self.active.iter().all(|a| a.record != i));
        let unused = idle().find(|&i| self.records[i].streams.is_empty());
        unused.or_else(|| {
            let oldest = idle().min_by_key(|&i| self.records[i].age)?;
            (idle().count() >= REMEMBERED_KEYS).then_some(oldest)
        })
    }

    /// The key and the index for an RTP packet to be sealed into `room` octets.
    #[inline]
    pub(crate) fn place_rtp(
        &mut self,
        kernels: &'static Kernels,
        src: &[u8],
        room: usize,
    ) -> Result<Placed<'_>, ProtectError> {
        let header = RtpHeader::parse(src)?;
        let active = active(&self.active, header.ssrc).ok_or(ProtectError::NoKey)?;
        let transform = &active.transform;
        let mki = active.mki.as_ref().map_or(&[][..], Mki::octets);
        if room < src.len() + mki.len() + transform.rtp_tag_len() {
            return Err(ProtectError::BufferTooSmall);
        }
        let again = match transform.may_repeat() {
            false => Again::Never,
            // Asterisk writes the time of sending into the extension of a retransmission.
            true if header.extended => Again::SamePayload(kernels, &src[header.len..]),
            true => Again::SamePacket,
        };
        let source = active.source(header.ssrc, &self.own);
        let record = &mut self.records.as_mut_slice()[active.record];
        let place = record.place(source, header.seq, again)?;
        self.last = Some((active.record as u32, header.ssrc));
        Ok(Placed {
            transform,
            mki,
            header,
            place,
        })
    }

    pub(crate) fn protect_rtcp(
        &mut self,
        kernels: &'static Kernels,
        src: &[u8],
        dst: &mut [u8],
    ) -> Result<usize, ProtectError> {
        let ssrc = rtcp::parse(src)?;
        let active = active(&self.active, ssrc).ok_or(ProtectError::NoKey)?;
        let transform = &active.transform;
        let mki = active.mki.as_ref().map_or(&[][..], Mki::octets);
        let trailer = rtcp::INDEX_WORD + mki.len() + transform.suite().rtcp_tag_len();
        if dst.len() < src.len() + trailer {
            return Err(ProtectError::BufferTooSmall);
        }
        let source = active.source(ssrc, &self.own);
        let index = self.records[active.record].next_rtcp(source)?;
        Ok(transform.seal_rtcp(kernels, ssrc, index, src, dst, mki))
    }

    /// The policy by which was sent last, or the last one set.
    fn in_use(&self) -> Option<&Active> {
        self.last
            .and_then(|(_, ssrc)| active(&self.active, ssrc))
            .or(self.active.last())
    }

    /// Suite and packets of the key in use.
    pub(crate) fn key_in_use(&self) -> Option<(Suite, KeyUsage)> {
        let active = self.in_use()?;
        Some((
            active.transform.suite(),
            self.records[active.record].packets,
        ))
    }

    /// SSRCs of the host's own under the key in use.
    pub(crate) fn own_sources(&self) -> usize {
        self.in_use()
            .map_or(0, |active| self.records[active.record].own_sources())
    }

    /// Rollover counter of the SSRC that sent last.
    pub(crate) fn roc(&self) -> Option<u32> {
        let (record, ssrc) = self.last?;
        self.records.get(record as usize)?.roc(ssrc)
    }
}

/// The policy for `ssrc`: its own, or the one for any.
#[inline]
fn active(policies: &[Active], ssrc: u32) -> Option<&Active> {
    let mut any = None;
    for policy in policies {
        match policy.ssrc {
            LocalSsrc::Specific(own) if own == ssrc => return Some(policy),
            LocalSsrc::Specific(_) => (),
            LocalSsrc::Any => any = Some(policy),
        }
    }
    any
}

impl Staged {
    fn new(
        kernels: &'static Kernels,
        ssrc: LocalSsrc,
        policy: &Policy,
    ) -> Result<Self, PolicyError> {
        let mut derived = Derived::unset();
        derived.derive(kernels, policy.key())?;
        let (suite, params) = (policy.suite(), policy.params());
        Ok(Staged {
            ssrc,
            payload_key: PayloadKey::new(&derived.payload),
            transform: Transform::new(kernels, suite, params, &derived.rtp, &derived.rtcp)?,
            mki: policy.mki().cloned(),
            id: derived.id.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::MasterKey;

    #[test]
    fn staging_again_replaces_what_was_staged() {
        let kernels = packet_crypto::kernels();
        let suite = Suite::AesCm128HmacSha1_80;
        let mut s = Sender::default();
        for n in 0..3 {
            let key = MasterKey::new(suite, &[n; 30]).unwrap();
            let policy = Policy::new(suite, key, None).unwrap();
            s.stage(kernels, LocalSsrc::Any, &policy).unwrap();
        }
        assert_eq!(s.staged.len(), 1);
        s.commit();
        assert_eq!((s.staged.len(), s.active.len(), s.records.len()), (0, 1, 1));
    }
}
