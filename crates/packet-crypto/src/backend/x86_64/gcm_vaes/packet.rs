//! Where the blocks of a packet lie in vectors, and their key stream.

use core::arch::x86_64::*;

use super::super::aes::vector;
use super::super::aes_vaes::{round_key, rounds};
use super::super::gcm_ni::associated;
use super::super::ghash::lengths;
use super::super::ghash_vaes::{GROUP, PAIR, Sum, powers, stride, swap4};
use super::super::sha1_ni::swap;
use crate::key::{Block, Span};
use crate::table::GcmKey;

/// A packet under way.
pub(super) struct Packet<'a, const R: usize> {
    pub key: &'a GcmKey,
    /// Vectors in all.
    pub vectors: usize,
    /// Empty lanes behind the lengths.
    empty: usize,
    /// Which bytes are data or before it: of the vector before the last, and of the last, which may have the lengths alone.
    ends: [u64; 2],
    /// The nonce and a counter of zero, with round key 0, in every lane.
    counters: __m512i,
    /// Where lane 0 of vector 0 would be.
    src: *const u8,
    dst: *mut u8,
    /// What is hashed first: the last block of associated data with the hash of those before it, swapped, in lane 0.
    pub before: __m512i,
    /// The block of lengths, swapped, in its lane.
    lengths: __m512i,
}

/// The key stream, or the ciphertext, of a pair of groups.
pub(super) type Pair = [__m512i; PAIR];

/// Which bytes of vector 0 are not before the data.
const FIRST: u64 = u64::MAX << 16;

/// Vectors behind the whole pairs, at most.
pub(super) const LAST: usize = PAIR + 1;

/// What is added to [`Packet::counters`] for the first vectors: 1, that of E(J0), is in lane 0.
static NUMBERS: [[u32; 16]; LAST] = {
    let mut numbers = [[0; 16]; LAST];
    let mut i = 0;
    while i < 4 * LAST {
        numbers[i / 4][i % 4 * 4 + 3] = (i as u32 + 1).swap_bytes();
        i += 1;
    }
    numbers
};

impl<'a, const R: usize> Packet<'a, R> {
    /// # Safety
    /// `span` keeps its promise.
    #[inline]
    #[target_feature(enable = "ssse3,pclmulqdq,bmi2,avx512f")]
    pub unsafe fn new(key: &'a GcmKey, nonce: Block, span: Span, trailer: &[u8]) -> Self {
        let Span {
            src,
            dst,
            len,
            clear,
        } = span;
        let data = len - clear;
        let lanes = 1 + data.div_ceil(16) + 1;
        let vectors = lanes.div_ceil(4);
        let empty = 4 * vectors - lanes;
        // From the vector before the last on: at most 112, as the lengths are behind.
        let end = (128 + 16 + data - 64 * vectors) as u32;
        let nonce = _mm512_broadcast_i32x4(vector(nonce));
        Self {
            key,
            vectors,
            empty,
            ends: [
                _bzhi_u64(u64::MAX, end),
                _bzhi_u64(u64::MAX, end.saturating_sub(64)),
            ],
            counters: _mm512_xor_si512(nonce, round_key(&key.keys, 0)),
            src: src.wrapping_add(clear).wrapping_sub(16),
            dst: dst.wrapping_add(clear).wrapping_sub(16),
            // SAFETY: the packet is as `span` says.
            before: _mm512_zextsi128_si512(unsafe { associated(&key.hash_keys, span, trailer) }),
            lengths: _mm512_maskz_broadcast_i32x4(
                0xf000 >> (4 * empty as u32),
                lengths(clear + trailer.len(), data),
            ),
        }
    }

    /// How many vectors are in whole pairs. Two to [`LAST`] are behind: the last two may be less than whole, and each lane
    /// of the hash needs a power.
    #[inline]
    pub fn whole(&self) -> usize {
        self.vectors.saturating_sub(2) / PAIR * PAIR
    }

    /// Which bytes of vector `n` are data, when it is in a whole pair.
    #[inline]
    fn mask(n: usize) -> u64 {
        if n == 0 { FIRST } else { u64::MAX }
    }

    /// Which bytes of vector `i` are data or before it, of the last `V` ones.
    #[inline]
    pub fn end<const V: usize>(&self, i: usize) -> u64 {
        match V - i {
            1 => self.ends[1],
            2 => self.ends[0],
            _ => u64::MAX,
        }
    }

    /// Which bytes of vector `i` are data, of the last `V` ones, behind the first `whole`.
    #[inline]
    pub fn mask_of_last<const V: usize>(&self, whole: usize, i: usize) -> u64 {
        let first = if i == 0 { Self::mask(whole) } else { u64::MAX };
        first & self.end::<V>(i)
    }

