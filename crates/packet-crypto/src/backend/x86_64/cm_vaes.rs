//! AES-CM with HMAC-SHA1, one packet, with VAES and SHA-NI. SHA-1 bounds the packet, so all else is to be done beside
//! it, which the CPU does by itself if the instructions are few: those of the next packet then start while this one is
//! hashed. Hence vectors of 32 bytes: those of 64 would take a port away from SHA-1 while they wait.
//!
//! The packet is encrypted first, laid so that SHA-1's loads each lie in one store, and hashed from memory. The parts
//! with wide vectors are functions of their own, at whose end the compiler clears the upper halves that would slow
//! SHA-1 down.

use core::arch::x86_64::*;

use super::aes::vector;
use super::sha1_ni::{State, length, swap};
use crate::key::{Block, HmacKey, RoundKeys, Span};
use crate::table::CmKey;
use crate::tag;

/// Key stream vectors made side by side: AES takes as long for one as for three.
const STEP: usize = 2;

/// The key stream, two blocks a vector.
struct Stream<'a> {
    keys: &'a RoundKeys,
    /// The next vector's counter blocks, their last words in the CPU's byte order.
    next: __m256i,
}

impl<'a> Stream<'a> {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(keys: &'a RoundKeys, iv: Block) -> Self {
        let first = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(vector(iv)), swap_last());
        Self {
            keys,
            next: _mm256_add_epi32(first, _mm256_setr_epi32(0, 0, 0, 0, 0, 0, 0, 1)),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,vaes")]
    fn step<const R: usize>(&mut self) -> [__m256i; STEP] {
        let mut blocks = [self.next; STEP];
        let key = |i: usize| _mm256_broadcastsi128_si256(super::aes::round_key(self.keys, i));
        let first = key(0);
        for b in &mut blocks {
            *b = _mm256_xor_si256(_mm256_shuffle_epi8(self.next, swap_last()), first);
            self.next = _mm256_add_epi32(self.next, _mm256_setr_epi32(0, 0, 0, 2, 0, 0, 0, 2));
        }
        for i in 1..R - 1 {
            let key = key(i);
            for b in &mut blocks {
                *b = _mm256_aesenc_epi128(*b, key);
            }
        }
        let last = key(R - 1);
        for b in &mut blocks {
            *b = _mm256_aesenclast_epi128(*b, last);
        }
        blocks
    }
}

/// Reverses each block's last word.
#[inline]
#[target_feature(enable = "avx2")]
fn swap_last() -> __m256i {
    let swap = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 14, 13, 12);
    _mm256_broadcastsi128_si256(swap)
}

/// 0 to 31.
#[inline]
#[target_feature(enable = "avx2")]
fn places() -> __m256i {
    _mm256_setr_epi8(
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
        25, 26, 27, 28, 29, 30, 31,
    )
}

/// The first `n` bytes of 32.
#[inline]
fn first(n: usize) -> u32 {
    if n < 32 { !(u32::MAX << n) } else { u32::MAX }
}

/// The last one or two SHA-1 blocks of the message: what is left of the packet, trailer, the bit that ends it. The
/// length is added when it is hashed.
#[repr(align(64))]
struct End([__m256i; 4]);

impl End {
    /// From the vectors with the packet's last `len % 64` bytes, zeros behind. Put together in registers: SHA-1's loads
    /// would wait long for memory written in smaller pieces.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(tail: [__m256i; 2], len: usize, trailer: [u8; 4]) -> Self {
        let text =
            _mm256_broadcastsi128_si256(_mm_set_epi32(0, 0, 0x80, i32::from_le_bytes(trailer)));
        // Byte `i` of the blocks is byte `i - len % 64` of the text, if that is 0 to 15: the sum is below 0x80 then.
        let start = _mm256_set1_epi8((len % 64) as i8);
        let part = |n: i8| {
            let place = _mm256_add_epi8(places(), _mm256_set1_epi8(32 * n));
            let place = _mm256_adds_epu8(_mm256_sub_epi8(place, start), _mm256_set1_epi8(0x70));
            _mm256_shuffle_epi8(text, place)
        };
        Self([
            _mm256_or_si256(tail[0], part(0)),
            _mm256_or_si256(tail[1], part(1)),
            part(2),
            _mm256_setzero_si256(),
        ])
    }
}

/// HMAC-SHA1 of the whole blocks of a packet and its end.
///
/// # Safety
/// `len` bytes at `packet` are readable.
#[inline]
#[target_feature(enable = "sse2,ssse3,sha,avx512f,avx512bw,avx512vl")]
unsafe fn hmac(key: &HmacKey, packet: *const u8, len: usize, end: &End) -> [u8; 20] {
    let (whole, inner) = (len / 64, (len + 13).div_ceil(64));
    let mut state = State::load(&key.inner);
    for n in 0..=inner {
        let message = if n < inner {
            let at = if n < whole {
                packet.wrapping_add(64 * n)
            } else {
                end.0.as_ptr().cast::<u8>().wrapping_add(64 * (n - whole))
            };
            let at: *const __m128i = at.cast();
            // SAFETY: a whole block of the packet, or one of the end's two (there are two if `inner` says so).
            let mut m = unsafe {
                [
                    swap(_mm_loadu_si128(at)),
                    swap(_mm_loadu_si128(at.add(1))),
                    swap(_mm_loadu_si128(at.add(2))),
                    swap(_mm_loadu_si128(at.add(3))),
                ]
            };
            if n + 1 == inner {
                m[3] = _mm_or_si128(m[3], length(64 + len + 4));
            }
            m
        } else {
            let block = state.outer_block();
            state = State::load(&key.outer);
            block
        };
        state = state.compress_vl(message);
    }
    state.digest()
}

