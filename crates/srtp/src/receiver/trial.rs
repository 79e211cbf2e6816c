//! Which keys, MKIs, tags and indexes a received packet is tried with. Nothing is changed here.

use packet_crypto::Kernels;

use super::{Generation, Receiver, RemoteKey, Role, search};
use crate::error::{Malformed, UnprotectError};
use crate::index::guess;
use crate::policy::Mki;
use crate::replay::Seen;
use crate::rtcp;
use crate::rtp::RtpHeader;

/// A packet authenticated: under which key, and as which index.
pub(crate) struct Verified {
    pub(super) role: Role,
    pub(super) record: usize,
    pub(super) ssrc: u32,
    pub(super) index: u64,
    /// Octets of the packet in clear.
    pub(super) len: usize,
}

/// Why no key fits so far; the most telling reason stays.
struct Verdict(UnprotectError);

impl Verdict {
    fn new() -> Self {
        Verdict(UnprotectError::Malformed(Malformed::TooShort))
    }

    fn note(&mut self, why: UnprotectError) {
        let rank = |e: UnprotectError| match e {
            UnprotectError::Malformed(_) | UnprotectError::NoKey => 0,
            UnprotectError::Unencrypted => 1,
            UnprotectError::AuthFailed => 2,
            UnprotectError::KeyExhausted => 3,
            UnprotectError::IndexTooOld => 4,
            UnprotectError::Replayed => 5,
        };
        if rank(why) > rank(self.0) {
            self.0 = why;
        }
    }
}

impl Receiver {
    #[inline]
    pub(super) fn open_rtp(
        &self,
        header: &RtpHeader,
        packet: &mut [u8],
        now_ms: u64,
    ) -> Result<Verified, UnprotectError> {
        if let Some((key, generation)) = self.sole_key() {
            // Nearly every packet: what follows would try this and nothing else.
            let key = (Role::Current, generation, key);
            return self.try_rtp(key, header, packet, 0, now_ms);
        }
        self.try_all(header, packet, now_ms)
    }

    #[cold]
    fn try_all(
        &self,
        header: &RtpHeader,
        packet: &mut [u8],
        now_ms: u64,
    ) -> Result<Verified, UnprotectError> {
        if self.current.is_none() {
            return Err(UnprotectError::NoKey);
        }
        let mut verdict = Verdict::new();
        // A key without authentication fits every packet: it comes after all others, and the
        // newest such key first.
        let authenticated = [Role::Current, Role::Pending, Role::Old].map(|r| (r, false));
        let tagless = [Role::Pending, Role::Current, Role::Old].map(|r| (r, true));
        for (role, tagless) in authenticated.into_iter().chain(tagless) {
            let Some(generation) = self.generation(role) else {
                continue;
            };
            for (key, mki_len) in tries(generation, packet, None) {
                if (key.transform.rtp_tag_len() == 0) != tagless {
                    continue;
                }
                let key = (role, generation, key);
                match self.try_rtp(key, header, packet, mki_len, now_ms) {
                    Ok(verified) => return Ok(verified),
                    Err(why) => verdict.note(why),
                }
            }
        }
        Err(verdict.0)
    }

    /// The key that every packet is tried with, if there is one only and packets need not carry
    /// its MKI; with its generation.
    #[inline]
    pub(super) fn sole_key(&self) -> Option<(&RemoteKey, &Generation)> {
        let (Some(current), None, None) = (&self.current, &self.pending, &self.old) else {
            return None;
        };
        match &current.keys[..] {
            [key] if key.mki.is_none() => Some((key, current)),
            _ => None,
        }
    }

    #[inline]
    fn try_rtp(
        &self,
        (role, generation, key): (Role, &Generation, &RemoteKey),
        header: &RtpHeader,
        packet: &mut [u8],
        mki_len: usize,
        now_ms: u64,
    ) -> Result<Verified, UnprotectError> {
        if packet.len() < header.len + mki_len + key.transform.rtp_tag_len() {
            return Err(Malformed::TooShort.into());
        }
        let verified = |index, len| Verified {
            role,
            record: key.record,
            ssrc: header.ssrc,
            index,
            len,
        };
        let why = match self.rtp_indexes(key, generation, header) {
            Ok((mut index, mut other)) => loop {
                if let Ok(len) = key.transform.open_rtp(header, index, packet, mki_len) {
                    return Ok(verified(index, len));
                }
                match other.take() {
                    Some(next) => index = next,
                    None => break UnprotectError::AuthFailed,
                }
            },
            Err(why) => why,
        };
        let found = self.try_further((generation, key), header, packet, mki_len, now_ms);
        found.map(|(index, len)| verified(index, len)).ok_or(why)
    }

