//! A peer that sends and is not heard: when that is told, and what its packets say of themselves.

/// A first line after so many packets in a row that fail: a few are normal around a new key.
const FIRST_LINE: u32 = 10;
/// The next lines after so many more.
const NEXT_LINES: u32 = 1500;

/// Whether a line is due after so many failures in a row.
#[must_use]
pub fn is_line_due(failures: u32) -> bool {
    failures
        .checked_sub(FIRST_LINE)
        .is_some_and(|more| more.is_multiple_of(NEXT_LINES))
}

/// What an RTP packet says of itself in clear, protected or not (RFC 3550 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Which stream.
    pub ssrc: u32,
    /// The low 16 bits of its index.
    pub sequence: u16,
}

impl Source {
    /// `None`: the packet is shorter than a header.
    #[must_use]
    pub fn of(packet: &[u8]) -> Option<Self> {
        let header = packet.first_chunk::<12>()?;
        let [_, _, a, b, _, _, _, _, ssrc @ ..] = *header;
        Some(Self {
            ssrc: u32::from_be_bytes(ssrc),
            sequence: u16::from_be_bytes([a, b]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_few() {
        let due: Vec<_> = (0..4000).filter(|n| is_line_due(*n)).collect();
        assert_eq!(due, [10, 1510, 3010]);
    }

    #[test]
    fn a_packet_says_its_source() {
        let packet = [0x80, 0, 0x12, 0x34, 0, 0, 0, 1, 0xde, 0xad, 0xbe, 0xef, 9];
        let source = Source::of(&packet).map(|s| (s.ssrc, s.sequence));
        assert_eq!(source, Some((0xdead_beef, 0x1234)));
        assert_eq!(Source::of(&packet[..11]), None);
    }
}
