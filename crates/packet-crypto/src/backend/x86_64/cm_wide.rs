//! AES-CM with HMAC-SHA1, one packet, with VAES in vectors of 64 bytes and SHA-NI, as AMD's CPUs like it: a vector of key
//! stream is a block of SHA-1, made while the one before is hashed, and goes from its register into SHA-1.
//!
//! SHA-1's latency bounds the packet (six cycles for four rounds on Zen 4). All else, the next packet's beginning too, is
//! to be done meanwhile, and what stands against that are the vector units' queues, in which SHA-1's instructions wait for
//! each other in order: so what counts is how few instructions there are. Hence the widest vectors, and the message
//! schedule with the instructions for it, which are quick here.

use core::arch::x86_64::*;

use super::aes::{round_key, same, vector};
use super::sha1_ni::{State, length};
use crate::key::{Block, RoundKeys, Span};
use crate::table::CmKey;

/// 0 to 63.
#[inline]
#[target_feature(enable = "avx512f")]
fn places() -> __m512i {
    static PLACES: [u8; 64] = {
        let mut t = [0; 64];
        let mut i = 0;
        while i < 64 {
            t[i] = i as u8;
            i += 1;
        }
        t
    };
    // SAFETY: 64 readable bytes.
    unsafe { _mm512_loadu_si512(PLACES.as_ptr().cast()) }
}

/// Reverses each block's last word.
#[inline]
#[target_feature(enable = "sse2")]
fn swap_last() -> __m128i {
    _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 14, 13, 12)
}

/// The first `n` bytes of 64.
#[inline]
fn first(n: usize) -> u64 {
    match n {
        0..64 => !(u64::MAX << n),
        _ => u64::MAX,
    }
}

/// Four words of a block of the message, first word highest, from each 16 bytes.
#[inline]
#[target_feature(enable = "sse2,avx512f,avx512bw")]
fn words(block: __m512i) -> [__m128i; 4] {
    let order = _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    let swapped = _mm512_shuffle_epi8(block, _mm512_broadcast_i32x4(order));
    [
        _mm512_castsi512_si128(swapped),
        _mm512_extracti32x4_epi32::<1>(swapped),
        _mm512_extracti32x4_epi32::<2>(swapped),
        _mm512_extracti32x4_epi32::<3>(swapped),
    ]
}

/// What stands behind a packet, in a block of which `left` bytes are the packet's (a packet that ends before the block has
/// less than none): the trailer and the bit that ends the message.
#[inline]
#[target_feature(enable = "sse2,avx512f,avx512bw,avx512vbmi")]
fn end_of_message(left: isize, trailer: [u8; 4]) -> __m512i {
    let text = _mm512_castsi128_si512(_mm_set_epi32(0, 0, 0x80, i32::from_le_bytes(trailer)));
    // Byte `i` of the block is byte `i - left` of the text, if that is 0 to 15.
    let place = _mm512_sub_epi8(places(), _mm512_set1_epi8(left as i8));
    let inside = _mm512_cmplt_epu8_mask(place, _mm512_set1_epi8(16));
    _mm512_maskz_permutexvar_epi8(inside, place, text)
}

/// Most bytes of a packet in a block that also takes what ends the message: trailer, end bit and length.
const LAST: isize = 64 - 4 - 1 - 8;

/// How many SHA-1 blocks a packet of `len` bytes, its trailer, the end bit and the length take.
#[inline]
fn blocks(len: usize) -> usize {
    (len + 4 + 1 + 8 + 63) / 64
}

/// The key stream, laid along the packet.
struct Stream<'a> {
    keys: &'a RoundKeys,
    /// The next four counter blocks, their last words in the CPU's byte order.
    next: __m512i,
    /// Where a byte of a packet's vector is in the key stream vector, or behind that, in the one before.
    order: __m512i,
    before: __m512i,
}

