//! AES-CM with HMAC-SHA1: the key stream of eight blocks side by side, then SHA-1 over the result.

use core::arch::aarch64::*;

use super::super::soft::sha1;
use super::blocks::{GROUP, add, encrypt, numbered, stream};
use super::{compress, in_place, vector};
use crate::key::{Block, RoundKeys, Span};
use crate::table::{CmFns, CmKey, Mac};
use crate::tag;

pub(super) const fn fns<const R: usize>() -> CmFns {
    CmFns {
        rounds: R,
        seal: seal::<R>,
        open: open::<R>,
        #[cfg(feature = "batch")]
        ctr: copy_and_add::<R>,
        #[cfg(feature = "batch")]
        lanes: None,
    }
}

/// Adds the key stream from counter block `iv` on. The last 32 bits count.
#[inline]
#[target_feature(enable = "neon,aes")]
fn ctr<const R: usize>(keys: &RoundKeys, iv: Block, data: &mut [u8]) {
    let first = ((iv >> 96) as u32).swap_bytes();
    let iv = vector(iv);
    let (groups, rest) = data.as_chunks_mut();
    let mut number = first;
    for group in groups {
        add(group, &stream::<R>(keys, iv, number, |_| ()));
        number = number.wrapping_add(GROUP as u32);
    }
    if rest.is_empty() {
        return;
    }
    let mut tail = [0; 16 * GROUP];
    tail[..rest.len()].copy_from_slice(rest);
    if rest.len() <= 64 {
        let stream: [uint8x16_t; 4] = encrypt::<R, 4>(keys, numbered(iv, number), |_| ());
        add(&mut tail, &stream);
    } else {
        add(&mut tail, &stream::<R>(keys, iv, number, |_| ()));
    }
    rest.copy_from_slice(&tail[..rest.len()]);
}

#[inline]
#[target_feature(enable = "neon,aes,sha2")]
fn hmac(key: &CmKey, packet: &[u8], trailer: [u8; 4]) -> [u8; 20] {
    sha1::hmac(
        &key.hmac,
        packet,
        trailer,
        #[inline]
        |state, block| compress(state, block),
    )
}

/// Encrypts and authenticates.
///
/// # Safety
/// `span` keeps its promise.
#[target_feature(enable = "neon,aes,sha2")]
unsafe fn seal<const R: usize>(key: &CmKey, iv: Block, span: Span, trailer: [u8; 4]) -> Mac {
    // SAFETY: the bytes are ours until this call ends, as the caller promises.
    let packet = unsafe { in_place(span) };
    ctr::<R>(&key.keys, iv, &mut packet[span.clear..]);
    Mac(hmac(key, packet, trailer))
}

/// Authenticates, then decrypts.
///
/// # Safety
/// `span` is in place and keeps its promise; `tag` has 1 to 20 bytes.
#[target_feature(enable = "neon,aes,sha2")]
unsafe fn open<const R: usize>(
    key: &CmKey,
    iv: Block,
    span: Span,
    trailer: [u8; 4],
    tag: &[u8],
) -> bool {
    // SAFETY: the bytes are ours until this call ends, as the caller promises.
    let packet = unsafe { in_place(span) };
    let good = tag::matches(&hmac(key, packet, trailer), tag);
    if good {
        ctr::<R>(&key.keys, iv, &mut packet[span.clear..]);
    }
    good
}

/// Counter mode alone.
///
/// # Safety
/// `span` keeps its promise.
#[cfg(feature = "batch")]
#[target_feature(enable = "neon,aes")]
unsafe fn copy_and_add<const R: usize>(key: &CmKey, iv: Block, span: Span) {
    // SAFETY: the bytes are ours until this call ends, as the caller promises.
    let packet = unsafe { in_place(span) };
    ctr::<R>(&key.keys, iv, &mut packet[span.clear..]);
}
