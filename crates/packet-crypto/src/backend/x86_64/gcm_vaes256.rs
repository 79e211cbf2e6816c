//! AES-GCM with VAES and VPCLMULQDQ in vectors of 32 bytes, for CPUs that have no AVX-512: two blocks a vector, up to
//! eight vectors a group.
//!
//! The sequence that GHASH takes (the last block of associated data, the ciphertext, the lengths) is laid into vectors
//! so that the lengths are in the last lane; an odd number of blocks leaves the first lane empty. The last vector then
//! always has the last block of data, which alone may be a short one, and the lengths; every vector between the first
//! and the last is 32 bytes of data. The key stream is laid the same way: the lane of the associated data is the one of
//! E(J0). Groups of eight vectors come first, what is left over is the last group.

use core::arch::x86_64::*;
use core::mem::MaybeUninit;

use super::bytes::{copy_clear, shift};
use super::gcm_ni::{associated, to_bytes};
use super::ghash::lengths;
use super::sha1_ni::swap;
use super::vaes256::{Counters, GROUP, Sum, high, lanes, low, matches, round_key, swap2};
use crate::key::{Block, Span};
use crate::table::GcmKey;

/// The key stream of so many whole groups is kept while a packet is checked: enough for what an Ethernet frame holds.
const KEPT: usize = 6;

/// The key stream of a whole group.
type Stream = [__m256i; GROUP];

/// A packet under way.
struct Packet<'a, const R: usize> {
    key: &'a GcmKey,
    counters: Counters,
    /// Where lane 0 of vector 0 would be.
    src: *const u8,
    dst: *mut u8,
    /// The last 16 bytes of the packet, of which the last block of data is `short`.
    src_end: *const u8,
    dst_end: *mut u8,
    /// Bytes of the last block of data: 1 to 16; or there is no data.
    short: usize,
    /// Empty lanes in front: 0 or 1.
    front: usize,
    /// Blocks of data.
    blocks: usize,
    /// What is hashed first: the last block of associated data with the hash of those before it, swapped.
    before: __m128i,
    /// The block of lengths, swapped.
    lengths: __m128i,
}

