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

/// How many of the latest packets are told from others. A retransmission that is older finds its
/// index used and nothing to compare with.
pub(super) const KNOWN: usize = 64;

/// How many are, of a session whose host sends lost packets again. Asterisk keeps 250 of video, and up to 450 when a peer
/// has asked for older ones (`MAXIMUM_RTP_SEND_BUFFER_SIZE`).
const KEPT: usize = 512;

/// Everything sent under one master key. It outlives the key's use: should the key come back,
/// no index is used twice.
#[repr(C)]
pub(crate) struct KeyRecord {
    // What every packet touches comes first.
    pub(super) packets: KeyUsage,
    pub(super) streams: Few<Stream>,
    pub(super) payload_key: PayloadKey,
    /// Greater for a key set later.
    pub(super) age: u32,
    /// Its streams remember more packets: [`KEPT`].
    keeps: bool,
    pub(super) id: KeyId,
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
        source: (u32, usize),
        seq: u16,
        again: Again<'_>,
    ) -> Result<RtpPlace<'_>, ProtectError> {
        let packets = &mut self.packets.rtp;
        if *packets >= RTP_INDEXES {
            return Err(ProtectError::KeyExhausted);
        }
        let stream = stream(&mut self.streams, source, self.keeps)?;
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
    pub(super) fn next_rtcp(&mut self, source: (u32, usize)) -> Result<u32, ProtectError> {
        // A stream's SRTCP indexes are among the key's packets, so it has one left.
        if self.packets.rtcp >= RTCP_INDEXES {
            return Err(ProtectError::KeyExhausted);
        }
        let stream = stream(&mut self.streams, source, self.keeps)?;
        let index = stream.rtcp_next;
        stream.rtcp_next += 1;
        self.packets.rtcp += 1;
        Ok(index)
    }

    pub(super) fn roc(&self, ssrc: u32) -> Option<u32> {
        let stream = self.streams.iter().find(|s| s.ssrc == ssrc)?;
        Some((stream.rtp.as_ref()?.highest() >> 16) as u32)
    }
}

/// The SSRC's stream, which is new if this is its first packet, and how many streams there may be then.
#[inline]
fn stream(
    streams: &mut Few<Stream>,
    (ssrc, most): (u32, usize),
    keeps: bool,
) -> Result<&mut Stream, ProtectError> {
    match streams.iter().position(|s| s.ssrc == ssrc) {
        Some(known) => Ok(&mut streams.as_mut_slice()[known]),
        None if streams.len() >= most => Err(ProtectError::TooManySources),
        None => Ok(new_stream(streams, ssrc, keeps)),
    }
}

#[cold]
fn new_stream(streams: &mut Few<Stream>, ssrc: u32, keeps: bool) -> &mut Stream {
    streams.reserve_exact(1);
    streams.push(Stream {
        ssrc,
        rtcp_next: 0,
        rtp: None,
        kept: keeps.then(Kept::new),
        fingerprints: [Fingerprint::default(); KNOWN],
    });
    let new = streams.len() - 1;
    &mut streams[new]
}

/// The index of a packet to send. What lies just before index 0 was sent before the stream's
/// first packet, by a reordering network in front of us, and has no index.
#[inline]
fn next_index(highest: u64, seq: u16) -> Result<u64, ProtectError> {
    let behind = u64::from((highest as u16).wrapping_sub(seq));
    if behind > highest && behind < WINDOW {
        return Err(ProtectError::IndexTooOld);
    }
    guess(highest, seq).ok_or(ProtectError::KeyExhausted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = super::super::MAX_LOCAL_SOURCES;

    fn record() -> KeyRecord {
        KeyRecord::new(KeyId::from_octets([5; 8]), PayloadKey::new(&[6; 16]))
    }

    /// Places a packet of SSRC 1 whose tag consists of `n`, and settles it; its index, and whether
    /// that was used before.
    fn send(r: &mut KeyRecord, seq: u16, n: u8) -> Result<(u64, bool), ProtectError> {
        let mut place = r.place((1, MAX), seq, Again::SamePacket)?;
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
        let other = r.place((2, MAX), 10, Again::SamePacket);
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
        assert_eq!(r.next_rtcp((1, MAX)), Ok(0));
        r.packets.rtcp = RTCP_INDEXES - 1;
        r.streams[0].rtcp_next = (RTCP_INDEXES - 1) as u32;
        assert_eq!(r.next_rtcp((1, MAX)), Ok((RTCP_INDEXES - 1) as u32));
        assert_eq!(r.next_rtcp((1, MAX)), Err(ProtectError::KeyExhausted));
        assert_eq!(r.next_rtcp((2, MAX)), Err(ProtectError::KeyExhausted));
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
        r.place((1, MAX), 1, Again::Never).unwrap();
        let again = r.place((1, MAX), 1, Again::Never);
        assert_eq!(again.err(), Some(ProtectError::ReusedIndex));
        assert_eq!(send(&mut r, 1, 1), Err(ProtectError::ReusedIndex));
        send(&mut r, 2, 2).unwrap();
        let again = r.place((1, MAX), 2, Again::Never);
        assert_eq!(again.err(), Some(ProtectError::ReusedIndex));
        assert_eq!(r.packets.rtp, 2);
    }
}
