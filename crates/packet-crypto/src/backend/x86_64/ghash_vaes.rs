//! GHASH of four blocks a vector, with VPCLMULQDQ and AVX-512, and what else AES-GCM does with such vectors.

use core::arch::x86_64::*;

use crate::key::HashKeys;

/// Vectors in a whole group: as many as there are powers of H.
pub(super) const GROUP: usize = 4;

/// As `ghash::Sum`, in every lane.
pub(super) struct Sum {
    low: __m512i,
    middle: __m512i,
    high: __m512i,
}

impl Sum {
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn zero() -> Self {
        let zero = _mm512_setzero_si512();
        Self {
            low: zero,
            middle: zero,
            high: zero,
        }
    }

    /// Adds the products of `x` and the powers for it, when `left` vectors are left of its group, itself included: 1 to 4.
    #[inline]
    #[target_feature(enable = "avx512f,vpclmulqdq")]
    pub(super) fn add(&mut self, keys: &HashKeys, left: usize, x: __m512i) {
        let powers: &[u128; 4] = &keys.as_chunks::<4>().0[GROUP - left];
        // SAFETY: four powers are 64 readable bytes.
        let h = unsafe { _mm512_loadu_si512(powers.as_ptr().cast()) };
        self.low = _mm512_xor_si512(self.low, _mm512_clmulepi64_epi128::<0x00>(x, h));
        self.high = _mm512_xor_si512(self.high, _mm512_clmulepi64_epi128::<0x11>(x, h));
        self.middle = xor3(
            self.middle,
            _mm512_clmulepi64_epi128::<0x01>(x, h),
            _mm512_clmulepi64_epi128::<0x10>(x, h),
        );
    }

    /// As `ghash::Sum::reduce`, in every lane; then the lanes are added.
    #[inline]
    #[target_feature(enable = "avx512f,vpclmulqdq")]
    pub(super) fn reduce(self) -> __m128i {
        let q = _mm512_set1_epi64(0xc200_0000_0000_0000u64 as i64);
        let t = _mm512_clmulepi64_epi128::<0x00>(self.low, q);
        let middle = xor3(self.middle, _mm512_shuffle_epi32::<0x4e>(self.low), t);
        let t = _mm512_clmulepi64_epi128::<0x00>(middle, q);
        let y = xor3(self.high, _mm512_shuffle_epi32::<0x4e>(middle), t);
        let y = _mm256_xor_si256(_mm512_castsi512_si256(y), _mm512_extracti64x4_epi64::<1>(y));
        _mm_xor_si128(_mm256_castsi256_si128(y), _mm256_extracti128_si256::<1>(y))
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<0x96>(a, b, c)
}

/// Reverses the bytes of every block.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn swap4(v: __m512i) -> __m512i {
    let order = _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    _mm512_shuffle_epi8(v, _mm512_broadcast_i32x4(order))
}

/// `block` in lane `lane`, zeros elsewhere.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn in_lane(lane: usize, block: __m128i) -> __m512i {
    _mm512_maskz_broadcast_i32x4(0xf << (4 * lane), block)
}

/// `tag::matches` in registers, in as constant a time: a call would have every vector under way stored and loaded again.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn matches(mac: __m128i, tag: &[u8]) -> bool {
    debug_assert!((1..=16).contains(&tag.len()));
    let mask = !(u64::MAX << tag.len());
    // SAFETY: the mask leaves out what is behind the tag; masked bytes are not accessed.
    let theirs = unsafe { _mm512_maskz_loadu_epi8(mask, tag.as_ptr().cast()) };
    // One mask of 64 bits for all bytes, and one branch on whether it is zero.
    _mm512_mask_cmpneq_epi8_mask(mask, _mm512_castsi128_si512(mac), theirs) == 0
}
