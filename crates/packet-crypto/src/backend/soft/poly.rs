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

#[cfg(test)]
mod tests {
    use super::*;

    /// Bit by bit, reduced at every step.
    fn multiply(a: u64, b: u64) -> u64 {
        (0..64).rev().fold(0, |product: u64, bit| {
            let carry = (product >> 63).wrapping_neg() & X64;
            product << 1 ^ carry ^ (b >> bit & 1).wrapping_neg() & a
        })
    }

    /// The polynomial as it is documented: coefficients of eight bytes, every second one times x^64, then the length.
    fn plain(point: u64, data: &[u8]) -> u64 {
        let mut padded = data.to_vec();
        padded.resize(data.len().next_multiple_of(16), 0);
        padded.extend((data.len() as u128).to_le_bytes());
        let mut sum = 0;
        for pair in padded.as_chunks::<16>().0 {
            let pair = u128::from_le_bytes(*pair);
            sum = multiply(sum, point) ^ pair as u64;
            sum = multiply(sum, point) ^ multiply((pair >> 64) as u64, X64);
        }
        sum
    }

    #[test]
    fn every_level_agrees_with_the_plain_polynomial() {
        let data: Vec<u8> = (0..1600u32).map(|i| ((i * 167) >> 3) as u8).collect();
        for point in [
            0,
            1,
            2,
            u64::MAX,
            0x8000_0000_0000_0001,
            0x5a5a_1234_9abc_def1,
        ] {
            let key = PolyKey::new(point);
            for level in crate::Kernels::usable() {
                for len in (0..200).chain([1499, 1600]) {
                    // SAFETY: the CPU can run the level.
                    let hash = unsafe { (level.poly_hash)(&key, &data[..len]) };
                    assert_eq!(hash, plain(point, &data[..len]), "{} {len}", level.name());
                }
            }
        }
    }

    #[test]
    fn each_bit_and_the_length_count() {
        for level in crate::Kernels::usable() {
            let hash = crate::PayloadHash::new(level, &[0x37; 8]);
            let data = [0; 173];
            let base = hash.of(&data[..172]);
            for bit in 0..8 * 172 {
                let mut other = data;
                other[bit / 8] ^= 1 << (bit % 8);
                assert_ne!(hash.of(&other[..172]), base, "bit {bit}");
            }
            assert_ne!(hash.of(&data), base);
            assert_ne!(hash.of(&data[..171]), base);
            let other_key = crate::PayloadHash::new(level, &[0x38; 8]);
            assert_ne!(other_key.of(&[1; 160]), hash.of(&[1; 160]));
        }
    }
}