    /// Tries the packet with the [further indexes](Self::further_indexes); which one fits, and the packet's length then.
    #[cold]
    pub(super) fn try_further(
        &self,
        (generation, key): (&Generation, &RemoteKey),
        header: &RtpHeader,
        packet: &mut [u8],
        mki_len: usize,
        now_ms: u64,
    ) -> Option<(u64, usize)> {
        self.further_indexes(key, generation, header, now_ms)
            .find_map(|index| {
                let len = key.transform.open_rtp(header, index, packet, mki_len);
                Some((index, len.ok()?))
            })
    }

    /// The index the packet has under `key`, and another one that it may have.
    ///
    /// Under a key that this SSRC used before, only the counter known counts: zero would let in
    /// packets recorded before the first rollover.
    #[inline]
    pub(super) fn rtp_indexes(
        &self,
        key: &RemoteKey,
        generation: &Generation,
        header: &RtpHeader,
    ) -> Result<(u64, Option<u64>), UnprotectError> {
        if let Some(heard) = self.records.as_slice()[key.record].heard_rtp(header.ssrc) {
            let index = guess(heard.highest(), header.seq).ok_or(UnprotectError::KeyExhausted)?;
            return not_used(heard.look_up(index)).map(|()| (index, None));
        }
        Ok(self.first_indexes(generation.peer_moved, header))
    }

    /// Where else the packet may lie: at most two indexes, none of which was heard. See [`search`].
    fn further_indexes(
        &self,
        key: &RemoteKey,
        generation: &Generation,
        header: &RtpHeader,
        now_ms: u64,
    ) -> impl Iterator<Item = u64> + use<> {
        let tries = match self.records[key.record].stream_of(header.ssrc) {
            // What has no tag fits everywhere.
            _ if key.transform.rtp_tag_len() == 0 => [None; 2],
            Some((stream, heard)) => {
                let may_go_back = generation.renewed || stream.is_unheard(now_ms);
                let is_new = |index: &u64| match heard.look_up(*index) {
                    Seen::New => true,
                    Seen::Used => false,
                    Seen::TooOld => may_go_back && heard.is_new_behind(*index),
                };
                let guess = guess(heard.highest(), header.seq);
                let further = |missed| search::further(guess?, missed, may_go_back);
                let tries = match guess.map(|index| heard.look_up(index)) {
                    Some(Seen::TooOld) => [guess, further(stream.missed)],
                    _ => [search::patient(stream.missed).and_then(further), None],
                };
                tries.map(|index| index.filter(is_new))
            }
            None => {
                let (kept, zero) = (self.kept_index(header), u64::from(header.seq));
                match search::patient(generation.missed) {
                    Some(missed) => search::first(kept, zero, missed),
                    None => [None; 2],
                }
            }
        };
        tries.into_iter().flatten()
    }

    /// The indexes of an SSRC's first packet under a key, the likelier one first: peers either go
    /// on counting (RFC 3711 section 3.3.1) or start again from zero. An SSRC never heard may have
    /// wrapped before we could hear it.
    #[cold]
    fn first_indexes(&self, peer_moved: bool, header: &RtpHeader) -> (u64, Option<u64>) {
        let zero = u64::from(header.seq);
        let Some(kept) = self.kept_index(header) else {
            let wrapped = (header.seq < 0x8000).then_some(1 << 16 | zero);
            return (zero, wrapped);
        };
        match peer_moved {
            _ if kept == zero => (zero, None),
            true => (zero, Some(kept)),
            false => (kept, Some(zero)),
        }
    }