    /// The bytes of vector `n` that are in the mask, zeros elsewhere.
    ///
    /// # Safety
    /// `src` is where the packet is, of which the mask has data alone.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    pub unsafe fn load(&self, n: usize, mask: u64) -> __m512i {
        // SAFETY: the mask leaves out what is not the packet's data; masked bytes are not accessed.
        unsafe { _mm512_maskz_loadu_epi8(mask, self.src.wrapping_add(64 * n).cast()) }
    }

    /// # Safety
    /// `dst` is where the packet goes, of which the mask has data alone.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    pub unsafe fn store(&self, n: usize, mask: u64, v: __m512i) {
        // SAFETY: the mask leaves out what is not the packet's data; masked bytes are not written.
        unsafe { _mm512_mask_storeu_epi8(self.dst.wrapping_add(64 * n).cast(), mask, v) };
    }

    /// `V` vectors from vector `n` on.
    ///
    /// # Safety
    /// `src` is where the packet is, which has those vectors and two behind.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    pub unsafe fn load_whole<const V: usize>(&self, n: usize) -> [__m512i; V] {
        let mut vectors = [_mm512_setzero_si512(); V];
        for (i, v) in vectors.iter_mut().enumerate() {
            let mask = if i == 0 { Self::mask(n) } else { u64::MAX };
            // SAFETY: only the first vector and the last two are not data altogether.
            *v = unsafe { self.load(n + i, mask) };
        }
        vectors
    }

    /// Adds `stream` to the pair of groups from vector `n` on. Returns what it is then; what is not data is zero.
    ///
    /// # Safety
    /// `src` and `dst` are the packet's, which has those vectors and two behind.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    pub unsafe fn add(&self, n: usize, mut stream: Pair) -> Pair {
        for (i, v) in stream.iter_mut().enumerate() {
            let mask = if i == 0 { Self::mask(n) } else { u64::MAX };
            // SAFETY: only the first vector and the last two are not data altogether.
            unsafe {
                *v = _mm512_maskz_mov_epi8(mask, _mm512_xor_si512(*v, self.load(n + i, mask)));
                self.store(n + i, mask, *v);
            }
        }
        stream
    }

    /// The key stream for `V` vectors from vector `n` on, which begins a pair. Between the rounds `meanwhile` is called with 0 to
    /// 3. Lane 0 of vector 0 is E(J0), the mask of the tag.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vaes")]
    pub fn stream<const V: usize>(&self, n: usize, meanwhile: impl FnMut(usize)) -> [__m512i; V] {
        // Whole pairs have numbers in front of which the bits of `4 * n` may be set. The last of a pair has a carry.
        let before = |n: usize| (4 * n as u32).swap_bytes() as i32;
        let base = _mm512_maskz_set1_epi32(0x8888, before(n));
        let base = _mm512_xor_si512(self.counters, base);
        let mut blocks = [base; V];
        for (b, number) in blocks.iter_mut().zip(&NUMBERS) {
            *b = _mm512_xor_si512(base, load512(number));
        }
        if V >= PAIR && n > 0 {
            let next = _mm512_maskz_set1_epi32(0x8888, before(n + PAIR));
            let next = _mm512_xor_si512(self.counters, next);
            blocks[PAIR - 1] = _mm512_mask_mov_epi32(blocks[PAIR - 1], 0xf000, next);
            if let Some(b) = blocks.get_mut(PAIR) {
                *b = _mm512_xor_si512(next, load512(&NUMBERS[0]));
            }
        }
        rounds::<R, V>(&self.key.keys, blocks, meanwhile)
    }

    /// The hash in wire order, of the last `V` vectors, of which `x` has data alone, with `before` what is before them. If
    /// that is but the associated data, its lane may have anything in `x`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
    pub fn finish<const V: usize, const LONG: bool>(
        &self,
        x: [__m512i; V],
        before: __m512i,
    ) -> __m128i {
        let mut x = x.map(|x| swap4(x));
        x[0] = if LONG {
            _mm512_xor_si512(x[0], before)
        } else {
            _mm512_mask_mov_epi64(x[0], 0b11, before)
        };
        x[V - 1] = _mm512_xor_si512(x[V - 1], self.lengths);
        // Of groups, the first may be a short one.
        let first = (V - 1) % GROUP + 1;
        if first < V {
            let y = self.strides(&x[..first]);
            x[first] = _mm512_xor_si512(x[first], y);
        }
        if first + GROUP < V {
            let y = self.strides(&x[first..first + GROUP]);
            x[first + GROUP] = _mm512_xor_si512(x[first + GROUP], y);
        }
        let last = &x[V.saturating_sub(GROUP)..];
        let mut sum = Sum::zero();
        for (i, x) in last.iter().enumerate().rev() {
            // SAFETY: there are at most four vectors in a group, and at most three lanes are empty.
            sum.add(*x, unsafe { powers(self.key, last.len() - i, self.empty) });
        }
        swap(sum.total())
    }

    /// The hash of a group, swapped, that is not the last one, side by side in its lanes.
    #[inline]
    #[target_feature(enable = "avx512f,vpclmulqdq")]
    fn strides(&self, group: &[__m512i]) -> __m512i {
        let mut sum = Sum::zero();
        for (i, x) in group.iter().enumerate().rev() {
            sum.add(*x, stride(&self.key.hash_keys, group.len() - i));
        }
        sum.reduce()
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load512(words: &[u32; 16]) -> __m512i {
    // SAFETY: 64 readable bytes.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}
