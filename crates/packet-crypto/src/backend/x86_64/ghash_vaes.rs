//! GHASH of four blocks a vector, with VPCLMULQDQ and AVX-512, and what else AES-GCM does with such vectors.

use core::arch::x86_64::*;

use super::aes::load;
use super::aes_vaes::in_step;
use crate::key::HashKeys;
use crate::table::GcmKey;

/// Vectors in a group: as many as there are powers of H.
pub(super) const GROUP: usize = 4;

/// Vectors in a pair of groups: AES of so many does not wait for itself.
pub(super) const PAIR: usize = 2 * GROUP;

/// The power that takes a vector to the beginning of the next group, in every lane, when `left` vectors are left of its
/// group, itself included: 1 to 4.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn stride(keys: &HashKeys, left: usize) -> __m512i {
    _mm512_broadcast_i32x4(load(&keys[4 * (GROUP - left)]))
}

/// The powers that take a vector's lanes to the end of the last group, whose last `empty` lanes are empty: in their place
/// are no powers. `left` is as for [`stride`].
///
/// # Safety
/// `left` is 1 to 4, `empty` 0 to 3.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn powers(key: &GcmKey, left: usize, empty: usize) -> __m512i {
    debug_assert!((1..=4).contains(&left) && empty < 4);
    let at = (&raw const *key).cast::<u128>();
    // SAFETY: the sixteen powers are the key's first, and at most three of the fifteen round keys that are behind them are
    // loaded too.
    unsafe { _mm512_loadu_si512(at.add(4 * (GROUP - left) + empty).cast()) }
}

/// As `ghash::Sum`, in every lane.
#[derive(Clone, Copy)]
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

    /// Adds the products of `x` and the powers `h`.
    #[inline]
    #[target_feature(enable = "avx512f,vpclmulqdq")]
    pub(super) fn add(&mut self, x: __m512i, h: __m512i) {
        self.low = _mm512_xor_si512(self.low, _mm512_clmulepi64_epi128::<0x00>(x, h));
        self.high = _mm512_xor_si512(self.high, _mm512_clmulepi64_epi128::<0x11>(x, h));
        self.add_middle(x, h);
    }

    /// As [`Self::add`], twice.
    #[inline]
    #[target_feature(enable = "avx512f,vpclmulqdq")]
    fn add_two(&mut self, [a, b]: [__m512i; 2], [g, h]: [__m512i; 2]) {
        self.low = xor3(
            self.low,
            _mm512_clmulepi64_epi128::<0x00>(a, g),
            _mm512_clmulepi64_epi128::<0x00>(b, h),
        );
        self.high = xor3(
            self.high,
            _mm512_clmulepi64_epi128::<0x11>(a, g),
            _mm512_clmulepi64_epi128::<0x11>(b, h),
        );
        self.add_middle(a, g);
        self.add_middle(b, h);
    }

    #[inline]
    #[target_feature(enable = "avx512f,vpclmulqdq")]
    fn add_middle(&mut self, x: __m512i, h: __m512i) {
        self.middle = xor3(
            self.middle,
            _mm512_clmulepi64_epi128::<0x01>(x, h),
            _mm512_clmulepi64_epi128::<0x10>(x, h),
        );
    }

    /// As `ghash::Sum::reduce`, in every lane.
    #[inline]
    #[target_feature(enable = "avx512f,vpclmulqdq")]
    pub(super) fn reduce(self) -> __m512i {
        let q = _mm512_set1_epi64(0xc200_0000_0000_0000u64 as i64);
        let t = _mm512_clmulepi64_epi128::<0x00>(self.low, q);
        let middle = xor3(self.middle, _mm512_shuffle_epi32::<0x4e>(self.low), t);
        let t = _mm512_clmulepi64_epi128::<0x00>(middle, q);
        xor3(self.high, _mm512_shuffle_epi32::<0x4e>(middle), t)
    }

    /// As [`Self::reduce`], and the lanes are added.
    #[inline]
    #[target_feature(enable = "avx512f,vpclmulqdq")]
    pub(super) fn total(self) -> __m128i {
        let y = self.reduce();
        let y = _mm256_xor_si256(_mm512_castsi512_si256(y), _mm512_extracti64x4_epi64::<1>(y));
        _mm_xor_si128(_mm256_castsi256_si128(y), _mm256_extracti128_si256::<1>(y))
    }
}

