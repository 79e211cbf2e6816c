//! AES-CM with HMAC-SHA1, one packet: AES-NI blocks run under the SHA-1 chain, whose latency bounds the packet. The
//! ciphertext goes from the registers it is made in into SHA-1.

use core::arch::x86_64::*;

use super::aes::{Counter, encrypt, same, vector};
use super::bytes::{first, load_last, shift, store_last};
use super::ctr;
use super::sha1_ni::{State, length, swap};
use crate::key::{Block, Span};
use crate::table::CmKey;
use crate::tag;

/// The key stream laid along the packet: vector `v` is what is added to packet bytes `16 v ..`.
struct Aligned<'a, const R: usize> {
    key: &'a CmKey,
    counter: Counter,
    /// The vector in which encryption begins.
    begin: isize,
    /// Shuffles that bring a key stream block to the packet's alignment: what stays in its vector, what goes over.
    stay: __m128i,
    over: __m128i,
    /// The previous block, of which the end goes over into the next vector.
    previous: __m128i,
}

impl<'a, const R: usize> Aligned<'a, R> {
    #[inline]
    #[target_feature(enable = "sse2,ssse3")]
    fn new(key: &'a CmKey, iv: __m128i, clear: usize) -> Self {
        let skew = (clear % 16) as isize;
        // SAFETY: `skew` is 0 to 15, so the shifts are -16 to 15.
        let (stay, over) = unsafe { (shift(skew), shift(skew - 16)) };
        Self {
            key,
            counter: Counter::new(iv),
            begin: (clear / 16) as isize,
            stay,
            over,
            previous: _mm_setzero_si128(),
        }
    }

    /// The key stream for the four vectors from `v` on; to be asked for in order.
    #[inline]
    #[target_feature(enable = "sse2,ssse3,aes")]
    fn four(&mut self, v: isize) -> [__m128i; 4] {
        let block = v - self.begin;
        let mut stream = [_mm_setzero_si128(); 4];
        if block + 3 < 0 {
            return stream;
        }
        let mut blocks = encrypt::<R, 4>(same(&self.key.keys), self.counter.several(block as i32));
        if block < 0 {
            for (i, b) in (block..).zip(&mut blocks) {
                if i < 0 {
                    *b = _mm_setzero_si128();
                }
            }
        }
        for (s, b) in stream.iter_mut().zip(blocks) {
            *s = _mm_or_si128(
                _mm_shuffle_epi8(b, self.stay),
                _mm_shuffle_epi8(self.previous, self.over),
            );
            self.previous = b;
        }
        stream
    }
}

/// Loads the four whole vectors at `at`.
///
/// # Safety
/// 64 bytes at `at` are readable.
#[inline]
#[target_feature(enable = "sse2")]
unsafe fn load4(at: *const u8) -> [__m128i; 4] {
    let at: *const __m128i = at.cast();
    // SAFETY: four vectors are the 64 bytes that are readable, as the caller promises.
    unsafe {
        [
            _mm_loadu_si128(at),
            _mm_loadu_si128(at.add(1)),
            _mm_loadu_si128(at.add(2)),
            _mm_loadu_si128(at.add(3)),
        ]
    }
}

/// The trailer and the bit that ends the message.
#[inline]
#[target_feature(enable = "sse2")]
fn end_of_message(trailer: [u8; 4]) -> __m128i {
    _mm_set_epi32(0, 0, 0x80, i32::from_le_bytes(trailer))
}

/// How many SHA-1 blocks a packet of `len` bytes, its trailer, the end bit and the length take.
#[inline]
fn blocks(len: usize) -> usize {
    (len + 4 + 1 + 8).div_ceil(64)
}

