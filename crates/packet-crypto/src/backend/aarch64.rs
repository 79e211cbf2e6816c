//! The aarch64 level: Armv8 cryptography extensions.

mod blocks;
mod cm;
mod gcm;

use core::arch::aarch64::*;

use super::generic::{Engine, Level, in_place};
use crate::table::Kernels;

pub(super) static ARMV8: Kernels = Kernels {
    cm: [cm::fns::<11>(), cm::fns::<13>(), cm::fns::<15>()],
    gcm: [gcm::fns::<11>(), gcm::fns::<15>()],
    ..Level::<Armv8>::KERNELS
};

/// This CPU has AES (with PMULL) and SHA-1.
#[derive(Clone, Copy)]
struct Armv8(());

/// Makes the engine from a list of CPU features, stated here only: it is what `detect` asks the CPU for and what the
/// functions are compiled with.
macro_rules! armv8 {
    ($($feature:tt),+) => {
        impl Engine for Armv8 {
            const NAME: &'static str = "aarch64 AES+PMULL+SHA1";

            fn detect() -> bool {
                $(std::arch::is_aarch64_feature_detected!($feature))&&+
            }

            unsafe fn assume() -> Self {
                Self(())
            }

            #[inline]
            fn encrypt8(self, keys: &[u128], blocks: &[u128; 8]) -> [u128; 8] {
                #[target_feature($(enable = $feature),+)]
                fn inner(keys: &[u128], blocks: &[u128; 8]) -> [u128; 8] {
                    encrypt8(keys, blocks)
                }
                // SAFETY: the engine's value says that `detect` was true.
                unsafe { inner(keys, blocks) }
            }

            #[inline]
            fn sub_word(self, word: u32) -> u32 {
                #[target_feature($(enable = $feature),+)]
                fn inner(word: u32) -> u32 {
                    sub_word(word)
                }
                // SAFETY: the engine's value says that `detect` was true.
                unsafe { inner(word) }
            }

            #[inline]
            fn compress(self, state: &mut [u32; 5], block: &[u8; 64]) {
                #[target_feature($(enable = $feature),+)]
                fn inner(state: &mut [u32; 5], block: &[u8; 64]) {
                    compress(state, block)
                }
                // SAFETY: the engine's value says that `detect` was true.
                unsafe { inner(state, block) }
            }

            #[inline]
            fn clmul(self, a: u64, b: u64) -> u128 {
                #[target_feature($(enable = $feature),+)]
                fn inner(a: u64, b: u64) -> u128 {
                    vmull_p64(a, b)
                }
                // SAFETY: the engine's value says that `detect` was true.
                unsafe { inner(a, b) }
            }

            #[inline]
            fn multiply(self, a: u128, b: u128) -> u128 {
                #[target_feature($(enable = $feature),+)]
                fn inner(a: u128, b: u128) -> u128 {
                    multiply(a, b)
                }
                // SAFETY: the engine's value says that `detect` was true.
                unsafe { inner(a, b) }
            }
        }
    };
}

// `aes` is AES and PMULL, `sha2` is SHA-1 and SHA-256: names as Rust has them.
armv8!("neon", "aes", "sha2");

#[inline]
#[target_feature(enable = "neon,aes")]
fn vector(block: u128) -> uint8x16_t {
    vreinterpretq_u8_p128(block)
}

#[inline]
#[target_feature(enable = "neon,aes")]
fn encrypt8(keys: &[u128], blocks: &[u128; 8]) -> [u128; 8] {
    let mut b = blocks.map(
        #[inline]
        |b| vector(b),
    );
    let (last, rest) = keys.split_last().expect("AES has round keys");
    let (before_last, rest) = rest.split_last().expect("AES has round keys");
    for &key in rest {
        let key = vector(key);
        for b in &mut b {
            *b = vaesmcq_u8(vaeseq_u8(*b, key));
        }
    }
    let (before_last, last) = (vector(*before_last), vector(*last));
    b.map(
        #[inline]
        |b| vreinterpretq_p128_u8(veorq_u8(vaeseq_u8(b, before_last), last)),
    )
}

/// An AES round without MixColumns and with a zero key, on four equal columns, where ShiftRows changes nothing.
#[inline]
#[target_feature(enable = "neon,aes")]
fn sub_word(word: u32) -> u32 {
    let columns = vreinterpretq_u8_u32(vdupq_n_u32(word));
    vgetq_lane_u32::<0>(vreinterpretq_u32_u8(vaeseq_u8(columns, vdupq_n_u8(0))))
}

#[inline]
#[target_feature(enable = "neon,aes,sha2")]
fn compress(state: &mut [u32; 5], block: &[u8; 64]) {
    let word = |i: usize| {
        let bytes = block.as_chunks::<16>().0[i];
        vreinterpretq_u32_u8(vrev32q_u8(vector(u128::from_le_bytes(bytes))))
    };
    let mut w = [word(0), word(1), word(2), word(3)];
    let [a, b, c, d, e] = *state;
    let first = [a, b, c, d]
        .iter()
        .rev()
        .fold(0, |acc, &w| (acc << 32) | u128::from(w));
    let first = vreinterpretq_u32_p128(first);
    let (mut abcd, mut e) = (first, e);
    // Written out, so that every index is a constant and the schedule stays in registers.
    macro_rules! groups {
        ($rounds:ident, $k:literal, $($group:literal)+) => {$(
            if $group >= 4 {
                let part = vsha1su0q_u32(w[$group % 4], w[($group + 1) % 4], w[($group + 2) % 4]);
                w[$group % 4] = vsha1su1q_u32(part, w[($group + 3) % 4]);
            }
            let next = vsha1h_u32(vgetq_lane_u32::<0>(abcd));
            abcd = $rounds(abcd, e, vaddq_u32(w[$group % 4], vdupq_n_u32($k)));
            e = next;
        )+};
    }
    groups!(vsha1cq_u32, 0x5a82_7999, 0 1 2 3 4);
    groups!(vsha1pq_u32, 0x6ed9_eba1, 5 6 7 8 9);
    groups!(vsha1mq_u32, 0x8f1b_bcdc, 10 11 12 13 14);
    groups!(vsha1pq_u32, 0xca62_c1d6, 15 16 17 18 19);
    let abcd = vreinterpretq_p128_u32(vaddq_u32(abcd, first));
    let words = core::array::from_fn::<u32, 4, _>(|i| (abcd >> (32 * i)) as u32);
    state[..4].copy_from_slice(&words);
    state[4] = state[4].wrapping_add(e);
}

#[inline]
#[target_feature(enable = "neon,aes")]
fn multiply(a: u128, b: u128) -> u128 {
    let (a0, a1) = (a as u64, (a >> 64) as u64);
    let (b0, b1) = (b as u64, (b >> 64) as u64);
    let low = vmull_p64(a0, b0);
    let high = vmull_p64(a1, b1);
    let middle = vmull_p64(a0 ^ a1, b0 ^ b1) ^ low ^ high;
    let low = low ^ (middle << 64);
    let high = high ^ (middle >> 64);
    // Twice, the lowest 64 bits are cleared by adding that multiple of the modulus (whose lowest term is 1).
    let q = 0xc200_0000_0000_0000;
    let t = low.rotate_left(64) ^ vmull_p64(low as u64, q);
    high ^ t.rotate_left(64) ^ vmull_p64(t as u64, q)
}
