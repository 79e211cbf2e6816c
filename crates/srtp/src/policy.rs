//! What a key protects and how: suite, master key, MKI, session parameters.

use std::fmt;

use packet_crypto::wipe;

use crate::error::PolicyError;
use crate::suite::{Cipher, Suite};

/// Longest master key and salt: AES-256 and 14 octets.
pub(crate) const MAX_KEY_SALT: usize = 46;

/// A master key and its salt; zeroized when dropped, never printed.
#[derive(Clone)]
pub struct MasterKey {
    bytes: [u8; MAX_KEY_SALT],
    key_len: usize,
    len: usize,
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        wipe(&mut self.bytes);
    }
}

impl MasterKey {
    /// Takes master key and salt in one piece, as SDES carries them, with the lengths of `suite`.
    pub fn new(suite: Suite, key_salt: &[u8]) -> Result<Self, PolicyError> {
        if key_salt.len() != suite.key_salt_len() {
            return Err(PolicyError::KeyLength);
        }
        let mut bytes = [0; MAX_KEY_SALT];
        bytes[..key_salt.len()].copy_from_slice(key_salt);
        Ok(MasterKey {
            bytes,
            key_len: suite.key_len(),
            len: key_salt.len(),
        })
    }

    /// The master key.
    pub fn key(&self) -> &[u8] {
        &self.bytes[..self.key_len]
    }

    /// The master salt.
    pub fn salt(&self) -> &[u8] {
        &self.bytes[self.key_len..self.len]
    }

    /// Both, as SDES carries them.
    pub fn key_salt(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// A master key identifier as packets carry it: 1 to 128 octets (RFC 3711 section 3.1,
/// RFC 4568 section 6.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mki(Box<[u8]>);

impl Mki {
    /// Longest MKI, in octets.
    pub const MAX_LEN: usize = 128;

    /// The MKI with these octets.
    pub fn new(octets: &[u8]) -> Result<Self, PolicyError> {
        if octets.is_empty() || octets.len() > Self::MAX_LEN {
            return Err(PolicyError::MkiLength);
        }
        Ok(Mki(octets.into()))
    }

    /// Its octets, as a packet carries them.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

/// Session parameters that weaken protection (RFC 4568 section 6.3). None by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionParams {
    /// `UNENCRYPTED_SRTP`: RTP is authenticated, but in clear.
    pub unencrypted_srtp: bool,
    /// `UNENCRYPTED_SRTCP`: RTCP is authenticated, but in clear.
    pub unencrypted_srtcp: bool,
    /// `UNAUTHENTICATED_SRTP`: RTP is encrypted, but carries no tag. A forged packet can then
    /// move the rollover counter (RFC 3711 section 9.5).
    pub unauthenticated_srtp: bool,
}

/// One direction's protection under one master key.
#[derive(Clone, Debug)]
pub struct Policy {
    suite: Suite,
    key: MasterKey,
    mki: Option<Mki>,
    params: SessionParams,
}

impl Policy {
    /// A policy without session parameters.
    pub fn new(suite: Suite, key: MasterKey, mki: Option<Mki>) -> Result<Self, PolicyError> {
        Self::with_params(suite, key, mki, SessionParams::default())
    }

    /// A policy with session parameters.
    pub fn with_params(
        suite: Suite,
        key: MasterKey,
        mki: Option<Mki>,
        params: SessionParams,
    ) -> Result<Self, PolicyError> {
        if key.key().len() != suite.key_len() || key.salt().len() != suite.salt_len() {
            return Err(PolicyError::KeyLength);
        }
        check_params(suite, params)?;
        Ok(Policy {
            suite,
            key,
            mki,
            params,
        })
    }

    /// The suite.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The master key.
    pub fn key(&self) -> &MasterKey {
        &self.key
    }

    /// The MKI that packets carry, if any.
    pub fn mki(&self) -> Option<&Mki> {
        self.mki.as_ref()
    }

    /// The session parameters.
    pub fn params(&self) -> SessionParams {
        self.params
    }
}

/// Whether `params` leave `suite` something to do.
pub(crate) fn check_params(suite: Suite, params: SessionParams) -> Result<(), PolicyError> {
    if params.unauthenticated_srtp {
        if suite.cipher() == Cipher::AesGcm {
            return Err(PolicyError::UnauthenticatedAead);
        }
        if params.unencrypted_srtp {
            return Err(PolicyError::NoProtection);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_must_have_the_suites_length() {
        for suite in Suite::ALL {
            let n = suite.key_salt_len();
            let bytes: Vec<u8> = (0..n as u8 + 1).collect();
            let key = MasterKey::new(suite, &bytes[..n]).unwrap();
            assert_eq!(key.key().len(), suite.key_len());
            assert_eq!(key.salt(), &bytes[suite.key_len()..n]);
            assert_eq!(
                MasterKey::new(suite, &bytes).err(),
                Some(PolicyError::KeyLength)
            );
            assert_eq!(
                MasterKey::new(suite, &bytes[..n - 1]).err(),
                Some(PolicyError::KeyLength)
            );
        }
        let cm = MasterKey::new(Suite::AesCm128HmacSha1_80, &[0; 30]).unwrap();
        assert!(Policy::new(Suite::AesCm128HmacSha1_32, cm.clone(), None).is_ok());
        assert_eq!(
            Policy::new(Suite::AeadAes128Gcm, cm, None).err(),
            Some(PolicyError::KeyLength)
        );
    }

    #[test]
    fn an_mki_has_1_to_128_octets() {
        assert_eq!(Mki::new(&[]).err(), Some(PolicyError::MkiLength));
        assert_eq!(Mki::new(&[1]).unwrap().octets(), [1]);
        assert_eq!(Mki::new(&[7; 128]).unwrap().octets().len(), 128);
        assert_eq!(Mki::new(&[7; 129]).err(), Some(PolicyError::MkiLength));
    }

    #[test]
    fn some_protection_must_be_left() {
        let unauthenticated = SessionParams {
            unauthenticated_srtp: true,
            ..Default::default()
        };
        let nothing = SessionParams {
            unencrypted_srtp: true,
            ..unauthenticated
        };
        let cm = Suite::AesCm128HmacSha1_80;
        assert_eq!(check_params(cm, unauthenticated), Ok(()));
        assert_eq!(check_params(cm, nothing), Err(PolicyError::NoProtection));
        assert_eq!(
            check_params(Suite::AeadAes128Gcm, unauthenticated),
            Err(PolicyError::UnauthenticatedAead)
        );
        let clear = SessionParams {
            unencrypted_srtp: true,
            unencrypted_srtcp: true,
            unauthenticated_srtp: false,
        };
        assert_eq!(check_params(Suite::AeadAes128Gcm, clear), Ok(()));
    }

    #[test]
    fn debug_shows_no_key() {
        let key = MasterKey::new(Suite::AesCm128HmacSha1_80, &[0xab; 30]).unwrap();
        let policy = Policy::new(Suite::AesCm128HmacSha1_80, key, None).unwrap();
        let text = format!("{policy:?}").to_lowercase();
        assert!(text.contains("masterkey(..)") && !text.contains("171") && !text.contains("ab,"));
    }
}
