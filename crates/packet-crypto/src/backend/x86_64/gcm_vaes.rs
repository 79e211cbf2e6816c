//! AES-GCM with VAES, VPCLMULQDQ and AVX-512: four blocks a vector, up to four vectors a group.
//!
//! The sequence that GHASH takes (the last block of associated data, the ciphertext, the lengths) is laid into vectors
//! so that the lengths are in the last lane of the last vector; what is left over is in front, where zeros change
//! nothing. The powers of H then always lie in whole vectors. The key stream is laid the same way: the lane of the
//! associated data is the one of E(J0), so that the mask of the tag is made without a block more.

use core::arch::x86_64::*;

use super::bytes::copy_clear;
use super::ctr_vaes::Counters;
use super::gcm_ni::{associated, associated_blocks, to_bytes};
use super::ghash::{Hash, lengths};
use super::sha1_ni::swap;
use crate::key::{Block, HashKeys, Span};
use crate::table::GcmKey;

/// Where the lanes of a packet are.
#[derive(Clone, Copy)]
struct Layout {
    /// Empty lanes in front.
    front: usize,
    /// Vectors in all.
    vectors: usize,
    /// Bytes of the first vector that are not before the data, and of the last that are not behind it.
    first: u64,
    last: u64,
}

impl Layout {
    #[inline]
    fn new(data: usize) -> Self {
        let lanes = 1 + data.div_ceil(16) + 1;
        let vectors = lanes.div_ceil(4);
        let front = 4 * vectors - lanes;
        let end = 16 * (front + 1) + data - 64 * (vectors - 1);
        // `front` may be 3 (all bytes are before the data), `end` is at most 48: the lengths are behind.
        Self {
            front,
            vectors,
            first: u64::MAX << (16 * front) << 16,
            last: !(u64::MAX << end),
        }
    }
}

/// The hash of `V` vectors (swapped, with what came before already added): multiplied by the last `4 V` powers of H.
#[inline]
#[target_feature(enable = "avx512f,vpclmulqdq")]
fn hash<const V: usize>(keys: &HashKeys, x: [__m512i; V]) -> __m128i {
    let zero = _mm512_setzero_si512();
    let (mut low, mut middle, mut high) = (zero, zero, zero);
    let powers = keys[16 - 4 * V..].as_chunks::<4>().0;
    for (x, powers) in x.into_iter().zip(powers) {
        // SAFETY: four powers are 64 readable bytes.
        let h = unsafe { _mm512_loadu_si512(powers.as_ptr().cast()) };
        low = _mm512_xor_si512(low, _mm512_clmulepi64_epi128::<0x00>(x, h));
        high = _mm512_xor_si512(high, _mm512_clmulepi64_epi128::<0x11>(x, h));
        middle = xor3(
            middle,
            _mm512_clmulepi64_epi128::<0x01>(x, h),
            _mm512_clmulepi64_epi128::<0x10>(x, h),
        );
    }
    // As `ghash::Sum::reduce`, in every lane.
    let q = _mm512_set1_epi64(0xc200_0000_0000_0000u64 as i64);
    let t = _mm512_clmulepi64_epi128::<0x00>(low, q);
    let middle = xor3(middle, _mm512_shuffle_epi32::<0x4e>(low), t);
    let t = _mm512_clmulepi64_epi128::<0x00>(middle, q);
    let y = xor3(high, _mm512_shuffle_epi32::<0x4e>(middle), t);
    let y = _mm256_xor_si256(_mm512_castsi512_si256(y), _mm512_extracti64x4_epi64::<1>(y));
    _mm_xor_si128(_mm256_castsi256_si128(y), _mm256_extracti128_si256::<1>(y))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<0x96>(a, b, c)
}

/// Reverses the bytes of every block.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn swap4(v: __m512i) -> __m512i {
    let order = _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    _mm512_shuffle_epi8(v, _mm512_broadcast_i32x4(order))
}

/// `block` in lane `lane`, zeros elsewhere.
#[inline]
#[target_feature(enable = "avx512f")]
fn in_lane(lane: usize, block: __m128i) -> __m512i {
    _mm512_maskz_broadcast_i32x4(0xf << (4 * lane), block)
}

/// `tag::matches` in registers, in as constant a time: a call would have every vector under way stored and loaded again.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn matches(mac: __m128i, tag: &[u8]) -> bool {
    debug_assert!((1..=16).contains(&tag.len()));
    let mask = !(u64::MAX << tag.len());
    // SAFETY: the mask leaves out what is behind the tag; masked bytes are not accessed.
    let theirs = unsafe { _mm512_maskz_loadu_epi8(mask, tag.as_ptr().cast()) };
    // One mask of 64 bits for all bytes, and one branch on whether it is zero.
    _mm512_mask_cmpneq_epi8_mask(mask, _mm512_castsi128_si512(mac), theirs) == 0
}

