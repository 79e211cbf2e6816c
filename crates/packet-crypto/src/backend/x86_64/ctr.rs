//! AES counter mode with AES-NI, for whatever is not fused with authentication.

use core::arch::x86_64::*;
use core::mem::MaybeUninit;

use super::aes::{Counter, encrypt};
use super::bytes::{load_last, shift, store_last};
use crate::key::RoundKeys;

/// Adds key stream blocks from number `n` on to `len` bytes at `src`, into `dst`. `before` bytes in front of both
/// belong to the packet too (a ragged end is loaded and stored with them).
///
/// # Safety
/// `before + len` bytes, of which `before` are in front of the pointers, are readable at `src` and writable at `dst`;
/// the two are the same place or do not overlap; and what is in front is already final at `dst`.
#[inline]
#[target_feature(enable = "sse2,ssse3,aes")]
pub(super) unsafe fn add<const R: usize>(
    keys: &RoundKeys,
    counter: Counter,
    n: usize,
    src: *const u8,
    dst: *mut u8,
    len: usize,
    before: usize,
) {
    let mut done = 0;
    while done < len {
        let stream = encrypt::<R, 8>(keys, counter.several((n + done / 16) as i32));
        for k in stream {
            let left = len - done;
            if left >= 16 {
                // SAFETY: 16 more bytes are inside both places.
                unsafe {
                    let v = _mm_loadu_si128(src.add(done).cast());
                    _mm_storeu_si128(dst.add(done).cast(), _mm_xor_si128(v, k));
                }
                done += 16;
            } else if left > 0 {
                // SAFETY: 1 to 15 bytes are left of `before + len`. What is in front of them is final, so it is
                // taken from `dst` to be stored again.
                unsafe {
                    let v = _mm_xor_si128(load_last(src.add(len), left, before + len), k);
                    let previous = if before + done >= 16 {
                        _mm_loadu_si128(dst.add(done).sub(16).cast())
                    } else if before + len >= 16 {
                        let all = _mm_loadu_si128(dst.add(len).sub(16).cast());
                        _mm_shuffle_epi8(all, shift(left as isize))
                    } else {
                        v
                    };
                    store_last(dst.add(len), left, before + len, previous, v);
                }
                done = len;
            }
        }
    }
}

/// As [`add`], in place, with the first blocks of the key stream already made.
///
/// # Safety
/// As [`add`]; every slot of `ahead` is written.
#[inline]
#[target_feature(enable = "sse2,ssse3,aes")]
pub(super) unsafe fn add_ahead<const R: usize>(
    keys: &RoundKeys,
    counter: Counter,
    ahead: &[MaybeUninit<__m128i>],
    at: *mut u8,
    len: usize,
    before: usize,
) {
    // The ragged end is stored with bytes in front of it: take it before they change.
    let ragged = len % 16;
    let whole = len / 16;
    let last = if ragged > 0 && whole < ahead.len() {
        // SAFETY: 1 to 15 bytes are left of `before + len`.
        unsafe { load_last(at.add(len), ragged, before + len) }
    } else {
        _mm_setzero_si128()
    };
    let mut previous = if whole == 0 && ragged > 0 && before + len >= 16 {
        // SAFETY: 16 bytes before the end are inside the packet.
        let all = unsafe { _mm_loadu_si128(at.add(len).sub(16).cast()) };
        _mm_shuffle_epi8(all, shift(ragged as isize))
    } else {
        _mm_setzero_si128()
    };
    for (i, k) in ahead.iter().enumerate().take(whole) {
        // SAFETY: the slot is written, and 16 bytes from 16 i are inside the packet.
        unsafe {
            let place = at.add(16 * i).cast();
            previous = _mm_xor_si128(_mm_loadu_si128(place), k.assume_init());
            _mm_storeu_si128(place, previous);
        }
    }
    if whole >= ahead.len() {
        let done = 16 * ahead.len();
        // SAFETY: the rest of the same packet; what is in front of it is final now.
        unsafe {
            let rest = at.add(done);
            add::<R>(
                keys,
                counter,
                ahead.len(),
                rest,
                rest,
                len - done,
                before + done,
            );
        }
    } else if ragged > 0 {
        // SAFETY: the slot is written; the last `ragged` bytes are 1 to 15; `previous` is what was stored before.
        unsafe {
            let v = _mm_xor_si128(last, ahead[whole].assume_init());
            store_last(at.add(len), ragged, before + len, previous, v);
        }
    }
}
