//! AES-GCM with VAES, VPCLMULQDQ and AVX-512: four blocks a vector, up to four vectors a group.
//!
//! The sequence that GHASH takes (the last block of associated data, the ciphertext, the lengths) is laid into vectors
//! so that the lengths are in the last lane of the last vector; what is left over is in front, where zeros change
//! nothing. The powers of H then always lie in whole vectors. The key stream is laid the same way: the lane of the
//! associated data is the one of E(J0), so that the mask of the tag is made without a block more. Groups of four vectors
//! come first, what is left over is the last group.

use core::arch::x86_64::*;
use core::num::NonZero;

use super::bytes::copy_clear;
use super::ctr_vaes::Counters;
use super::gcm_ni::{associated, to_bytes};
use super::ghash::lengths;
use super::ghash_vaes::{GROUP, Sum, in_lane, matches, swap4};
use super::sha1_ni::swap;
use crate::key::{Block, Span};
use crate::table::GcmKey;

/// Bytes of data in the longest packet that is one group: it has a block of associated data and one of lengths, too.
const SHORT: usize = 16 * (4 * GROUP - 2);

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

/// A packet under way.
struct Packet<'a, const R: usize> {
    key: &'a GcmKey,
    layout: Layout,
    counters: Counters,
    /// Where lane 0 of vector 0 would be.
    src: *const u8,
    dst: *mut u8,
    /// What is hashed first: the last block of associated data with the hash of those before it, swapped.
    before: __m128i,
    /// The block of lengths, swapped.
    lengths: __m128i,
}

/// The key stream, or the ciphertext, of a whole group.
type Stream = [__m512i; GROUP];

/// Whole groups that were sealed.
struct Sealed {
    /// The last group, which is not hashed yet.
    last: Stream,
    /// The hash of what is before it.
    before: __m128i,
    /// The first vector of key stream.
    first: __m512i,
}