    /// The index that the SSRC's counter under its last key gives.
    fn kept_index(&self, header: &RtpHeader) -> Option<u64> {
        let streams = self.records.iter().flat_map(|r| &r.streams);
        let of_ssrc = streams.filter(|s| s.ssrc == header.ssrc);
        let heard = of_ssrc.filter_map(|s| Some((s.heard, s.rtp.as_ref()?)));
        let (_, rtp) = heard.max_by_key(|(heard, _)| *heard)?;
        guess(rtp.highest(), header.seq)
    }

    pub(super) fn open_rtcp(
        &self,
        kernels: &'static Kernels,
        ssrc: u32,
        packet: &mut [u8],
    ) -> Result<Verified, UnprotectError> {
        if self.current.is_none() {
            return Err(UnprotectError::NoKey);
        }
        let mut verdict = Verdict::new();
        for role in [Role::Current, Role::Pending, Role::Old] {
            let Some(generation) = self.generation(role) else {
                continue;
            };
            for short_tag in [false, true] {
                for (key, mki_len) in tries(generation, packet, Some(short_tag)) {
                    match self.try_rtcp(kernels, key, ssrc, packet, (mki_len, short_tag)) {
                        Ok((index, len)) => {
                            return Ok(Verified {
                                role,
                                record: key.record,
                                ssrc,
                                index,
                                len,
                            });
                        }
                        Err(why) => verdict.note(why),
                    }
                }
            }
        }
        Err(verdict.0)
    }

    fn try_rtcp(
        &self,
        kernels: &'static Kernels,
        key: &RemoteKey,
        ssrc: u32,
        packet: &mut [u8],
        (mki_len, short_tag): (usize, bool),
    ) -> Result<(u64, usize), UnprotectError> {
        let transform = &key.transform;
        let tag_len = rtcp_tag_len(key, short_tag).ok_or(Malformed::TooShort)?;
        let word = transform
            .rtcp_word(packet, mki_len, tag_len)
            .ok_or(Malformed::TooShort)?;
        if word & rtcp::E_FLAG == 0 && !transform.params().unencrypted_srtcp {
            return Err(UnprotectError::Unencrypted);
        }
        let index = u64::from(word & !rtcp::E_FLAG);
        if let Some(window) = self.records[key.record].rtcp_window(ssrc) {
            not_used(window.look_up(index))?;
        }
        match transform.open_rtcp(kernels, ssrc, word, packet, mki_len, tag_len) {
            Ok(len) => Ok((index, len)),
            Err(_) => Err(UnprotectError::AuthFailed),
        }
    }
}

/// The keys of a generation with the MKI length to assume: first those whose MKI the packet
/// carries, or that have none; then those whose announced MKI it leaves out, for authentication
/// to decide. `rtcp`: whether an SRTCP packet has its short tag; `None` for SRTP.
fn tries<'a>(
    generation: &'a Generation,
    packet: &[u8],
    rtcp: Option<bool>,
) -> impl Iterator<Item = (&'a RemoteKey, usize)> + use<'a> {
    let mut carried = [false; super::MAX_REMOTE_KEYS];
    for (carried, key) in carried.iter_mut().zip(&generation.keys) {
        let tag_len = rtcp.map(|short| rtcp_tag_len(key, short).unwrap_or(0));
        *carried = key
            .mki
            .as_ref()
            .is_some_and(|mki| key.transform.carries_mki(packet, mki.octets(), tag_len));
    }
    let with = generation
        .keys
        .iter()
        .zip(carried)
        .filter_map(|(key, carried)| match &key.mki {
            None => Some((key, 0)),
            Some(mki) => carried.then(|| (key, Mki::octets(mki).len())),
        });
    let without = generation
        .keys
        .iter()
        .filter(|k| k.mki.is_some())
        .map(|k| (k, 0));
    with.chain(without)
}

fn rtcp_tag_len(key: &RemoteKey, short: bool) -> Option<usize> {
    let suite = key.transform.suite();
    if short {
        suite.rtcp_short_tag_len()
    } else {
        Some(suite.rtcp_tag_len())
    }
}

#[inline]
fn not_used(seen: Seen) -> Result<(), UnprotectError> {
    match seen {
        Seen::New => Ok(()),
        Seen::Used => Err(UnprotectError::Replayed),
        Seen::TooOld => Err(UnprotectError::IndexTooOld),
    }
}
