//! AES-CM with HMAC-SHA1 for CPUs without SHA extensions: AES-NI first, then SHA-1 over the result. SHA-1 in integer
//! registers is so much the longer part that fusing the two gains nothing.

use super::aes::{Counter, vector};
use super::bytes::copy_clear;
use super::ctr::add;
use super::sha1_scalar;
use crate::key::{Block, Span};
use crate::table::CmKey;
use crate::tag;

/// Counter mode alone; copies the clear bytes.
///
/// # Safety
/// `span` keeps its promise.
#[inline]
#[target_feature(enable = "sse2,ssse3,aes")]
pub(super) unsafe fn ctr<const R: usize>(key: &CmKey, iv: Block, span: Span) {
    let Span {
        src,
        dst,
        len,
        clear,
    } = span;
    // SAFETY: the packet is as `span` says, and once the clear bytes are copied what is in
    // front of the payload is final.
    unsafe {
        copy_clear(span);
        let counter = Counter::new(vector(iv));
        add::<R>(
            &key.keys,
            counter,
            0,
            src.add(clear),
            dst.add(clear),
            len - clear,
            clear,
        );
    }
}

/// Encrypts and authenticates.
///
/// # Safety
/// `span` keeps its promise.
#[inline]
#[target_feature(enable = "sse2,ssse3,aes")]
pub(super) unsafe fn seal<const R: usize>(
    key: &CmKey,
    iv: Block,
    span: Span,
    trailer: [u8; 4],
) -> [u8; 20] {
    // SAFETY: the packet is as `span` says, and all of `dst` is initialised once `ctr` wrote it.
    unsafe {
        ctr::<R>(key, iv, span);
        sha1_scalar::hmac(&key.hmac, span.dst, span.len, trailer)
    }
}

/// Authenticates, then decrypts.
///
/// # Safety
/// `span` is in place and keeps its promise; `tag` has 1 to 20 bytes.
#[inline]
#[target_feature(enable = "sse2,ssse3,aes")]
pub(super) unsafe fn open<const R: usize>(
    key: &CmKey,
    iv: Block,
    span: Span,
    trailer: [u8; 4],
    tag: &[u8],
) -> bool {
    // SAFETY: the packet is as `span` says.
    let mac = unsafe { sha1_scalar::hmac(&key.hmac, span.src, span.len, trailer) };
    let good = tag::matches(&mac, tag);
    if good {
        // SAFETY: the span is the one that the caller gives.
        unsafe { ctr::<R>(key, iv, span) };
    }
    good
}
