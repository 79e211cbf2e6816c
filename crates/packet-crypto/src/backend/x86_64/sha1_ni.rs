//! SHA-1 with the SHA extensions, the message in registers.

use core::arch::x86_64::*;

use super::aes::load;
use crate::backend::soft::sha1;
use crate::key::HmacKey;

/// A SHA-1 state as the instructions want it: A in the highest word of `abcd`; E in the highest of `e`, zeros below.
#[derive(Clone, Copy)]
pub(super) struct State {
    abcd: __m128i,
    e: __m128i,
}

/// Reverses the sixteen bytes: four message words become big-endian with the first in the highest word.
#[inline]
#[target_feature(enable = "sse2,ssse3")]
pub(super) fn swap(v: __m128i) -> __m128i {
    _mm_shuffle_epi8(
        v,
        _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
    )
}

/// The message length in bits as the last sixteen bytes of the last block, already swapped.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn length(bytes: usize) -> __m128i {
    _mm_set_epi64x(0, bytes as i64 * 8)
}

impl State {
    #[inline]
    #[target_feature(enable = "sse2")]
    pub fn load(words: &[u32; 5]) -> Self {
        // SAFETY: five words are more than 16 readable bytes.
        let abcd = unsafe { _mm_loadu_si128(words.as_ptr().cast()) };
        Self {
            abcd: _mm_shuffle_epi32::<0x1b>(abcd),
            e: _mm_set_epi32(words[4] as i32, 0, 0, 0),
        }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn store(self) -> [u32; 5] {
        let mut words = [0; 5];
        // SAFETY: five words are more than 16 writable bytes.
        unsafe {
            _mm_storeu_si128(
                words.as_mut_ptr().cast(),
                _mm_shuffle_epi32::<0x1b>(self.abcd),
            );
        }
        words[4] = _mm_cvtsi128_si32(_mm_srli_si128::<12>(self.e)) as u32;
        words
    }

    /// The digest as bytes.
    #[inline]
    #[target_feature(enable = "sse2,ssse3")]
    pub fn digest(self) -> [u8; 20] {
        let mut out = [0; 20];
        // SAFETY: 20 bytes are more than 16 writable ones.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), swap(self.abcd)) };
        let e = _mm_cvtsi128_si32(_mm_srli_si128::<12>(self.e)) as u32;
        out[16..].copy_from_slice(&e.to_be_bytes());
        out
    }

    /// The one block of HMAC's outer hash, from the inner hash: its digest, padding, and the length of 64 + 20 bytes.
    #[inline]
    #[target_feature(enable = "sse2")]
    pub fn outer_block(self) -> [__m128i; 4] {
        let e_and_end = _mm_or_si128(self.e, _mm_set_epi32(0, i32::MIN, 0, 0));
        [self.abcd, e_and_end, _mm_setzero_si128(), length(64 + 20)]
    }

    /// One block of sixteen swapped words.
    #[inline]
    #[target_feature(enable = "sse2,sha")]
    pub fn compress(self, block: [__m128i; 4]) -> Self {
        let [mut m0, mut m1, mut m2, mut m3] = block;
        let mut abcd = self.abcd;
        // What the next E comes from: A of four rounds ago.
        let mut old = abcd;

        macro_rules! rounds {
            ($f:literal, $words:expr) => {{
                let e = _mm_sha1nexte_epu32(old, $words);
                old = abcd;
                abcd = _mm_sha1rnds4_epu32::<$f>(abcd, e);
            }};
        }
        // The next four words of the schedule, in place of the oldest four.
        macro_rules! schedule {
            ($a:ident, $b:ident, $c:ident, $d:ident) => {{
                $a = _mm_sha1msg2_epu32(_mm_xor_si128(_mm_sha1msg1_epu32($a, $b), $c), $d);
                $a
            }};
        }

        abcd = _mm_sha1rnds4_epu32::<0>(abcd, _mm_add_epi32(self.e, m0));
        rounds!(0, m1);
        rounds!(0, m2);
        rounds!(0, m3);
        rounds!(0, schedule!(m0, m1, m2, m3));
        rounds!(1, schedule!(m1, m2, m3, m0));
        rounds!(1, schedule!(m2, m3, m0, m1));
        rounds!(1, schedule!(m3, m0, m1, m2));
        rounds!(1, schedule!(m0, m1, m2, m3));
        rounds!(1, schedule!(m1, m2, m3, m0));
        rounds!(2, schedule!(m2, m3, m0, m1));
        rounds!(2, schedule!(m3, m0, m1, m2));
        rounds!(2, schedule!(m0, m1, m2, m3));
        rounds!(2, schedule!(m1, m2, m3, m0));
        rounds!(2, schedule!(m2, m3, m0, m1));
        rounds!(3, schedule!(m3, m0, m1, m2));
        rounds!(3, schedule!(m0, m1, m2, m3));
        rounds!(3, schedule!(m1, m2, m3, m0));
        rounds!(3, schedule!(m2, m3, m0, m1));
        rounds!(3, schedule!(m3, m0, m1, m2));

        Self {
            abcd: _mm_add_epi32(abcd, self.abcd),
            e: _mm_sha1nexte_epu32(old, self.e),
        }
    }
}

/// The two HMAC key states. The two blocks do not depend on each other: the CPU runs them side by side.
#[target_feature(enable = "sse2,ssse3,sha")]
pub(super) fn hmac_key(key: &[u8; 20]) -> HmacKey {
    let (front, back) = key.split_first_chunk::<16>().expect("a key has 20 bytes");
    let back = u32::from_le_bytes(*back.first_chunk().expect("a key has 20 bytes"));
    let (front, back) = (
        load(&u128::from_le_bytes(*front)),
        _mm_cvtsi32_si128(back as i32),
    );
    let initial = State::load(&sha1::INITIAL);
    let state = |fill: u8| {
        let fill = _mm_set1_epi8(fill as i8);
        let (k0, k1) = (
            swap(_mm_xor_si128(front, fill)),
            swap(_mm_xor_si128(back, fill)),
        );
        initial.compress([k0, k1, fill, fill]).store()
    };
    HmacKey {
        inner: state(0x36),
        outer: state(0x5c),
    }
}
