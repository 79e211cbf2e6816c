//! AES-CM with HMAC-SHA1, one packet, with VAES and SHA-NI. On Intel's CPUs SHA-1 and byte shuffles share one port, which
//! SHA-1 alone nearly fills: it pays to leave it as little else as possible. So the whole packet is encrypted first, 64
//! bytes a step and laid so that each store is one SHA-1 block, and then hashed from memory. The parts with wide vectors
//! are functions of their own, at whose end the compiler clears the upper halves that would slow SHA-1 down.
//!
//! What cannot be hidden so is the time until the first block is there. Shorter packets are quicker with `cm_sha_ni`.

use core::arch::x86_64::*;
use core::mem::MaybeUninit;

use super::cm_sha_ni;
use super::gcm_vaes::Counters;
use super::sha1_ni::{State, swap};
use crate::kernels::CmKey;
use crate::key::{Block, HmacKey, Span};
use crate::tag;

/// From so many bytes on this is quicker than `cm_sha_ni`. Measured on Sapphire Rapids: 32.5 ns against 42 ns a block
/// of SHA-1, but 40 ns more for a packet.
const LONG: usize = 640;

/// The last one or two blocks of the message: what is left of the packet, trailer, padding, length.
#[repr(align(64))]
struct End([u8; 128]);

impl End {
    /// From the vector with the packet's last `len % 64` bytes, zeros behind. Put together in registers: SHA-1's loads
    /// would wait long for memory written in smaller pieces.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2")]
    fn new(last: __m512i, len: usize, trailer: [u8; 4]) -> Self {
        let bits = (64 + len as u64 + 4) * 8;
        let bits = _mm512_maskz_set1_epi64(1 << 7, bits.swap_bytes() as i64);
        // The trailer and the bit that ends the message go behind the packet; some of it perhaps into a second block.
        let text = 0x80 << 32 | u64::from(u32::from_le_bytes(trailer));
        let place = 0x1f_u128 << (len % 64);
        let (here, there) = (place as u64, (place >> 64) as u64);
        let expand = |mask: u64, text: u64| {
            _mm512_maskz_expand_epi8(mask, _mm512_castsi128_si512(_mm_cvtsi64_si128(text as i64)))
        };
        let mut one = _mm512_or_si512(last, expand(here, text));
        // Shifted by 40 at most: then nothing is left.
        let mut two = expand(there, text >> (8 * here.count_ones()));
        if len % 64 + 13 <= 64 {
            one = _mm512_or_si512(one, bits);
        } else {
            two = _mm512_or_si512(two, bits);
        }
        let mut end = Self([0; 128]);
        // SAFETY: 128 writable bytes.
        unsafe {
            _mm512_storeu_si512(end.0.as_mut_ptr().cast(), one);
            _mm512_storeu_si512(end.0.as_mut_ptr().add(64).cast(), two);
        }
        end
    }
}

/// The first `n` bytes, at most 64.
#[inline]
fn first(n: usize) -> u64 {
    if n < 64 { !(u64::MAX << n) } else { u64::MAX }
}

/// HMAC-SHA1 of the whole blocks of a packet and its end.
///
/// # Safety
/// `len` bytes at `packet` are readable.
#[inline]
#[target_feature(enable = "ssse3,sha")]
unsafe fn hmac(key: &HmacKey, packet: *const u8, len: usize, end: &End) -> [u8; 20] {
    let (whole, inner) = (len / 64, (len + 13).div_ceil(64));
    let mut state = State::load(&key.inner);
    for n in 0..=inner {
        let message = if n < inner {
            let at = if n < whole {
                packet.wrapping_add(64 * n)
            } else {
                end.0.as_ptr().wrapping_add(64 * (n - whole))
            };
            let at: *const __m128i = at.cast();
            // SAFETY: a whole block of the packet, or one of the end's two (there are two if `inner` says so).
            unsafe {
                [
                    swap(_mm_loadu_si128(at)),
                    swap(_mm_loadu_si128(at.add(1))),
                    swap(_mm_loadu_si128(at.add(2))),
                    swap(_mm_loadu_si128(at.add(3))),
                ]
            }
        } else {
            let block = state.outer_block();
            state = State::load(&key.outer);
            block
        };
        state = state.compress(message);
    }
    state.digest()
}

