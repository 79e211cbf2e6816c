//! G.711 (ITU-T), the payload types 0 and 8 of RFC 3551.

/// Samples a second.
pub const RATE: u32 = 8_000;

/// A payload type's decoder. `None`: it is not G.711.
pub fn decoder(payload_type: u8) -> Option<fn(u8) -> i16> {
    match payload_type {
        0 => Some(ulaw),
        8 => Some(alaw),
        _ => None,
    }
}

fn ulaw(code: u8) -> i16 {
    let code = !code;
    let magnitude = ((i16::from(code & 0x0f) << 3) + 0x84) << ((code & 0x70) >> 4);
    let sample = magnitude - 0x84;
    if code & 0x80 == 0 { sample } else { -sample }
}

fn alaw(code: u8) -> i16 {
    let code = code ^ 0x55;
    let mantissa = (i16::from(code & 0x0f) << 4) + 8;
    let magnitude = match (code & 0x70) >> 4 {
        0 => mantissa,
        segment => (mantissa + 0x100) << (segment - 1),
    };
    if code & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_and_the_smallest_values() {
        // ITU-T G.711, tables 1a to 2b, as 16-bit samples.
        assert_eq!([0x80, 0x00, 0xff, 0x7f].map(ulaw), [32124, -32124, 0, 0]);
        assert_eq!([0xaa, 0x2a, 0xd5, 0x55].map(alaw), [32256, -32256, 8, -8]);
        assert!(decoder(0).is_some() && decoder(8).is_some() && decoder(9).is_none());
    }
}
