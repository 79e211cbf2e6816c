//! Why an `a=crypto` line of the peer's, or its answer, is refused.

use std::fmt;

use srtp::sdes::negotiation::Refusal as Declined;

use crate::reasons::crypto;

/// Why an `a=crypto` line of the peer's, or its answer, is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The negotiation does not take it.
    Declined(Declined),
    /// Its keys could not be put in force.
    NotInForce,
    /// No new call is taken: `ciphertrunk drain`.
    Draining,
    /// There is none: the peer answered in clear where the endpoint's `media_encryption = sdes` requires SRTP.
    AnsweredInClear,
    /// The answer has another profile than the offer, so Asterisk does not apply it.
    AnsweredProfile,
    /// Asterisk did not apply the answer, for a reason of its own.
    AnswerNotApplied,
}

impl Refusal {
    /// Its short name, which stays the same from release to release.
    pub fn code(self) -> &'static str {
        crypto::of(&self).code
    }
}

impl From<Declined> for Refusal {
    fn from(declined: Declined) -> Self {
        Self::Declined(declined)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Which suite it is, for example, a row cannot say.
            Self::Declined(declined) => declined.fmt(f),
            // Who drains knows how to end that.
            Self::Draining => f.write_str(crypto::of(self).sentence),
            _ => f.write_str(&crypto::of(self).words()),
        }
    }
}