impl<const R: usize> Packet<'_, R> {
    /// How many vectors are in whole groups, which are never all, and how many are left.
    #[inline]
    fn groups(&self) -> (usize, usize) {
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
    unsafe fn load(&self, n: usize) -> __m256i {
        // SAFETY: such a vector is 32 bytes of data, as the caller promises.
        unsafe { _mm256_loadu_si256(self.src.wrapping_add(32 * n).cast()) }
    }

    /// # Safety
    /// As for [`Self::load`], of the destination.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn store(&self, n: usize, v: __m256i) {
        // SAFETY: such a vector is 32 bytes of data, as the caller promises.
        unsafe { _mm256_storeu_si256(self.dst.wrapping_add(32 * n).cast(), v) };
    }

    /// The first vector, when it is not the last too: a block of data in lane 1, or none.
    ///
    /// # Safety
    /// There is another vector behind; `at` is `src` or `dst`, where the packet is readable.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load_first(&self, at: *const u8) -> __m256i {
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
    unsafe fn store_first(&self, v: __m256i) {
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
    unsafe fn end(&self) -> __m128i {
        if self.blocks == 0 {
            return _mm_setzero_si128();
        }
        // SAFETY: 16 bytes that end with the packet are readable, as `packet` was promised.
        unsafe { _mm_loadu_si128(self.src_end.cast()) }
    }

    /// The first vector for the hash, of ciphertext already swapped.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn first(&self, ciphertext: __m256i) -> __m256i {
        if self.front == 1 {
            return _mm256_inserti128_si256::<1>(_mm256_setzero_si256(), self.before);
        }
        _mm256_blend_epi32::<0xf0>(_mm256_castsi128_si256(self.before), ciphertext)
    }

    /// The last vector for the hash, of the packet's last 16 bytes (in which its last block may begin late).
    #[inline]
    #[target_feature(enable = "avx2")]
    fn last(&self, end: __m128i) -> __m256i {
        // SAFETY: `short` is 1 to 16.
        let down = unsafe { shift(self.short as isize - 16) };
        lanes(swap(_mm_shuffle_epi8(end, down)), self.lengths)
    }

    /// The key stream of the packet's last 16 bytes: of its last block and the one before it.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn stream_at_end(&self, before: __m128i, last: __m128i) -> __m128i {
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
    fn stream<const V: usize>(&self, n: usize, mut meanwhile: impl FnMut(usize)) -> [__m256i; V] {
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
    fn tag_mask(&self, stream: __m256i) -> __m128i {
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
    unsafe fn hashed(&self, at: *const u8, n: usize, i: usize, before: __m128i) -> __m256i {
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
    unsafe fn add(&self, n: usize, stream: &Stream) {
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

    /// Encrypts and hashes the first `whole` vectors: each group is hashed while the next one is encrypted. Returns the
    /// hash, and the first and the last vector of key stream.
    ///
    /// # Safety
    /// The packet is readable and writable, and there is a vector more.
    #[inline(never)]
    #[target_feature(enable = "avx2,vaes,vpclmulqdq")]
    unsafe fn seal_groups(&self, whole: usize) -> (__m128i, __m256i, __m256i) {
        let mut stream = self.stream::<GROUP>(0, |_| ());
        let first = stream[0];
        let mut y = self.before;
        let mut n = 0;
        loop {
            // SAFETY: these vectors are the packet's, as the caller promises, and none is the last.
            unsafe { self.add(n, &stream) };
            let mut sum = Sum::zero();
            // The first vector last: what comes before it is the last to be known.
            let mut hash = |i: usize| {
                let i = (i + 1) % GROUP;
                // SAFETY: as above; it was written just now.
                let x = unsafe { self.hashed(self.dst, n, i, y) };
                sum.add(&self.key.hash_keys, GROUP - i, x);
            };
            if n + GROUP == whole {
                (0..GROUP).for_each(hash);
                return (sum.reduce(), first, stream[GROUP - 1]);
            }
            stream = self.stream::<GROUP>(n + GROUP, &mut hash);
            y = sum.reduce();
            n += GROUP;
        }
    }

    /// Hashes the ciphertext of the first `whole` vectors, while the key stream is made. Returns the hash and the first
    /// vector of key stream.
    ///
    /// # Safety
    /// The packet is readable, and there is a vector more.
    #[inline(never)]
    #[target_feature(enable = "avx2,vaes,vpclmulqdq")]
    unsafe fn hash_groups(
        &self,
        whole: usize,
        kept: &mut [MaybeUninit<Stream>; KEPT],
    ) -> (__m128i, __m256i) {
        let mut y = self.before;
        for n in (0..whole).step_by(GROUP) {
            let mut sum = Sum::zero();
            let mut hash = |i: usize| {
                let i = (i + 1) % GROUP;
                // SAFETY: these vectors are the packet's, as the caller promises, and none is the last.
                let x = unsafe { self.hashed(self.src, n, i, y) };
                sum.add(&self.key.hash_keys, GROUP - i, x);
            };
            match kept.get_mut(n / GROUP) {
                Some(kept) => {
                    kept.write(self.stream::<GROUP>(n, hash));
                }
                None => (0..GROUP).for_each(&mut hash),
            }
            y = sum.reduce();
        }
        // SAFETY: there was a group, the key stream of which was written.
        (y, unsafe { kept[0].assume_init_ref()[0] })
    }

    /// Decrypts the first `whole` vectors. Returns the last vector of key stream.
    ///
    /// # Safety
    /// The packet is readable and writable, there is a vector more, and `kept` is what [`Self::hash_groups`] wrote.
    #[inline(never)]
    #[target_feature(enable = "avx2,vaes")]
    unsafe fn open_groups(&self, whole: usize, kept: &[MaybeUninit<Stream>; KEPT]) -> __m256i {
        let mut last = self.counters.0;
        for n in (0..whole).step_by(GROUP) {
            // SAFETY: these vectors are the packet's, as the caller promises, and none is the last; of the groups that
            // `kept` has a place for, it has the key stream.
            unsafe {
                let stream = match kept.get(n / GROUP) {
                    Some(kept) => kept.assume_init_ref(),
                    None => &self.stream::<GROUP>(n, |_| ()),
                };
                self.add(n, stream);
                last = stream[GROUP - 1];
            }
        }
        last
    }

    /// Seals the packet, of which `V` vectors are behind the first `whole`.
    ///
    /// # Safety
    /// The packet is readable and writable.
    #[inline]
    #[target_feature(enable = "avx2,vaes,vpclmulqdq")]
    unsafe fn seal<const V: usize>(&self, whole: usize) -> [u8; 16] {
        // SAFETY: the caller promises it.
        let end = unsafe { self.end() };
        let stream = self.stream::<V>(whole, |_| ());
        let (mut y, mut first, mut previous) =
            (self.before, stream[0], stream[V.saturating_sub(2)]);
        if whole > 0 {
            let last;
            // SAFETY: as the caller promises; `V` vectors are more.
            (y, first, last) = unsafe { self.seal_groups(whole) };
            if V == 1 {
                previous = last;
            }
        }
        let mut x = stream;
        // SAFETY: the vectors between the first and the last are the packet's, and what is loaded of its end is there when
        // there is data.
        unsafe {
            for (i, x) in x.iter_mut().enumerate().take(V - 1) {
                if i == 0 && whole == 0 {
                    *x = _mm256_xor_si256(self.load_first(self.src), *x);
                    self.store_first(*x);
                } else {
                    *x = _mm256_xor_si256(self.load(whole + i), *x);
                    self.store(whole + i, *x);
                }
                *x = swap2(*x);
            }
            if self.blocks > 0 {
                let k = self.stream_at_end(high(previous), low(stream[V - 1]));
                let end = _mm_xor_si128(end, k);
                _mm_storeu_si128(self.dst_end.cast(), end);
                x[V - 1] = self.last(end);
            }
        }
        to_bytes(_mm_xor_si128(
            self.finish(x, whole, y),
            self.tag_mask(first),
        ))
    }

    /// The hash in wire order, of the last `V` vectors of ciphertext (swapped) and `y`, the hash of the ones before.
    #[inline]
    #[target_feature(enable = "avx2,vpclmulqdq")]
    fn finish<const V: usize>(&self, mut x: [__m256i; V], whole: usize, y: __m128i) -> __m128i {
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

    /// Checks and opens the packet, of which `V` vectors are behind the first `whole`.
    ///
    /// # Safety
    /// The packet is readable and writable, and in place; `tag` has 1 to 16 bytes.
    #[inline]
    #[target_feature(enable = "avx2,vaes,vpclmulqdq")]
    unsafe fn open<const V: usize>(&self, whole: usize, tag: &[u8]) -> bool {
        let mut kept = [const { MaybeUninit::uninit() }; KEPT];
        let stream = self.stream::<V>(whole, |_| ());
        let (mut y, mut first) = (self.before, stream[0]);
        if whole > 0 {
            // SAFETY: as the caller promises; `V` vectors are more.
            (y, first) = unsafe { self.hash_groups(whole, &mut kept) };
        }
        let mut x = stream;
        // SAFETY: the vectors between the first and the last are the packet's.
        let end = unsafe {
            for (i, x) in x.iter_mut().enumerate().take(V - 1) {
                *x = swap2(if i == 0 && whole == 0 {
                    self.load_first(self.src)
                } else {
                    self.load(whole + i)
                });
            }
            self.end()
        };
        x[V - 1] = self.last(end);
        let mac = _mm_xor_si128(self.finish(x, whole, y), self.tag_mask(first));
        if !matches(mac, tag) {
            return false;
        }
        let mut previous = stream[V.saturating_sub(2)];
        // SAFETY: all vectors are the packet's, whose bytes are ours to change; `hash_groups` wrote `kept`.
        unsafe {
            if whole > 0 {
                let last = self.open_groups(whole, &kept);
                if V == 1 {
                    previous = last;
                }
            }
            for (i, k) in stream.iter().enumerate().take(V - 1) {
                if i == 0 && whole == 0 {
                    self.store_first(_mm256_xor_si256(self.load_first(self.src), *k));
                } else {
                    self.store(whole + i, _mm256_xor_si256(self.load(whole + i), *k));
                }
            }
            if self.blocks > 0 {
                let k = self.stream_at_end(high(previous), low(stream[V - 1]));
                _mm_storeu_si128(self.dst_end.cast(), _mm_xor_si128(end, k));
            }
        }
        true
    }
}

/// A packet and what is to be hashed first.
///
/// # Safety
/// `span` keeps its promise.
#[inline]
#[target_feature(enable = "ssse3,pclmulqdq,avx2")]
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
    let blocks = (len - clear).div_ceil(16);
    let front = blocks % 2;
    let lead = 16 * (front + 1);
    Packet {
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

/// A packet that has no 16 bytes, at the end of `end`, where it has.
///
/// # Safety
/// `span` keeps its promise, and `len < 16`.
#[cold]
unsafe fn short(span: Span, end: &mut [u8; 32]) -> Span {
    // SAFETY: so many bytes are readable at `src`, as the caller promises, fewer than 16. The pointer is one to all of
    // `end`, whose bytes in front are loaded and stored with the packet's.
    let at = unsafe {
        let at = end.as_mut_ptr().add(32 - span.len);
        at.copy_from_nonoverlapping(span.src, span.len);
        at
    };
    Span {
        src: at,
        dst: at,
        ..span
    }
}

/// Puts a packet that was opened or sealed in `end` where it belongs.
///
/// # Safety
/// `span` keeps its promise, and `len < 16`.
#[cold]
unsafe fn put_short(span: Span, end: &[u8; 32]) {
    // SAFETY: so many bytes are writable at `dst`, as the caller promises.
    unsafe {
        span.dst
            .copy_from_nonoverlapping(end[32 - span.len..].as_ptr(), span.len);
    }
}

/// Encrypts and authenticates.
///
/// # Safety
/// `span` keeps its promise.
#[inline]
#[target_feature(enable = "ssse3,pclmulqdq,avx2,vaes,vpclmulqdq")]
pub(super) unsafe fn seal<const R: usize>(
    key: &GcmKey,
    nonce: Block,
    span: Span,
    trailer: &[u8],
) -> [u8; 16] {
    let mut end = [0; 32];
    // SAFETY: all ask for the span that the caller gives, or for a copy of it; the data is written after the clear bytes,
    // behind which `copy_clear` may write; 16 bytes end where the packet ends.
    unsafe {
        if span.len < 16 {
            let whole = short(span, &mut end);
            let tag = seal_long::<R>(key, nonce, whole, trailer);
            put_short(span, &end);
            return tag;
        }
        copy_clear(span);
        seal_long::<R>(key, nonce, span, trailer)
    }
}

/// # Safety
/// `span` keeps its promise, the clear bytes are where they belong, and 16 bytes that end with the packet are its or
/// ours.
#[inline]
#[target_feature(enable = "ssse3,pclmulqdq,avx2,vaes,vpclmulqdq")]
unsafe fn seal_long<const R: usize>(
    key: &GcmKey,
    nonce: Block,
    span: Span,
    trailer: &[u8],
) -> [u8; 16] {
    // SAFETY: as the caller promises.
    unsafe {
        let packet = packet::<R>(key, nonce, span, trailer);
        match packet.groups() {
            (whole, 1) => packet.seal::<1>(whole),
            (whole, 2) => packet.seal::<2>(whole),
            (whole, 3) => packet.seal::<3>(whole),
            (whole, 4) => packet.seal::<4>(whole),
            (whole, 5) => packet.seal::<5>(whole),
            (whole, 6) => packet.seal::<6>(whole),
            (whole, 7) => packet.seal::<7>(whole),
            (whole, _) => packet.seal::<8>(whole),
        }
    }
}

/// Authenticates, then decrypts.
///
/// # Safety
/// `span` is in place and keeps its promise; `tag` has 1 to 16 bytes.
#[inline]
#[target_feature(enable = "ssse3,pclmulqdq,avx2,vaes,vpclmulqdq")]
pub(super) unsafe fn open<const R: usize>(
    key: &GcmKey,
    nonce: Block,
    span: Span,
    trailer: &[u8],
    tag: &[u8],
) -> bool {
    let mut end = [0; 32];
    // SAFETY: all ask for the span that the caller gives, or for a copy of it, and for its tag; 16 bytes end where the
    // packet ends.
    unsafe {
        if span.len < 16 {
            let whole = short(span, &mut end);
            let good = open_long::<R>(key, nonce, whole, trailer, tag);
            put_short(span, &end);
            return good;
        }
        open_long::<R>(key, nonce, span, trailer, tag)
    }
}

/// # Safety
/// As for [`open`], and 16 bytes that end with the packet are its or ours.
#[inline]
#[target_feature(enable = "ssse3,pclmulqdq,avx2,vaes,vpclmulqdq")]
unsafe fn open_long<const R: usize>(
    key: &GcmKey,
    nonce: Block,
    span: Span,
    trailer: &[u8],
    tag: &[u8],
) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        let packet = packet::<R>(key, nonce, span, trailer);
        match packet.groups() {
            (whole, 1) => packet.open::<1>(whole, tag),
            (whole, 2) => packet.open::<2>(whole, tag),
            (whole, 3) => packet.open::<3>(whole, tag),
            (whole, 4) => packet.open::<4>(whole, tag),
            (whole, 5) => packet.open::<5>(whole, tag),
            (whole, 6) => packet.open::<6>(whole, tag),
            (whole, 7) => packet.open::<7>(whole, tag),
            (whole, _) => packet.open::<8>(whole, tag),
        }
    }
}