/// `cm_sha_ni::seal`, not compiled with this level's features: SHA-1 has no AVX encoding, and code without any is a
/// little quicker than a mixture.
///
/// # Safety
/// `span` keeps its promise.
#[inline(never)]
#[target_feature(enable = "sse2,ssse3,aes,sha")]
unsafe fn short_seal<const R: usize>(
    key: &CmKey,
    iv: Block,
    span: Span,
    trailer: [u8; 4],
) -> [u8; 20] {
    // SAFETY: the caller's promise.
    unsafe { cm_sha_ni::seal::<R>(key, iv, span, trailer) }
}

/// `cm_sha_ni::open`, likewise.
///
/// # Safety
/// `span` is in place and keeps its promise; `tag` has 1 to 20 bytes.
#[inline(never)]
#[target_feature(enable = "sse2,ssse3,aes,sha")]
unsafe fn short_open<const R: usize>(
    key: &CmKey,
    iv: Block,
    span: Span,
    trailer: [u8; 4],
    tag: &[u8],
) -> bool {
    // SAFETY: the caller's promise.
    unsafe { cm_sha_ni::open::<R>(key, iv, span, trailer, tag) }
}

/// Encrypts the packet, and gives the message's end.
///
/// # Safety
/// `span` keeps its promise, `clear` is a multiple of four.
#[inline(never)]
#[target_feature(enable = "ssse3,avx512f,avx512bw,avx512vbmi2,vaes")]
unsafe fn encrypt<const R: usize>(key: &CmKey, iv: Block, span: Span, trailer: [u8; 4]) -> End {
    let Span {
        src,
        dst,
        len,
        clear,
    } = span;
    let counters = Counters::from_iv(iv);
    let begin = clear / 64;
    // Word `i` of a vector is word `i - skew` of its key stream block, or of the one before.
    let order = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let order = _mm512_sub_epi32(order, _mm512_set1_epi32((clear % 64 / 4) as i32));
    let mut previous = _mm512_setzero_si512();
    let mut last = previous;
    for v in 0..begin {
        // SAFETY: inside the clear bytes.
        unsafe {
            let data = _mm512_loadu_si512(src.add(64 * v).cast());
            _mm512_storeu_si512(dst.add(64 * v).cast(), data);
        }
    }
    let mut v = begin;
    while 64 * v < len {
        for b in counters.stream::<R, 4>(&key.keys, v - begin) {
            let k = _mm512_permutex2var_epi32(b, order, previous);
            previous = b;
            let left = len.saturating_sub(64 * v);
            if left >= 64 {
                // SAFETY: 64 more bytes are inside the packet.
                unsafe {
                    let data = _mm512_loadu_si512(src.add(64 * v).cast());
                    _mm512_storeu_si512(dst.add(64 * v).cast(), _mm512_xor_si512(data, k));
                }
            } else if left > 0 {
                let mask = first(left);
                // SAFETY: the mask leaves out what is behind the packet; masked bytes are not accessed.
                unsafe {
                    let data = _mm512_maskz_loadu_epi8(mask, src.add(64 * v).cast());
                    last = _mm512_maskz_mov_epi8(mask, _mm512_xor_si512(data, k));
                    _mm512_mask_storeu_epi8(dst.add(64 * v).cast(), mask, last);
                }
            }
            v += 1;
        }
    }
    End::new(last, len, trailer)
}

/// Encrypts and authenticates.
///
/// # Safety
/// `span` keeps its promise.
#[inline]
#[target_feature(enable = "ssse3,aes,sha,avx512f,avx512bw,avx512vbmi2,vaes")]
pub(super) unsafe fn seal<const R: usize>(
    key: &CmKey,
    iv: Block,
    span: Span,
    trailer: [u8; 4],
) -> [u8; 20] {
    if span.len < LONG || !span.clear.is_multiple_of(4) {
        // SAFETY: the caller's promise.
        return unsafe { short_seal::<R>(key, iv, span, trailer) };
    }
    // SAFETY: the caller's promise.
    unsafe {
        let end = encrypt::<R>(key, iv, span, trailer);
        hmac(&key.hmac, span.dst, span.len, &end)
    }
}

