//! Session keys as the kernels want them, and the initialization vectors that their salts give.

use packet_crypto::{AesCmHmacSha1, AesGcm, Kernels, KeyLength};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::error::PolicyError;
use crate::kdf::SessionKeys;

/// A session salt, padded on the right to a whole block, as a big-endian integer.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Salt(u128);

impl Salt {
    fn set(&mut self, octets: &[u8; 16]) {
        self.0 = u128::from_be_bytes(*octets);
    }
}

/// A kernel's key, made where it is to stay.
pub(super) trait Kernel {
    fn unset(kernels: &'static Kernels) -> Self;

    fn expand(
        &mut self,
        kernels: &'static Kernels,
        keys: &SessionKeys,
        len: usize,
    ) -> Result<(), KeyLength>;
}

impl Kernel for AesCmHmacSha1 {
    fn unset(kernels: &'static Kernels) -> Self {
        AesCmHmacSha1::unset(kernels)
    }

    fn expand(
        &mut self,
        kernels: &'static Kernels,
        keys: &SessionKeys,
        len: usize,
    ) -> Result<(), KeyLength> {
        self.set(kernels, keys.cipher(len), &keys.auth)
    }
}

impl Kernel for AesGcm {
    fn unset(kernels: &'static Kernels) -> Self {
        AesGcm::unset(kernels)
    }

    fn expand(
        &mut self,
        kernels: &'static Kernels,
        keys: &SessionKeys,
        len: usize,
    ) -> Result<(), KeyLength> {
        self.set(kernels, keys.cipher(len))
    }
}

/// The keys of one master key. RTP's are expanded, and what a packet of AES-CM-128 reads of them
/// lies in front, in 240 octets. RTCP's are not: it is one packet in five seconds, for which
/// expanding them takes less time than fetching them would.
#[repr(C)]
pub(super) struct Keyed<K> {
    pub(super) salt: Salt,
    pub(super) kernel: K,
    rtcp: SessionKeys,
}

impl<K: Kernel> Keyed<K> {
    pub(super) fn new(
        kernels: &'static Kernels,
        rtp: &SessionKeys,
        rtcp: &SessionKeys,
        len: usize,
    ) -> Result<Box<Self>, PolicyError> {
        let place = Box::new_uninit();
        let unset = Keyed {
            salt: Salt(0),
            kernel: K::unset(kernels),
            rtcp: SessionKeys::UNSET,
        };
        let mut keyed = Box::write(place, unset);
        keyed.salt.set(&rtp.salt);
        let expanded = keyed.kernel.expand(kernels, rtp, len);
        expanded.map_err(|_| PolicyError::KeyLength)?;
        keyed.rtcp.set(rtcp);
        Ok(keyed)
    }
}

/// RTCP's keys, expanded for one packet.
pub(super) struct Rtcp<K> {
    pub(super) salt: Salt,
    pub(super) kernel: K,
}

impl<K: Kernel> Rtcp<K> {
    /// To be [expanded](Self::expand) where it lies.
    pub(super) fn unset(kernels: &'static Kernels) -> Self {
        Rtcp {
            salt: Salt(0),
            kernel: K::unset(kernels),
        }
    }

    pub(super) fn expand(&mut self, kernels: &'static Kernels, keyed: &Keyed<K>, len: usize) {
        self.salt.set(&keyed.rtcp.salt);
        self.kernel
            .expand(kernels, &keyed.rtcp, len)
            .expect("RTP's key has the same length");
    }
}

/// `(k_s * 2^16) XOR (SSRC * 2^64) XOR (i * 2^16)` (RFC 3711 section 4.1.1).
#[inline]
pub(super) fn cm_iv(salt: &Salt, ssrc: u32, index: u64) -> [u8; 16] {
    (salt.0 ^ u128::from(ssrc) << 64 ^ u128::from(index) << 16).to_be_bytes()
}

/// Two zero octets, SSRC, index (ROC and sequence number, or zero and SRTCP index), all under
/// the salt (RFC 7714 sections 8.1 and 9.1).
#[inline]
pub(super) fn gcm_nonce(salt: &Salt, ssrc: u32, index: u64) -> [u8; 12] {
    let block = (salt.0 ^ u128::from(ssrc) << 80 ^ u128::from(index) << 32).to_be_bytes();
    let (nonce, _) = block.split_first_chunk().expect("a block has 16 octets");
    *nonce
}
