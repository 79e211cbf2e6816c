//! The RTCP header, as far as SRTCP needs it (RFC 3550 section 6.4, RFC 3711 section 3.4).

use crate::error::Malformed;
use crate::rtp::MAX_PACKET;

/// Octets of the first packet's header and sender SSRC, which stay in clear.
pub(crate) const CLEAR: usize = 8;
/// Octets of the word with E flag and SRTCP index.
pub(crate) const INDEX_WORD: usize = 4;
/// The E flag in that word.
pub(crate) const E_FLAG: u32 = 1 << 31;

/// The SSRC of the first packet's sender, which selects the context.
pub(crate) fn parse(packet: &[u8]) -> Result<u32, Malformed> {
    if packet.len() > MAX_PACKET {
        return Err(Malformed::TooLong);
    }
    let Some(header) = packet.first_chunk::<CLEAR>() else {
        return Err(Malformed::TooShort);
    };
    if header[0] >> 6 != 2 {
        return Err(Malformed::Version);
    }
    if !(192..=223).contains(&header[1]) {
        return Err(Malformed::PacketType);
    }
    Ok(u32::from_be_bytes([
        header[4], header[5], header[6], header[7],
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_ssrc_and_refuses_the_rest() {
        let good = [0x80, 200, 0, 1, 1, 2, 3, 4];
        assert_eq!(parse(&good), Ok(0x0102_0304));
        assert_eq!(parse(&good[..7]), Err(Malformed::TooShort));
        assert_eq!(parse(&[]), Err(Malformed::TooShort));
        let with = |i: usize, v: u8| {
            let mut p = good;
            p[i] = v;
            parse(&p)
        };
        assert_eq!(with(0, 0x00), Err(Malformed::Version));
        assert_eq!(with(0, 0xc0), Err(Malformed::Version));
        assert_eq!(with(1, 191), Err(Malformed::PacketType));
        assert_eq!(with(1, 192), Ok(0x0102_0304));
        assert_eq!(with(1, 223), Ok(0x0102_0304));
        assert_eq!(with(1, 224), Err(Malformed::PacketType));
        let mut long = vec![0; MAX_PACKET + 1];
        long[..8].copy_from_slice(&good);
        assert_eq!(parse(&long), Err(Malformed::TooLong));
        long.pop();
        assert_eq!(parse(&long), Ok(0x0102_0304));
    }
}
