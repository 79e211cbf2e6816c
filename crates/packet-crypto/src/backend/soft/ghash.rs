//! GHASH (SP 800-38D, 6.4) without tables, in the POLYVAL form (see `key::HashKeys`).

use crate::key::HashKeys;

/// Every fifth bit. Two numbers with 13 such bits each multiply without a carry reaching the next such bit, so that
/// an integer product, masked again, is a carry-less one.
const fn comb(offset: u32) -> u64 {
    let mut m = 0u64;
    let mut i = offset;
    while i < 64 {
        m |= 1 << i;
        i += 5;
    }
    m
}

const COMBS: [u64; 5] = [comb(0), comb(1), comb(2), comb(3), comb(4)];

const fn wide_comb(offset: u32) -> u128 {
    let mut m = 0u128;
    let mut i = offset;
    while i < 128 {
        m |= 1 << i;
        i += 5;
    }
    m
}

const WIDE_COMBS: [u128; 5] = [
    wide_comb(0),
    wide_comb(1),
    wide_comb(2),
    wide_comb(3),
    wide_comb(4),
];

/// Carry-less product of two 64-bit polynomials.
pub(crate) fn clmul(a: u64, b: u64) -> u128 {
    let a = COMBS.map(|m| u128::from(a & m));
    let b = COMBS.map(|m| u128::from(b & m));
    let mut out = 0;
    for (class, mask) in WIDE_COMBS.iter().enumerate() {
        let sum = (0..5).fold(0, |acc, i| acc ^ (a[i] * b[(class + 5 - i) % 5]));
        out |= sum & mask;
    }
    out
}

/// `a * b / x^128` modulo x^128 + x^127 + x^126 + x^121 + 1.
pub(crate) fn multiply(a: u128, b: u128) -> u128 {
    let (a0, a1) = (a as u64, (a >> 64) as u64);
    let (b0, b1) = (b as u64, (b >> 64) as u64);
    let low = clmul(a0, b0);
    let high = clmul(a1, b1);
    let middle = clmul(a0 ^ a1, b0 ^ b1) ^ low ^ high;
    let low = low ^ (middle << 64);
    let high = high ^ (middle >> 64);
    // Montgomery reduction, 64 bits at a time: adding q(x) * word clears that word, as q's lowest term is 1.
    let times_q =
        |word: u64| (u128::from(word) << 63) ^ (u128::from(word) << 62) ^ (u128::from(word) << 57);
    let t = times_q(low as u64).rotate_left(64) ^ low;
    high ^ t ^ times_q((t >> 64) as u64)
}

/// The sixteen powers, by whichever `multiply` the level has, from H = E(0), given as a big-endian integer (the byte-reversed block).
pub(crate) fn powers(h: u128, out: &mut HashKeys, multiply: impl Fn(u128, u128) -> u128) {
    const Q: u128 = 0xc200_0000_0000_0000_0000_0000_0000_0001;
    let h = (h << 1) ^ (Q & (h >> 127).wrapping_neg());
    out[15] = h;
    for i in (0..15).rev() {
        out[i] = multiply(out[i + 1], h);
    }
}

/// GHASH of a padded stream of blocks, by whichever `multiply` the level has.
pub(crate) struct Ghash<M> {
    h: u128,
    y: u128,
    multiply: M,
}

impl<M: Fn(u128, u128) -> u128> Ghash<M> {
    pub fn new(keys: &HashKeys, multiply: M) -> Self {
        Self {
            h: keys[15],
            y: 0,
            multiply,
        }
    }

    /// Absorbs the concatenation of `parts`, zero-padded to whole blocks.
    pub fn absorb(&mut self, parts: &[&[u8]]) {
        let mut block = [0u8; 16];
        let mut used = 0;
        for mut part in parts.iter().copied() {
            while !part.is_empty() {
                let n = part.len().min(16 - used);
                block[used..used + n].copy_from_slice(&part[..n]);
                used += n;
                part = &part[n..];
                if used == 16 {
                    self.block(u128::from_be_bytes(block));
                    block = [0; 16];
                    used = 0;
                }
            }
        }
        if used > 0 {
            self.block(u128::from_be_bytes(block));
        }
    }

    fn block(&mut self, x: u128) {
        self.y = (self.multiply)(self.y ^ x, self.h);
    }

    /// Absorbs the lengths (in bytes) and gives the hash.
    pub fn finish(mut self, aad: usize, data: usize) -> [u8; 16] {
        self.block((u128::from(aad as u64 * 8) << 64) | u128::from(data as u64 * 8));
        self.y.to_be_bytes()
    }
}
