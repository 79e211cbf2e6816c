//! Where the blocks of a packet lie in vectors, and their key stream.

use core::arch::x86_64::*;

use super::super::bytes::shift;
use super::super::gcm_ni::associated;
use super::super::ghash::lengths;
use super::super::sha1_ni::swap;
use super::super::vaes256::{Counters, GROUP, Sum, high, lanes, low, round_key, swap2};
use crate::key::{Block, Span};
use crate::table::GcmKey;

/// The key stream of a whole group.
pub(super) type Stream = [__m256i; GROUP];

/// A packet under way.
pub(super) struct Packet<'a, const R: usize> {
    pub key: &'a GcmKey,
    pub counters: Counters,
    /// Where lane 0 of vector 0 would be.
    pub src: *const u8,
    pub dst: *mut u8,
    /// The last 16 bytes of the packet, of which the last block of data is `short`.
    src_end: *const u8,
    pub dst_end: *mut u8,
    /// Bytes of the last block of data: 1 to 16; or there is no data.
    short: usize,
    /// Empty lanes in front: 0 or 1.
    front: usize,
    /// Blocks of data.
    pub blocks: usize,
    /// What is hashed first: the last block of associated data with the hash of those before it, swapped.
    pub before: __m128i,
    /// The block of lengths, swapped.
    lengths: __m128i,
}

impl<'a, const R: usize> Packet<'a, R> {
    /// A packet and what is to be hashed first.
    ///
    /// # Safety
    /// `span` keeps its promise.
    #[inline]
    #[target_feature(enable = "ssse3,pclmulqdq,avx2")]
    pub unsafe fn new(key: &'a GcmKey, nonce: Block, span: Span, trailer: &[u8]) -> Self {
        let Span {
            src,
            dst,
            len,
            clear,
        } = span;
        let blocks = (len - clear).div_ceil(16);
        let front = blocks % 2;
        let lead = 16 * (front + 1);
        Self {
            key,
            counters: Counters::new(nonce, front),
            src: src.wrapping_add(clear).wrapping_sub(lead),
            dst: dst.wrapping_add(clear).wrapping_sub(lead),
            src_end: src.wrapping_add(len).wrapping_sub(16),
            dst_end: dst.wrapping_add(len).wrapping_sub(16),
            short: (len - clear).wrapping_sub(1) % 16 + 1,
            front,
            blocks,
            // SAFETY: the packet is as `span` says.
            before: unsafe { associated(&key.hash_keys, span, trailer) },
            lengths: lengths(clear + trailer.len(), len - clear),
        }
    }

    /// How many vectors are in whole groups, which are never all, and how many are left.
    #[inline]
    pub fn groups(&self) -> (usize, usize) {
        let vectors = (self.front + 1 + self.blocks).div_ceil(2);
        let whole = (vectors - 1) / GROUP * GROUP;
        (whole, vectors - whole)
    }

