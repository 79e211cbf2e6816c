//! Session keys from a master key (RFC 3711 section 4.3, RFC 6188 section 3, RFC 7714 section 11).

use packet_crypto::{Kernels, aes_cm_prf};
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::PolicyError;
use crate::policy::MasterKey;

/// Labels of RFC 3711 section 4.3.2.
const LABEL_RTP_CIPHER: u8 = 0;
const LABEL_RTP_AUTH: u8 = 1;
const LABEL_RTP_SALT: u8 = 2;
const LABEL_RTCP_CIPHER: u8 = 3;
const LABEL_RTCP_AUTH: u8 = 4;
const LABEL_RTCP_SALT: u8 = 5;
/// Two labels that no RFC uses (6 and 7 belong to RFC 6904), for values that never leave us.
const LABEL_PAYLOAD: u8 = 0xfe;
const LABEL_KEY_ID: u8 = 0xff;

/// The keys of one packet kind: encryption key, authentication key, salt (RFC 3711 section 4.3).
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct SessionKeys {
    cipher: [u8; 32],
    pub(crate) auth: [u8; 20],
    /// An AEAD's has 12 octets, and zeros behind.
    pub(crate) salt: [u8; 14],
}

impl SessionKeys {
    pub(crate) const UNSET: SessionKeys = SessionKeys {
        cipher: [0; 32],
        auth: [0; 20],
        salt: [0; 14],
    };

    /// The encryption key, of so many octets.
    #[inline]
    pub(crate) fn cipher(&self, len: usize) -> &[u8] {
        &self.cipher[..len]
    }

    /// Takes the other's keys over, in place.
    pub(crate) fn set(&mut self, other: &SessionKeys) {
        self.cipher = other.cipher;
        self.auth = other.auth;
        self.salt = other.salt;
    }

    /// Keys given directly, as the RFCs' vectors give them.
    #[cfg(test)]
    pub(crate) fn from_parts(cipher_key: &[u8], auth: [u8; 20], session_salt: &[u8]) -> Self {
        let mut keys = SessionKeys::UNSET;
        keys.cipher[..cipher_key.len()].copy_from_slice(cipher_key);
        keys.auth = auth;
        keys.salt[..session_salt.len()].copy_from_slice(session_salt);
        keys
    }
}

/// Tells master keys apart without keeping them: octets of the key's own PRF under a label that
/// protects no packet. Policies whose ids are equal share their packet indexes; a peer that
/// looked for two keys with one id would only keep itself from being heard.
#[derive(Clone)]
pub(crate) struct KeyId([u8; 8]);

impl KeyId {
    #[cfg(test)]
    pub(crate) fn from_octets(octets: [u8; 8]) -> Self {
        KeyId(octets)
    }
}

impl PartialEq for KeyId {
    fn eq(&self, other: &Self) -> bool {
        let same: Choice = self.0.ct_eq(&other.0);
        same.into()
    }
}

/// All that is derived from one master key.
pub(crate) struct Derived {
    pub(crate) rtp: SessionKeys,
    pub(crate) rtcp: SessionKeys,
    /// See [`PayloadKey`](crate::sender::PayloadKey).
    pub(crate) payload: Zeroizing<[u8; 16]>,
    pub(crate) id: KeyId,
}

impl Derived {
    /// To be derived where it lies: what is moved leaves a copy behind.
    pub(crate) fn unset() -> Self {
        Derived {
            rtp: SessionKeys::UNSET,
            rtcp: SessionKeys::UNSET,
            payload: Zeroizing::new([0; 16]),
            id: KeyId([0; 8]),
        }
    }

    /// Derives everything, with key derivation rate 0: once per master key.
    pub(crate) fn derive(
        &mut self,
        kernels: &'static Kernels,
        key: &MasterKey,
    ) -> Result<(), PolicyError> {
        let n = key.key().len();
        // An AEAD has a 12-octet session salt and no authentication key; the octets derived
        // beyond that stay unused.
        let salt_len = key.salt().len();
        let iv = |label| prf_iv(key.salt(), label);
        aes_cm_prf(
            kernels,
            key.key(),
            &mut [
                (iv(LABEL_RTP_CIPHER), &mut self.rtp.cipher[..n]),
                (iv(LABEL_RTP_AUTH), &mut self.rtp.auth[..]),
                (iv(LABEL_RTP_SALT), &mut self.rtp.salt[..salt_len]),
                (iv(LABEL_RTCP_CIPHER), &mut self.rtcp.cipher[..n]),
                (iv(LABEL_RTCP_AUTH), &mut self.rtcp.auth[..]),
                (iv(LABEL_RTCP_SALT), &mut self.rtcp.salt[..salt_len]),
                (iv(LABEL_PAYLOAD), &mut self.payload[..]),
                (iv(LABEL_KEY_ID), &mut self.id.0[..]),
            ],
        )
        .map_err(|_| PolicyError::KeyLength)
    }
}

/// `x * 2^16` of RFC 3711 section 4.3.3, `x = key_id XOR master_salt`; a 12-octet salt is padded
/// on the right (RFC 7714 section 11).
fn prf_iv(master_salt: &[u8], label: u8) -> [u8; 16] {
    let mut iv = [0; 16];
    iv[..master_salt.len()].copy_from_slice(master_salt);
    iv[7] ^= label;
    iv
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Suite;
    use crate::vectors::{KDF, hex};

    fn derive(kernels: &'static Kernels, key: &MasterKey) -> Derived {
        let mut derived = Derived::unset();
        derived.derive(kernels, key).unwrap();
        derived
    }

    #[test]
    fn rfc_vectors() {
        for v in KDF {
            let master = [hex(v.master_key), hex(v.master_salt)].concat();
            let key = MasterKey::new(v.suite, &master).unwrap();
            for kernels in Kernels::usable() {
                let d = derive(kernels, &key);
                assert_eq!(
                    d.rtp.cipher(v.suite.key_len()),
                    hex(v.cipher_key),
                    "{} {}",
                    v.source,
                    kernels.name()
                );
                assert_eq!(
                    d.rtp.salt[..],
                    hex(v.salt),
                    "{} {}",
                    v.source,
                    kernels.name()
                );
                let auth = hex(v.auth_key);
                assert_eq!(
                    d.rtp.auth[..auth.len().min(20)],
                    auth[..auth.len().min(20)],
                    "{}",
                    v.source
                );
            }
        }
    }

    #[test]
    fn each_label_gives_another_key() {
        let key = MasterKey::new(Suite::AesCm256HmacSha1_80, &[3; 46]).unwrap();
        let d = derive(packet_crypto::kernels(), &key);
        assert_ne!(d.rtp.cipher, d.rtcp.cipher);
        assert_ne!(d.rtp.auth, d.rtcp.auth);
        assert_ne!(d.rtp.salt, d.rtcp.salt);
        assert_ne!(d.payload[..8], d.id.0[..]);
    }

    #[test]
    fn ids_differ_by_key_and_by_salt() {
        let id = |bytes: [u8; 30]| {
            let key = MasterKey::new(Suite::AesCm128HmacSha1_80, &bytes).unwrap();
            derive(packet_crypto::kernels(), &key).id.clone()
        };
        let base = [9; 30];
        assert!(id(base) == id(base));
        for changed in [0, 15, 16, 29] {
            let mut other = base;
            other[changed] ^= 1;
            assert!(id(base) != id(other), "octet {changed}");
        }
    }
}
