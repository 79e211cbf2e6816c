//! The level of OpenSSL: whatever its library has, under the provider that the machine's configuration says (FIPS 140 among them).
//!
//! Slow: each packet makes its contexts anew, for a provider takes whole keys alone and OpenSSL's contexts would outlive the
//! layout of [`crate::key`]. So an "expanded" key is the key itself: the cipher's in the first round keys, HMAC's in the inner state.
//!
//! OpenSSL's functions fail for want of memory, or because a provider refuses: then a function here panics, and gives
//! no tag. What it has written by then must not be sent.

use openssl::cipher::{Cipher, CipherRef};
use openssl::cipher_ctx::CipherCtx;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use zeroize::Zeroizing;

use super::generic::in_place;
use super::soft::{ghash, poly};
use crate::key::{Block, HmacKey, PolyKey, RoundKeys, Span};
use crate::table::{CmFns, CmKey, GcmFns, GcmKey, Kernels, Mac};
use crate::tag;

pub(crate) static SYSTEM: Kernels = Kernels {
    name: "system",
    detect: || true,
    expand_key,
    hmac_key,
    hash_keys: |_, _, _| (),
    encrypt_blocks,
    poly_hash,
    cm: [cm::<11>(), cm::<13>(), cm::<15>()],
    gcm: [gcm::<11>(), gcm::<15>()],
};

const fn cm<const R: usize>() -> CmFns {
    CmFns {
        rounds: R,
        seal: cm_seal::<R>,
        open: cm_open::<R>,
        #[cfg(feature = "batch")]
        ctr: cm_ctr::<R>,
        #[cfg(feature = "batch")]
        lanes: None,
    }
}

const fn gcm<const R: usize>() -> GcmFns {
    GcmFns {
        seal: gcm_seal::<R>,
        open: gcm_open::<R>,
    }
}

/// What failed is OpenSSL's: without it there is no answer.
fn must<T>(result: Result<T, ErrorStack>) -> T {
    result.unwrap_or_else(|error| panic!("OpenSSL encrypts no packet: {error}"))
}

/// Bytes of the cipher key of so many round keys.
const fn key_length(rounds: usize) -> usize {
    match rounds {
        11 => 16,
        13 => 24,
        _ => 32,
    }
}

fn cipher_key(keys: &RoundKeys, rounds: usize) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    key[..16].copy_from_slice(&keys[0].to_le_bytes());
    key[16..].copy_from_slice(&keys[1].to_le_bytes());
    key[key_length(rounds)..].fill(0);
    key
}

/// # Safety
/// `key` has at most 32 bytes.
unsafe fn expand_key(key: &[u8], out: &mut RoundKeys) {
    let mut whole = Zeroizing::new([0; 32]);
    whole[..key.len()].copy_from_slice(key);
    for (out, half) in out.iter_mut().zip(whole.as_chunks::<16>().0) {
        *out = u128::from_le_bytes(*half);
    }
}

/// # Safety
/// None is asked for.
unsafe fn hmac_key(key: &[u8; 20]) -> HmacKey {
    let words = key.as_chunks::<4>().0;
    HmacKey {
        inner: core::array::from_fn(|n| u32::from_le_bytes(words[n])),
        outer: [0; 5],
    }
}

/// # Safety
/// None is asked for.
unsafe fn encrypt_blocks(keys: &RoundKeys, rounds: usize, blocks: &mut [u128]) {
    if blocks.is_empty() {
        return;
    }
    let cipher = match rounds {
        11 => Cipher::aes_128_ecb(),
        13 => Cipher::aes_192_ecb(),
        _ => Cipher::aes_256_ecb(),
    };
    let key = cipher_key(keys, rounds);
    let length = 16 * blocks.len();
    // The crate wants room for one block more than there are.
    let mut bytes = Zeroizing::new(vec![0; length + 16]);
    for (bytes, block) in bytes.as_chunks_mut::<16>().0.iter_mut().zip(&*blocks) {
        *bytes = block.to_le_bytes();
    }
    let mut context = must(CipherCtx::new());
    must(context.encrypt_init(Some(cipher), Some(&key[..key_length(rounds)]), None));
    context.set_padding(false);
    must(context.cipher_update_inplace(&mut bytes, length));
    for (block, bytes) in blocks.iter_mut().zip(bytes.as_chunks::<16>().0) {
        *block = u128::from_le_bytes(*bytes);
    }
}

/// # Safety
/// None is asked for.
unsafe fn poly_hash(key: &PolyKey, data: &[u8]) -> u64 {
    // No cryptography: it tells whether two payloads are the same.
    poly::hash(key, data, ghash::clmul)
}

