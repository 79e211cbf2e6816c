//! AES-GCM with VAES, VPCLMULQDQ and AVX-512: four blocks a vector, up to four vectors a group.
//!
//! The sequence that GHASH takes (the last block of associated data, the ciphertext, the lengths) is laid into vectors
//! so that the lengths are in the last lane of the last vector; what is left over is in front, where zeros change
//! nothing. The powers of H then always lie in whole vectors. The key stream is laid the same way: the lane of the
//! associated data is the one of E(J0), so that the mask of the tag is made without a block more. Groups of four vectors
//! come first, what is left over is the last group.

use core::arch::x86_64::*;
use core::mem::MaybeUninit;

use super::bytes::copy_clear;
use super::ctr_vaes::Counters;
use super::gcm_ni::{associated, to_bytes};
use super::ghash::lengths;
use super::sha1_ni::swap;
use crate::key::{Block, HashKeys, Span};
use crate::table::GcmKey;

/// Vectors in a whole group: as many as there are powers of H.
const GROUP: usize = 4;

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

/// As `ghash::Sum`, in every lane.
struct Sum {
    low: __m512i,
    middle: __m512i,
    high: __m512i,
}

impl Sum {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn zero() -> Self {
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
    fn add(&mut self, keys: &HashKeys, left: usize, x: __m512i) {
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
    fn reduce(self) -> __m128i {
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
    /// What is hashed first: the last block of associated data with the hash of those before it, swapped.
    before: __m128i,
    /// The block of lengths, swapped.
    lengths: __m128i,
}

/// The key stream of so many whole groups is kept while a packet is checked: enough for what an Ethernet frame holds.
const KEPT: usize = 6;

type Stream = [__m512i; GROUP];

impl<const R: usize> Packet<'_, R> {
    /// How many vectors are in whole groups, which are never all.
    #[inline]
    fn whole(&self) -> usize {
        (self.layout.vectors - 1) / GROUP * GROUP
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

    /// Encrypts and hashes the first `whole` vectors: each group is hashed while the next one is encrypted. Returns the
    /// hash and the first vector of key stream.
    ///
    /// # Safety
    /// `src` and `dst` are the packet's, and there is a vector more.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,vaes,vpclmulqdq")]
    unsafe fn seal_groups(&self, whole: usize) -> (__m128i, __m512i) {
        let keys = &self.key.hash_keys;
        let stream = self.counters.stream::<R, GROUP>(&self.key.keys, 0, |_| ());
        let first = stream[0];
        // SAFETY: these vectors are the packet's, as the caller promises, and none is the last.
        let mut x = unsafe {
            let x = add(self.load_group(0), stream);
            self.store_group(0, x);
            x
        };
        x[0] = _mm512_maskz_mov_epi8(self.layout.first, x[0]);
        let mut y = self.before;
        let mut n = 0;
        loop {
            let mut sum = Sum::zero();
            // The first vector last: what comes before it is the last to be known.
            let mut hash = |i: usize| {
                let i = (i + 1) % GROUP;
                let x = swap4(x[i]);
                sum.add(keys, GROUP - i, if i == 0 { self.join(n, x, y) } else { x });
            };
            if n + GROUP == whole {
                (0..GROUP).for_each(hash);
                return (sum.reduce(), first);
            }
            let stream = self
                .counters
                .stream::<R, GROUP>(&self.key.keys, n + GROUP, &mut hash);
            y = sum.reduce();
            n += GROUP;
            // SAFETY: as above.
            x = unsafe {
                let x = add(self.load_group(n), stream);
                self.store_group(n, x);
                x
            };
        }
    }

    /// Hashes the ciphertext of the first `whole` vectors, while the key stream is made. Returns the hash and the first
    /// vector of key stream.
    ///
    /// # Safety
    /// `src` is the packet's, and there is a vector more.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,vaes,vpclmulqdq")]
    unsafe fn hash_groups(
        &self,
        whole: usize,
        kept: &mut [MaybeUninit<Stream>; KEPT],
    ) -> (__m128i, __m512i) {
        let mut y = self.before;
        for n in (0..whole).step_by(GROUP) {
            // SAFETY: these vectors are the packet's, as the caller promises, and none is the last.
            let x = unsafe { self.load_group(n) };
            let mut sum = Sum::zero();
            let mut hash = |i: usize| {
                let i = (i + 1) % GROUP;
                let x = swap4(x[i]);
                let x = if i == 0 { self.join(n, x, y) } else { x };
                sum.add(&self.key.hash_keys, GROUP - i, x);
            };
            match kept.get_mut(n / GROUP) {
                Some(kept) => {
                    kept.write(self.counters.stream::<R, GROUP>(&self.key.keys, n, hash));
                }
                None => (0..GROUP).for_each(&mut hash),
            }
            y = sum.reduce();
        }
        // SAFETY: there was a group, the key stream of which was written.
        (y, unsafe { kept[0].assume_init_ref()[0] })
    }

    /// Decrypts the first `whole` vectors.
    ///
    /// # Safety
    /// `src` and `dst` are the packet's, there is a vector more, and `kept` is what [`Self::hash_groups`] wrote.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,vaes")]
    unsafe fn open_groups(&self, whole: usize, kept: &[MaybeUninit<Stream>; KEPT]) {
        for n in (0..whole).step_by(GROUP) {
            // SAFETY: these vectors are the packet's, as the caller promises, and none is the last; of the groups that
            // `kept` has a place for, it has the key stream.
            unsafe {
                let stream = match kept.get(n / GROUP) {
                    Some(kept) => *kept.assume_init_ref(),
                    None => self.counters.stream::<R, GROUP>(&self.key.keys, n, |_| ()),
                };
                self.store_group(n, add(self.load_group(n), stream));
            }
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
    unsafe fn seal<const V: usize>(&self, whole: usize) -> [u8; 16] {
        let stream = self.counters.stream::<R, V>(&self.key.keys, whole, |_| ());
        let (mut y, mut first) = (self.before, stream[0]);
        if whole > 0 {
            // SAFETY: `src` and `dst` are the packet's, as the caller promises; `V` vectors are more.
            (y, first) = unsafe { self.seal_groups(whole) };
        }
        let mut x = stream;
        for (i, x) in x.iter_mut().enumerate() {
            let mask = self.mask::<V>(whole, i);
            // SAFETY: both places are the packet's, as the caller promises, and the vector is one of the packet's.
            unsafe {
                *x = _mm512_xor_si512(*x, self.load(whole + i, mask));
                self.store(whole + i, mask, *x);
            }
            // What is not data must be zero for the hash.
            *x = _mm512_maskz_mov_epi8(mask, *x);
        }
        to_bytes(_mm_xor_si128(
            self.finish(whole, x, y),
            self.tag_mask(first),
        ))
    }

    /// Checks and opens the packet, of which `V` vectors are behind the first `whole`.
    ///
    /// # Safety
    /// `src` and `dst` are the packet's, in place; `tag` has 1 to 16 bytes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vaes,vpclmulqdq")]
    unsafe fn open<const V: usize>(&self, whole: usize, tag: &[u8]) -> bool {
        let mut kept = [const { MaybeUninit::uninit() }; KEPT];
        // The key stream of these is made ahead and stays in registers.
        let stream = self.counters.stream::<R, V>(&self.key.keys, whole, |_| ());
        let (mut y, mut first) = (self.before, stream[0]);
        if whole > 0 {
            // SAFETY: `src` is the packet's, as the caller promises; `V` vectors are more.
            (y, first) = unsafe { self.hash_groups(whole, &mut kept) };
        }
        let mut ciphertext = stream;
        for (i, c) in ciphertext.iter_mut().enumerate() {
            // SAFETY: `src` is the packet's, as the caller promises, and the vector is one of the packet's.
            *c = unsafe { self.load(whole + i, self.mask::<V>(whole, i)) };
        }
        let mac = _mm_xor_si128(self.finish(whole, ciphertext, y), self.tag_mask(first));
        if !matches(mac, tag) {
            return false;
        }
        for (i, (c, k)) in ciphertext.into_iter().zip(stream).enumerate() {
            // SAFETY: `dst` is the packet's, as the caller promises, and the vector is one of the packet's.
            unsafe { self.store(whole + i, self.mask::<V>(whole, i), _mm512_xor_si512(c, k)) };
        }
        if whole > 0 {
            // SAFETY: as above; `hash_groups` wrote `kept`.
            unsafe { self.open_groups(whole, &kept) };
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
        let packet = packet::<R>(key, nonce, span, trailer);
        copy_clear(span);
        let whole = packet.whole();
        match packet.layout.vectors - whole {
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
        let packet = packet::<R>(key, nonce, span, trailer);
        let whole = packet.whole();
        match packet.layout.vectors - whole {
            1 => packet.open::<1>(whole, tag),
            2 => packet.open::<2>(whole, tag),
            3 => packet.open::<3>(whole, tag),
            _ => packet.open::<4>(whole, tag),
        }
    }
}