    /// Vector `n`: neither the first nor the last.
    ///
    /// # Safety
    /// It is one of the packet's, and readable.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub unsafe fn load(&self, n: usize) -> __m256i {
        // SAFETY: such a vector is 32 bytes of data, as the caller promises.
        unsafe { _mm256_loadu_si256(self.src.wrapping_add(32 * n).cast()) }
    }

    /// # Safety
    /// As for [`Self::load`], of the destination.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub unsafe fn store(&self, n: usize, v: __m256i) {
        // SAFETY: such a vector is 32 bytes of data, as the caller promises.
        unsafe { _mm256_storeu_si256(self.dst.wrapping_add(32 * n).cast(), v) };
    }

    /// The first vector, when it is not the last too: a block of data in lane 1, or none.
    ///
    /// # Safety
    /// There is another vector behind; `at` is `src` or `dst`, where the packet is readable.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub unsafe fn load_first(&self, at: *const u8) -> __m256i {
        let zero = _mm256_setzero_si256();
        if self.front == 1 {
            return zero;
        }
        // SAFETY: without an empty lane there is an even number of blocks, two at least as there is another vector: the
        // first one is whole.
        let data = unsafe { _mm_loadu_si128(at.wrapping_add(16).cast()) };
        _mm256_inserti128_si256::<1>(zero, data)
    }

    /// # Safety
    /// There is another vector behind; the packet is writable.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub unsafe fn store_first(&self, v: __m256i) {
        if self.front == 0 {
            // SAFETY: as in `load_first`.
            unsafe { _mm_storeu_si128(self.dst.wrapping_add(16).cast(), high(v)) };
        }
    }

    /// The packet's last 16 bytes, when it has data. In place, bytes of the block before the last may be among them: they
    /// are loaded before anything is stored.
    ///
    /// # Safety
    /// The packet is readable.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub unsafe fn end(&self) -> __m128i {
        if self.blocks == 0 {
            return _mm_setzero_si128();
        }
        // SAFETY: 16 bytes that end with the packet are readable, as `packet` was promised.
        unsafe { _mm_loadu_si128(self.src_end.cast()) }
    }

    /// The first vector for the hash, of ciphertext already swapped.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn first(&self, ciphertext: __m256i) -> __m256i {
        if self.front == 1 {
            return _mm256_inserti128_si256::<1>(_mm256_setzero_si256(), self.before);
        }
        _mm256_blend_epi32::<0xf0>(_mm256_castsi128_si256(self.before), ciphertext)
    }

    /// The last vector for the hash, of the packet's last 16 bytes (in which its last block may begin late).
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn last(&self, end: __m128i) -> __m256i {
        // SAFETY: `short` is 1 to 16.
        let down = unsafe { shift(self.short as isize - 16) };
        lanes(swap(_mm_shuffle_epi8(end, down)), self.lengths)
    }

    /// The key stream of the packet's last 16 bytes: of its last block and the one before it.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn stream_at_end(&self, before: __m128i, last: __m128i) -> __m128i {
        let short = self.short as isize;
        // SAFETY: `short` is 1 to 16.
        let (down, up) = unsafe { (shift(-short), shift(16 - short)) };
        // What is before the only block is not encrypted.
        let before = if self.blocks == 1 {
            _mm_setzero_si128()
        } else {
            before
        };
        _mm_or_si128(_mm_shuffle_epi8(before, down), _mm_shuffle_epi8(last, up))
    }

    /// The key stream for `V` vectors from vector `n` on. Between the rounds, so that both are under way together,
    /// `meanwhile` is called with 0 to 7.
    #[inline]
    #[target_feature(enable = "avx2,vaes")]
    pub fn stream<const V: usize>(
        &self,
        n: usize,
        mut meanwhile: impl FnMut(usize),
    ) -> [__m256i; V] {
        let keys = &self.key.keys;
        let mut blocks = [self.counters.0; V];
        let first = round_key(keys, 0);
        for (i, b) in blocks.iter_mut().enumerate() {
            *b = _mm256_xor_si256(self.counters.at(n + i), first);
        }
        for i in 1..R - 1 {
            let key = round_key(keys, i);
            for b in &mut blocks {
                *b = _mm256_aesenc_epi128(*b, key);
            }
            if i <= GROUP {
                meanwhile(i - 1);
            }
        }
        let last = round_key(keys, R - 1);
        for b in &mut blocks {
            *b = _mm256_aesenclast_epi128(*b, last);
        }
        blocks
    }

    /// The mask of the tag, E(J0), out of the first vector of key stream.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn tag_mask(&self, stream: __m256i) -> __m128i {
        if self.front == 1 {
            high(stream)
        } else {
            low(stream)
        }
    }

    /// Vector `i` of a group that begins with vector `n`, for the hash, with what was hashed before the group.
    ///
    /// # Safety
    /// It is one of the packet's, not the last; `at` is where the ciphertext is, as `src` or `dst`, and readable.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub unsafe fn hashed(&self, at: *const u8, n: usize, i: usize, before: __m128i) -> __m256i {
        // SAFETY: a vector that is neither the first nor the last is data altogether; of the first see `load_first`.
        unsafe {
            if n == 0 && i == 0 {
                return self.first(swap2(self.load_first(at)));
            }
            let x = swap2(_mm256_loadu_si256(at.wrapping_add(32 * (n + i)).cast()));
            if i == 0 {
                return _mm256_xor_si256(x, _mm256_zextsi128_si256(before));
            }
            x
        }
    }

    /// Adds `stream` to the group that begins with vector `n`.
    ///
    /// # Safety
    /// The group is one of the packet's, which has a vector more, and readable and writable.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub unsafe fn add(&self, n: usize, stream: &Stream) {
        // SAFETY: as in `hashed`.
        unsafe {
            if n == 0 {
                self.store_first(_mm256_xor_si256(self.load_first(self.src), stream[0]));
            } else {
                self.store(n, _mm256_xor_si256(self.load(n), stream[0]));
            }
            for (i, k) in (n + 1..).zip(&stream[1..]) {
                self.store(i, _mm256_xor_si256(self.load(i), *k));
            }
        }
    }

    /// The hash in wire order, of the last `V` vectors of ciphertext (swapped) and `y`, the hash of the ones before.
    #[inline]
    #[target_feature(enable = "avx2,vpclmulqdq")]
    pub fn finish<const V: usize>(&self, mut x: [__m256i; V], whole: usize, y: __m128i) -> __m128i {
        if self.blocks == 0 {
            x[0] = lanes(self.before, self.lengths);
        } else if whole == 0 {
            x[0] = self.first(x[0]);
        } else {
            x[0] = _mm256_xor_si256(x[0], _mm256_zextsi128_si256(y));
        }
        let mut sum = Sum::zero();
        for (i, x) in x.into_iter().enumerate() {
            sum.add(&self.key.hash_keys, V - i, x);
        }
        swap(sum.reduce())
    }
}
