//! What Asterisk says, word by word, of one direction's keys, until it is a whole [`srtp::Policy`].

use srtp::{MasterKey, Policy, PolicyError, Suite};
use zeroize::Zeroizing;

/// Octets of the longest master key and salt: AES-256 and 14.
const LONGEST: usize = 46;

/// `struct ast_srtp_policy`. Asterisk sets suite and key in either order, adds the policy to a session, which copies
/// it, and destroys it.
#[derive(Default)]
pub struct PolicyBuilder {
    /// The suite, as DTLS-SRTP chose it.
    pub suite: Option<Suite>,
    /// The SSRC it is for; `None` is any.
    pub ssrc: Option<u32>,
    key_salt: Zeroizing<Vec<u8>>,
    /// From SDES: whole already, and several where the peer's line has several keys.
    negotiated: Vec<Policy>,
}

impl PolicyBuilder {
    /// What SDES negotiated.
    pub fn negotiated(policies: Vec<Policy>, ssrc: Option<u32>) -> Self {
        Self {
            negotiated: policies,
            ssrc,
            ..Self::default()
        }
    }

    /// Copies the master key and salt. `false`: longer than any suite's.
    pub fn set_master_key(&mut self, key: &[u8], salt: &[u8]) -> bool {
        if key.len() + salt.len() > LONGEST {
            return false;
        }
        self.key_salt = Zeroizing::new(Vec::with_capacity(LONGEST));
        self.key_salt.extend_from_slice(key);
        self.key_salt.extend_from_slice(salt);
        true
    }

    /// The whole policies: at least one.
    ///
    /// # Errors
    ///
    /// Suite and key do not fit each other, or one of them was not set.
    pub fn build(&self) -> Result<Vec<Policy>, PolicyError> {
        if !self.negotiated.is_empty() {
            return Ok(self.negotiated.clone());
        }
        // Without a suite no key has the right length.
        let suite = self.suite.ok_or(PolicyError::KeyLength)?;
        let key = MasterKey::new(suite, &self.key_salt)?;
        Ok(vec![Policy::new(suite, key, None)?])
    }
}
