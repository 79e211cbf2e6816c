//! The polynomial hash (see `PayloadHash`) over GF(2^64), modulo x^64 + x^4 + x^3 + x + 1.

use crate::key::PolyKey;

/// x^64 in the field.
const X64: u64 = 0x1b;

impl PolyKey {
    pub fn new(point: u64) -> Self {
        let square = reduce(square(point), clmul_x64);
        Self {
            square,
            square_x64: reduce(u128::from(square) << 64, clmul_x64),
            point,
        }
    }
}

/// Carry-less square: a zero goes between any two bits.
fn square(a: u64) -> u128 {
    let mut v = u128::from(a);
    for (shift, mask) in [
        (32, 0x0000_0000_ffff_ffff_0000_0000_ffff_ffff),
        (16, 0x0000_ffff_0000_ffff_0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff_00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f_0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333_3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555_5555_5555_5555_5555),
    ] {
        v = (v | v << shift) & mask;
    }
    v
}

/// Carry-less product of `a` and `X64` (which is the second argument, always).
fn clmul_x64(a: u64, _: u64) -> u128 {
    let a = u128::from(a);
    a ^ a << 1 ^ a << 3 ^ a << 4
}

fn reduce(v: u128, clmul: impl Fn(u64, u64) -> u128) -> u64 {
    let t = clmul((v >> 64) as u64, X64);
    (v ^ t ^ clmul((t >> 64) as u64, X64)) as u64
}

/// The hash, by whichever carry-less product the level has. The sum stays 128 bits wide: its high half's multiplier
/// has the x^64 in it, so that nothing is reduced before the end.
pub(crate) fn hash(key: &PolyKey, data: &[u8], clmul: impl Fn(u64, u64) -> u128) -> u64 {
    let step = |sum: u128, block: u128| {
        let low = clmul(sum as u64, key.square);
        let high = clmul((sum >> 64) as u64, key.square_x64);
        low ^ high ^ clmul(block as u64, key.point) ^ (block >> 64 << 64)
    };
    let (blocks, rest) = data.as_chunks::<16>();
    let mut sum = blocks
        .iter()
        .fold(0, |sum, block| step(sum, u128::from_le_bytes(*block)));
    if !rest.is_empty() {
        let mut block = [0; 16];
        block[..rest.len()].copy_from_slice(rest);
        sum = step(sum, u128::from_le_bytes(block));
    }
    reduce(step(sum, data.len() as u128), clmul)
}
