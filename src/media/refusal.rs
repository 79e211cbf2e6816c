//! Why `a=crypto` lines and answers are refused: a code for programs, a sentence for people, and how often.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use log::Level;
use srtp::sdes::SdesError;

use crate::ffi::session::Call;
use crate::limited;

/// Why an `a=crypto` line of the peer's, or its answer, is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is malformed, or says what is not accepted here.
    Line(SdesError),
    /// It answers our offer with a tag and suite that were not in it (RFC 4568 section 5.1.3).
    NotOffered,
    /// Its keys could not be put in force.
    NotInForce,
    /// There is none: the peer answered in clear where the endpoint's `media_encryption = sdes` requires SRTP.
    AnsweredInClear,
}

impl Refusal {
    /// Its short name, which stays the same from release to release.
    pub fn code(self) -> &'static str {
        match self {
            Refusal::Line(error) => match error {
                SdesError::TooLong => "line-too-long",
                SdesError::Tag => "tag-syntax",
                SdesError::MissingSuite => "suite-missing",
                SdesError::UnknownSuite => "suite-unknown",
                SdesError::SuiteNotAccepted(_) => "suite-not-accepted",
                SdesError::MissingKey => "key-missing",
                SdesError::KeyMethod => "key-method",
                SdesError::KeyEncoding => "key-encoding",
                SdesError::KeyLength => "key-length",
                SdesError::TooManyKeys => "key-too-many",
                SdesError::KeyTrailer => "key-trailer",
                SdesError::Lifetime => "lifetime-syntax",
                SdesError::LifetimeTooShort => "lifetime-too-short",
                SdesError::Mki => "mki-syntax",
                SdesError::MkiLength => "mki-length",
                SdesError::MkiValue => "mki-value",
                SdesError::MkiNotAccepted => "mki-not-accepted",
                SdesError::MkiSet => "mki-set",
                SdesError::ParamSyntax => "param-syntax",
                SdesError::Kdr => "param-kdr",
                SdesError::Fec => "param-fec",
                SdesError::UnencryptedSrtp => "param-unencrypted-srtp",
                SdesError::UnencryptedSrtcp => "param-unencrypted-srtcp",
                SdesError::UnauthenticatedSrtp => "param-unauthenticated-srtp",
                SdesError::ParamConflict => "param-conflict",
                SdesError::UnknownParam => "param-unknown",
            },
            Refusal::NotOffered => "not-offered",
            Refusal::NotInForce => "not-in-force",
            Refusal::AnsweredInClear => "answered-in-clear",
        }
    }
}

impl From<SdesError> for Refusal {
    fn from(error: SdesError) -> Self {
        Self::Line(error)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Line(error) => error.fmt(f),
            Refusal::NotOffered => f.write_str(
                "it answers our offer with a tag and suite that were not in it (RFC 4568 section 5.1.3)",
            ),
            Refusal::NotInForce => f.write_str("its keys could not be put in force"),
            Refusal::AnsweredInClear => f.write_str(
                "it answers an offer of SRTP in clear; have the peer use SRTP, or change the endpoint's media_encryption",
            ),
        }
    }
}

/// Code -> refused lines since load.
static COUNTS: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// Counts a refused line.
pub fn count(refusal: Refusal) {
    // A map of plain numbers is whole whatever panicked near it.
    let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    *counts.entry(refusal.code()).or_default() += 1;
}

/// Counts and tells a refused answer: the call ends.
pub fn report_answer(call: &Call, refusal: Refusal) {
    count(refusal);
    limited::log(
        Level::Warn,
        &format!("answer refused, {}", refusal.code()),
        &call.endpoint,
        format_args!(
            "the answer of endpoint '{}' refused, reason {}: {refusal}. The call ends. Peer {}, Call-ID {}",
            call.endpoint,
            refusal.code(),
            call.peer,
            call.call_id
        ),
    );
}

/// The codes that occurred since load, and how often.
pub fn counts() -> BTreeMap<&'static str, u64> {
    COUNTS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}