/// Counter mode over `data`.
fn ctr<const R: usize>(key: &CmKey, iv: Block, data: &mut [u8]) {
    if data.is_empty() {
        return;
    }
    let cipher = match R {
        11 => Cipher::aes_128_ctr(),
        13 => Cipher::aes_192_ctr(),
        _ => Cipher::aes_256_ctr(),
    };
    let cipher_key = cipher_key(&key.keys, R);
    let length = data.len();
    let mut context = must(CipherCtx::new());
    must(context.encrypt_init(
        Some(cipher),
        Some(&cipher_key[..key_length(R)]),
        Some(&iv.to_le_bytes()),
    ));
    must(context.cipher_update_inplace(data, length));
}

fn hmac(key: &HmacKey, packet: &[u8], trailer: [u8; 4]) -> [u8; 20] {
    let mut bytes = Zeroizing::new([0; 20]);
    for (bytes, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(key.inner) {
        *bytes = word.to_le_bytes();
    }
    let key = must(PKey::hmac(&*bytes));
    let mut signer = must(Signer::new(MessageDigest::sha1(), &key));
    let mut mac = [0; 20];
    must(signer.update(packet));
    must(signer.update(&trailer));
    must(signer.sign(&mut mac));
    mac
}

/// # Safety
/// `span` keeps its promise.
unsafe fn cm_seal<const R: usize>(key: &CmKey, iv: Block, span: Span, trailer: [u8; 4]) -> Mac {
    // SAFETY: the caller promises a span whose bytes are ours until this call ends.
    let packet = unsafe { in_place(span) };
    ctr::<R>(key, iv, &mut packet[span.clear..]);
    Mac(hmac(&key.hmac, packet, trailer))
}

/// # Safety
/// `span` keeps its promise.
unsafe fn cm_open<const R: usize>(
    key: &CmKey,
    iv: Block,
    span: Span,
    trailer: [u8; 4],
    tag: &[u8],
) -> bool {
    // SAFETY: the caller promises a span whose bytes are ours until this call ends.
    let packet = unsafe { in_place(span) };
    let good = tag::matches(&hmac(&key.hmac, packet, trailer), tag);
    if good {
        ctr::<R>(key, iv, &mut packet[span.clear..]);
    }
    good
}

/// # Safety
/// `span` keeps its promise.
#[cfg(feature = "batch")]
unsafe fn cm_ctr<const R: usize>(key: &CmKey, iv: Block, span: Span) {
    // SAFETY: the caller promises a span whose bytes are ours until this call ends.
    let packet = unsafe { in_place(span) };
    ctr::<R>(key, iv, &mut packet[span.clear..]);
}

fn gcm_cipher(rounds: usize) -> &'static CipherRef {
    match rounds {
        11 => Cipher::aes_128_gcm(),
        _ => Cipher::aes_256_gcm(),
    }
}

/// # Safety
/// `span` keeps its promise.
unsafe fn gcm_seal<const R: usize>(
    key: &GcmKey,
    nonce: Block,
    span: Span,
    trailer: &[u8],
) -> [u8; 16] {
    // SAFETY: the caller promises a span whose bytes are ours until this call ends.
    let packet = unsafe { in_place(span) };
    let cipher_key = cipher_key(&key.keys, R);
    let (clear, secret) = packet.split_at_mut(span.clear);
    let length = secret.len();
    let mut context = must(CipherCtx::new());
    must(context.encrypt_init(
        Some(gcm_cipher(R)),
        Some(&cipher_key[..key_length(R)]),
        Some(&nonce.to_le_bytes()[..12]),
    ));
    must(context.cipher_update(clear, None));
    must(context.cipher_update(trailer, None));
    if length > 0 {
        must(context.cipher_update_inplace(secret, length));
    }
    must(context.cipher_final(&mut []));
    let mut tag = [0; 16];
    must(context.tag(&mut tag));
    tag
}

/// # Safety
/// `span` keeps its promise.
unsafe fn gcm_open<const R: usize>(
    key: &GcmKey,
    nonce: Block,
    span: Span,
    trailer: &[u8],
    tag: &[u8],
) -> bool {
    // SAFETY: the caller promises a span whose bytes are ours until this call ends.
    let packet = unsafe { in_place(span) };
    let cipher_key = cipher_key(&key.keys, R);
    let (clear, secret) = packet.split_at_mut(span.clear);
    let length = secret.len();
    let mut context = must(CipherCtx::new());
    must(context.decrypt_init(
        Some(gcm_cipher(R)),
        Some(&cipher_key[..key_length(R)]),
        Some(&nonce.to_le_bytes()[..12]),
    ));
    must(context.cipher_update(clear, None));
    must(context.cipher_update(trailer, None));
    // Elsewhere: what does not authenticate stays as it was.
    let mut opened = Zeroizing::new(secret.to_vec());
    if length > 0 {
        must(context.cipher_update_inplace(&mut opened, length));
    }
    must(context.set_tag(tag));
    let good = context.cipher_final(&mut []).is_ok();
    if good {
        secret.copy_from_slice(&opened);
    }
    good
}
