//! AES counter mode with AES-NI, for whatever is not fused with authentication.

use core::arch::x86_64::*;

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
        if len - done >= 128 {
            for (i, k) in stream.into_iter().enumerate() {
                // SAFETY: 128 more bytes are inside both places.
                unsafe {
                    let v = _mm_loadu_si128(src.add(done + 16 * i).cast());
                    _mm_storeu_si128(dst.add(done + 16 * i).cast(), _mm_xor_si128(v, k));
                }
            }
            done += 128;
            continue;
        }
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
