//! GHASH with PCLMULQDQ, in the POLYVAL form (see `key::HashKeys`).

use core::arch::x86_64::*;

use super::aes::{load, store};
use super::sha1_ni::swap;
use crate::key::HashKeys;

/// A sum of products that is not reduced yet: 256 bits, the middle 128 kept apart.
#[derive(Clone, Copy)]
pub(super) struct Sum {
    low: __m128i,
    middle: __m128i,
    high: __m128i,
}

impl Sum {
    #[inline]
    #[target_feature(enable = "sse2")]
    pub fn zero() -> Self {
        let zero = _mm_setzero_si128();
        Self {
            low: zero,
            middle: zero,
            high: zero,
        }
    }

    /// Adds `a * b`.
    #[inline]
    #[target_feature(enable = "sse2,pclmulqdq")]
    pub fn add(&mut self, a: __m128i, b: __m128i) {
        let crossed = _mm_xor_si128(
            _mm_clmulepi64_si128::<0x01>(a, b),
            _mm_clmulepi64_si128::<0x10>(a, b),
        );
        self.low = _mm_xor_si128(self.low, _mm_clmulepi64_si128::<0x00>(a, b));
        self.middle = _mm_xor_si128(self.middle, crossed);
        self.high = _mm_xor_si128(self.high, _mm_clmulepi64_si128::<0x11>(a, b));
    }

    /// The sum divided by x^128, modulo x^128 + x^127 + x^126 + x^121 + 1. Twice, the lowest 64 bits are cleared by
    /// adding that multiple of the modulus (whose lowest term is 1) and the rest moves down.
    #[inline]
    #[target_feature(enable = "sse2,pclmulqdq")]
    pub fn reduce(self) -> __m128i {
        let q = _mm_set_epi64x(0, 0xc200_0000_0000_0000u64 as i64);
        let t = _mm_clmulepi64_si128::<0x00>(self.low, q);
        let folded = _mm_xor_si128(_mm_shuffle_epi32::<0x4e>(self.low), t);
        let middle = _mm_xor_si128(self.middle, folded);
        let t = _mm_clmulepi64_si128::<0x00>(middle, q);
        let folded = _mm_xor_si128(_mm_shuffle_epi32::<0x4e>(middle), t);
        _mm_xor_si128(self.high, folded)
    }
}

/// Adds block `i` of eight (in wire order, from `at` on) to their sum; `y` is what was hashed before them. The first
/// block is the last to be called for: what is before it is the last to be known.
///
/// # Safety
/// 128 bytes at `at` are readable, and `i < 8`.
#[inline]
#[target_feature(enable = "sse2,ssse3,pclmulqdq")]
pub(super) unsafe fn one_of_eight(
    sum: &mut Sum,
    keys: &HashKeys,
    at: *const u8,
    y: __m128i,
    i: usize,
) {
    let i = (i + 1) % 8;
    // SAFETY: it is one of the eight blocks.
    let x = swap(unsafe { _mm_loadu_si128(at.add(16 * i).cast()) });
    let x = if i == 0 { _mm_xor_si128(x, y) } else { x };
    sum.add(x, load(&keys[8 + i]));
}

/// The block of lengths (given in bytes), swapped.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn lengths(aad: usize, data: usize) -> __m128i {
    _mm_set_epi64x(aad as i64 * 8, data as i64 * 8)
}

#[inline]
#[target_feature(enable = "sse2,pclmulqdq")]
pub(super) fn multiply(a: __m128i, b: __m128i) -> __m128i {
    let mut sum = Sum::zero();
    sum.add(a, b);
    sum.reduce()
}

/// The sixteen powers from H = E(0). Four multiplications deep.
#[inline]
#[target_feature(enable = "sse2,ssse3,pclmulqdq")]
pub(super) fn powers(h: __m128i, out: &mut HashKeys) {
    let h = swap(h);
    // Times x: what is shifted out at the top comes back as the modulus' lower terms, chosen by a mask.
    let top = _mm_srai_epi32::<31>(_mm_shuffle_epi32::<0xff>(h));
    let carry = _mm_slli_si128::<8>(_mm_srli_epi64::<63>(h));
    let q = _mm_set_epi64x(0xc200_0000_0000_0000u64 as i64, 1);
    let h1 = _mm_xor_si128(
        _mm_or_si128(_mm_slli_epi64::<1>(h), carry),
        _mm_and_si128(top, q),
    );
    let mut p = [h1; 16];
    p[1] = multiply(h1, h1);
    for (have, more) in [(2, 2), (4, 4), (8, 8)] {
        for i in 0..more {
            p[have + i] = multiply(p[i], p[have - 1]);
        }
    }
    for (out, p) in out.iter_mut().zip(p.into_iter().rev()) {
        store(out, p);
    }
}

/// GHASH over a number of blocks known at the start. Products are summed over up to sixteen blocks before they are
/// reduced.
pub(super) struct Hash<'a> {
    keys: &'a HashKeys,
    y: __m128i,
    sum: Sum,
    left: usize,
}

impl<'a> Hash<'a> {
    #[inline]
    #[target_feature(enable = "sse2")]
    pub fn new(keys: &'a HashKeys, blocks: usize) -> Self {
        Self {
            keys,
            y: _mm_setzero_si128(),
            sum: Sum::zero(),
            left: blocks,
        }
    }

    /// As [`Self::new`], behind blocks whose hash is `y`.
    #[inline]
    #[target_feature(enable = "sse2")]
    pub fn behind(keys: &'a HashKeys, y: __m128i, blocks: usize) -> Self {
        Self {
            y,
            ..Self::new(keys, blocks)
        }
    }

    /// The next block, in wire order.
    #[inline]
    #[target_feature(enable = "sse2,ssse3,pclmulqdq")]
    pub fn block(&mut self, block: __m128i) {
        self.swapped(swap(block));
    }

    /// The next block, already swapped.
    #[inline]
    #[target_feature(enable = "sse2,pclmulqdq")]
    pub fn swapped(&mut self, block: __m128i) {
        self.left -= 1;
        let power = self.left % 16 + 1;
        // `y` is zero but at the beginning of a group.
        self.sum
            .add(_mm_xor_si128(block, self.y), load(&self.keys[16 - power]));
        self.y = _mm_setzero_si128();
        if power == 1 {
            self.y = self.sum.reduce();
            self.sum = Sum::zero();
        }
    }

    /// The hash so far, swapped; every block that was announced has come.
    #[inline]
    #[target_feature(enable = "sse2")]
    pub fn value(self) -> __m128i {
        debug_assert_eq!(self.left, 0);
        self.y
    }

    /// The block of lengths (given in bytes), which is the last one, and then the hash in wire order.
    #[inline]
    #[target_feature(enable = "sse2,ssse3,pclmulqdq")]
    pub fn finish(mut self, aad: usize, data: usize) -> __m128i {
        self.swapped(lengths(aad, data));
        swap(self.value())
    }
}
