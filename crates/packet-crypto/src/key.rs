//! Key material in the one layout that every CPU level reads, so that a level is only code.

use zeroize::Zeroize;

/// A counter block, or a nonce with four zero bytes behind it, as a little-endian integer (byte 0 lowest). Passed by
/// value: callers put it together from integers, and a vector load from the memory where two stores of such an
/// integer's halves are under way would wait until both are done.
pub(crate) type Block = u128;

/// AES round keys as FIPS 197 orders them, each block as a little-endian integer (byte 0 lowest). AES-128 uses the
/// first 11, AES-192 13, AES-256 all 15.
pub(crate) type RoundKeys = [u128; 15];

/// The SHA-1 states after the two padded HMAC keys (RFC 2104): what is left of the authentication key.
#[repr(C)]
#[derive(Clone)]
pub(crate) struct HmacKey {
    pub inner: [u32; 5],
    pub outer: [u32; 5],
}

/// Powers of the GHASH key, H^16 first and H^1 last, each multiplied by x and byte-reversed (the POLYVAL form of
/// RFC 8452, appendix A): a multiplication is then `a * b / x^128`, which needs no bit reflection.
pub(crate) type HashKeys = [u128; 16];

/// The number of round keys for a cipher key of `bytes` bytes, or `None` when AES has no such key.
pub(crate) const fn round_keys_for(bytes: usize) -> Option<usize> {
    match bytes {
        16 => Some(11),
        24 => Some(13),
        32 => Some(15),
        _ => None,
    }
}

/// The point at which the polynomial hash evaluates (see `PayloadHash`): its square, that times x^64, and itself.
#[repr(C)]
#[derive(Zeroize)]
pub(crate) struct PolyKey {
    pub square: u64,
    pub square_x64: u64,
    pub point: u64,
}

/// Where a packet is and where it goes: `len` readable bytes at `src`, `len` writable ones at `dst`. The two are the
/// same place or do not overlap. The first `clear` bytes are not encrypted, `clear <= len`.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub src: *const u8,
    pub dst: *mut u8,
    pub len: usize,
    pub clear: usize,
}

impl Span {
    /// Nothing: a place in a batch's list that no packet has yet.
    #[cfg(feature = "batch")]
    pub const EMPTY: Self = Self {
        src: core::ptr::null(),
        dst: core::ptr::null_mut(),
        len: 0,
        clear: 0,
    };

    /// # Panics
    /// When `clear` is behind the packet's end or `dst` is shorter than `src`.
    #[inline]
    pub fn copy(clear: usize, src: &[u8], dst: &mut [u8]) -> Self {
        assert!(clear <= src.len() && src.len() <= dst.len());
        Self {
            src: src.as_ptr(),
            dst: dst.as_mut_ptr(),
            len: src.len(),
            clear,
        }
    }

    /// # Panics
    /// When `clear` is behind the packet's end.
    #[inline]
    pub fn in_place(clear: usize, packet: &mut [u8]) -> Self {
        assert!(clear <= packet.len());
        let dst = packet.as_mut_ptr();
        Self {
            src: dst,
            dst,
            len: packet.len(),
            clear,
        }
    }
}