/// Encrypts the packet, and gives the message's end.
///
/// # Safety
/// `span` keeps its promise.
#[inline(never)]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vbmi,vaes")]
unsafe fn encrypt<const R: usize>(key: &CmKey, iv: Block, span: Span, trailer: [u8; 4]) -> End {
    let Span {
        src,
        dst,
        len,
        clear,
    } = span;
    let mut stream = Stream::new(&key.keys, iv);
    let begin = clear / 32;
    // Byte `i` of a packet's vector is byte `i - clear % 32` of its key stream vector, or of the one before.
    let order = _mm256_sub_epi8(places(), _mm256_set1_epi8((clear % 32) as i8));
    let zero = _mm256_setzero_si256();
    let mut previous = zero;
    // The two vectors stored last.
    let (mut one, mut two) = (zero, zero);
    for v in 0..begin {
        // SAFETY: inside the clear bytes.
        unsafe {
            two = _mm256_loadu_si256(src.add(32 * v).cast());
            _mm256_storeu_si256(dst.add(32 * v).cast(), two);
        }
    }
    let mut crypt = |at: usize, k: __m256i, stored: &mut __m256i| {
        let before = core::mem::replace(&mut previous, k);
        let k = _mm256_permutex2var_epi8(k, order, before);
        if at + 32 <= len {
            // SAFETY: 32 more bytes are inside the packet.
            unsafe {
                *stored = _mm256_xor_si256(_mm256_loadu_si256(src.add(at).cast()), k);
                _mm256_storeu_si256(dst.add(at).cast(), *stored);
            }
        } else if at < len {
            let mask = first(len - at);
            // SAFETY: the mask leaves out what is behind the packet; masked bytes are not accessed.
            unsafe {
                let data = _mm256_maskz_loadu_epi8(mask, src.add(at).cast());
                *stored = _mm256_maskz_mov_epi8(mask, _mm256_xor_si256(data, k));
                _mm256_mask_storeu_epi8(dst.add(at).cast(), mask, *stored);
            }
        }
    };
    let mut at = 32 * begin;
    while at < len {
        let [k, l] = stream.step::<R>();
        crypt(at, k, &mut one);
        crypt(at + 32, l, &mut two);
        at += 64;
    }
    // The vectors of the last, incomplete block of SHA-1: the one at an even place is the first.
    let (even, odd) = if begin % 2 == 0 {
        (one, two)
    } else {
        (two, one)
    };
    let even = if len % 64 > 0 { even } else { zero };
    let odd = if len % 64 > 32 { odd } else { zero };
    End::new([even, odd], len, trailer)
}

/// The message's end of a packet that is not to be encrypted.
///
/// # Safety
/// `span` keeps its promise.
#[inline(never)]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl")]
unsafe fn end_of(span: Span, trailer: [u8; 4]) -> End {
    let at = span.src.wrapping_add(span.len / 64 * 64);
    let left = span.len % 64;
    // SAFETY: the masks leave out what is behind the packet; masked bytes are not accessed.
    let tail = unsafe {
        [
            _mm256_maskz_loadu_epi8(first(left), at.cast()),
            _mm256_maskz_loadu_epi8(first(left.saturating_sub(32)), at.wrapping_add(32).cast()),
        ]
    };
    End::new(tail, span.len, trailer)
}

/// Encrypts and authenticates.
///
/// # Safety
/// `span` keeps its promise.
#[inline]
#[target_feature(enable = "sse2,ssse3,sha,avx512f,avx512bw,avx512vl,avx512vbmi,vaes")]
pub(super) unsafe fn seal<const R: usize>(
    key: &CmKey,
    iv: Block,
    span: Span,
    trailer: [u8; 4],
) -> [u8; 20] {
    // SAFETY: `encrypt` asks for the span that the caller gives, and writes all of its `dst`, which `hmac` then reads.
    unsafe {
        let end = encrypt::<R>(key, iv, span, trailer);
        hmac(&key.hmac, span.dst, span.len, &end)
    }
}

/// Authenticates, then decrypts.
///
/// # Safety
/// `span` is in place and keeps its promise; `tag` has 1 to 20 bytes.
#[inline]
#[target_feature(enable = "sse2,ssse3,sha,avx512f,avx512bw,avx512vl,avx512vbmi,vaes")]
pub(super) unsafe fn open<const R: usize>(
    key: &CmKey,
    iv: Block,
    span: Span,
    trailer: [u8; 4],
    tag: &[u8],
) -> bool {
    // SAFETY: all three ask for the span that the caller gives: readable, and writable for `decrypt`, being in place.
    unsafe {
        let end = end_of(span, trailer);
        let good = tag::matches(&hmac(&key.hmac, span.src, span.len, &end), tag);
        if good {
            decrypt::<R>(key, iv, span);
        }
        good
    }
}

/// Counter mode in place.
///
/// # Safety
/// `span` is in place and keeps its promise.
#[inline(never)]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,vaes")]
unsafe fn decrypt<const R: usize>(key: &CmKey, iv: Block, span: Span) {
    let mut stream = Stream::new(&key.keys, iv);
    let mut at = span.clear;
    while at < span.len {
        for k in stream.step::<R>() {
            let mask = first(span.len.saturating_sub(at));
            // SAFETY: the mask leaves out what is behind the packet; masked bytes are not accessed.
            unsafe {
                let place = span.dst.wrapping_add(at);
                let data = _mm256_maskz_loadu_epi8(mask, place.cast());
                _mm256_mask_storeu_epi8(place.cast(), mask, _mm256_xor_si256(data, k));
            }
            at += 32;
        }
    }
}