/// Encrypts and authenticates.
///
/// # Safety
/// `span` keeps its promise.
#[inline]
#[target_feature(enable = "sse2,ssse3,aes,sha")]
pub(super) unsafe fn seal<const R: usize>(
    key: &CmKey,
    iv: Block,
    span: Span,
    trailer: [u8; 4],
) -> [u8; 20] {
    let Span {
        src,
        dst,
        len,
        clear,
    } = span;
    let iv = vector(iv);
    let mut stream = Aligned::<R>::new(key, iv, clear);
    let mut state = State::load(&key.hmac.inner);
    let (whole, inner) = (len / 64, blocks(len));
    let mut previous = _mm_setzero_si128();
    let mut message = [_mm_setzero_si128(); 4];
    // A block's message is made before the block in front of it is hashed: hashing fills the CPU's queues with
    // instructions that wait for each other, and what comes behind them would start too late to be hidden. One loop
    // for everything, the outer hash too, so that SHA-1 is in the code once.
    for n in 0..=inner + 1 {
        let mut next = if n < whole {
            let k = stream.four(4 * n as isize);
            // SAFETY: block `n` is wholly inside the packet.
            let mut m = unsafe { load4(src.add(64 * n)) };
            for (i, (m, k)) in m.iter_mut().zip(k).enumerate() {
                *m = _mm_xor_si128(*m, k);
                // SAFETY: block `n` is wholly inside the packet, and `dst` is writable for all of it.
                unsafe { _mm_storeu_si128(dst.add(64 * n + 16 * i).cast(), *m) };
            }
            previous = m[3];
            m.map(
                #[inline]
                |m| swap(m),
            )
        } else if n < inner {
            let k = if 64 * n < len {
                stream.four(4 * n as isize)
            } else {
                [_mm_setzero_si128(); 4]
            };
            let end = end_of_message(trailer);
            let mut m = k;
            for (i, m) in m.iter_mut().enumerate() {
                let at = 64 * n + 16 * i;
                let left = len as isize - at as isize;
                if left >= 16 {
                    // SAFETY: 16 bytes from `at` are inside the packet.
                    unsafe {
                        *m = _mm_xor_si128(*m, _mm_loadu_si128(src.add(at).cast()));
                        _mm_storeu_si128(dst.add(at).cast(), *m);
                    }
                    previous = *m;
                } else if left > 0 {
                    let left = left as usize;
                    // SAFETY: the last `left` of the packet's `len` bytes are 1 to 15; the 16 before them were stored
                    // from `previous`, as were all before `at`.
                    unsafe {
                        let data = load_last(src.add(len), left, len);
                        *m = _mm_and_si128(_mm_xor_si128(*m, data), first(left));
                        store_last(dst.add(len), left, len, previous, *m);
                    }
                } else {
                    *m = _mm_setzero_si128();
                }
                if (-15..16).contains(&left) {
                    // SAFETY: `left` is -15 to 15.
                    let end = unsafe { _mm_shuffle_epi8(end, shift(left)) };
                    *m = _mm_or_si128(*m, end);
                }
                *m = swap(*m);
            }
            if n + 1 == inner {
                m[3] = _mm_or_si128(m[3], length(64 + len + 4));
            }
            m
        } else {
            [_mm_setzero_si128(); 4]
        };
        if n > 0 {
            state = state.compress(message);
        }
        if n == inner {
            next = state.outer_block();
            state = State::load(&key.hmac.outer);
        }
        message = next;
    }
    state.digest()
}

/// Authenticates, then decrypts.
///
/// # Safety
/// `span` is in place and keeps its promise; `tag` has 1 to 20 bytes.
#[inline]
#[target_feature(enable = "sse2,ssse3,aes,sha")]
pub(super) unsafe fn open<const R: usize>(
    key: &CmKey,
    iv: Block,
    span: Span,
    trailer: [u8; 4],
    tag: &[u8],
) -> bool {
    let Span {
        src,
        dst,
        len,
        clear,
    } = span;
    let mut state = State::load(&key.hmac.inner);
    let (whole, inner) = (len / 64, blocks(len));
    let mut message = [_mm_setzero_si128(); 4];
    for n in 0..=inner + 1 {
        let mut next = if n < whole {
            // SAFETY: block `n` is wholly inside the packet.
            let m = unsafe { load4(src.add(64 * n)) };
            m.map(
                #[inline]
                |m| swap(m),
            )
        } else if n < inner {
            let end = end_of_message(trailer);
            let mut m = [_mm_setzero_si128(); 4];
            for (i, m) in m.iter_mut().enumerate() {
                let at = 64 * n + 16 * i;
                let left = len as isize - at as isize;
                if left >= 16 {
                    // SAFETY: 16 bytes from `at` are inside the packet.
                    *m = unsafe { _mm_loadu_si128(src.add(at).cast()) };
                } else if left > 0 {
                    // SAFETY: the last `left` of the packet's `len` bytes are 1 to 15.
                    *m = unsafe { load_last(src.add(len), left as usize, len) };
                }
                if (-15..16).contains(&left) {
                    // SAFETY: `left` is -15 to 15.
                    let end = unsafe { _mm_shuffle_epi8(end, shift(left)) };
                    *m = _mm_or_si128(*m, end);
                }
                *m = swap(*m);
            }
            if n + 1 == inner {
                m[3] = _mm_or_si128(m[3], length(64 + len + 4));
            }
            m
        } else {
            [_mm_setzero_si128(); 4]
        };
        if n > 0 {
            state = state.compress(message);
        }
        if n == inner {
            next = state.outer_block();
            state = State::load(&key.hmac.outer);
        }
        message = next;
    }
    let good = tag::matches(&state.digest(), tag);
    if good {
        // SAFETY: the packet is ours to change, and what is in front of the payload is final.
        unsafe {
            let at = dst.add(clear);
            ctr::add::<R>(
                &key.keys,
                Counter::new(vector(iv)),
                0,
                at,
                at,
                len - clear,
                clear,
            );
        }
    }
    good
}
