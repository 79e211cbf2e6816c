//! A level made of four primitives: eight AES blocks, the S-box, one SHA-1 block, one GHASH multiplication. The portable
//! level and the one for aarch64 are made so; x86-64 has kernels of its own.

use core::marker::PhantomData;

use super::soft::ghash::{self, Ghash};
use super::soft::{aes, poly, sha1};
use crate::key::{Block, HashKeys, HmacKey, PolyKey, RoundKeys, Span};
use crate::table::{CmFns, CmKey, GcmFns, GcmKey, Kernels, Mac};
use crate::tag;

/// The primitives. A value of an engine says that this CPU has what the engine needs.
pub(crate) trait Engine: Copy {
    const NAME: &'static str;

    /// Whether this CPU has it.
    fn detect() -> bool;

    /// # Safety
    /// `detect()` is true.
    unsafe fn assume() -> Self;

    /// Encrypts eight blocks (little-endian integers) under `keys`: all round keys of the cipher, 11, 13 or 15.
    fn encrypt8(self, keys: &[u128], blocks: &[u128; 8]) -> [u128; 8];

    /// The S-box for every byte of a word.
    fn sub_word(self, word: u32) -> u32;

    /// One block of SHA-1.
    fn compress(self, state: &mut [u32; 5], block: &[u8; 64]);

    /// Carry-less product.
    fn clmul(self, a: u64, b: u64) -> u128;

    /// `a * b / x^128` modulo x^128 + x^127 + x^126 + x^121 + 1.
    fn multiply(self, a: u128, b: u128) -> u128;
}

/// The level of an engine. All its functions need a CPU that has the engine.
pub(crate) struct Level<E>(PhantomData<E>);

impl<E: Engine> Level<E> {
    pub const KERNELS: Kernels = Kernels {
        name: E::NAME,
        detect: E::detect,
        expand_key: Self::expand_key,
        hmac_key: Self::hmac_key,
        hash_keys: Self::hash_keys,
        encrypt_blocks: Self::encrypt_blocks,
        poly_hash: Self::poly_hash,
        cm: [Self::cm::<11>(), Self::cm::<13>(), Self::cm::<15>()],
        gcm: [Self::gcm::<11>(), Self::gcm::<15>()],
    };

    const fn cm<const R: usize>() -> CmFns {
        CmFns {
            rounds: R,
            seal: Self::cm_seal::<R>,
            open: Self::cm_open::<R>,
            #[cfg(feature = "batch")]
            ctr: Self::cm_ctr::<R>,
            #[cfg(feature = "batch")]
            lanes: None,
        }
    }

    const fn gcm<const R: usize>() -> GcmFns {
        GcmFns {
            seal: Self::gcm_seal::<R>,
            open: Self::gcm_open::<R>,
        }
    }

    /// # Safety
    /// The CPU has the engine; `key` has 16, 24 or 32 bytes.
    unsafe fn expand_key(key: &[u8], out: &mut RoundKeys) {
        // SAFETY: `assume` asks for a CPU that has the engine: the caller promises it.
        let engine = unsafe { E::assume() };
        aes::expand_key(key, out, |word| engine.sub_word(word));
    }

    /// # Safety
    /// The CPU has the engine.
    unsafe fn hmac_key(key: &[u8; 20]) -> HmacKey {
        // SAFETY: `assume` asks for a CPU that has the engine: the caller promises it.
        let engine = unsafe { E::assume() };
        sha1::hmac_key(key, |state, block| engine.compress(state, block))
    }

    /// # Safety
    /// The CPU has the engine.
    unsafe fn hash_keys(keys: &RoundKeys, rounds: usize, out: &mut HashKeys) {
        // SAFETY: `assume` asks for a CPU that has the engine: the caller promises it.
        let engine = unsafe { E::assume() };
        let h = engine.encrypt8(&keys[..rounds], &[0; 8])[0];
        ghash::powers(h.swap_bytes(), out, |a, b| engine.multiply(a, b));
    }

    /// # Safety
    /// The CPU has the engine.
    unsafe fn encrypt_blocks(keys: &RoundKeys, rounds: usize, blocks: &mut [u128]) {
        // SAFETY: `assume` asks for a CPU that has the engine: the caller promises it.
        let engine = unsafe { E::assume() };
        for chunk in blocks.chunks_mut(8) {
            let mut eight = [0; 8];
            eight[..chunk.len()].copy_from_slice(chunk);
            let out = engine.encrypt8(&keys[..rounds], &eight);
            chunk.copy_from_slice(&out[..chunk.len()]);
        }
    }

    /// # Safety
    /// The CPU has the engine.
    unsafe fn poly_hash(key: &PolyKey, data: &[u8]) -> u64 {
        // SAFETY: `assume` asks for a CPU that has the engine: the caller promises it.
        let engine = unsafe { E::assume() };
        poly::hash(key, data, |a, b| engine.clmul(a, b))
    }