impl<const R: usize> Packet<'_, R> {
    /// How many vectors are in whole groups, which are never all.
    #[inline]
    fn whole(&self) -> Option<NonZero<usize>> {
        NonZero::new((self.layout.vectors - 1) / GROUP * GROUP)
    }

    /// Which bytes of vector `n` are data, whatever is behind the packet.
    #[inline]
    fn first(&self, n: usize) -> u64 {
        if n == 0 { self.layout.first } else { u64::MAX }
    }

    /// Which bytes of vector `i` are data, of the last `V` ones behind the first `whole`.
    #[inline]
    fn mask<const V: usize>(&self, whole: usize, i: usize) -> u64 {
        let first = if i == 0 { self.first(whole) } else { u64::MAX };
        let last = if i + 1 == V {
            self.layout.last
        } else {
            u64::MAX
        };
        first & last
    }

    /// The bytes of vector `n` that are in the mask, zeros elsewhere.
    ///
    /// # Safety
    /// `src` is where the packet is, of which the mask has data alone.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn load(&self, n: usize, mask: u64) -> __m512i {
        // SAFETY: the mask leaves out what is not the packet's data; masked bytes are not accessed.
        unsafe { _mm512_maskz_loadu_epi8(mask, self.src.wrapping_add(64 * n).cast()) }
    }

    /// # Safety
    /// `dst` is where the packet goes, of which the mask has data alone.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn store(&self, n: usize, mask: u64, v: __m512i) {
        // SAFETY: the mask leaves out what is not the packet's data; masked bytes are not written.
        unsafe { _mm512_mask_storeu_epi8(self.dst.wrapping_add(64 * n).cast(), mask, v) };
    }

    /// The first whole group of vectors from `n` on.
    ///
    /// # Safety
    /// `src` is where the packet is, which has those vectors and one behind.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn load_group(&self, n: usize) -> [__m512i; GROUP] {
        // SAFETY: a vector that is neither the first nor the last is data altogether.
        unsafe {
            [
                self.load(n, self.first(n)),
                self.load(n + 1, u64::MAX),
                self.load(n + 2, u64::MAX),
                self.load(n + 3, u64::MAX),
            ]
        }
    }

    /// # Safety
    /// As for [`Self::load_group`], of the destination.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    unsafe fn store_group(&self, n: usize, v: [__m512i; GROUP]) {
        // SAFETY: a vector that is neither the first nor the last is data altogether.
        unsafe {
            self.store(n, self.first(n), v[0]);
            self.store(n + 1, u64::MAX, v[1]);
            self.store(n + 2, u64::MAX, v[2]);
            self.store(n + 3, u64::MAX, v[3]);
        }
    }

    /// Adds what was hashed before vector `n`, the first of a group, to it.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn join(&self, n: usize, x: __m512i, before: __m128i) -> __m512i {
        let lane = if n == 0 { self.layout.front } else { 0 };
        _mm512_xor_si512(x, in_lane(lane, before))
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

    /// Hashes a group of ciphertext that begins with vector `n`, a vector a call: `i` is 0 to 3. The group's first vector
    /// comes last: what was hashed before the group is the last to be known.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
    fn hash(&self, sum: &mut Sum, n: usize, ciphertext: &Stream, before: __m128i, i: usize) {
        let i = (i + 1) % GROUP;
        let x = swap4(ciphertext[i]);
        let x = if i == 0 { self.join(n, x, before) } else { x };
        sum.add(&self.key.hash_keys, GROUP - i, x);
    }

    /// Encrypts the first `whole` vectors and hashes them but for the last group: each group is hashed while the next one
    /// is encrypted.
    ///
    /// # Safety
    /// `src` and `dst` are the packet's, and there is a vector more.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,vaes,vpclmulqdq")]
    unsafe fn seal_groups(&self, whole: usize) -> Sealed {
        let stream = self.counters.stream::<R, GROUP>(&self.key.keys, 0, |_| ());
        // SAFETY: these vectors are the packet's, as the caller promises, and none is the last.
        let mut last = unsafe {
            let sealed = add(self.load_group(0), stream);
            self.store_group(0, sealed);
            sealed
        };
        last[0] = _mm512_maskz_mov_epi8(self.layout.first, last[0]);
        let mut before = self.before;
        for n in (GROUP..whole).step_by(GROUP) {
            let mut sum = Sum::zero();
            let hash = |i| self.hash(&mut sum, n - GROUP, &last, before, i);
            let stream = self.counters.stream::<R, GROUP>(&self.key.keys, n, hash);
            before = sum.reduce();
            // SAFETY: as above.
            last = unsafe {
                let sealed = add(self.load_group(n), stream);
                self.store_group(n, sealed);
                sealed
            };
        }
        Sealed {
            last,
            before,
            first: stream[0],
        }
    }

    /// Hashes the ciphertext of the first `whole` vectors.
    ///
    /// # Safety
    /// `src` is the packet's, and there is a vector more.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
    unsafe fn hash_groups(&self, whole: usize) -> __m128i {
        let mut before = self.before;
        for n in (0..whole).step_by(GROUP) {
            // SAFETY: these vectors are the packet's, as the caller promises, and none is the last.
            let ciphertext = unsafe { self.load_group(n) };
            let mut sum = Sum::zero();
            for i in 0..GROUP {
                self.hash(&mut sum, n, &ciphertext, before, i);
            }
            before = sum.reduce();
        }
        before
    }

    /// Decrypts the first `whole` vectors. (To make their key stream while they are hashed, and keep it, takes longer: so
    /// much is stored and loaded.)
    ///
    /// # Safety
    /// `src` and `dst` are the packet's, and there is a vector more.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,vaes")]
    unsafe fn open_groups(&self, whole: usize) {
        for n in (0..whole).step_by(GROUP) {
            let stream = self.counters.stream::<R, GROUP>(&self.key.keys, n, |_| ());
            // SAFETY: these vectors are the packet's, as the caller promises, and none is the last.
            unsafe { self.store_group(n, add(self.load_group(n), stream)) };
        }
    }

    /// The hash in wire order, of the last `V` vectors, of which `x` has data alone, behind the first `whole`, whose hash
    /// is `before`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
    fn finish<const V: usize>(&self, whole: usize, x: [__m512i; V], before: __m128i) -> __m128i {
        let mut sum = Sum::zero();
        for (i, x) in x.into_iter().enumerate().rev() {
            let mut x = swap4(x);
            if i + 1 == V {
                x = _mm512_xor_si512(x, in_lane(3, self.lengths));
            }
            if i == 0 {
                x = self.join(whole, x, before);
            }
            sum.add(&self.key.hash_keys, V - i, x);
        }
        swap(sum.reduce())
    }

    /// Seals the packet, of which `V` vectors are behind the first `whole`.
    ///
    /// # Safety
    /// `src` and `dst` are the packet's.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vaes,vpclmulqdq")]
    unsafe fn seal<const V: usize>(&self, whole: Option<NonZero<usize>>) -> [u8; 16] {
        let (n, stream, before, first);
        if let Some(whole) = whole {
            n = whole.get();
            // SAFETY: `src` and `dst` are the packet's, as the caller promises; `V` vectors are more.
            let sealed = unsafe { self.seal_groups(n) };
            let mut sum = Sum::zero();
            let hash = |i| self.hash(&mut sum, n - GROUP, &sealed.last, sealed.before, i);
            stream = self.counters.stream::<R, V>(&self.key.keys, n, hash);
            (before, first) = (sum.reduce(), sealed.first);
        } else {
            n = 0;
            stream = self.counters.stream::<R, V>(&self.key.keys, 0, |_| ());
            (before, first) = (self.before, stream[0]);
        }
        let mut x = stream;
        for (i, x) in x.iter_mut().enumerate() {
            let mask = self.mask::<V>(n, i);
            // SAFETY: both places are the packet's, as the caller promises, and the vector is one of the packet's.
            unsafe {
                *x = _mm512_xor_si512(*x, self.load(n + i, mask));
                self.store(n + i, mask, *x);
            }
            // What is not data must be zero for the hash.
            *x = _mm512_maskz_mov_epi8(mask, *x);
        }
        let hash = self.finish(n, x, before);
        to_bytes(_mm_xor_si128(hash, self.tag_mask(first)))
    }

    /// Checks and opens the packet, of which `V` vectors are behind the first `whole`.
    ///
    /// # Safety
    /// `src` and `dst` are the packet's, in place; `tag` has 1 to 16 bytes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vaes,vpclmulqdq")]
    unsafe fn open<const V: usize>(&self, whole: Option<NonZero<usize>>, tag: &[u8]) -> bool {
        let n = whole.map_or(0, NonZero::get);
        // This key stream stays in registers.
        let stream = self.counters.stream::<R, V>(&self.key.keys, n, |_| ());
        let (before, first);
        if whole.is_some() {
            // SAFETY: `src` is the packet's, as the caller promises; `V` vectors are more.
            before = unsafe { self.hash_groups(n) };
            [first] = self.counters.stream::<R, 1>(&self.key.keys, 0, |_| ());
        } else {
            (before, first) = (self.before, stream[0]);
        }
        let mut ciphertext = stream;
        for (i, c) in ciphertext.iter_mut().enumerate() {
            // SAFETY: `src` is the packet's, as the caller promises, and the vector is one of the packet's.
            *c = unsafe { self.load(n + i, self.mask::<V>(n, i)) };
        }
        let hash = self.finish(n, ciphertext, before);
        if !matches(_mm_xor_si128(hash, self.tag_mask(first)), tag) {
            return false;
        }
        for (i, (c, k)) in ciphertext.into_iter().zip(stream).enumerate() {
            // SAFETY: `dst` is the packet's, as the caller promises, and the vector is one of the packet's.
            unsafe { self.store(n + i, self.mask::<V>(n, i), _mm512_xor_si512(c, k)) };
        }
        if whole.is_some() {
            // SAFETY: as above.
            unsafe { self.open_groups(n) };
        }
        true
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(mut a: [__m512i; GROUP], b: [__m512i; GROUP]) -> [__m512i; GROUP] {
    for (a, b) in a.iter_mut().zip(b) {
        *a = _mm512_xor_si512(*a, b);
    }
    a
}

/// Sets a packet up.
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
) -> Packet<'a, R> {
    let Span {
        src,
        dst,
        len,
        clear,
    } = span;
    let layout = Layout::new(len - clear);
    let lead = 16 * (layout.front + 1);
    Packet {
        key,
        layout,
        counters: Counters::new(nonce, layout.front),
        src: src.wrapping_add(clear).wrapping_sub(lead),
        dst: dst.wrapping_add(clear).wrapping_sub(lead),
        // SAFETY: the packet is as `span` says.
        before: unsafe { associated(&key.hash_keys, span, trailer) },
        lengths: lengths(clear + trailer.len(), len - clear),
    }
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
        if span.len - span.clear > SHORT {
            return seal_long::<R>(key, nonce, span, trailer);
        }
        let packet = packet::<R>(key, nonce, span, trailer);
        copy_clear(span);
        match packet.layout.vectors {
            1 => packet.seal::<1>(None),
            2 => packet.seal::<2>(None),
            3 => packet.seal::<3>(None),
            _ => packet.seal::<4>(None),
        }
    }
}

