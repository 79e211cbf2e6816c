//! What was sent under a local key: the indexes used, and fingerprints of the latest packets.

use packet_crypto::Kernels;

use crate::Few;
use crate::error::ProtectError;
use crate::index::{RTCP_INDEXES, RTP_INDEXES, guess};
use crate::kdf::KeyId;
use crate::replay::{Seen, WINDOW, Window};
use crate::rtp::FixedHeader;
use crate::stats::KeyUsage;

use super::fingerprint::{Fingerprint, PayloadKey};
use super::sources::{Others, Rest, Source, WHOLE};

/// How many of the latest packets are told from others. A retransmission that is older finds its
/// index used and nothing to compare with.
pub(super) const KNOWN: usize = 64;

/// How many are, of a session whose host sends lost packets again. Asterisk keeps 250 of video, and up to 450 when a peer
/// has asked for older ones (`MAXIMUM_RTP_SEND_BUFFER_SIZE`).
const KEPT: usize = 512;

/// How far ahead of the highest index the next one may be. What is half a turn ahead and more a receiver takes for an earlier one (RFC 3711
/// appendix A), also in the first turn, where it finds none, and hears nothing of the SSRC any more; and it may not have got the last packets.
const FARTHEST: u64 = 0x7000;

/// Everything sent under one master key. It outlives the key's use: should the key come back,
/// no index is used twice.
#[repr(C)]
pub(crate) struct KeyRecord {
    // What every packet touches comes first.
    pub(super) packets: KeyUsage,
    /// The latest [`WHOLE`] SSRCs, the latest one first.
    pub(super) streams: Few<Stream>,
    pub(super) payload_key: PayloadKey,
    /// Greater for a key set later.
    pub(super) age: u32,
    /// Its streams remember more packets: [`KEPT`].
    keeps: bool,
    pub(super) id: KeyId,
    /// The SSRCs that began before those.
    others: Others,
}

/// What was sent from one SSRC under one key.
#[repr(C)]
pub(super) struct Stream {
    ssrc: u32,
    /// The next SRTCP index.
    rtcp_next: u32,
    rtp: Option<Window>,
    /// In place of the fingerprints below, where the host sends lost packets again.
    kept: Option<Kept>,
    /// Of the latest indexes, by index modulo [`KNOWN`]; what stands for one that an AEAD used
    /// fits no packet but by chance. Here and not behind a pointer: that
    /// would be one more place in memory to wait for.
    pub(super) fingerprints: [Fingerprint; KNOWN],
}

/// Of the latest [`KEPT`] indexes, by index modulo that: the lower half of the index that was used, and the fingerprint.
/// 4 KiB, for streams alone that need it.
struct Kept(Box<[(u32, Fingerprint); KEPT]>);

impl Kept {
    fn new() -> Self {
        // Each place has an index that belongs into another one.
        let place = |i| (i as u32 + 1, Fingerprint::default());
        Kept(Box::new(std::array::from_fn(place)))
    }

    /// Where the fingerprint of `index` is. None when it was used and the place is not its own: it never was, or a later
    /// one has it.
    fn slot(&mut self, index: u64, used: bool) -> Option<&mut Fingerprint> {
        let (of, fingerprint) = &mut self.0[index as usize % KEPT];
        if !used {
            *of = index as u32;
        }
        (*of == index as u32).then_some(fingerprint)
    }
}

/// Where an RTP packet belongs. Its index counts as used.
pub(super) struct RtpPlace<'a> {
    pub(super) index: u64,
    /// The index was used before.
    pub(super) used: bool,
    /// Where its fingerprint is kept. None for a packet of an AEAD, and for one so late that a
    /// later one has the place.
    slot: Option<&'a mut Fingerprint>,
    /// If it is not that of the tag.
    fingerprint: Option<Fingerprint>,
    /// RTP packets under the key.
    packets: &'a mut u64,
}

/// Which packet may be encrypted under an index that was used.
#[derive(Clone, Copy)]
pub(super) enum Again<'a> {
    /// None: an AEAD must never see a nonce twice (RFC 7714 section 8.4).
    Never,
    /// The same one: counter mode then gives the same ciphertext.
    SamePacket,
    /// One with this payload, whatever its header.
    SamePayload(&'static Kernels, &'a [u8]),
}