/// A packet under way.
struct Packet<'a, const R: usize> {
    key: &'a GcmKey,
    layout: Layout,
    counters: Counters,
    /// Where lane 0 of vector 0 would be.
    src: *const u8,
    dst: *mut u8,
    /// The block of lengths, swapped.
    lengths: __m128i,
}

impl<const R: usize> Packet<'_, R> {
    /// Which bytes of vector `n` are data.
    #[inline]
    fn mask(&self, n: usize) -> u64 {
        let first = if n == 0 { self.layout.first } else { u64::MAX };
        let last = if n + 1 == self.layout.vectors {
            self.layout.last
        } else {
            u64::MAX
        };
        first & last
    }

    /// The data bytes of vector `n`, zeros elsewhere.
    ///
    /// # Safety
    /// `src` is where the packet is.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn load(&self, n: usize) -> __m512i {
        // SAFETY: the mask leaves out what is not the packet's data; masked bytes are not accessed.
        unsafe { _mm512_maskz_loadu_epi8(self.mask(n), self.src.wrapping_add(64 * n).cast()) }
    }

    /// # Safety
    /// `dst` is where the packet goes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn store(&self, n: usize, v: __m512i) {
        // SAFETY: the mask leaves out what is not the packet's data; masked bytes are not written.
        unsafe { _mm512_mask_storeu_epi8(self.dst.wrapping_add(64 * n).cast(), self.mask(n), v) };
    }

    /// Hashes the `V` vectors of ciphertext from vector `n` on. `before` goes into lane `lane` of the first.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
    fn absorb<const V: usize>(
        &self,
        n: usize,
        ciphertext: [__m512i; V],
        lane: usize,
        before: __m128i,
    ) -> __m128i {
        let mut x = ciphertext;
        for x in &mut x {
            *x = swap4(*x);
        }
        x[0] = _mm512_xor_si512(x[0], in_lane(lane, before));
        if n + V == self.layout.vectors {
            x[V - 1] = _mm512_xor_si512(x[V - 1], in_lane(3, self.lengths));
        }
        hash(&self.key.hash_keys, x)
    }

    /// Encrypts and hashes `V` vectors from vector `n` on. Returns the hash and the first vector of key stream.
    ///
    /// # Safety
    /// `src` and `dst` are the packet's.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vaes,vpclmulqdq")]
    unsafe fn seal<const V: usize>(
        &self,
        n: usize,
        lane: usize,
        before: __m128i,
    ) -> (__m128i, __m512i) {
        let stream = self.counters.stream::<R, V>(&self.key.keys, n);
        let mut x = stream;
        for (i, x) in x.iter_mut().enumerate() {
            // SAFETY: both places are the packet's, as the caller promises, and the vector is one of the packet's.
            unsafe {
                *x = _mm512_xor_si512(*x, self.load(n + i));
                self.store(n + i, *x);
            }
        }
        // What is not data must be zero for the hash; only the outer vectors have such bytes.
        x[0] = _mm512_maskz_mov_epi8(self.mask(n), x[0]);
        x[V - 1] = _mm512_maskz_mov_epi8(self.mask(n + V - 1), x[V - 1]);
        (self.absorb(n, x, lane, before), stream[0])
    }

    /// The mask of the tag, E(J0), out of the first vector of key stream.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn tag_mask(&self, stream: __m512i) -> __m128i {
        _mm512_castsi512_si128(_mm512_maskz_compress_epi64(
            3 << (2 * self.layout.front),
            stream,
        ))
    }

    /// Seals the whole packet, of which the first group has `V` vectors.
    ///
    /// # Safety
    /// `src` and `dst` are the packet's.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vaes,vpclmulqdq")]
    unsafe fn seal_all<const V: usize>(&self, before: __m128i) -> [u8; 16] {
        // SAFETY: `src` and `dst` are the packet's, as the caller promises; it has at least the `V` vectors of its first group.
        let (mut y, stream) = unsafe { self.seal::<V>(0, self.layout.front, before) };
        let mut n = V;
        while n < self.layout.vectors {
            // SAFETY: `src` and `dst` are the packet's, as the caller promises; behind the first group it has whole groups of 4.
            (y, _) = unsafe { self.seal::<4>(n, 0, y) };
            n += 4;
        }
        to_bytes(_mm_xor_si128(swap(y), self.tag_mask(stream)))
    }

    /// Checks and opens the whole packet, of which the first group has `V` vectors.
    ///
    /// # Safety
    /// `src` and `dst` are the packet's, in place; `tag` has 1 to 16 bytes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vaes,vpclmulqdq")]
    unsafe fn open_all<const V: usize>(&self, before: __m128i, tag: &[u8]) -> bool {
        // The key stream of the first group is made ahead and stays in registers.
        let stream = self.counters.stream::<R, V>(&self.key.keys, 0);
        let mut ciphertext = stream;
        for (i, c) in ciphertext.iter_mut().enumerate() {
            // SAFETY: `src` is the packet's, as the caller promises; it has at least the `V` vectors of its first group.
            *c = unsafe { self.load(i) };
        }
        let mut y = self.absorb(0, ciphertext, self.layout.front, before);
        let mut n = V;
        while n < self.layout.vectors {
            // SAFETY: `src` is the packet's, as the caller promises; behind the first group it has whole groups of 4.
            let more = unsafe {
                [
                    self.load(n),
                    self.load(n + 1),
                    self.load(n + 2),
                    self.load(n + 3),
                ]
            };
            y = self.absorb(n, more, 0, y);
            n += 4;
        }
        let mac = _mm_xor_si128(swap(y), self.tag_mask(stream[0]));
        if !matches(mac, tag) {
            return false;
        }
        for (i, (c, k)) in ciphertext.into_iter().zip(stream).enumerate() {
            // SAFETY: `dst` is the packet's, as the caller promises; it has at least the `V` vectors of its first group.
            unsafe { self.store(i, _mm512_xor_si512(c, k)) };
        }
        let mut n = V;
        while n < self.layout.vectors {
            let stream = self.counters.stream::<R, 4>(&self.key.keys, n);
            for (i, k) in (n..).zip(stream) {
                // SAFETY: `src` and `dst` are the packet's, as the caller promises; vector `i` is one of its.
                unsafe { self.store(i, _mm512_xor_si512(self.load(i), k)) };
            }
            n += 4;
        }
        true
    }
}

