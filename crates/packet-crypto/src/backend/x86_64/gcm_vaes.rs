//! AES-GCM with VAES, VPCLMULQDQ and AVX-512: four blocks a vector, up to eight vectors at a time.
//!
//! The sequence that GHASH takes (the last block of associated data, the ciphertext, the lengths) is laid into vectors;
//! what is left over is behind, where the vector of powers of H is loaded late enough for the lengths to have H itself.
//! The key stream is laid the same way: the lane of the associated data is the one of E(J0), so that the mask of the
//! tag is made without a block more. Pairs of groups of four vectors come first, what is left over is the last.
//!
//! Zen 4 executes AES and carry-less multiplications on the same two of its four ports, and gives other instructions to
//! those, too, as soon as they are more than a quarter: so what is neither is kept low.

mod open;
mod packet;
mod seal;

use self::packet::{LAST, Packet};
use super::bytes::copy_clear;
use crate::key::{Block, Span};
use crate::table::GcmKey;

/// Bytes of data in the longest packet that is done at once: it has a block of associated data and one of lengths, too.
const SHORT: usize = 16 * (4 * LAST - 2);

/// Whether it is a packet as most are: done at once, with no function called. Not only does that take fewer instructions:
/// the CPU looks a number of them ahead, as far as into the next packet.
#[inline]
fn usual(span: Span, trailer: &[u8]) -> bool {
    span.len - span.clear <= SHORT && span.clear <= 16 && span.len >= 16 && trailer.is_empty()
}

/// Encrypts and authenticates.
///
/// # Safety
/// `span` keeps its promise.
#[inline]
#[target_feature(enable = "ssse3,pclmulqdq,bmi2,avx512f,avx512bw,vaes,vpclmulqdq")]
pub(super) unsafe fn seal<const R: usize>(
    key: &GcmKey,
    nonce: Block,
    span: Span,
    trailer: &[u8],
) -> [u8; 16] {
    // SAFETY: all ask for the span that the caller gives; the data is written after the clear bytes, behind which
    // `copy_clear` may write.
    unsafe {
        if !usual(span, trailer) {
            return seal_any::<R>(key, nonce, span, trailer);
        }
        let packet = Packet::<R>::new(key, nonce, span, trailer);
        copy_clear(span);
        match packet.vectors {
            1 => packet.seal::<1, false>(0),
            2 => packet.seal::<2, false>(0),
            3 => packet.seal::<3, false>(0),
            4 => packet.seal::<4, false>(0),
            5 => packet.seal::<5, false>(0),
            6 => packet.seal::<6, false>(0),
            7 => packet.seal::<7, false>(0),
            8 => packet.seal::<8, false>(0),
            _ => packet.seal::<LAST, false>(0),
        }
    }
}

/// As [`seal`], for any packet.
///
/// # Safety
/// As for [`seal`].
#[inline(never)]
#[target_feature(enable = "ssse3,pclmulqdq,bmi2,avx512f,avx512bw,vaes,vpclmulqdq")]
unsafe fn seal_any<const R: usize>(
    key: &GcmKey,
    nonce: Block,
    span: Span,
    trailer: &[u8],
) -> [u8; 16] {
    // SAFETY: as in `seal`.
    unsafe {
        let packet = Packet::<R>::new(key, nonce, span, trailer);
        copy_clear(span);
        let whole = packet.whole();
        match packet.vectors - whole {
            1 => packet.seal::<1, true>(whole),
            2 => packet.seal::<2, true>(whole),
            3 => packet.seal::<3, true>(whole),
            4 => packet.seal::<4, true>(whole),
            5 => packet.seal::<5, true>(whole),
            6 => packet.seal::<6, true>(whole),
            7 => packet.seal::<7, true>(whole),
            8 => packet.seal::<8, true>(whole),
            _ => packet.seal::<LAST, true>(whole),
        }
    }
}

/// Authenticates, then decrypts.
///
/// # Safety
/// `span` is in place and keeps its promise; `tag` has 1 to 16 bytes.
#[inline]
#[target_feature(enable = "ssse3,pclmulqdq,bmi2,avx512f,avx512bw,vaes,vpclmulqdq")]
pub(super) unsafe fn open<const R: usize>(
    key: &GcmKey,
    nonce: Block,
    span: Span,
    trailer: &[u8],
    tag: &[u8],
) -> bool {
    // SAFETY: both ask for the span that the caller gives, in place, and for its tag of 1 to 16 bytes.
    unsafe {
        if !usual(span, trailer) {
            return open_any::<R>(key, nonce, span, trailer, tag);
        }
        let packet = Packet::<R>::new(key, nonce, span, trailer);
        match packet.vectors {
            1 => packet.open::<1, false>(0, tag),
            2 => packet.open::<2, false>(0, tag),
            3 => packet.open::<3, false>(0, tag),
            4 => packet.open::<4, false>(0, tag),
            5 => packet.open::<5, false>(0, tag),
            6 => packet.open::<6, false>(0, tag),
            7 => packet.open::<7, false>(0, tag),
            8 => packet.open::<8, false>(0, tag),
            _ => packet.open::<LAST, false>(0, tag),
        }
    }
}

/// As [`open`], for any packet.
///
/// # Safety
/// As for [`open`].
#[inline(never)]
#[target_feature(enable = "ssse3,pclmulqdq,bmi2,avx512f,avx512bw,vaes,vpclmulqdq")]
unsafe fn open_any<const R: usize>(
    key: &GcmKey,
    nonce: Block,
    span: Span,
    trailer: &[u8],
    tag: &[u8],
) -> bool {
    // SAFETY: as in `open`.
    unsafe {
        let packet = Packet::<R>::new(key, nonce, span, trailer);
        let whole = packet.whole();
        match packet.vectors - whole {
            1 => packet.open::<1, true>(whole, tag),
            2 => packet.open::<2, true>(whole, tag),
            3 => packet.open::<3, true>(whole, tag),
            4 => packet.open::<4, true>(whole, tag),
            5 => packet.open::<5, true>(whole, tag),
            6 => packet.open::<6, true>(whole, tag),
            7 => packet.open::<7, true>(whole, tag),
            8 => packet.open::<8, true>(whole, tag),
            _ => packet.open::<LAST, true>(whole, tag),
        }
    }
}