/// The index behind a stream's highest one. Nothing has changed yet.
pub(super) struct Next<'a> {
    index: u64,
    window: &'a mut Window,
    fingerprints: &'a mut [Fingerprint; KNOWN],
    packets: &'a mut u64,
}

impl<'a> Next<'a> {
    /// Its index counts as used; and where the packet's fingerprint is kept, which an AEAD has none of.
    #[inline(always)]
    pub(super) fn take(self) -> (u64, &'a mut Fingerprint) {
        self.window.take_next();
        *self.packets += 1;
        (
            self.index,
            &mut self.fingerprints[self.index as usize % KNOWN],
        )
    }
}

impl RtpPlace<'_> {
    /// The packet is sealed, and this is its HMAC: it may be sent if its index was not used
    /// before, or for the same packet.
    #[inline]
    pub(super) fn settle(&mut self, tag: &[u8; 20]) -> Result<(), ProtectError> {
        let fingerprint = self.fingerprint.unwrap_or_else(|| Fingerprint::of_tag(tag));
        match &mut self.slot {
            Some(sent) if self.used && **sent != fingerprint => {
                return Err(ProtectError::ReusedIndex);
            }
            Some(sent) => **sent = fingerprint,
            None => (),
        }
        *self.packets += u64::from(self.used);
        Ok(())
    }
}

impl KeyRecord {
    pub(super) fn new(id: KeyId, payload_key: PayloadKey) -> Self {
        KeyRecord {
            id,
            age: 0,
            keeps: false,
            payload_key,
            packets: KeyUsage::default(),
            streams: Few::new(),
            others: Others::default(),
        }
    }

    /// Whether its streams remember the latest [`KEPT`] packets from now on.
    pub(super) fn keep_if(&mut self, keeps: bool) {
        if !keeps || self.keeps {
            return;
        }
        self.keeps = true;
        for stream in &mut self.streams {
            stream.kept.get_or_insert_with(Kept::new);
        }
    }

    /// Gives a packet to send its index, if it may have one.
    #[inline]
    pub(super) fn place(
        &mut self,
        source: Source<'_>,
        seq: u16,
        again: Again<'_>,
    ) -> Result<RtpPlace<'_>, ProtectError> {
        let packets = &mut self.packets.rtp;
        if *packets >= RTP_INDEXES {
            return Err(ProtectError::KeyExhausted);
        }
        let stream = stream(&mut self.streams, &mut self.others, source, self.keeps)?;
        let (index, refused, latest) = match &mut stream.rtp {
            None => {
                let index = u64::from(seq);
                stream.rtp = Some(Window::starting_at(index));
                (index, None, true)
            }
            Some(window) => {
                let index = next_index(window.highest(), seq)?;
                let refused = match window.take(index) {
                    Seen::New => None,
                    Seen::Used => Some(ProtectError::ReusedIndex),
                    Seen::TooOld => Some(ProtectError::IndexTooOld),
                };
                (index, refused, window.highest() - index < KNOWN as u64)
            }
        };
        let used = refused.is_some();
        let fingerprint = match again {
            Again::SamePayload(kernels, payload) => {
                Some(self.payload_key.fingerprint(kernels, index, payload))
            }
            Again::SamePacket | Again::Never => None,
        };
        let slot = match (again, &mut stream.kept) {
            (Again::Never, _) => None,
            (_, Some(kept)) => kept.slot(index, used),
            (_, None) if !latest => None,
            (_, None) => Some(&mut stream.fingerprints[index as usize % KNOWN]),
        };
        if let (Some(why), None) = (refused, &slot) {
            return Err(why);
        }
        *packets += u64::from(!used);
        Ok(RtpPlace {
            index,
            used,
            slot,
            fingerprint,
            packets,
        })
    }

    /// The index of a packet if that is the one behind its stream's highest one, and nothing stands against its use.
    #[inline(always)]
    pub(super) fn next(&mut self, header: FixedHeader) -> Option<Next<'_>> {
        let stream = match self.streams.as_mut_slice() {
            [first, ..] if first.ssrc == header.ssrc => first,
            [_, others @ ..] => others.iter_mut().find(|s| s.ssrc == header.ssrc)?,
            [] => return None,
        };
        let window = stream.rtp.as_mut()?;
        let index = window.next(header.seq)?;
        // Neither is beyond its last number: that is a power of two.
        if (index | self.packets.rtp) >= RTP_INDEXES || stream.kept.is_some() {
            return None;
        }
        Some(Next {
            index,
            window,
            fingerprints: &mut stream.fingerprints,
            packets: &mut self.packets.rtp,
        })
    }

    /// Uses up the next SRTCP index.
    pub(super) fn next_rtcp(&mut self, source: Source<'_>) -> Result<u32, ProtectError> {
        // A stream's SRTCP indexes are among the key's packets, so it has one left.
        if self.packets.rtcp >= RTCP_INDEXES {
            return Err(ProtectError::KeyExhausted);
        }
        let stream = stream(&mut self.streams, &mut self.others, source, self.keeps)?;
        let index = stream.rtcp_next;
        stream.rtcp_next += 1;
        self.packets.rtcp += 1;
        Ok(index)
    }

    pub(super) fn roc(&self, ssrc: u32) -> Option<u32> {
        match self.streams.iter().find(|s| s.ssrc == ssrc) {
            Some(stream) => Some((stream.rtp.as_ref()?.highest() >> 16) as u32),
            None => self.others.roc(ssrc),
        }
    }

    /// SSRCs of the host's own under the key.
    pub(super) fn own_sources(&self) -> usize {
        self.others.own(self.streams.len())
    }
}

