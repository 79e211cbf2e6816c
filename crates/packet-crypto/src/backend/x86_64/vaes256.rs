//! Vectors of two blocks, for AES-GCM with VAES and VPCLMULQDQ where there is no AVX-512: counters, lanes, GHASH.

use core::arch::x86_64::*;

use super::aes::{load, vector};
use super::bytes::load_first;
use crate::key::{Block, HashKeys, RoundKeys};

/// Vectors in a whole group: as many as there are powers of H.
pub(super) const GROUP: usize = 8;

/// Two counter blocks with their last words in the CPU's byte order.
#[derive(Clone, Copy)]
pub(super) struct Counters(pub(super) __m256i);

impl Counters {
    /// Number 1, the one of E(J0), in lane `front`.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn new(nonce: Block, front: usize) -> Self {
        let nonce = _mm256_broadcastsi128_si256(vector(nonce));
        let first = 1 - front as i32;
        let numbers = _mm256_setr_epi32(0, 0, 0, first, 0, 0, 0, first + 1);
        Self(_mm256_or_si256(nonce, numbers))
    }

    /// The counter blocks of vector `n`.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn at(self, n: usize) -> __m256i {
        let ahead = 2 * n as i32;
        let ahead = _mm256_setr_epi32(0, 0, 0, ahead, 0, 0, 0, ahead);
        let order = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 14, 13, 12);
        _mm256_shuffle_epi8(
            _mm256_add_epi32(self.0, ahead),
            _mm256_broadcastsi128_si256(order),
        )
    }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn round_key(keys: &RoundKeys, i: usize) -> __m256i {
    _mm256_broadcastsi128_si256(load(&keys[i]))
}

/// Reverses the bytes of both blocks.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn swap2(v: __m256i) -> __m256i {
    let order = _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    _mm256_shuffle_epi8(v, _mm256_broadcastsi128_si256(order))
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn low(v: __m256i) -> __m128i {
    _mm256_castsi256_si128(v)
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn high(v: __m256i) -> __m128i {
    _mm256_extracti128_si256::<1>(v)
}

/// `low` in lane 0, `high` in lane 1.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn lanes(low: __m128i, high: __m128i) -> __m256i {
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high)
}

/// As `ghash::Sum`, in both lanes.
#[derive(Clone, Copy)]
pub(super) struct Sum {
    low: __m256i,
    middle: __m256i,
    high: __m256i,
}

impl Sum {
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn zero() -> Self {
        let zero = _mm256_setzero_si256();
        Self {
            low: zero,
            middle: zero,
            high: zero,
        }
    }

    /// Adds the products of `x` and the two powers that are for the vector with so many vectors from it to its group's
    /// end, itself included: 1 to 8.
    #[inline]
    #[target_feature(enable = "avx2,vpclmulqdq")]
    pub(super) fn add(&mut self, keys: &HashKeys, left: usize, x: __m256i) {
        let powers: &[u128; 2] = &keys.as_chunks::<2>().0[GROUP - left];
        // SAFETY: two powers are 32 readable bytes.
        let h = unsafe { _mm256_loadu_si256(powers.as_ptr().cast()) };
        let crossed = _mm256_xor_si256(
            _mm256_clmulepi64_epi128::<0x01>(x, h),
            _mm256_clmulepi64_epi128::<0x10>(x, h),
        );
        self.low = _mm256_xor_si256(self.low, _mm256_clmulepi64_epi128::<0x00>(x, h));
        self.middle = _mm256_xor_si256(self.middle, crossed);
        self.high = _mm256_xor_si256(self.high, _mm256_clmulepi64_epi128::<0x11>(x, h));
    }

    /// As `ghash::Sum::reduce`, in both lanes, which are then added.
    #[inline]
    #[target_feature(enable = "avx2,vpclmulqdq")]
    pub(super) fn reduce(self) -> __m128i {
        let q = _mm256_set1_epi64x(0xc200_0000_0000_0000u64 as i64);
        let t = _mm256_clmulepi64_epi128::<0x00>(self.low, q);
        let folded = _mm256_xor_si256(_mm256_shuffle_epi32::<0x4e>(self.low), t);
        let middle = _mm256_xor_si256(self.middle, folded);
        let t = _mm256_clmulepi64_epi128::<0x00>(middle, q);
        let folded = _mm256_xor_si256(_mm256_shuffle_epi32::<0x4e>(middle), t);
        let y = _mm256_xor_si256(self.high, folded);
        _mm_xor_si128(low(y), high(y))
    }
}

/// In as constant a time as `tag::matches`, which would be a call that has all vectors under way stored.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn matches(mac: __m128i, tag: &[u8]) -> bool {
    debug_assert!((1..=16).contains(&tag.len()));
    // SAFETY: the tag has 1 to 16 bytes, and they are all that is readable.
    let theirs = unsafe { load_first(tag.as_ptr(), tag.len(), tag.len()) };
    let equal = _mm_movemask_epi8(_mm_cmpeq_epi8(mac, theirs)) as u32;
    // One mask of all bytes, and one branch on whether it is full.
    !equal << (32 - tag.len()) == 0
}
