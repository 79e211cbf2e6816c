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
    for t in 0..80 {
        if t >= 16 {
            let i = t & 15;
            w[i] = (w[(t + 13) & 15] ^ w[(t + 8) & 15] ^ w[(t + 2) & 15] ^ w[i]).rotate_left(1);
        }
        let (f, k) = match t / 20 {
            0 => (d ^ (b & (c ^ d)), 0x5a82_7999),
            1 => (b ^ c ^ d, 0x6ed9_eba1),
            2 => ((b & c) | (d & (b | c)), 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6u32),
        };
        let next = a
            .rotate_left(5)
            .wrapping_add(f)
            .wrapping_add(e)
            .wrapping_add(k)
            .wrapping_add(w[t & 15]);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
    }
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