/// The SSRC's stream, which is new if this is its first packet.
#[inline]
fn stream<'a>(
    streams: &'a mut Few<Stream>,
    others: &mut Others,
    source: Source<'_>,
    keeps: bool,
) -> Result<&'a mut Stream, ProtectError> {
    match streams.iter().position(|s| s.ssrc == source.ssrc) {
        Some(known) => Ok(&mut streams.as_mut_slice()[known]),
        None => new_stream(streams, others, source, keeps),
    }
}

/// The stream of an SSRC that is not among the latest ones, in place of that which began first if there are [`WHOLE`].
#[cold]
fn new_stream<'a>(
    streams: &'a mut Few<Stream>,
    others: &mut Others,
    source: Source<'_>,
    keeps: bool,
) -> Result<&'a mut Stream, ProtectError> {
    let rest = others.take(source, streams.len())?;
    if streams.len() >= WHOLE
        && let Some(first) = streams.pop()
    {
        others.put(first.ssrc, Rest::of(first.rtp.as_ref(), first.rtcp_next));
    }
    streams.reserve_exact(1);
    streams.insert(
        0,
        Stream {
            ssrc: source.ssrc,
            rtcp_next: rest.rtcp_next,
            rtp: rest.window(),
            kept: keeps.then(Kept::new),
            fingerprints: [Fingerprint::default(); KNOWN],
        },
    );
    Ok(&mut streams[0])
}

