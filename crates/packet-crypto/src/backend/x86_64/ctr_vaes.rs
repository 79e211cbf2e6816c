//! AES-CM alone with VAES and AVX-512, for batches.

use core::arch::x86_64::*;

use super::aes::vector;
use super::aes_vaes::{round_key, rounds};
use super::bytes::copy_clear;
use crate::key::{Block, RoundKeys, Span};
use crate::table::CmKey;

/// Four counter blocks with their last words in the CPU's byte order.
#[derive(Clone, Copy)]
struct Counters(__m512i);

impl Counters {
    /// Counter block `iv` in lane 0.
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

    /// The key stream for `V` vectors from vector `n` on.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vaes")]
    fn stream<const R: usize, const V: usize>(self, keys: &RoundKeys, n: usize) -> [__m512i; V] {
        let swap = _mm512_broadcast_i32x4(_mm_setr_epi8(
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 14, 13, 12,
        ));
        let base = _mm512_add_epi32(self.0, _mm512_maskz_set1_epi32(0x8888, 4 * n as i32));
        let key = round_key(keys, 0);
        let mut blocks = [base; V];
        for (b, i) in blocks.iter_mut().zip(0..) {
            let ahead = _mm512_maskz_set1_epi32(0x8888, 4 * i);
            let counters = _mm512_shuffle_epi8(_mm512_add_epi32(base, ahead), swap);
            *b = _mm512_xor_si512(counters, key);
        }
        rounds::<R, V>(keys, blocks, |_| ())
    }
}

/// Adds the key stream; copies the clear bytes.
///
/// # Safety
/// `span` keeps its promise.
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
        for (i, k) in (n..).zip(counters.stream::<R, 3>(&key.keys, n)) {
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
