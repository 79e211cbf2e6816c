//! Why `a=crypto` lines and answers are refused: a code for programs, a sentence for people, and how often.

use std::collections::BTreeMap;
use std::fmt;

use log::Level;
use srtp::sdes::SdesError;
use srtp::sdes::negotiation::{Refusal as Declined, Warning};

use crate::ffi::rtp::RtpInstance;
use crate::ffi::sync::Mutex;
use crate::limited;

use super::calls::{Call, SessionKey};
use super::chan_sip;
use super::outcome::Details;

/// The hangup cause of a call whose answer is refused, as an operator reads it: Q.850's number (to SIP: 488) and its meaning.
const CAUSE: &str = "58 (bearer capability not available)";

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
        match self {
            Refusal::Declined(Declined::Line(error)) => match error {
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
                SdesError::LifetimeTooLong => "lifetime-too-long",
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
            Refusal::Declined(Declined::NotOffered) => "not-offered",
            Refusal::Declined(Declined::NoEntropy | Declined::Policy(_)) | Refusal::NotInForce => {
                "not-in-force"
            }
            Refusal::Draining => "draining",
            Refusal::AnsweredInClear => "answered-in-clear",
            Refusal::AnsweredProfile => "answered-profile",
            Refusal::AnswerNotApplied => "answer-not-applied",
        }
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
            Refusal::Declined(declined) => declined.fmt(f),
            Refusal::NotInForce => f.write_str("its keys could not be put in force"),
            Refusal::Draining => f.write_str(
                "the module is being drained (`ciphertrunk drain`) and takes no new encrypted call",
            ),
            Refusal::AnsweredInClear => f.write_str(
                "it answers an offer of SRTP in clear; have the peer use SRTP, or change the endpoint's media_encryption",
            ),
            Refusal::AnsweredProfile => f.write_str(
                "it answers with another RTP profile than was offered; have the peer use the offered one, or change the \
                 endpoint's use_avpf or media_encryption",
            ),
            Refusal::AnswerNotApplied => f.write_str(
                "Asterisk did not take it, and the keys in force are of an earlier answer; compare the endpoint's \
                 accept_multiple_sdp_answers and follow_early_media_fork",
            ),
        }
    }
}

/// Code -> refused lines and answers since load.
static COUNTS: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// Live calls of which something was refused: as they were then, and the last refusal.
static KEPT: Mutex<BTreeMap<SessionKey, (Call, Refusal)>> = Mutex::new(BTreeMap::new());

/// Counts a refused line or answer.
pub fn count(refusal: Refusal) {
    *COUNTS.lock().entry(refusal.code()).or_default() += 1;
}

/// Keeps why a line or answer of a live call was refused, until the call [ends](forget).
pub fn keep(call: Call, refusal: Refusal) {
    KEPT.lock().insert(call.key, (call, refusal));
}

/// The call has ended.
pub fn forget(key: SessionKey) {
    KEPT.lock().remove(&key);
}

/// The live calls of which a line was refused, as they were then, and why the last one was. Another line of the same
/// offer may have been taken.
pub fn kept() -> Vec<(Call, Refusal)> {
    KEPT.lock().values().cloned().collect()
}

/// Tells a refused line: whose, which, why.
pub fn report_line(rtp: RtpInstance<'_>, call: Option<&Call>, details: &Details, refusal: Refusal) {
    let Details {
        shown: line,
        needed,
    } = details;
    let code = refusal.code();
    let kind = format!("crypto line refused, {code}");
    match call {
        Some(call) => limited::log(
            Level::Warn,
            &kind,
            &call.endpoint,
            format_args!(
                "a=crypto line ({line}) of endpoint '{}' refused, reason {code}: {refusal}{needed}. Media line {}, peer {}, \
                 Call-ID {}",
                call.endpoint, call.media, call.peer, call.call_id
            ),
        ),
        // Not a call of PJSIP's, or a new one while draining: by the stream.
        None => {
            let (key, whose) = whose(rtp);
            limited::log(
                Level::Warn,
                &kind,
                &key,
                format_args!(
                    "a=crypto line ({line}) of {whose} refused, reason {code}: {refusal}{needed}"
                ),
            );
        }
    }
}

/// Names a stream of a call that is not known by itself: for the limiter, and for people.
fn whose(rtp: RtpInstance<'_>) -> (String, String) {
    // Asterisk prints an address that is not set as "(null)".
    let address = match rtp.remote_address() {
        none if matches!(none.as_str(), "" | "(null)") => String::new(),
        address => format!(" at {address}"),
    };
    let id = rtp.channel_id();
    match chan_sip::side_of(rtp) {
        Some(side) => {
            let text = format!("peer '{}'{address}, channel {},", side.peer, side.channel);
            (side.peer, text)
        }
        None if id.is_empty() => {
            let text =
                format!("a new call{address} (its peer is not known before it has a channel)");
            (address, text)
        }
        None => {
            let text = format!("channel {id}{address}");
            (address, text)
        }
    }
}

/// Counts and tells that a new call has no SRTP because the module is being drained. `what` had to be left undone, for the
/// channel or the peer `who`.
pub fn report_draining(what: &str, who: &str) {
    let refusal = Refusal::Draining;
    count(refusal);
    limited::log(
        Level::Warn,
        &format!("{what}, {}", refusal.code()),
        who,
        format_args!("{what} ({who}), reason {}: {refusal}", refusal.code()),
    );
}

/// Tells what is wrong with a line that was taken.
pub fn report_warning(rtp: RtpInstance<'_>, call: Option<&Call>, value: &str, warning: Warning) {
    let (line, peer) = (shown(value), rtp.remote_address());
    let (who, subject) = match call {
        Some(call) => (
            format!("endpoint '{}'", call.endpoint),
            format!(
                "Media line {}, peer {}, Call-ID {}",
                call.media, call.peer, call.call_id
            ),
        ),
        None => (
            format!("channel {}", rtp.channel_id()),
            format!("Media peer {peer}"),
        ),
    };
    limited::log(
        Level::Warn,
        "crypto line taken",
        call.map_or(&peer, |call| &call.endpoint),
        format_args!("a=crypto line ({line}) of {who}: {warning}. {subject}"),
    );
}

/// A line for the log: its tag and suite if they look like such. What follows may be a key.
pub fn shown(value: &str) -> String {
    let plain = |word: &&str| {
        word.len() <= 32 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let mut words = value.split([' ', '\t']).filter(|word| !word.is_empty());
    let tag = words
        .next()
        .filter(plain)
        .filter(|tag| tag.len() <= 12)
        .unwrap_or("?");
    let suite = words.next().filter(plain).unwrap_or("?");
    format!("tag {tag}, suite {suite}")
}

/// Counts and tells a refused answer, and whether the call ends. `details`: of what in it.
pub fn report_answer(call: &Call, refusal: Refusal, details: &Details, ends: bool) {
    let end = match ends {
        true => format!("The call ends with hangup cause {CAUSE}"),
        false => "The call goes on without SRTP, as the endpoint's options allow".to_owned(),
    };
    count(refusal);
    limited::log(
        Level::Warn,
        &format!("answer refused, {}", refusal.code()),
        &call.endpoint,
        format_args!(
            "the answer ({}) of endpoint '{}' refused, reason {}: {refusal}{}. {end}. Peer {}, \
             Call-ID {}",
            details.shown,
            call.endpoint,
            refusal.code(),
            details.needed,
            call.peer,
            call.call_id
        ),
    );
}

/// The codes that occurred since load, and how often.
pub fn counts() -> BTreeMap<&'static str, u64> {
    COUNTS.lock().clone()
}
