//! What Asterisk says, word by word, of one direction's keys, until it is a whole [`srtp::Policy`].

use std::cell::OnceCell;
use std::sync::Arc;

use srtp::{MasterKey, Policy, PolicyError, Suite};
use zeroize::Zeroizing;

use crate::ffi::srtp::PolicyWords;

use super::session::LiveSession;

/// Octets of the longest master key and salt: AES-256 and 14.
const LONGEST: usize = 46;

/// `struct ast_srtp_policy`. Asterisk sets suite and key in either order, adds the policy to a session, which copies
/// it, and destroys it.
#[derive(Default)]
pub struct PolicyBuilder {
    suite: Option<Suite>,
    /// The SSRC it is for; `None` is any.
    ssrc: Option<u32>,
    key_salt: Zeroizing<Vec<u8>>,
    /// From SDES: whole already, and several where the peer's line has several keys.
    negotiated: Vec<Policy>,
    /// The session that took it: SDES gives the policy to Asterisk, and reads here whom it came to.
    session: OnceCell<LiveSession>,
}

impl PolicyBuilder {
    /// What SDES negotiated, for any SSRC.
    pub fn negotiated(policies: Vec<Policy>) -> Self {
        Self {
            negotiated: policies,
            ..Self::default()
        }
    }

    /// Whether SDES negotiated it, and not DTLS-SRTP.
    pub fn is_negotiated(&self) -> bool {
        !self.negotiated.is_empty()
    }

    /// The suite of one that DTLS-SRTP brings.
    pub fn suite(&self) -> Option<Suite> {
        self.suite
    }

    /// `session` takes it.
    pub fn hand_back(&self, session: &LiveSession) {
        // The first one stays: a policy is added once.
        self.session.get_or_init(|| Arc::clone(session));
    }

    /// The session that took it, of a policy that Asterisk is done with.
    pub fn session(self) -> Option<LiveSession> {
        self.session.into_inner()
    }

    /// The SSRC it is for; `None` is any.
    pub fn ssrc(&self) -> Option<u32> {
        self.ssrc
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

impl PolicyWords for PolicyBuilder {
    fn set_suite(&mut self, suite: Suite) {
        self.suite = Some(suite);
    }

    fn set_master_key(&mut self, key: &[u8], salt: &[u8]) -> bool {
        if key.len() + salt.len() > LONGEST {
            return false;
        }
        self.key_salt = Zeroizing::new(Vec::with_capacity(LONGEST));
        self.key_salt.extend_from_slice(key);
        self.key_salt.extend_from_slice(salt);
        true
    }

    fn set_ssrc(&mut self, ssrc: Option<u32>) {
        self.ssrc = ssrc;
    }
}
