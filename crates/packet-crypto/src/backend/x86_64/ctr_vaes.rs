//! AES counter mode with VAES and AVX-512: four blocks a vector.

use core::arch::x86_64::*;

use super::aes::vector;
#[cfg(feature = "batch")]
use super::bytes::copy_clear;
use crate::key::{Block, RoundKeys};
#[cfg(feature = "batch")]
use crate::{key::Span, table::CmKey};

/// Four counter blocks with their last words in the CPU's byte order.
#[derive(Clone, Copy)]
pub(super) struct Counters(__m512i);

impl Counters {
    /// The counter blocks of a nonce of AES-GCM, number 1 (the one of E(J0)) in lane `front`.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn new(nonce: Block, front: usize) -> Self {
        let first = 1 - front as i32;
        let nonce = _mm512_broadcast_i32x4(vector(nonce));
        let numbers = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3);
        let numbers = _mm512_mask_add_epi32(nonce, 0x8888, numbers, _mm512_set1_epi32(first));
        Self(numbers)
    }

    /// Counter block `iv` in lane 0.
    #[cfg(feature = "batch")]
    #[inline]
    #[target_feature(enable = "ssse3,avx512f")]
    fn from_iv(iv: Block) -> Self {
        let swap = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 14, 13, 12);
        let first = _mm512_broadcast_i32x4(_mm_shuffle_epi8(vector(iv), swap));
        Self(_mm512_add_epi32(
            first,
            _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3),
        ))
    }

    /// The key stream for `V` vectors from vector `n` on. Between the rounds `meanwhile` is called with 0 to 3, so that
    /// both are under way together.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vaes")]
    pub fn stream<const R: usize, const V: usize>(
        self,
        keys: &RoundKeys,
        n: usize,
        mut meanwhile: impl FnMut(usize),
    ) -> [__m512i; V] {
        let swap = _mm512_broadcast_i32x4(_mm_setr_epi8(
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 14, 13, 12,
        ));
        let base = _mm512_add_epi32(self.0, _mm512_maskz_set1_epi32(0x8888, 4 * n as i32));
        let mut blocks = [base; V];
        for (b, i) in blocks.iter_mut().zip(0..) {
            let ahead = _mm512_maskz_set1_epi32(0x8888, 4 * i);
            *b = _mm512_shuffle_epi8(_mm512_add_epi32(base, ahead), swap);
        }
        let first = round_key(keys, 0);
        for b in &mut blocks {
            *b = _mm512_xor_si512(*b, first);
        }
        for i in 1..R - 1 {
            let key = round_key(keys, i);
            for b in &mut blocks {
                *b = _mm512_aesenc_epi128(*b, key);
            }
            if i % 2 == 0 && i <= 8 {
                meanwhile(i / 2 - 1);
            }
        }
        let last = round_key(keys, R - 1);
        for b in &mut blocks {
            *b = _mm512_aesenclast_epi128(*b, last);
        }
        blocks
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn round_key(keys: &RoundKeys, i: usize) -> __m512i {
    _mm512_broadcast_i32x4(super::aes::load(&keys[i]))
}

/// AES-CM alone, for batches; copies the clear bytes.
///
/// # Safety
/// `span` keeps its promise.
#[cfg(feature = "batch")]
#[inline]
#[target_feature(enable = "ssse3,avx512f,avx512bw,vaes")]
pub(super) unsafe fn ctr<const R: usize>(key: &CmKey, iv: Block, span: Span) {
    let Span {
        src,
        dst,
        len,
        clear,
    } = span;
    // SAFETY: the span is the one that the caller gives; the data is written after the clear bytes, behind which
    // `copy_clear` may write.
    unsafe { copy_clear(span) };
    let counters = Counters::from_iv(iv);
    let mut n = 0;
    while clear + 64 * n < len {
        for (i, k) in (n..).zip(counters.stream::<R, 3>(&key.keys, n, |_| ())) {
            let at = clear + 64 * i;
            let mask = match len.saturating_sub(at) {
                left @ 0..64 => !(u64::MAX << left),
                _ => u64::MAX,
            };
            // SAFETY: the mask leaves out what is behind the packet; masked bytes are not accessed.
            unsafe {
                let v = _mm512_maskz_loadu_epi8(mask, src.wrapping_add(at).cast());
                _mm512_mask_storeu_epi8(dst.wrapping_add(at).cast(), mask, _mm512_xor_si512(v, k));
            }
        }
        n += 3;
    }
}
