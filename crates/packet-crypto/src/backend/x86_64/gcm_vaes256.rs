//! AES-GCM with VAES and VPCLMULQDQ in vectors of 32 bytes, for CPUs that have no AVX-512: two blocks a vector, up to
//! eight vectors a group.
//!
//! The sequence that GHASH takes (the last block of associated data, the ciphertext, the lengths) is laid into vectors
//! so that the lengths are in the last lane; an odd number of blocks leaves the first lane empty. The last vector then
//! always has the last block of data, which alone may be a short one, and the lengths; every vector between the first
//! and the last is 32 bytes of data. The key stream is laid the same way: the lane of the associated data is the one of
//! E(J0). Groups of eight vectors come first, what is left over is the last group.

mod open;
mod packet;
mod seal;

use self::packet::Packet;
use super::bytes::copy_clear;
use crate::key::{Block, Span};
use crate::table::GcmKey;

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
        let packet = Packet::<R>::new(key, nonce, span, trailer);
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
        let packet = Packet::<R>::new(key, nonce, span, trailer);
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
