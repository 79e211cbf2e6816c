//! Blocks in groups: what AES-CM and AES-GCM have in common.

use core::arch::aarch64::*;

use super::vector;
use crate::key::RoundKeys;

/// Blocks in a group.
pub(super) const GROUP: usize = 8;
/// Their bytes.
pub(super) const BYTES: usize = 16 * GROUP;

pub(super) type Group = [uint8x16_t; GROUP];

#[inline]
#[target_feature(enable = "neon,aes")]
pub(super) fn load(block: &[u8; 16]) -> uint8x16_t {
    vector(u128::from_le_bytes(*block))
}

#[inline]
#[target_feature(enable = "neon,aes")]
pub(super) fn store(block: &mut [u8; 16], v: uint8x16_t) {
    *block = vreinterpretq_p128_u8(v).to_le_bytes();
}

/// The key stream of `N` blocks. Between the rounds, so that both are under way together, `meanwhile` is called with 0 to
/// 7.
#[inline]
#[target_feature(enable = "neon,aes")]
pub(super) fn encrypt<const R: usize, const N: usize>(
    keys: &RoundKeys,
    mut blocks: [uint8x16_t; N],
    mut meanwhile: impl FnMut(usize),
) -> [uint8x16_t; N] {
    let mut round = |i: usize| {
        let key = vector(keys[i]);
        for b in &mut blocks {
            *b = vaesmcq_u8(vaeseq_u8(*b, key));
        }
    };
    // Written out: the compiler does not unroll the rounds of AES-256.
    macro_rules! rounds {
        ($($i:literal)+) => {$(
            round($i);
            meanwhile($i);
        )+};
    }
    rounds!(0 1 2 3 4 5 6 7);
    for i in GROUP..R - 2 {
        round(i);
    }
    let (before_last, last) = (vector(keys[R - 2]), vector(keys[R - 1]));
    for b in &mut blocks {
        *b = veorq_u8(vaeseq_u8(*b, before_last), last);
    }
    blocks
}

/// The block `iv` with `number` and those behind it as its last 32 bits.
#[inline]
#[target_feature(enable = "neon,aes")]
pub(super) fn numbered<const N: usize>(iv: uint8x16_t, number: u32) -> [uint8x16_t; N] {
    let mut blocks = [iv; N];
    for (b, i) in blocks.iter_mut().zip(0..) {
        let number = number.wrapping_add(i).swap_bytes();
        *b = vreinterpretq_u8_u32(vsetq_lane_u32::<3>(number, vreinterpretq_u32_u8(iv)));
    }
    blocks
}

/// The key stream of a group, from block `number` on.
#[inline]
#[target_feature(enable = "neon,aes")]
pub(super) fn stream<const R: usize>(
    keys: &RoundKeys,
    iv: uint8x16_t,
    number: u32,
    meanwhile: impl FnMut(usize),
) -> Group {
    encrypt::<R, GROUP>(keys, numbered(iv, number), meanwhile)
}

/// Adds so many blocks of key stream.
#[inline]
#[target_feature(enable = "neon,aes")]
pub(super) fn add(group: &mut [u8; BYTES], stream: &[uint8x16_t]) {
    for (block, k) in group.as_chunks_mut::<16>().0.iter_mut().zip(stream) {
        store(block, veorq_u8(load(block), *k));
    }
}
