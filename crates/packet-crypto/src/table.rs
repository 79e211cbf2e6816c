//! The table of functions that each CPU level fills in, and the expanded keys that carry a part of it.

use crate::key::{Block, HashKeys, HmacKey, PolyKey, RoundKeys, Span};
use crate::wipe::wipe;

pub(crate) type CmSealFn = unsafe fn(&CmKey, iv: Block, Span, trailer: [u8; 4]) -> Mac;
pub(crate) type CmOpenFn = unsafe fn(&CmKey, iv: Block, Span, trailer: [u8; 4], tag: &[u8]) -> bool;
pub(crate) type GcmSealFn = unsafe fn(&GcmKey, nonce: Block, Span, trailer: &[u8]) -> [u8; 16];
pub(crate) type GcmOpenFn =
    unsafe fn(&GcmKey, nonce: Block, Span, trailer: &[u8], tag: &[u8]) -> bool;

pub(crate) type PolyHashFn = unsafe fn(&PolyKey, data: &[u8]) -> u64;

/// An HMAC-SHA1. What a kernel stores here its caller loads at once, and a store of sixteen bytes that lies across two cache
/// lines would keep that load waiting: hence the alignment.
#[repr(C, align(16))]
pub(crate) struct Mac(pub [u8; 20]);

/// What a level does for AES-CM with HMAC-SHA1 under one key size.
///
/// # Safety
/// The functions need a CPU that the level's `detect` accepted, a `Span` that keeps its promise, and for `open` a
/// span in place and a tag of 1 to 20 bytes.
pub(crate) struct CmFns {
    /// How many round keys the cipher has.
    pub rounds: usize,
    pub seal: CmSealFn,
    pub open: CmOpenFn,
    /// Counter mode alone; copies the clear bytes.
    #[cfg(feature = "batch")]
    pub ctr: unsafe fn(&CmKey, iv: Block, Span),
    #[cfg(feature = "batch")]
    pub lanes: Option<Lanes>,
}

/// HMAC-SHA1 of several packets at once.
#[cfg(feature = "batch")]
#[derive(Clone, Copy)]
pub(crate) struct Lanes {
    /// How many packets at most.
    pub width: usize,
    /// From how many on it is quicker than one after the other.
    pub least: usize,
    /// # Safety
    /// The CPU runs the level; there are 1 to `width` jobs and at least as many tags, and each job's packet is readable.
    pub hmac: unsafe fn(&[HmacJob], tags: &mut [[u8; 20]]),
}

/// One packet whose HMAC-SHA1 is wanted, of a batch: `len` readable bytes at `packet`, then `trailer`.
#[cfg(feature = "batch")]
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "only x86-64 has lanes")
)]
pub(crate) struct HmacJob<'a> {
    pub key: &'a CmKey,
    pub packet: *const u8,
    pub len: usize,
    pub trailer: [u8; 4],
}

/// What a level does for AES-GCM under one key size.
///
/// # Safety
/// As for [`CmFns`]; the tag has 1 to 16 bytes.
pub(crate) struct GcmFns {
    pub seal: GcmSealFn,
    pub open: GcmOpenFn,
}

/// An expanded AES-CM and HMAC-SHA1 key. What AES-128 needs lies in the first 224 bytes: three and a half cache lines.
#[repr(C)]
pub(crate) struct CmKey {
    pub hmac: HmacKey,
    pub fns: &'static CmFns,
    pub keys: RoundKeys,
}

impl Drop for CmKey {
    fn drop(&mut self) {
        wipe(&mut self.hmac.inner);
        wipe(&mut self.hmac.outer);
        wipe(&mut self.keys);
    }
}

/// An expanded AES-GCM key.
#[repr(C, align(64))]
pub(crate) struct GcmKey {
    pub hash_keys: HashKeys,
    pub keys: RoundKeys,
    pub fns: &'static GcmFns,
}

impl Drop for GcmKey {
    fn drop(&mut self) {
        wipe(&mut self.hash_keys);
        wipe(&mut self.keys);
    }
}

/// The functions of one CPU level.
///
/// A `&'static Kernels` can only be had for a level that this CPU can run: that is what makes calling its functions
/// sound.
pub struct Kernels {
    pub(crate) name: &'static str,
    /// Whether this CPU has every feature that the functions below are compiled for.
    pub(crate) detect: fn() -> bool,
    pub(crate) expand_key: unsafe fn(key: &[u8], out: &mut RoundKeys),
    pub(crate) hmac_key: unsafe fn(key: &[u8; 20]) -> HmacKey,
    pub(crate) hash_keys: unsafe fn(&RoundKeys, rounds: usize, out: &mut HashKeys),
    /// Single blocks, as little-endian integers.
    pub(crate) encrypt_blocks: unsafe fn(&RoundKeys, rounds: usize, blocks: &mut [u128]),
    pub(crate) poly_hash: PolyHashFn,
    /// For 128, 192 and 256 bits.
    pub(crate) cm: [CmFns; 3],
    /// For 128 and 256 bits.
    pub(crate) gcm: [GcmFns; 2],
}

impl core::fmt::Debug for Kernels {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Kernels").field(&self.name).finish()
    }
}
