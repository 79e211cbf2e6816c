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

    /// The digest's bytes, zeros behind.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn digest_vector(self) -> __m256i {
        _mm256_set_m128i(swap(self.e), swap(self.abcd))
    }

    /// The one block of HMAC's outer hash, from the inner hash: its digest, padding, and the length of 64 + 20 bytes.
    #[inline]
    #[target_feature(enable = "sse2")]
    pub fn outer_block(self) -> [__m128i; 4] {
        let e_and_end = _mm_or_si128(self.e, _mm_set_epi32(0, i32::MIN, 0, 0));
        [self.abcd, e_and_end, _mm_setzero_si128(), length(64 + 20)]
    }
}

/// One block of sixteen swapped words, as functions of the levels' features. SHA1MSG2 is microcode on Intel's CPUs and
/// holds up all that runs beside it, and SHA1NEXTE comes late. So the message schedule of rounds 32 to 79 is that of
/// M. Locktyukhin ("Improving the performance of the Secure Hash Algorithm"): `W[t] = (W[t-6] ^ W[t-16] ^ W[t-28] ^
/// W[t-32]) <<< 2`, four words at a time with plain vector instructions.
macro_rules! rounds {
    ($f:literal, [$($i:literal)+], $lanes:ident, $next_e:ident, $msg2:ident, $late:ident from $from:literal) => { $(
        for Lane { w, abcd, old } in &mut $lanes {
            if $i >= $from {
                w[$i] = $late([w[$i - 4], w[$i - 7], w[$i - 8]], [w[$i - 2], w[$i - 1]]);
            } else if $i >= 4 {
                let x = _mm_xor_si128(_mm_sha1msg1_epu32(w[$i - 4], w[$i - 3]), w[$i - 2]);
                w[$i] = $msg2(x, w[$i - 1]);
            }
            let e = $next_e(*old, w[$i]);
            *old = *abcd;
            *abcd = _mm_sha1rnds4_epu32::<$f>(*abcd, e);
        }
    )+ };
}

/// One of several hashes side by side.
struct Lane {
    /// The message schedule.
    w: [__m128i; 20],
    abcd: __m128i,
    /// What the next E comes from: A of four rounds ago.
    old: __m128i,
}

macro_rules! compress {
    ($name:ident, $several:ident, $hmac_key:ident, [$($feature:tt),+], $next_e:ident, $msg2:ident, $late:ident from $from:literal) => {
        impl State {
            #[inline]
            #[target_feature($(enable = $feature),+)]
            pub fn $name(self, block: [__m128i; 4]) -> Self {
                let [state] = Self::$several([self], [block]);
                state
            }

            /// Two hashes that do not wait for each other take little longer than one.
            #[inline]
            #[target_feature($(enable = $feature),+)]
            fn $several<const N: usize>(states: [Self; N], blocks: [[__m128i; 4]; N]) -> [Self; N] {
                let mut n = 0;
                let mut lanes = states.map(
                    #[inline]
                    |state| {
                        let mut w = [_mm_setzero_si128(); 20];
                        w[..4].copy_from_slice(&blocks[n]);
                        n += 1;
                        let abcd = _mm_sha1rnds4_epu32::<0>(state.abcd, _mm_add_epi32(state.e, w[0]));
                        Lane { w, abcd, old: state.abcd }
                    },
                );
                rounds!(0, [1 2 3 4], lanes, $next_e, $msg2, $late from $from);
                rounds!(1, [5 6 7 8 9], lanes, $next_e, $msg2, $late from $from);
                rounds!(2, [10 11 12 13 14], lanes, $next_e, $msg2, $late from $from);
                rounds!(3, [15 16 17 18 19], lanes, $next_e, $msg2, $late from $from);
                let mut states = states;
                for (state, lane) in states.iter_mut().zip(&lanes) {
                    state.abcd = _mm_add_epi32(lane.abcd, state.abcd);
                    state.e = _mm_sha1nexte_epu32(lane.old, state.e);
                }
                states
            }
        }

        /// The two HMAC key states.
        #[target_feature($(enable = $feature),+)]
        pub(super) fn $hmac_key(key: &[u8; 20]) -> HmacKey {
            let [inner, outer] = State::$several([State::load(&sha1::INITIAL); 2], padded(key));
            HmacKey { inner: inner.store(), outer: outer.store() }
        }
    };
}

