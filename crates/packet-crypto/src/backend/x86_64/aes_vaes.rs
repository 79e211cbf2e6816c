//! AES with VAES and AVX-512: four blocks a vector.

use core::arch::x86_64::*;

use super::aes::load;
use crate::key::RoundKeys;

/// Encrypts vectors to which round key 0 was added already. Between the rounds `meanwhile` is called with 0 to 3, so that
/// both are under way together.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
pub(super) fn rounds<const R: usize, const V: usize>(
    keys: &RoundKeys,
    mut blocks: [__m512i; V],
    mut meanwhile: impl FnMut(usize),
) -> [__m512i; V] {
    // Written out: the compiler leaves a loop of many long turns as it is.
    macro_rules! rounds {
        ($($i:literal),+) => {
            $(
                if $i < R - 1 {
                    let key = round_key(keys, $i);
                    for b in &mut blocks {
                        *b = _mm512_aesenc_epi128(*b, key);
                    }
                    in_step(&mut blocks);
                }
                if $i % 2 == 0 && $i <= 8 {
                    meanwhile($i / 2 - 1);
                }
            )+
        };
    }
    rounds!(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13);
    let last = round_key(keys, R - 1);
    for b in &mut blocks {
        *b = _mm512_aesenclast_epi128(*b, last);
    }
    blocks
}

/// Nothing, but the compiler does not know: what comes before makes all these vectors, what comes behind takes them. For
/// want of registers it would otherwise finish one after the other, and the CPU wait for each instruction's end. Two of
/// these stay in order, too.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn in_step(vectors: &mut [__m512i]) {
    macro_rules! nothing {
        ($($v:ident)+) => {
            // SAFETY: there is no instruction, only a comment: the registers keep their values.
            unsafe {
                core::arch::asm!(
                    concat!("/*", $(" {", stringify!($v), "}",)+ " */"),
                    $($v = inout(zmm_reg) *$v),+,
                    options(nomem, nostack, preserves_flags),
                );
            }
        };
    }
    match vectors {
        [a, b, c, d, e, f, g, h, i] => nothing!(a b c d e f g h i),
        [a, b, c, d, e, f, g, h] => nothing!(a b c d e f g h),
        [a, b, c, d, e, f, g] => nothing!(a b c d e f g),
        [a, b, c, d, e, f] => nothing!(a b c d e f),
        [a, b, c, d, e] => nothing!(a b c d e),
        [a, b, c, d] => nothing!(a b c d),
        [a, b, c] => nothing!(a b c),
        [a, b] => nothing!(a b),
        _ => (),
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn round_key(keys: &RoundKeys, i: usize) -> __m512i {
    _mm512_broadcast_i32x4(load(&keys[i]))
}
