//! One table of functions per CPU level, and the choice of a level.

use std::sync::OnceLock;

use zeroize::Zeroize;

use crate::backend::levels;
use crate::error::SelfTestError;
use crate::key::{Block, HashKeys, HmacJob, HmacKey, PolyKey, RoundKeys, Span};

pub(crate) type CmSeal = unsafe fn(&CmKey, iv: Block, Span, trailer: [u8; 4]) -> [u8; 20];
pub(crate) type CmOpen = unsafe fn(&CmKey, iv: Block, Span, trailer: [u8; 4], tag: &[u8]) -> bool;
pub(crate) type GcmSeal = unsafe fn(&GcmKey, nonce: Block, Span, trailer: &[u8]) -> [u8; 16];
pub(crate) type GcmOpen =
    unsafe fn(&GcmKey, nonce: Block, Span, trailer: &[u8], tag: &[u8]) -> bool;

pub(crate) type PolyHash = unsafe fn(&PolyKey, data: &[u8]) -> u64;

/// What a level does for AES-CM with HMAC-SHA1 under one key size.
///
/// # Safety
/// Both functions need a CPU that the level's `detect` accepted, a `Span` that keeps its promise, and for `open` a
/// span in place and a tag of 1 to 20 bytes.
pub(crate) struct CmFns {
    /// How many round keys the cipher has.
    pub rounds: usize,
    pub seal: CmSeal,
    pub open: CmOpen,
    /// Counter mode alone; copies the clear bytes.
    pub ctr: unsafe fn(&CmKey, iv: Block, Span),
    pub lanes: Option<Lanes>,
}

/// HMAC-SHA1 of several packets at once.
#[derive(Clone, Copy)]
pub(crate) struct Lanes {
    /// How many packets at most.
    pub width: usize,
    /// From how many on it is quicker than one after the other.
    pub least: usize,
    pub hmac: unsafe fn(&[HmacJob], tags: &mut [[u8; 20]]),
}

/// What a level does for AES-GCM under one key size.
///
/// # Safety
/// As for [`CmFns`]; the tag has 1 to 16 bytes.
pub(crate) struct GcmFns {
    pub seal: GcmSeal,
    pub open: GcmOpen,
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
        self.hmac.zeroize();
        self.keys.zeroize();
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
        self.hash_keys.zeroize();
        self.keys.zeroize();
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
    pub(crate) poly_hash: PolyHash,
    /// For 128, 192 and 256 bits.
    pub(crate) cm: [CmFns; 3],
    /// For 128 and 256 bits.
    pub(crate) gcm: [GcmFns; 2],
}

impl Kernels {
    /// The level's name, for operators: the instruction sets it uses.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The levels that this CPU can run, best first. The portable one is always there and always last.
    pub fn usable() -> impl Iterator<Item = &'static Kernels> {
        levels().filter(|level| (level.detect)())
    }

    /// The level of this name, or `None` when there is none or this CPU cannot run it.
    pub fn by_name(name: &str) -> Option<&'static Kernels> {
        Self::usable().find(|level| level.name == name)
    }

    /// Checks the level against published test vectors and, on longer packets, against the portable level.
    pub fn self_test(&'static self) -> Result<(), SelfTestError> {
        crate::self_test::run(self)
    }
}

impl core::fmt::Debug for Kernels {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Kernels").field(&self.name).finish()
    }
}

/// The best level of this CPU that passes its self-test, chosen at the first call.
///
/// If even the portable level fails, it is what you get: a host that asks `kernels().self_test()` once at load learns
/// it there and should decline to run. [`Kernels::usable`] with [`Kernels::self_test`] tells which levels were passed
/// over.
pub fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<&'static Kernels> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        Kernels::usable()
            .find(|level| level.self_test().is_ok())
            .unwrap_or(&crate::backend::soft::SOFT)
    })
}
