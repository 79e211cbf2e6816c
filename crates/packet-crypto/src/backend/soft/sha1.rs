//! SHA-1 (FIPS 180-4, 6.1) and HMAC over it (RFC 2104). SHA-1 has no branch or index that depends on data.

use crate::key::HmacKey;

pub(crate) const INITIAL: [u32; 5] = [
    0x6745_2301,
    0xefcd_ab89,
    0x98ba_dcfe,
    0x1032_5476,
    0xc3d2_e1f0,
];

/// One block in plain integer code.
pub(crate) fn compress(state: &mut [u32; 5], block: &[u8; 64]) {
    let mut w = [0u32; 16];
    for (w, bytes) in w.iter_mut().zip(block.as_chunks::<4>().0) {
        *w = u32::from_be_bytes(*bytes);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    // Written out, so that every index is a constant and no round asks which one it is.
    macro_rules! rounds {
        ($f:expr, $k:literal, $($t:literal)+) => {$(
            if $t >= 16 {
                let sum = w[($t + 13) % 16] ^ w[($t + 8) % 16] ^ w[($t + 2) % 16] ^ w[$t % 16];
                w[$t % 16] = sum.rotate_left(1);
            }
            let next = a
                .rotate_left(5)
                .wrapping_add($f(b, c, d))
                .wrapping_add(e)
                .wrapping_add($k)
                .wrapping_add(w[$t % 16]);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        )+};
    }
    let choose = |b: u32, c: u32, d: u32| d ^ (b & (c ^ d));
    let parity = |b: u32, c: u32, d: u32| b ^ c ^ d;
    let majority = |b: u32, c: u32, d: u32| (b & c) | (d & (b | c));
    rounds!(choose, 0x5a82_7999, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
    rounds!(parity, 0x6ed9_eba1, 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);
    rounds!(majority, 0x8f1b_bcdc, 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59);
    rounds!(parity, 0xca62_c1d6, 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79);
    for (s, v) in state.iter_mut().zip([a, b, c, d, e]) {
        *s = s.wrapping_add(v);
    }
}

/// The state as the digest's bytes.
pub(crate) fn digest(state: [u32; 5]) -> [u8; 20] {
    let mut out = [0; 20];
    for (bytes, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    out
}

/// The two HMAC key states, by whichever `compress` the level has.
pub(crate) fn hmac_key(key: &[u8; 20], compress: impl Fn(&mut [u32; 5], &[u8; 64])) -> HmacKey {
    let padded = |fill: u8| {
        let mut block = zeroize::Zeroizing::new([fill; 64]);
        for (b, k) in block.iter_mut().zip(key) {
            *b ^= k;
        }
        let mut state = INITIAL;
        compress(&mut state, &block);
        state
    };
    HmacKey {
        inner: padded(0x36),
        outer: padded(0x5c),
    }
}

/// HMAC-SHA1 of `message || trailer`, by whichever `compress` the level has.
pub(crate) fn hmac(
    key: &HmacKey,
    message: &[u8],
    trailer: [u8; 4],
    compress: impl Fn(&mut [u32; 5], &[u8; 64]),
) -> [u8; 20] {
    let mut state = key.inner;
    let (blocks, rest) = message.as_chunks::<64>();
    for block in blocks {
        compress(&mut state, block);
    }
    let mut tail = [0u8; 128];
    tail[..rest.len()].copy_from_slice(rest);
    tail[rest.len()..rest.len() + 4].copy_from_slice(&trailer);
    tail[rest.len() + 4] = 0x80;
    let end = if rest.len() + 4 + 1 + 8 <= 64 {
        64
    } else {
        128
    };
    let bits = (64 + message.len() as u64 + 4) * 8;
    tail[end - 8..end].copy_from_slice(&bits.to_be_bytes());
    for block in tail[..end].as_chunks::<64>().0 {
        compress(&mut state, block);
    }
    let mut last = [0u8; 64];
    last[..20].copy_from_slice(&digest(state));
    last[20] = 0x80;
    last[62..].copy_from_slice(&((64u16 + 20) * 8).to_be_bytes());
    let mut state = key.outer;
    compress(&mut state, &last);
    digest(state)
}