impl<'a> Stream<'a> {
    /// For a packet whose first block with a byte to be encrypted has `clear` bytes in front of that.
    #[inline]
    #[target_feature(enable = "sse2,ssse3,avx512f,avx512bw")]
    fn new(keys: &'a RoundKeys, iv: Block, clear: usize) -> Self {
        let first = _mm512_broadcast_i32x4(_mm_shuffle_epi8(vector(iv), swap_last()));
        let numbers = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3);
        Self {
            keys,
            next: _mm512_add_epi32(first, numbers),
            order: _mm512_sub_epi8(places(), _mm512_set1_epi8(clear as i8)),
            before: _mm512_setzero_si512(),
        }
    }

    /// The next 64 bytes.
    #[inline]
    #[target_feature(enable = "sse2,avx512f,avx512bw,avx512vbmi,vaes")]
    fn step<const R: usize>(&mut self) -> __m512i {
        let keys = same(self.keys);
        let key = |i: usize| _mm512_broadcast_i32x4(round_key(keys, i));
        let block = _mm512_shuffle_epi8(self.next, _mm512_broadcast_i32x4(swap_last()));
        self.next = _mm512_add_epi32(self.next, _mm512_maskz_set1_epi32(0x8888, 4));
        let mut block = _mm512_xor_si512(block, key(0));
        for i in 1..R - 1 {
            block = _mm512_aesenc_epi128(block, key(i));
        }
        block = _mm512_aesenclast_epi128(block, key(R - 1));
        let before = core::mem::replace(&mut self.before, block);
        _mm512_permutex2var_epi8(block, self.order, before)
    }
}

/// Encrypts a packet, or if `OPEN` decrypts it, and returns the HMAC-SHA1 of the ciphertext and the trailer.
///
/// # Safety
/// `span` keeps its promise, and is in place if `OPEN`.
#[inline]
#[target_feature(enable = "sse2,ssse3,sha,avx2,avx512f,avx512bw,avx512vl,avx512vbmi,vaes")]
unsafe fn run<const R: usize, const OPEN: bool>(
    key: &CmKey,
    iv: Block,
    span: Span,
    trailer: [u8; 4],
) -> State {
    let Span {
        src,
        dst,
        len,
        clear,
    } = span;
    let mut stream = Stream::new(&key.keys, iv, clear % 64);
    let begin = clear / 64;
    // The packet's bytes in block `n` under the key stream, and stored; zeros behind them.
    let mut change = |n: usize| {
        let at = 64 * n;
        if at + 64 <= len {
            let k = match n < begin {
                true => _mm512_setzero_si512(),
                false => stream.step::<R>(),
            };
            // SAFETY: block `n` is wholly inside the packet.
            unsafe {
                let other = _mm512_xor_si512(k, _mm512_loadu_si512(src.add(at).cast()));
                _mm512_storeu_si512(dst.add(at).cast(), other);
                return other;
            }
        }
        if at >= len {
            return _mm512_setzero_si512();
        }
        let k = stream.step::<R>();
        let mask = first(len - at);
        // SAFETY: the mask leaves out what is behind the packet; masked bytes are not accessed.
        unsafe {
            let data = _mm512_maskz_loadu_epi8(mask, src.add(at).cast());
            let other = _mm512_maskz_mov_epi8(mask, _mm512_xor_si512(data, k));
            _mm512_mask_storeu_epi8(dst.add(at).cast(), mask, other);
            other
        }
    };
    // Block `n` of the message, of which `bytes` are the packet's.
    let message = |n: usize, bytes: __m512i| {
        let at = 64 * n;
        if at + 64 <= len {
            return words(bytes);
        }
        let left = len as isize - at as isize;
        let mut words = words(_mm512_or_si512(bytes, end_of_message(left, trailer)));
        if left <= LAST {
            words[3] = _mm_or_si128(words[3], length(64 + len + 4));
        }
        words
    };
    let received = |n: usize| {
        let at = 64 * n;
        let mask = match at + 64 <= len {
            true => u64::MAX,
            false => first(len.saturating_sub(at)),
        };
        // SAFETY: the mask leaves out what is behind the packet; masked bytes are not accessed.
        unsafe { _mm512_maskz_loadu_epi8(mask, src.wrapping_add(at).cast()) }
    };
    let mut state = State::load(&key.hmac.inner);
    let inner = blocks(len);
    let mut block = [_mm_setzero_si128(); 4];
    let mut n = 0;
    // A block's message is made before the block in front of it is hashed: hashing fills the CPU's queues with
    // instructions that wait for each other, and what comes behind them would start too late to be hidden.
    loop {
        let mut next = block;
        if n < inner {
            next = message(n, if OPEN { received(n) } else { change(n) });
        }
        if n > 0 {
            state = state.compress_quick(block);
            if OPEN {
                // Nothing waits for this.
                change(n - 1);
            }
        }
        if n == inner {
            break;
        }
        block = next;
        n += 1;
    }
    State::load(&key.hmac.outer).compress_quick(state.outer_block())
}

