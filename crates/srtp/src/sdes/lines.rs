//! Single crypto attributes: ours as they are made, and two compared.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{CryptoLine, KeyParam};
use crate::policy::{MAX_KEY_SALT, MasterKey, SessionParams};
use crate::suite::Suite;

/// There are no random octets: no key can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEntropy;

/// Where the octets of new keys come from.
pub trait Entropy {
    /// Fills `octets` with octets that nobody can guess.
    ///
    /// # Errors
    ///
    /// There are none; `octets` is not to be used then.
    fn fill(&mut self, octets: &mut [u8]) -> Result<(), NoEntropy>;
}

/// The suites of an offer: `configured` in its order, with the 32-bit tag in place of the 80-bit one where `tag_32` asks
/// for it (an endpoint's `srtp_tag_32`), each once.
pub fn offered_suites(configured: &[Suite], tag_32: bool) -> Vec<Suite> {
    let mut suites = Vec::new();
    for suite in configured {
        let suite = match suite {
            Suite::AesCm128HmacSha1_80 if tag_32 => Suite::AesCm128HmacSha1_32,
            Suite::AesCm192HmacSha1_80 if tag_32 => Suite::AesCm192HmacSha1_32,
            Suite::AesCm256HmacSha1_80 if tag_32 => Suite::AesCm256HmacSha1_32,
            other => *other,
        };
        if !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    suites
}

impl CryptoLine {
    /// A line of ours with a fresh key, without MKI and session parameters.
    pub(super) fn generate(
        tag: u32,
        suite: Suite,
        lifetime: Option<u64>,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, NoEntropy> {
        let mut key_salt = Zeroizing::new([0; MAX_KEY_SALT]);
        let key_salt = &mut key_salt[..suite.key_salt_len()];
        entropy.fill(key_salt)?;
        // The length is the suite's own.
        let key = MasterKey::new(suite, key_salt).map_err(|_| NoEntropy)?;
        Ok(Self {
            tag,
            suite,
            old_name: false,
            keys: vec![KeyParam {
                key,
                lifetime,
                mki: None,
            }],
            params: SessionParams::default(),
        })
    }

    /// This line of ours as the counterpart of `remote`: with the same tag, name and session parameters
    /// (RFC 4568 section 5.1.2).
    pub(super) fn paired_with(&self, remote: &CryptoLine) -> Self {
        Self {
            tag: remote.tag,
            old_name: remote.old_name,
            params: remote.params,
            ..self.clone()
        }
    }

    /// Whether two lines lead to the same policies. Tag and lifetime do not matter.
    pub fn same_keys(&self, other: &Self) -> bool {
        self.suite == other.suite
            && self.params == other.params
            && self.keys.len() == other.keys.len()
            && self.keys.iter().zip(&other.keys).all(|(one, other)| {
                one.mki == other.mki && bool::from(one.key.key_salt().ct_eq(other.key.key_salt()))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_tag_takes_the_place_of_the_long_one() {
        let configured = [
            Suite::AesCm256HmacSha1_80,
            Suite::AeadAes128Gcm,
            Suite::AesCm128HmacSha1_80,
            Suite::AesCm128HmacSha1_32,
        ];
        assert_eq!(offered_suites(&configured, false), configured);
        assert_eq!(
            offered_suites(&configured, true),
            [
                Suite::AesCm256HmacSha1_32,
                Suite::AeadAes128Gcm,
                Suite::AesCm128HmacSha1_32
            ]
        );
    }
}
