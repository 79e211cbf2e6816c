//! What was sent under a local key: the indexes used, and hashes of the latest payloads.

use packet_crypto::PayloadHash;

use crate::Few;
use crate::error::ProtectError;
use crate::index::{RTCP_INDEXES, RTP_INDEXES, guess};
use crate::kdf::KeyId;
use crate::replay::{Seen, WINDOW, Window};
use crate::stats::KeyUsage;

use super::MAX_LOCAL_SOURCES;

/// How many of the latest payloads are told from others. A retransmission that is older finds
/// its index used and nothing to compare with.
const HASHED: usize = 64;

/// Everything sent under one master key. It outlives the key's use: should the key come back,
/// no index is used twice.
pub(crate) struct KeyRecord {
    pub(super) id: KeyId,
    /// Greater for a key set later.
    pub(super) age: u64,
    pub(super) payload_hash: PayloadHash,
    pub(super) packets: KeyUsage,
    pub(super) streams: Few<Stream>,
}

/// What was sent from one SSRC under one key.
pub(super) struct Stream {
    ssrc: u32,
    rtp: Option<Window>,
    /// Payload hashes of the latest indexes, by index modulo [`HASHED`].
    hashes: Option<Box<[u64; HASHED]>>,
    /// The next SRTCP index.
    rtcp_next: u32,
}

/// Where an RTP packet belongs.
pub(super) struct RtpPlace {
    pub(super) index: u64,
    /// Under this index the same payload was sent before.
    pub(super) repeated: bool,
    hash: Option<u64>,
}

impl KeyRecord {
    pub(super) fn new(id: KeyId, payload_hash: PayloadHash) -> Self {
        KeyRecord {
            id,
            age: 0,
            payload_hash,
            packets: KeyUsage::default(),
            streams: Few::new(),
        }
    }

    /// The index of a packet to send, if it may be sent. `payload` only if a repetition is
    /// harmless.
    #[inline]
    pub(super) fn place(
        &self,
        ssrc: u32,
        seq: u16,
        payload: Option<&[u8]>,
    ) -> Result<RtpPlace, ProtectError> {
        if self.packets.rtp >= RTP_INDEXES {
            return Err(ProtectError::KeyExhausted);
        }
        let stream = self.streams.iter().find(|s| s.ssrc == ssrc);
        let window = stream.and_then(|s| s.rtp.as_ref());
        let index = match window {
            Some(window) => next_index(window.highest(), seq)?,
            None => u64::from(seq),
        };
        let hash = payload.map(|p| self.payload_hash.of(p));
        let repeated = match window.map(|w| w.look_up(index)) {
            None | Some(Seen::New) => false,
            Some(Seen::TooOld) => return Err(ProtectError::IndexTooOld),
            Some(Seen::Used) => {
                let sent = stream.and_then(|s| s.hash_of(index));
                if sent.is_none() || sent != hash {
                    return Err(ProtectError::ReusedIndex);
                }
                true
            }
        };
        Ok(RtpPlace {
            index,
            repeated,
            hash,
        })
    }

    /// The packet is on its way.
    #[inline]
    pub(super) fn sent(&mut self, ssrc: u32, place: &RtpPlace) -> Result<(), ProtectError> {
        self.stream(ssrc)?.mark(place);
        self.packets.rtp += 1;
        Ok(())
    }

    /// Uses up the next SRTCP index.
    pub(super) fn next_rtcp(&mut self, ssrc: u32) -> Result<u32, ProtectError> {
        // A stream's SRTCP indexes are among the key's packets, so it has one left.
        if self.packets.rtcp >= RTCP_INDEXES {
            return Err(ProtectError::KeyExhausted);
        }
        let stream = self.stream(ssrc)?;
        let index = stream.rtcp_next;
        stream.rtcp_next += 1;
        self.packets.rtcp += 1;
        Ok(index)
    }

    pub(super) fn roc(&self, ssrc: u32) -> Option<u32> {
        let stream = self.streams.iter().find(|s| s.ssrc == ssrc)?;
        Some((stream.rtp.as_ref()?.highest() >> 16) as u32)
    }

    #[inline]
    fn stream(&mut self, ssrc: u32) -> Result<&mut Stream, ProtectError> {
        let place = match self.streams.iter().position(|s| s.ssrc == ssrc) {
            Some(known) => known,
            None if self.streams.len() >= MAX_LOCAL_SOURCES => {
                return Err(ProtectError::TooManySources);
            }
            None => {
                self.streams.reserve_exact(1);
                self.streams.push(Stream {
                    ssrc,
                    rtp: None,
                    hashes: None,
                    rtcp_next: 0,
                });
                self.streams.len() - 1
            }
        };
        Ok(&mut self.streams[place])
    }
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

impl Stream {
    #[inline]
    fn mark(&mut self, place: &RtpPlace) {
        let window = match &mut self.rtp {
            Some(window) => {
                window.mark(place.index);
                window
            }
            None => self.rtp.insert(Window::starting_at(place.index)),
        };
        if let Some(hash) = place.hash
            && window.highest() - place.index < HASHED as u64
        {
            let hashes = self.hashes.get_or_insert_with(|| Box::new([0; HASHED]));
            hashes[place.index as usize % HASHED] = hash;
        }
    }