/// Encrypts and authenticates.
///
/// # Safety
/// `span` keeps its promise.
#[inline]
#[target_feature(enable = "sse2,ssse3,sha,avx2,avx512f,avx512bw,avx512vl,avx512vbmi,vaes")]
pub(super) unsafe fn seal<const R: usize>(
    key: &CmKey,
    iv: Block,
    span: Span,
    trailer: [u8; 4],
) -> [u8; 20] {
    // SAFETY: what the caller promises.
    unsafe { run::<R, false>(key, iv, span, trailer) }.digest()
}

/// Authenticates and decrypts. Both at once: what is decrypted behind the last block of SHA-1 would take the place, in the
/// CPU's queues, of the next packet's beginning. A packet that does not authenticate is made again what it was.
///
/// # Safety
/// `span` is in place and keeps its promise; `tag` has 1 to 20 bytes.
#[inline]
#[target_feature(enable = "sse2,ssse3,sha,avx2,avx512f,avx512bw,avx512vl,avx512vbmi,vaes")]
pub(super) unsafe fn open<const R: usize>(
    key: &CmKey,
    iv: Block,
    span: Span,
    trailer: [u8; 4],
    tag: &[u8],
) -> bool {
    // SAFETY: what the caller promises.
    let state = unsafe { run::<R, true>(key, iv, span, trailer) };
    let good = matches(state, tag);
    if !good {
        // SAFETY: the span is the one that the caller gives, in place.
        unsafe { decrypt::<R>(key, iv, span) };
    }
    good
}

/// Whether `tag` is the beginning of the digest, in a time that depends on its length only: all is compared at once.
///
/// # Panics
/// When the tag is longer than 32 bytes.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl")]
fn matches(state: State, tag: &[u8]) -> bool {
    assert!((1..=32).contains(&tag.len()));
    let mask = u32::MAX >> (32 - tag.len());
    // SAFETY: the mask leaves out what is behind the tag; masked bytes are not accessed.
    let tag = unsafe { _mm256_maskz_loadu_epi8(mask, tag.as_ptr().cast()) };
    _mm256_mask_cmpneq_epu8_mask(mask, state.digest_vector(), tag) == 0
}

/// Counter mode in place, which is its own inverse.
///
/// # Safety
/// `span` is in place and keeps its promise.
#[cold]
#[inline(never)]
#[target_feature(enable = "sse2,ssse3,avx512f,avx512bw,avx512vbmi,vaes")]
unsafe fn decrypt<const R: usize>(key: &CmKey, iv: Block, span: Span) {
    let mut stream = Stream::new(&key.keys, iv, 0);
    let mut at = span.clear;
    while at < span.len {
        let k = stream.step::<R>();
        let mask = first(span.len - at);
        // SAFETY: the mask leaves out what is behind the packet; masked bytes are not accessed.
        unsafe {
            let place = span.dst.add(at);
            let data = _mm512_maskz_loadu_epi8(mask, place.cast());
            _mm512_mask_storeu_epi8(place.cast(), mask, _mm512_xor_si512(data, k));
        }
        at += 64;
    }
}
