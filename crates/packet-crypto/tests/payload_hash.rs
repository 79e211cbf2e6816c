//! `PayloadHash` on every level is the polynomial that it is documented to be.

use packet_crypto::{Kernels, PayloadHash};

/// x^64 in GF(2^64) modulo x^64 + x^4 + x^3 + x + 1.
const X64: u64 = 0x1b;

/// Bit by bit, reduced at every step.
fn multiply(a: u64, b: u64) -> u64 {
    (0..64).rev().fold(0, |product: u64, bit| {
        let carry = (product >> 63).wrapping_neg() & X64;
        product << 1 ^ carry ^ (b >> bit & 1).wrapping_neg() & a
    })
}

/// Coefficients of eight bytes, every second one times x^64, then the length.
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
        for level in Kernels::usable() {
            let hash = PayloadHash::new(level, &point.to_le_bytes());
            for len in (0..200).chain([1499, 1600]) {
                let data = &data[..len];
                assert_eq!(hash.of(data), plain(point, data), "{} {len}", level.name());
            }
        }
    }
}

#[test]
fn each_bit_and_the_length_count() {
    for level in Kernels::usable() {
        let hash = PayloadHash::new(level, &[0x37; 8]);
        let data = [0; 173];
        let base = hash.of(&data[..172]);
        for bit in 0..8 * 172 {
            let mut other = data;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(hash.of(&other[..172]), base, "bit {bit}");
        }
        assert_ne!(hash.of(&data), base);
        assert_ne!(hash.of(&data[..171]), base);
        let other_key = PayloadHash::new(level, &[0x38; 8]);
        assert_ne!(other_key.of(&[1; 160]), hash.of(&[1; 160]));
    }
}
