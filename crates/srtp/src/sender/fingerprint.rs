//! What tells a packet sent again from another one under the same index.

use packet_crypto::{Kernels, PayloadHash};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// 32 bits of a packet that nobody else can compute.
///
/// Another packet passes for the one sent with a probability of at most 2^-31. Who wants that must
/// slip packets under used indexes in among those we send, each refused one is counted, and one
/// that passes shows the exclusive-or of two payloads: what the 32-bit tags of SRTP grant a forger
/// is more. Twice the bits would make the latest packets' fingerprints a third of a call leg.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fingerprint(u32);

impl Fingerprint {
    /// The first octets of the packet's own HMAC-SHA1, which covers header, payload and rollover
    /// counter, and costs nothing: the kernels compute all of it, whatever is sent.
    #[inline]
    pub(crate) fn of_tag(tag: &[u8; 20]) -> Self {
        let [a, b, c, d, ..] = *tag;
        Self::of_front([a, b, c, d])
    }

    /// The same of these octets.
    #[inline]
    pub(crate) fn of_front(octets: [u8; 4]) -> Self {
        Fingerprint(u32::from_ne_bytes(octets))
    }
}

/// For the fingerprint of a packet whose header may differ when it is sent again.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct PayloadKey {
    // A number, as octets would be moved one by one.
    point: u64,
    multiplier: u64,
}

impl PayloadKey {
    /// From secret octets, all values equally likely.
    pub(crate) fn new(secret: &[u8; 16]) -> Self {
        let (point, multiplier) = secret.split_at(8);
        let octets = |half: &[u8]| <[u8; 8]>::try_from(half).expect("half of sixteen");
        PayloadKey {
            point: u64::from_le_bytes(octets(point)),
            multiplier: u64::from_le_bytes(octets(multiplier)) | 1,
        }
    }

    /// The payload's hash and the index, multiplied by a secret odd number: of two different
    /// products the upper halves are equal with a probability of at most 2^-31 (Dietzfelbinger,
    /// Hagerup, Katajainen, Penttonen 1997). The hash cut in half would not do: whoever chooses
    /// two long payloads could make that likelier.
    pub(crate) fn fingerprint(
        &self,
        kernels: &'static Kernels,
        index: u64,
        payload: &[u8],
    ) -> Fingerprint {
        let hash = PayloadHash::new(kernels, &self.point.to_le_bytes()).of(payload) ^ index;
        Fingerprint((hash.wrapping_mul(self.multiplier) >> 32) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_index_and_key_count() {
        let kernels = packet_crypto::kernels();
        let key = PayloadKey::new(&[0x5a; 16]);
        let base = key.fingerprint(kernels, 7, &[1; 100]);
        assert!(base == PayloadKey::new(&[0x5a; 16]).fingerprint(kernels, 7, &[1; 100]));
        assert!(base != key.fingerprint(kernels, 8, &[1; 100]));
        for octet in 0..100 {
            let mut other = [1; 100];
            other[octet] ^= 0x80;
            assert!(base != key.fingerprint(kernels, 7, &other), "octet {octet}");
        }
        for octet in [0, 7, 8, 15] {
            let mut secret = [0x5a; 16];
            secret[octet] ^= 0x10;
            let other = PayloadKey::new(&secret);
            assert!(
                base != other.fingerprint(kernels, 7, &[1; 100]),
                "secret octet {octet}"
            );
        }
    }

    #[test]
    fn a_tags_first_octets_count() {
        let mut tag = [3; 20];
        let base = Fingerprint::of_tag(&tag);
        assert!(base == Fingerprint::of_tag(&[3; 20]));
        tag[3] ^= 1;
        assert!(base != Fingerprint::of_tag(&tag));
    }
}
