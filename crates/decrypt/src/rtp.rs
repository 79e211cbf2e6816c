//! RTP's header, as far as it is in clear (RFC 3550 section 5.1).

/// Octets of the fixed header.
const FIXED: usize = 12;

/// What a datagram looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RTP or SRTP, with this SSRC.
    Rtp(u32),
    /// RTCP or SRTCP, with its sender's SSRC.
    Rtcp(u32),
}

/// What a datagram looks like; `None`: neither. RTP and RTCP are told apart by their second octet (RFC 5761 section 4).
pub fn kind(packet: &[u8]) -> Option<Kind> {
    let word = |at: usize| {
        let octets = packet.get(at..at + 4)?;
        Some(u32::from_be_bytes([
            octets[0], octets[1], octets[2], octets[3],
        ]))
    };
    if packet.first()? >> 6 != 2 {
        return None;
    }
    if (192..=223).contains(packet.get(1)?) {
        return word(4).map(Kind::Rtcp);
    }
    word(8).map(Kind::Rtp)
}

/// An RTP packet in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rtp<'a> {
    /// Payload type.
    pub payload_type: u8,
    /// Timestamp.
    pub timestamp: u32,
    /// The payload, without padding.
    pub payload: &'a [u8],
}

impl<'a> Rtp<'a> {
    /// Reads one. `None`: it is none.
    pub fn parse(packet: &'a [u8]) -> Option<Self> {
        let fixed = packet.get(..FIXED)?;
        let mut at = FIXED + 4 * usize::from(fixed[0] & 0x0f);
        if fixed[0] & 0x10 != 0 {
            let words = packet.get(at + 2..at + 4)?;
            at += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        let mut payload = packet.get(at..)?;
        if fixed[0] & 0x20 != 0 {
            let padding = usize::from(*payload.last()?);
            payload = payload.get(..payload.len().checked_sub(padding)?)?;
        }
        Some(Self {
            payload_type: fixed[1] & 0x7f,
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtp_and_rtcp() {
        let mut packet = [0x80, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9, 9].to_vec();
        assert_eq!(kind(&packet), Some(Kind::Rtp(3)));
        assert_eq!(Rtp::parse(&packet).unwrap().payload, [9, 9]);
        packet[0] = 0xa0;
        *packet.last_mut().unwrap() = 1;
        assert_eq!(Rtp::parse(&packet).unwrap().payload, [9]);
        *packet.last_mut().unwrap() = 3;
        assert_eq!(Rtp::parse(&packet), None);
        packet[1] = 200;
        assert_eq!(kind(&packet), Some(Kind::Rtcp(2)));
        packet[0] = 0x40;
        assert_eq!(kind(&packet), None);
        assert_eq!(kind(&[]), None);
        assert_eq!(kind(&[0x80, 0]), None);
    }
}
