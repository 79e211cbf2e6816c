//! A keyed hash of a payload, to know a retransmission from a second packet under one index.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::key::PolyKey;
use crate::table::{Kernels, PolyHashFn};

/// A universal hash under a secret key (Carter and Wegman): for equality only, it must not be shown to anyone.
///
/// The payload is read as a polynomial over GF(2^64), eight bytes a coefficient, and evaluated at a secret point. Two
/// different payloads of at most n bytes have equal hashes for at most n/8 + 4 of the 2^64 points, whoever chose the
/// payloads: with a probability below 2^-50 for any packet.
///
/// ```
/// use packet_crypto::{PayloadHash, kernels};
///
/// let hash = PayloadHash::new(kernels(), &[7; 8]);
/// assert_eq!(hash.of(b"one"), hash.of(b"one"));
/// assert_ne!(hash.of(b"one"), hash.of(b"two"));
/// ```
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct PayloadHash {
    key: PolyKey,
    #[zeroize(skip)]
    hash: PolyHashFn,
}

impl PayloadHash {
    /// The hash whose point is `secret`: eight bytes that nobody else knows, all values equally likely.
    pub fn new(k: &'static Kernels, secret: &[u8; 8]) -> Self {
        Self {
            key: PolyKey::new(u64::from_le_bytes(*secret)),
            hash: k.poly_hash,
        }
    }

    /// The hash of `payload`; its length counts too.
    #[inline]
    pub fn of(&self, payload: &[u8]) -> u64 {
        // SAFETY: this CPU runs the level (`new` had its `Kernels`).
        unsafe { (self.hash)(&self.key, payload) }
    }
}
