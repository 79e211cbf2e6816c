//! Session keys from a master key (RFC 3711 section 4.3, RFC 6188 section 3, RFC 7714 section 11).

use packet_crypto::{Blocks, Kernels, aes_cm_prf, wipe};
use subtle::{Choice, ConstantTimeEq};

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

/// What is derived, as counter blocks that have no salt yet: five of each packet kind, as [`SessionKeys::take`] wants them, and
/// two more.
const BLOCKS: [u128; 12] = [
    counter_block(0, LABEL_RTP_CIPHER, 0),
    counter_block(0, LABEL_RTP_CIPHER, 1),
    counter_block(0, LABEL_RTP_AUTH, 0),
    counter_block(0, LABEL_RTP_AUTH, 1),
    counter_block(0, LABEL_RTP_SALT, 0),
    counter_block(0, LABEL_RTCP_CIPHER, 0),
    counter_block(0, LABEL_RTCP_CIPHER, 1),
    counter_block(0, LABEL_RTCP_AUTH, 0),
    counter_block(0, LABEL_RTCP_AUTH, 1),
    counter_block(0, LABEL_RTCP_SALT, 0),
    counter_block(0, LABEL_PAYLOAD, 0),
    counter_block(0, LABEL_KEY_ID, 0),
];

/// The keys of one packet kind: encryption key, authentication key, salt (RFC 3711 section 4.3).
pub(crate) struct SessionKeys {
    cipher: [u8; 32],
    pub(crate) auth: [u8; 20],
    /// 14 octets, an AEAD's 12, and zeros behind. A whole block, so that it is stored and loaded in one piece: a load of what two
    /// stores brought waits until both are in the cache.
    pub(crate) salt: [u8; 16],
}

impl Drop for SessionKeys {
    #[inline]
    fn drop(&mut self) {
        wipe(&mut self.cipher);
        wipe(&mut self.auth);
        wipe(&mut self.salt);
    }
}

impl SessionKeys {
    pub(crate) const UNSET: SessionKeys = SessionKeys {
        cipher: [0; 32],
        auth: [0; 20],
        salt: [0; 16],
    };

    /// The encryption key, of so many octets.
    #[inline]
    pub(crate) fn cipher(&self, len: usize) -> &[u8] {
        &self.cipher[..len]
    }

    /// Takes them from their key stream: two blocks for the encryption key, two for the authentication
    /// key, one for the salt. What an encryption key is shorter is never looked at.
    fn take(&mut self, stream: &[u128; 5], salt_len: usize) {
        let [c0, c1, a0, a1, salt] = stream;
        let [c0, c1, a0, a1] = [c0, c1, a0, a1].map(|block| block.to_le_bytes());
        self.cipher[..16].copy_from_slice(&c0);
        self.cipher[16..].copy_from_slice(&c1);
        self.auth[..16].copy_from_slice(&a0);
        self.auth[16..].copy_from_slice(&a1[..4]);
        self.salt = (salt & !(u128::MAX << (8 * salt_len))).to_le_bytes();
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
pub(crate) struct KeyId(u64);

impl KeyId {
    #[cfg(test)]
    pub(crate) fn from_octets(octets: [u8; 8]) -> Self {
        KeyId(u64::from_le_bytes(octets))
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
    pub(crate) payload: [u8; 16],
    pub(crate) id: KeyId,
}

impl Drop for Derived {
    #[inline]
    fn drop(&mut self) {
        wipe(&mut self.payload);
    }
}

impl Derived {
    /// To be derived where it lies: what is moved leaves a copy behind.
    pub(crate) fn unset() -> Self {
        Derived {
            rtp: SessionKeys::UNSET,
            rtcp: SessionKeys::UNSET,
            payload: [0; 16],
            id: KeyId(0),
        }
    }

    /// Derives everything, with key derivation rate 0: once per master key.
    pub(crate) fn derive(
        &mut self,
        kernels: &'static Kernels,
        key: &MasterKey,
    ) -> Result<(), PolicyError> {
        let salt = padded(key.salt());
        let mut stream = Blocks(BLOCKS);
        let blocks = &mut stream.0;
        blocks.iter_mut().for_each(|block| *block ^= salt);
        aes_cm_prf(kernels, key.key(), blocks).map_err(|_| PolicyError::KeyLength)?;
        let (kinds, rest) = blocks.as_chunks::<5>();
        self.rtp.take(&kinds[0], key.salt().len());
        self.rtcp.take(&kinds[1], key.salt().len());
        self.payload = rest[0].to_le_bytes();
        self.id = KeyId(rest[1] as u64);
        Ok(())
    }
}

/// A block is a little-endian integer: its first octet is the lowest.
fn padded(master_salt: &[u8]) -> u128 {
    let mut block = [0; 16];
    block[..master_salt.len()].copy_from_slice(master_salt);
    u128::from_le_bytes(block)
}

/// `x * 2^16 + n` of RFC 3711 section 4.3.3, `x = key_id XOR master_salt`; a 12-octet salt is padded
/// on the right (RFC 7714 section 11).
const fn counter_block(padded_salt: u128, label: u8, n: u8) -> u128 {
    padded_salt ^ (label as u128) << (7 * 8) ^ (n as u128) << (15 * 8)
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
                let mut salt = hex(v.salt);
                salt.resize(16, 0);
                assert_eq!(d.rtp.salt[..], salt, "{} {}", v.source, kernels.name());
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
        assert_ne!(d.payload[..8], d.id.0.to_le_bytes());
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