    /// The hash of the payload sent under a used index, if it is still known.
    fn hash_of(&self, index: u64) -> Option<u64> {
        let age = self.rtp.as_ref()?.highest().checked_sub(index)?;
        let hashes = self.hashes.as_ref()?;
        (age < HASHED as u64).then(|| hashes[index as usize % HASHED])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::MasterKey;
    use crate::suite::Suite;

    fn record() -> KeyRecord {
        let key = MasterKey::new(Suite::AesCm128HmacSha1_80, &[5; 30]).unwrap();
        let kernels = packet_crypto::kernels();
        let derived = crate::kdf::derive(kernels, &key).unwrap();
        let payload_hash = PayloadHash::new(kernels, &derived.payload_hash);
        KeyRecord::new(derived.id, payload_hash)
    }

    #[test]
    fn rtp_ends_with_its_2_to_the_48th_packet() {
        let mut r = record();
        r.packets.rtp = RTP_INDEXES - 1;
        let place = r.place(1, 9, None).unwrap();
        r.sent(1, &place).unwrap();
        assert_eq!(r.place(1, 10, None).err(), Some(ProtectError::KeyExhausted));
        // Another SSRC has the same key.
        assert_eq!(r.place(2, 10, None).err(), Some(ProtectError::KeyExhausted));
    }

    #[test]
    fn rtp_ends_with_its_last_index() {
        let mut r = record();
        let last = RtpPlace {
            index: RTP_INDEXES - 2,
            repeated: false,
            hash: None,
        };
        r.sent(1, &last).unwrap();
        assert_eq!(r.place(1, 0xffff, None).unwrap().index, RTP_INDEXES - 1);
        assert_eq!(r.place(1, 0, None).err(), Some(ProtectError::KeyExhausted));
    }

    #[test]
    fn rtcp_ends_with_its_2_to_the_31st_packet() {
        let mut r = record();
        assert_eq!(r.next_rtcp(1), Ok(0));
        r.packets.rtcp = RTCP_INDEXES - 1;
        r.streams[0].rtcp_next = (RTCP_INDEXES - 1) as u32;
        assert_eq!(r.next_rtcp(1), Ok((RTCP_INDEXES - 1) as u32));
        assert_eq!(r.next_rtcp(1), Err(ProtectError::KeyExhausted));
        assert_eq!(r.next_rtcp(2), Err(ProtectError::KeyExhausted));
    }

    #[test]
    fn a_payload_is_known_as_long_as_it_is_among_the_latest() {
        let mut r = record();
        for seq in 0..64 {
            let place = r.place(1, seq, Some(&[seq as u8])).unwrap();
            r.sent(1, &place).unwrap();
        }
        assert!(r.place(1, 0, Some(&[0])).unwrap().repeated);
        assert_eq!(
            r.place(1, 0, Some(&[1])).err(),
            Some(ProtectError::ReusedIndex)
        );
        assert_eq!(r.place(1, 0, None).err(), Some(ProtectError::ReusedIndex));
        let place = r.place(1, 64, Some(&[64])).unwrap();
        r.sent(1, &place).unwrap();
        assert_eq!(
            r.place(1, 0, Some(&[0])).err(),
            Some(ProtectError::ReusedIndex)
        );
        assert!(r.place(1, 1, Some(&[1])).unwrap().repeated);
        // Index 64 has taken the place of index 0: its payload proves nothing for that one.
        let other = r.place(1, 0, Some(&[64]));
        assert_eq!(other.err(), Some(ProtectError::ReusedIndex));
    }

    #[test]
    fn a_late_first_use_does_not_overwrite_a_later_payloads_hash() {
        let mut r = record();
        for seq in [200, 130, 201] {
            let place = r.place(1, seq, Some(&[seq as u8])).unwrap();
            assert!(!place.repeated);
            r.sent(1, &place).unwrap();
        }
        // 137 and 201 share a slot.
        let late = r.place(1, 137, Some(&[7])).unwrap();
        r.sent(1, &late).unwrap();
        assert!(r.place(1, 201, Some(&[201])).unwrap().repeated);
        assert_eq!(
            r.place(1, 137, Some(&[7])).err(),
            Some(ProtectError::ReusedIndex)
        );
    }
}
