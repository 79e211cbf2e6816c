//! The portable level: plain Rust, constant time on every CPU whose integer multiplication is.

pub(crate) mod aes;
pub(crate) mod ghash;
pub(crate) mod sha1;

use crate::kernels::{CmFns, CmKey, GcmFns, GcmKey, Kernels};
use crate::key::{HashKeys, HmacKey, RoundKeys, Span};
use crate::tag;

pub(crate) static SOFT: Kernels = Kernels {
    name: "portable",
    detect: || true,
    expand_key: aes::expand_key,
    hmac_key,
    hash_keys,
    encrypt_blocks,
    cm: [cm::<11>(), cm::<13>(), cm::<15>()],
    gcm: [gcm::<11>(), gcm::<15>()],
};

const fn cm<const R: usize>() -> CmFns {
    CmFns {
        rounds: R,
        seal: cm_seal::<R>,
        open: cm_open::<R>,
        ctr: cm_ctr::<R>,
        lanes: None,
    }
}

const fn gcm<const R: usize>() -> GcmFns {
    GcmFns {
        seal: gcm_seal::<R>,
        open: gcm_open::<R>,
    }
}

fn hmac_key(key: &[u8; 20]) -> HmacKey {
    sha1::hmac_key(key, sha1::compress)
}

fn hash_keys(keys: &RoundKeys, rounds: usize, out: &mut HashKeys) {
    let h = aes::encrypt8(&keys[..rounds], &[0; 8])[0];
    ghash::powers(h.swap_bytes(), out);
}

fn encrypt_blocks(keys: &RoundKeys, rounds: usize, blocks: &mut [[u8; 16]]) {
    for chunk in blocks.chunks_mut(8) {
        let mut eight = [0; 8];
        for (e, b) in eight.iter_mut().zip(chunk.iter()) {
            *e = u128::from_le_bytes(*b);
        }
        let out = aes::encrypt8(&keys[..rounds], &eight);
        for (b, e) in chunk.iter_mut().zip(out) {
            *b = e.to_le_bytes();
        }
    }
}

/// Adds the key stream from counter block `iv` on. The last 32 bits count.
fn ctr(keys: &[u128], iv: u128, data: &mut [u8]) {
    let iv = iv.swap_bytes();
    let counter = |i: u32| (iv & !0xffff_ffff) | u128::from((iv as u32).wrapping_add(i));
    for (n, chunk) in data.chunks_mut(128).enumerate() {
        let blocks = core::array::from_fn(|b| counter((8 * n + b) as u32).swap_bytes());
        let stream = aes::encrypt8(keys, &blocks);
        for (bytes, key) in chunk.chunks_mut(16).zip(stream) {
            for (d, k) in bytes.iter_mut().zip(key.to_le_bytes()) {
                *d ^= k;
            }
        }
    }
}

/// Copies the packet to its destination when that is another place and gives it as a slice.
///
/// # Safety
/// `span` keeps its promise (see [`Span`]) for `'a`.
unsafe fn in_place<'a>(span: Span) -> &'a mut [u8] {
    if !core::ptr::eq(span.src, span.dst) {
        // SAFETY: both are valid for `len` bytes and, not being the same, do not overlap.
        unsafe { span.src.copy_to_nonoverlapping(span.dst, span.len) };
    }
    // SAFETY: `dst` is writable for `len` bytes, just initialised, and the caller gives it to us for `'a`.
    unsafe { core::slice::from_raw_parts_mut(span.dst, span.len) }
}

/// # Safety
/// `span` keeps its promise.
unsafe fn cm_seal<const R: usize>(
    key: &CmKey,
    iv: &[u8; 16],
    span: Span,
    trailer: [u8; 4],
) -> [u8; 20] {
    // SAFETY: the caller's promise.
    let packet = unsafe { in_place(span) };
    ctr(
        &key.keys[..R],
        u128::from_le_bytes(*iv),
        &mut packet[span.clear..],
    );
    sha1::hmac(&key.hmac, packet, trailer, sha1::compress)
}

/// # Safety
/// `span` keeps its promise.
unsafe fn cm_open<const R: usize>(
    key: &CmKey,
    iv: &[u8; 16],
    span: Span,
    trailer: [u8; 4],
    tag: &[u8],
) -> bool {
    // SAFETY: the caller's promise.
    let packet = unsafe { in_place(span) };
    let mac = sha1::hmac(&key.hmac, packet, trailer, sha1::compress);
    let good = tag::matches(&mac, tag);
    if good {
        ctr(
            &key.keys[..R],
            u128::from_le_bytes(*iv),
            &mut packet[span.clear..],
        );
    }
    good
}

/// # Safety
/// `span` keeps its promise.
unsafe fn cm_ctr<const R: usize>(key: &CmKey, iv: &[u8; 16], span: Span) {
    // SAFETY: the caller's promise.
    let packet = unsafe { in_place(span) };
    ctr(
        &key.keys[..R],
        u128::from_le_bytes(*iv),
        &mut packet[span.clear..],
    );
}

fn gcm_tag(
    keys: &[u128],
    key: &GcmKey,
    nonce: &[u8; 12],
    clear: usize,
    packet: &[u8],
    trailer: &[u8],
) -> [u8; 16] {
    let mut hash = ghash::Ghash::new(&key.hash_keys);
    hash.absorb(&[&packet[..clear], trailer]);
    hash.absorb(&[&packet[clear..]]);
    let mut tag = hash.finish(clear + trailer.len(), packet.len() - clear);
    ctr(keys, counter_block(nonce, 1), &mut tag);
    tag
}

fn counter_block(nonce: &[u8; 12], counter: u32) -> u128 {
    let mut block = [0; 16];
    block[..12].copy_from_slice(nonce);
    block[12..].copy_from_slice(&counter.to_be_bytes());
    u128::from_le_bytes(block)
}

/// # Safety
/// `span` keeps its promise.
unsafe fn gcm_seal<const R: usize>(
    key: &GcmKey,
    nonce: &[u8; 12],
    span: Span,
    trailer: &[u8],
) -> [u8; 16] {
    // SAFETY: the caller's promise.
    let packet = unsafe { in_place(span) };
    let keys = &key.keys[..R];
    ctr(keys, counter_block(nonce, 2), &mut packet[span.clear..]);
    gcm_tag(keys, key, nonce, span.clear, packet, trailer)
}

/// # Safety
/// `span` keeps its promise.
unsafe fn gcm_open<const R: usize>(
    key: &GcmKey,
    nonce: &[u8; 12],
    span: Span,
    trailer: &[u8],
    tag: &[u8],
) -> bool {
    // SAFETY: the caller's promise.
    let packet = unsafe { in_place(span) };
    let keys = &key.keys[..R];
    let mac = gcm_tag(keys, key, nonce, span.clear, packet, trailer);
    let good = tag::matches(&mac, tag);
    if good {
        ctr(keys, counter_block(nonce, 2), &mut packet[span.clear..]);
    }
    good
}