/// The hash of pairs of groups, while AES is under way. The lanes are hashed side by side: what is behind tells which powers
/// make one hash of the four.
pub(super) struct Hash<'a> {
    keys: &'a HashKeys,
    sum: Sum,
    /// The hash of what is before the next group.
    pub y: __m512i,
}

impl<'a> Hash<'a> {
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn new(keys: &'a HashKeys, before: __m512i) -> Self {
        Self {
            keys,
            sum: Sum::zero(),
            y: before,
        }
    }

    /// Hashes a pair of groups of ciphertext, two vectors a call: `i` is 0 to 3. The first vector of a group comes last:
    /// what was hashed before the group is the last to be known.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
    pub(super) fn pair(&mut self, ciphertext: &[__m512i; PAIR], i: usize) {
        let group: &[__m512i; GROUP] = &ciphertext.as_chunks().0[i / 2];
        if i.is_multiple_of(2) {
            let x = [swap4(group[1]), swap4(group[2])];
            let h = [stride(self.keys, 3), stride(self.keys, 2)];
            self.sum.add_two(x, h);
            self.sum.in_step();
        } else {
            let first = _mm512_xor_si512(swap4(group[0]), self.y);
            let h = [stride(self.keys, 1), stride(self.keys, 4)];
            self.sum.add_two([swap4(group[3]), first], h);
            self.sum.in_step();
            self.y = self.sum.reduce();
            self.sum = Sum::zero();
        }
    }
}

impl Sum {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn in_step(&mut self) {
        let mut parts = [self.low, self.middle, self.high];
        in_step(&mut parts);
        [self.low, self.middle, self.high] = parts;
    }
}

/// The sum of products of a group with nothing beside it: three multiplications for four (A. Karatsuba), as they are what
/// takes the time then.
pub(super) struct Alone {
    /// The power for each vector.
    powers: [__m512i; GROUP],
    /// Of each power, the sum of its halves.
    halves: [__m512i; GROUP],
}

impl Alone {
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn new(keys: &HashKeys) -> Self {
        let powers = [4, 3, 2, 1].map(|left| stride(keys, left));
        Self {
            powers,
            halves: powers.map(|h| halves(h)),
        }
    }

    /// The hash of a group of ciphertext, with what is before it.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
    pub(super) fn group(&self, ciphertext: [__m512i; GROUP], before: __m512i) -> __m512i {
        let mut x = ciphertext.map(|x| swap4(x));
        x[0] = _mm512_xor_si512(x[0], before);
        let product = |i: usize| {
            (
                _mm512_clmulepi64_epi128::<0x00>(x[i], self.powers[i]),
                _mm512_clmulepi64_epi128::<0x00>(halves(x[i]), self.halves[i]),
                _mm512_clmulepi64_epi128::<0x11>(x[i], self.powers[i]),
            )
        };
        // The first vector last: what is before it is the last to be known.
        let (a, b, c, d) = (product(1), product(2), product(3), product(0));
        let low = _mm512_xor_si512(xor3(a.0, b.0, c.0), d.0);
        let high = _mm512_xor_si512(xor3(a.2, b.2, c.2), d.2);
        let middle = xor3(xor3(a.1, b.1, c.1), d.1, low);
        Sum {
            low,
            middle: _mm512_xor_si512(middle, high),
            high,
        }
        .reduce()
    }
}

/// The sum of a block's halves, in its lower half.
#[inline]
#[target_feature(enable = "avx512f")]
fn halves(x: __m512i) -> __m512i {
    _mm512_xor_si512(x, _mm512_shuffle_epi32::<0x4e>(x))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<0x96>(a, b, c)
}

/// Reverses the bytes of every block.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn swap4(v: __m512i) -> __m512i {
    let order = _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    _mm512_shuffle_epi8(v, _mm512_broadcast_i32x4(order))
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