/// The index of a packet to send. What lies just before index 0 was sent before the stream's
/// first packet, by a reordering network in front of us, and has no index; nor has what would lie
/// [too far](FARTHEST) ahead.
#[inline]
fn next_index(highest: u64, seq: u16) -> Result<u64, ProtectError> {
    let behind = u64::from((highest as u16).wrapping_sub(seq));
    if behind > highest && behind < WINDOW {
        return Err(ProtectError::IndexTooOld);
    }
    let index = guess(highest, seq).ok_or(ProtectError::KeyExhausted)?;
    if index > highest + FARTHEST {
        return Err(ProtectError::IndexTooOld);
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Source<'_> = Source { ssrc: 1, own: None };
    const TWO: Source<'_> = Source { ssrc: 2, own: None };

    fn record() -> KeyRecord {
        KeyRecord::new(KeyId::from_octets([5; 8]), PayloadKey::new(&[6; 16]))
    }

    /// Places a packet of SSRC 1 whose tag consists of `n`, and settles it; its index, and whether
    /// that was used before.
    fn send(r: &mut KeyRecord, seq: u16, n: u8) -> Result<(u64, bool), ProtectError> {
        let mut place = r.place(ONE, seq, Again::SamePacket)?;
        place.settle(&[n; 20])?;
        Ok((place.index, place.used))
    }

    #[test]
    fn rtp_ends_with_its_2_to_the_48th_packet() {
        let mut r = record();
        r.packets.rtp = RTP_INDEXES - 1;
        send(&mut r, 9, 0).unwrap();
        assert_eq!(send(&mut r, 10, 0), Err(ProtectError::KeyExhausted));
        // Another SSRC has the same key.
        let other = r.place(TWO, 10, Again::SamePacket);
        assert_eq!(other.err(), Some(ProtectError::KeyExhausted));
    }

    #[test]
    fn a_packet_sent_again_is_one_of_the_keys_packets_and_one_refused_is_not() {
        let mut r = record();
        send(&mut r, 9, 0).unwrap();
        assert_eq!(r.packets.rtp, 1);
        assert_eq!(send(&mut r, 9, 0), Ok((9, true)));
        assert_eq!(r.packets.rtp, 2);
        assert_eq!(send(&mut r, 9, 1), Err(ProtectError::ReusedIndex));
        assert_eq!(r.packets.rtp, 2);
    }

    #[test]
    fn rtp_ends_with_its_last_index() {
        let mut r = record();
        send(&mut r, 1, 0).unwrap();
        r.streams[0].rtp = Some(Window::starting_at(RTP_INDEXES - 2));
        assert_eq!(send(&mut r, 0xffff, 0), Ok((RTP_INDEXES - 1, false)));
        assert_eq!(send(&mut r, 0, 0), Err(ProtectError::KeyExhausted));
    }

    #[test]
    fn rtcp_ends_with_its_2_to_the_31st_packet() {
        let mut r = record();
        assert_eq!(r.next_rtcp(ONE), Ok(0));
        r.packets.rtcp = RTCP_INDEXES - 1;
        r.streams[0].rtcp_next = (RTCP_INDEXES - 1) as u32;
        assert_eq!(r.next_rtcp(ONE), Ok((RTCP_INDEXES - 1) as u32));
        assert_eq!(r.next_rtcp(ONE), Err(ProtectError::KeyExhausted));
        assert_eq!(r.next_rtcp(TWO), Err(ProtectError::KeyExhausted));
    }

    #[test]
    fn a_packet_is_known_as_long_as_it_is_among_the_latest() {
        let mut r = record();
        for seq in 0..64 {
            send(&mut r, seq, seq as u8).unwrap();
        }
        assert_eq!(send(&mut r, 0, 0), Ok((0, true)));
        assert_eq!(send(&mut r, 0, 1), Err(ProtectError::ReusedIndex));
        // A refusal leaves what is on record.
        assert_eq!(send(&mut r, 0, 0), Ok((0, true)));
        send(&mut r, 64, 64).unwrap();
        assert_eq!(send(&mut r, 0, 0), Err(ProtectError::ReusedIndex));
        assert_eq!(send(&mut r, 1, 1), Ok((1, true)));
        // Index 64 has taken the place of index 0: its fingerprint proves nothing for that one.
        assert_eq!(send(&mut r, 0, 64), Err(ProtectError::ReusedIndex));
    }

    #[test]
    fn a_late_first_use_does_not_overwrite_a_later_fingerprint() {
        let mut r = record();
        for seq in [200, 130, 201] {
            let sent = send(&mut r, seq, seq as u8);
            assert_eq!(sent, Ok((u64::from(seq), false)));
        }
        // 137 and 201 share a slot.
        assert_eq!(send(&mut r, 137, 7), Ok((137, false)));
        assert_eq!(send(&mut r, 201, 201), Ok((201, true)));
        assert_eq!(send(&mut r, 137, 7), Err(ProtectError::ReusedIndex));
    }

    #[test]
    fn an_aead_has_no_fingerprints_and_repeats_nothing() {
        let mut r = record();
        r.place(ONE, 1, Again::Never).unwrap();
        let again = r.place(ONE, 1, Again::Never);
        assert_eq!(again.err(), Some(ProtectError::ReusedIndex));
        assert_eq!(send(&mut r, 1, 1), Err(ProtectError::ReusedIndex));
        send(&mut r, 2, 2).unwrap();
        let again = r.place(ONE, 2, Again::Never);
        assert_eq!(again.err(), Some(ProtectError::ReusedIndex));
        assert_eq!(r.packets.rtp, 2);
    }
}