/// As many vectors of key stream as are made before the packet is hashed: enough for an Ethernet frame.
const AHEAD: usize = 24;

type Ahead = [MaybeUninit<__m512i>; AHEAD];

/// Makes key stream for the packet, and gives the message's end.
///
/// # Safety
/// `span` keeps its promise.
#[inline(never)]
#[target_feature(enable = "ssse3,avx512f,avx512bw,avx512vbmi2,vaes")]
unsafe fn prepare<const R: usize>(
    key: &CmKey,
    iv: Block,
    span: Span,
    trailer: [u8; 4],
    ahead: &mut Ahead,
) -> End {
    let counters = Counters::from_iv(iv);
    let wanted = (span.len - span.clear).div_ceil(64);
    for (four, n) in ahead
        .as_chunks_mut::<4>()
        .0
        .iter_mut()
        .zip((0..wanted).step_by(4))
    {
        for (slot, k) in four.iter_mut().zip(counters.stream::<R, 4>(&key.keys, n)) {
            slot.write(k);
        }
    }
    let (at, mask) = (span.len / 64 * 64, first(span.len % 64));
    // SAFETY: the mask leaves out what is behind the packet; masked bytes are not accessed.
    let last = unsafe { _mm512_maskz_loadu_epi8(mask, span.src.add(at).cast()) };
    End::new(last, span.len, trailer)
}

/// Decrypts if `good`, and wipes the key stream either way.
///
/// # Safety
/// `span` is in place and keeps its promise; `ahead` was made for it by `prepare`.
#[inline(never)]
#[target_feature(enable = "ssse3,avx512f,avx512bw,avx512vbmi2,vaes")]
unsafe fn finish<const R: usize>(
    key: &CmKey,
    iv: Block,
    span: Span,
    ahead: &mut Ahead,
    good: bool,
) {
    let Span {
        dst, len, clear, ..
    } = span;
    let data = dst.wrapping_add(clear);
    let add = |n: usize, k: __m512i| {
        let mask = first(len - clear - 64 * n);
        // SAFETY: the mask leaves out what is behind the packet; masked bytes are not accessed.
        unsafe {
            let place = data.add(64 * n);
            let v = _mm512_maskz_loadu_epi8(mask, place.cast());
            _mm512_mask_storeu_epi8(place.cast(), mask, _mm512_xor_si512(v, k));
        }
    };
    let wanted = (len - clear).div_ceil(64);
    for (n, slot) in (0..wanted).zip(ahead.iter_mut()) {
        if good {
            // SAFETY: `prepare` wrote every slot that is wanted.
            add(n, unsafe { slot.assume_init() });
        }
    }
    if good && wanted > AHEAD {
        let counters = Counters::from_iv(iv);
        for n in (AHEAD..wanted).step_by(4) {
            let four = counters.stream::<R, 4>(&key.keys, n);
            for (n, k) in (n..wanted).zip(four) {
                add(n, k);
            }
        }
    }
    for slot in ahead.iter_mut().take(wanted.next_multiple_of(4)) {
        // SAFETY: `slot` is a place for one vector. Volatile, as nothing reads it again and the compiler would leave
        // it out.
        unsafe { slot.as_mut_ptr().write_volatile(_mm512_setzero_si512()) };
    }
}

/// Authenticates, then decrypts.
///
/// # Safety
/// `span` is in place and keeps its promise; `tag` has 1 to 20 bytes.
#[inline]
#[target_feature(enable = "ssse3,aes,sha,avx512f,avx512bw,avx512vbmi2,vaes")]
pub(super) unsafe fn open<const R: usize>(
    key: &CmKey,
    iv: Block,
    span: Span,
    trailer: [u8; 4],
    tag: &[u8],
) -> bool {
    if span.len < LONG {
        // SAFETY: the caller's promise.
        return unsafe { short_open::<R>(key, iv, span, trailer, tag) };
    }
    let mut ahead: Ahead = [const { MaybeUninit::uninit() }; AHEAD];
    // SAFETY: the caller's promise.
    unsafe {
        let end = prepare::<R>(key, iv, span, trailer, &mut ahead);
        let good = tag::matches(&hmac(&key.hmac, span.src, span.len, &end), tag);
        finish::<R>(key, iv, span, &mut ahead, good);
        good
    }
}