compress!(
    compress,
    compress_several,
    hmac_key,
    ["sse2", "ssse3", "sha"],
    _mm_sha1nexte_epu32,
    _mm_sha1msg2_epu32,
    late_words from 8
);
compress!(
    compress_quick,
    compress_several_quick,
    hmac_key_quick,
    ["sse2", "ssse3", "sha"],
    _mm_sha1nexte_epu32,
    _mm_sha1msg2_epu32,
    late_words from 20
);
compress!(
    compress_vl,
    compress_several_vl,
    hmac_key_vl,
    ["sse2", "ssse3", "sha", "avx512f", "avx512bw", "avx512vl"],
    next_e,
    msg2,
    late_words_vl from 8
);

/// Words of the schedule from round 32 on, from those 16, 28 and 32 rounds before, and the last two vectors.
#[inline]
#[target_feature(enable = "sse2,ssse3")]
fn late_words(w: [__m128i; 3], last: [__m128i; 2]) -> __m128i {
    let far = _mm_xor_si128(_mm_xor_si128(w[0], w[1]), w[2]);
    let x = _mm_xor_si128(far, _mm_alignr_epi8::<8>(last[0], last[1]));
    _mm_or_si128(_mm_slli_epi32::<2>(x), _mm_srli_epi32::<30>(x))
}

/// As [`late_words`]: three instructions behind `last`, where the compiler would make it four or, in other registers,
/// slower ones.
#[inline]
#[target_feature(enable = "sse2,avx512f,avx512bw,avx512vl")]
fn late_words_vl(w: [__m128i; 3], last: [__m128i; 2]) -> __m128i {
    let mut x = _mm_xor_si128(w[0], w[1]);
    // SAFETY: instructions on registers.
    unsafe {
        core::arch::asm!(
            "vpalignr {near}, {a}, {b}, 8",
            "vpternlogd {x}, {w}, {near}, 0x96",
            "vprold {x}, {x}, 2",
            x = inout(xmm_reg) x, w = in(xmm_reg) w[2], near = out(xmm_reg) _,
            a = in(xmm_reg) last[0], b = in(xmm_reg) last[1],
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    x
}

/// SHA1NEXTE, quicker.
#[inline]
#[target_feature(enable = "sse2,avx512f,avx512vl")]
fn next_e(a: __m128i, w: __m128i) -> __m128i {
    let mut e;
    // SAFETY: one instruction on registers.
    unsafe {
        core::arch::asm!(
            "vprold {e} {{{k}}}{{z}}, {a}, 30",
            e = lateout(xmm_reg) e, a = in(xmm_reg) a, k = in(kreg) 8u8,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    _mm_add_epi32(w, e)
}

/// SHA1MSG2 in plain vector code.
#[inline]
#[target_feature(enable = "sse2,avx512f,avx512vl")]
fn msg2(sum: __m128i, last: __m128i) -> __m128i {
    // Three of the words need words of `last`, and the fourth needs the first.
    let x = _mm_xor_si128(sum, _mm_slli_si128::<4>(last));
    let first = _mm_srli_si128::<12>(x);
    _mm_xor_si128(_mm_rol_epi32::<1>(x), _mm_rol_epi32::<2>(first))
}

/// The key as HMAC's two first blocks (RFC 2104), swapped.
#[inline]
#[target_feature(enable = "sse2,ssse3")]
fn padded(key: &[u8; 20]) -> [[__m128i; 4]; 2] {
    let (front, back) = key.split_first_chunk::<16>().expect("a key has 20 bytes");
    let back = u32::from_le_bytes(*back.first_chunk().expect("a key has 20 bytes"));
    let front = load(&u128::from_le_bytes(*front));
    let back = _mm_cvtsi32_si128(back as i32);
    [0x36, 0x5c].map(
        #[inline]
        |fill| {
            let fill = _mm_set1_epi8(fill);
            let words = |key| swap(_mm_xor_si128(key, fill));
            [words(front), words(back), fill, fill]
        },
    )
}