/// Sets a packet up; also gives what is to be hashed first: the last block of associated data with the hash of those
/// before it, swapped.
///
/// # Safety
/// `span` keeps its promise.
#[inline]
#[target_feature(enable = "ssse3,pclmulqdq,avx512f")]
unsafe fn packet<'a, const R: usize>(
    key: &'a GcmKey,
    nonce: Block,
    span: Span,
    trailer: &[u8],
) -> (Packet<'a, R>, __m128i) {
    let Span {
        src,
        dst,
        len,
        clear,
    } = span;
    let mut hash = Hash::new(&key.hash_keys, associated_blocks(clear, trailer) - 1);
    // SAFETY: the packet is `len` bytes at `src`.
    let last = unsafe { associated(&mut hash, src, clear, len, trailer) };
    let before = _mm_xor_si128(swap(last), hash.value());
    let layout = Layout::new(len - clear);
    let lead = 16 * (layout.front + 1);
    let packet = Packet {
        key,
        layout,
        counters: Counters::new(nonce, layout.front),
        src: src.wrapping_add(clear).wrapping_sub(lead),
        dst: dst.wrapping_add(clear).wrapping_sub(lead),
        lengths: lengths(clear + trailer.len(), len - clear),
    };
    (packet, before)
}

/// Encrypts and authenticates.
///
/// # Safety
/// `span` keeps its promise.
#[inline]
#[target_feature(enable = "ssse3,pclmulqdq,avx512f,avx512bw,vaes,vpclmulqdq")]
pub(super) unsafe fn seal<const R: usize>(
    key: &GcmKey,
    nonce: Block,
    span: Span,
    trailer: &[u8],
) -> [u8; 16] {
    // SAFETY: all ask for the span that the caller gives; the data is written after the clear bytes, behind which
    // `copy_clear` may write.
    unsafe {
        let (packet, before) = packet::<R>(key, nonce, span, trailer);
        copy_clear(span);
        match packet.layout.vectors % 4 {
            1 => packet.seal_all::<1>(before),
            2 => packet.seal_all::<2>(before),
            3 => packet.seal_all::<3>(before),
            _ => packet.seal_all::<4>(before),
        }
    }
}

/// Authenticates, then decrypts.
///
/// # Safety
/// `span` is in place and keeps its promise; `tag` has 1 to 16 bytes.
#[inline]
#[target_feature(enable = "ssse3,pclmulqdq,avx512f,avx512bw,vaes,vpclmulqdq")]
pub(super) unsafe fn open<const R: usize>(
    key: &GcmKey,
    nonce: Block,
    span: Span,
    trailer: &[u8],
    tag: &[u8],
) -> bool {
    // SAFETY: both ask for the span that the caller gives, in place, and for its tag of 1 to 16 bytes.
    unsafe {
        let (packet, before) = packet::<R>(key, nonce, span, trailer);
        match packet.layout.vectors % 4 {
            1 => packet.open_all::<1>(before, tag),
            2 => packet.open_all::<2>(before, tag),
            3 => packet.open_all::<3>(before, tag),
            _ => packet.open_all::<4>(before, tag),
        }
    }
}