    /// # Safety
    /// The CPU has the engine; `span` keeps its promise.
    unsafe fn cm_seal<const R: usize>(key: &CmKey, iv: Block, span: Span, trailer: [u8; 4]) -> Mac {
        // SAFETY: the caller promises a CPU that has the engine, and a span whose bytes are ours until this call ends.
        let (engine, packet) = unsafe { (E::assume(), in_place(span)) };
        ctr(engine, &key.keys[..R], iv, &mut packet[span.clear..]);
        Mac(sha1::hmac(&key.hmac, packet, trailer, |state, block| {
            engine.compress(state, block)
        }))
    }

    /// # Safety
    /// The CPU has the engine; `span` keeps its promise.
    unsafe fn cm_open<const R: usize>(
        key: &CmKey,
        iv: Block,
        span: Span,
        trailer: [u8; 4],
        tag: &[u8],
    ) -> bool {
        // SAFETY: the caller promises a CPU that has the engine, and a span whose bytes are ours until this call ends.
        let (engine, packet) = unsafe { (E::assume(), in_place(span)) };
        let mac = sha1::hmac(&key.hmac, packet, trailer, |state, block| {
            engine.compress(state, block)
        });
        let good = tag::matches(&mac, tag);
        if good {
            ctr(engine, &key.keys[..R], iv, &mut packet[span.clear..]);
        }
        good
    }

    /// # Safety
    /// The CPU has the engine; `span` keeps its promise.
    #[cfg(feature = "batch")]
    unsafe fn cm_ctr<const R: usize>(key: &CmKey, iv: Block, span: Span) {
        // SAFETY: the caller promises a CPU that has the engine, and a span whose bytes are ours until this call ends.
        let (engine, packet) = unsafe { (E::assume(), in_place(span)) };
        ctr(engine, &key.keys[..R], iv, &mut packet[span.clear..]);
    }

    /// # Safety
    /// The CPU has the engine; `span` keeps its promise.
    unsafe fn gcm_seal<const R: usize>(
        key: &GcmKey,
        nonce: Block,
        span: Span,
        trailer: &[u8],
    ) -> [u8; 16] {
        // SAFETY: the caller promises a CPU that has the engine, and a span whose bytes are ours until this call ends.
        let (engine, packet) = unsafe { (E::assume(), in_place(span)) };
        ctr(
            engine,
            &key.keys[..R],
            counter_block(nonce, 2),
            &mut packet[span.clear..],
        );
        gcm_tag::<E, R>(engine, key, nonce, span.clear, packet, trailer)
    }

    /// # Safety
    /// The CPU has the engine; `span` keeps its promise.
    unsafe fn gcm_open<const R: usize>(
        key: &GcmKey,
        nonce: Block,
        span: Span,
        trailer: &[u8],
        tag: &[u8],
    ) -> bool {
        // SAFETY: the caller promises a CPU that has the engine, and a span whose bytes are ours until this call ends.
        let (engine, packet) = unsafe { (E::assume(), in_place(span)) };
        let mac = gcm_tag::<E, R>(engine, key, nonce, span.clear, packet, trailer);
        let good = tag::matches(&mac, tag);
        if good {
            ctr(
                engine,
                &key.keys[..R],
                counter_block(nonce, 2),
                &mut packet[span.clear..],
            );
        }
        good
    }
}

fn gcm_tag<E: Engine, const R: usize>(
    engine: E,
    key: &GcmKey,
    nonce: Block,
    clear: usize,
    packet: &[u8],
    trailer: &[u8],
) -> [u8; 16] {
    let mut hash = Ghash::new(&key.hash_keys, |a, b| engine.multiply(a, b));
    hash.absorb(&[&packet[..clear], trailer]);
    hash.absorb(&[&packet[clear..]]);
    let mut tag = hash.finish(clear + trailer.len(), packet.len() - clear);
    ctr(engine, &key.keys[..R], counter_block(nonce, 1), &mut tag);
    tag
}

fn counter_block(nonce: Block, counter: u32) -> u128 {
    nonce | u128::from(counter.swap_bytes()) << 96
}

/// Adds the key stream from counter block `iv` on. The last 32 bits count.
fn ctr<E: Engine>(engine: E, keys: &[u128], iv: u128, data: &mut [u8]) {
    let iv = iv.swap_bytes();
    let counter = |i: u32| (iv & !0xffff_ffff) | u128::from((iv as u32).wrapping_add(i));
    for (n, chunk) in data.chunks_mut(128).enumerate() {
        let blocks = core::array::from_fn(|b| counter((8 * n + b) as u32).swap_bytes());
        let stream = engine.encrypt8(keys, &blocks);
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
pub(super) unsafe fn in_place<'a>(span: Span) -> &'a mut [u8] {
    if !core::ptr::eq(span.src, span.dst) {
        // SAFETY: both are valid for `len` bytes and, not being the same, do not overlap.
        unsafe { span.src.copy_to_nonoverlapping(span.dst, span.len) };
    }
    // SAFETY: `dst` is writable for `len` bytes, just initialised, and the caller gives it to us for `'a`.
    unsafe { core::slice::from_raw_parts_mut(span.dst, span.len) }
}
