//! The RTP header, as far as SRTP needs it (RFC 3550 section 5.1).

use crate::error::Malformed;

/// Octets of the fixed header.
const FIXED: usize = 12;
/// Largest packet: what a UDP datagram can carry.
pub(crate) const MAX_PACKET: usize = 65_535;

/// Where the payload starts, and what selects key and index.
///
/// Padding belongs to the payload and is encrypted with it (RFC 3711 section 3.1). Its count is
/// for the application to check: a wrong one harms no key, and dropping the packet would silence
/// a sender that is heard without SRTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RtpHeader {
    pub(crate) ssrc: u32,
    pub(crate) seq: u16,
    /// The X bit: there is a header extension.
    pub(crate) extended: bool,
    /// Octets of fixed header, CSRC list and extension: what stays in clear.
    pub(crate) len: usize,
}

/// What selects key and index of a packet whose header is the fixed one, without contributing sources and extension: nearly
/// every packet is one.
#[derive(Clone, Copy)]
pub(crate) struct FixedHeader {
    pub(crate) ssrc: u32,
    pub(crate) seq: u16,
}

impl FixedHeader {
    /// Octets of it.
    pub(crate) const LEN: usize = FIXED;

    /// As [`RtpHeader::parse`]; `None` for every other packet, well-formed or not.
    #[inline]
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let fixed = packet.first_chunk::<FIXED>()?;
        // Version 2 and nothing else but padding, which is payload.
        if packet.len() > MAX_PACKET || fixed[0] & !0x20 != 0x80 {
            return None;
        }
        Some(FixedHeader {
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            seq: u16::from_be_bytes([fixed[2], fixed[3]]),
        })
    }
}

impl From<FixedHeader> for RtpHeader {
    fn from(FixedHeader { ssrc, seq }: FixedHeader) -> Self {
        RtpHeader {
            ssrc,
            seq,
            extended: false,
            len: FIXED,
        }
    }
}

impl RtpHeader {
    /// Reads the header. A protected packet parses too: its header is in clear.
    #[inline]
    pub(crate) fn parse(packet: &[u8]) -> Result<Self, Malformed> {
        if packet.len() > MAX_PACKET {
            return Err(Malformed::TooLong);
        }
        let Some((fixed, rest)) = packet.split_first_chunk::<FIXED>() else {
            return Err(Malformed::TooShort);
        };
        if fixed[0] >> 6 != 2 {
            return Err(Malformed::Version);
        }
        let csrcs = 4 * usize::from(fixed[0] & 0x0f);
        if rest.len() < csrcs {
            return Err(Malformed::TooShort);
        }
        let mut len = FIXED + csrcs;
        let extended = fixed[0] & 0x10 != 0;
        if extended {
            let Some(extension) = packet[len..].first_chunk::<4>() else {
                return Err(Malformed::Extension);
            };
            len += 4 + 4 * usize::from(u16::from_be_bytes([extension[2], extension[3]]));
            if len > packet.len() {
                return Err(Malformed::Extension);
            }
        }
        Ok(RtpHeader {
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            seq: u16::from_be_bytes([fixed[2], fixed[3]]),
            extended,
            len,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(first: u8, tail: &[u8]) -> Vec<u8> {
        let mut p = vec![first, 0, 0x12, 0x34, 0, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef];
        p.extend_from_slice(tail);
        p
    }

    #[test]
    fn finds_payload_ssrc_and_sequence_number() {
        let h = RtpHeader::parse(&packet(0x80, b"x")).unwrap();
        assert_eq!((h.ssrc, h.seq, h.len), (0xdead_beef, 0x1234, 12));
        assert_eq!(RtpHeader::parse(&packet(0x80, &[])).unwrap().len, 12);
        assert_eq!(RtpHeader::parse(&packet(0x82, &[0; 8])).unwrap().len, 20);
        let extended = [0; 4]
            .iter()
            .chain(&[0, 0, 0, 1, 9, 9, 9, 9])
            .copied()
            .collect::<Vec<_>>();
        let x = RtpHeader::parse(&packet(0x91, &extended)).unwrap();
        assert_eq!((x.len, x.extended, h.extended), (24, true, false));
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let rows: [(Vec<u8>, Malformed); 8] = [
            (vec![], Malformed::TooShort),
            (packet(0x80, &[])[..11].to_vec(), Malformed::TooShort),
            (packet(0x40, &[]), Malformed::Version),
            (packet(0xc0, &[]), Malformed::Version),
            (packet(0x82, &[0; 7]), Malformed::TooShort),
            (packet(0x90, &[0, 0, 0]), Malformed::Extension),
            (packet(0x90, &[0, 0, 0, 1, 9, 9, 9]), Malformed::Extension),
            (packet(0x80, &vec![0; MAX_PACKET - 11]), Malformed::TooLong),
        ];
        for (p, why) in rows {
            assert_eq!(RtpHeader::parse(&p), Err(why), "{} octets", p.len());
        }
        assert!(RtpHeader::parse(&packet(0x80, &vec![0; MAX_PACKET - 12])).is_ok());
    }

    #[test]
    fn the_fixed_header_is_what_the_general_one_is_without_more() {
        let long = [0; MAX_PACKET - 12];
        for first in 0..=u8::MAX {
            for tail in [&[][..], &[0; 80], &long] {
                let packet = packet(first, tail);
                let general = RtpHeader::parse(&packet).ok();
                let want = general.filter(|h| h.len == FIXED && !h.extended);
                let fixed = FixedHeader::parse(&packet);
                let fields = |h: RtpHeader| (h.ssrc, h.seq);
                assert_eq!(
                    fixed.map(|h| (h.ssrc, h.seq)),
                    want.map(fields),
                    "{first:#x}"
                );
            }
        }
        assert!(FixedHeader::parse(&packet(0x80, &vec![0; MAX_PACKET - 11])).is_none());
        assert!(FixedHeader::parse(&packet(0x80, &[])[..11]).is_none());
    }

    #[test]
    fn padding_is_payload() {
        for count in [0, 3, 255] {
            let h = RtpHeader::parse(&packet(0xa0, &[0, 0, 0, count])).unwrap();
            assert_eq!(h.len, 12);
        }
    }
}