/// As [`seal`], for more than one group.
///
/// # Safety
/// As for [`seal`], and the packet has whole groups.
#[inline(never)]
#[target_feature(enable = "ssse3,pclmulqdq,avx512f,avx512bw,vaes,vpclmulqdq")]
unsafe fn seal_long<const R: usize>(
    key: &GcmKey,
    nonce: Block,
    span: Span,
    trailer: &[u8],
) -> [u8; 16] {
    // SAFETY: as in `seal`.
    unsafe {
        let packet = packet::<R>(key, nonce, span, trailer);
        copy_clear(span);
        let whole = packet.whole();
        match packet.layout.vectors % GROUP {
            1 => packet.seal::<1>(whole),
            2 => packet.seal::<2>(whole),
            3 => packet.seal::<3>(whole),
            _ => packet.seal::<4>(whole),
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
        if span.len - span.clear > SHORT {
            return open_long::<R>(key, nonce, span, trailer, tag);
        }
        let packet = packet::<R>(key, nonce, span, trailer);
        match packet.layout.vectors {
            1 => packet.open::<1>(None, tag),
            2 => packet.open::<2>(None, tag),
            3 => packet.open::<3>(None, tag),
            _ => packet.open::<4>(None, tag),
        }
    }
}

/// As [`open`], for more than one group.
///
/// # Safety
/// As for [`open`], and the packet has whole groups.
#[inline(never)]
#[target_feature(enable = "ssse3,pclmulqdq,avx512f,avx512bw,vaes,vpclmulqdq")]
unsafe fn open_long<const R: usize>(
    key: &GcmKey,
    nonce: Block,
    span: Span,
    trailer: &[u8],
    tag: &[u8],
) -> bool {
    // SAFETY: as in `open`.
    unsafe {
        let packet = packet::<R>(key, nonce, span, trailer);
        let whole = packet.whole();
        match packet.layout.vectors % GROUP {
            1 => packet.open::<1>(whole, tag),
            2 => packet.open::<2>(whole, tag),
            3 => packet.open::<3>(whole, tag),
            _ => packet.open::<4>(whole, tag),
        }
    }
}
