//! Why `a=crypto` lines and answers are refused: a code for programs, a sentence for people, and how often.

use std::collections::BTreeMap;

use log::Level;
pub use policy::refusal::Refusal;
use srtp::sdes::negotiation::Warning;

use crate::ffi::rtp::RtpInstance;
use crate::ffi::sync::Mutex;
use crate::limited;
use crate::observe::refusals::{self, Who};

use super::calls::Call;
use super::chan_sip;
use super::outcome::Details;

/// The hangup cause of a call whose answer is refused, as an operator reads it: Q.850's number (to SIP: 488) and its meaning.
const CAUSE: &str = "58 (bearer capability not available)";

/// Code -> refused lines and answers since load.
static COUNTS: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

/// Counts a refusal and enters it into the record.
fn enter(refusal: Refusal, who: Who<'_>, details: &Details) {
    *COUNTS.lock().entry(refusal.code()).or_default() += 1;
    refusals::note(
        refusal.code(),
        who,
        format_args!("{refusal}{} ({})", details.needed, details.shown),
    );
}

/// Counts and tells a refused line: whose, which, why.
pub fn report_line(rtp: RtpInstance<'_>, call: Option<&Call>, details: &Details, refusal: Refusal) {
    let Details {
        shown: line,
        needed,
    } = details;
    let code = refusal.code();
    let kind = format!("crypto line refused, {code}");
    match call {
        Some(call) => {
            enter(refusal, Who::of(call), details);
            limited::log(
                Level::Warn,
                &kind,
                &call.endpoint,
                format_args!(
                    "a=crypto line ({line}) of endpoint '{}' refused, reason {code}: {refusal}{needed}. Media line {}, peer {}, \
                     Call-ID {}",
                    call.endpoint, call.media, call.peer, call.call_id
                ),
            );
        }
        // Not a call of PJSIP's, or a new one while draining: by the stream.
        None => {
            let (key, whose) = whose(rtp);
            let who = Who {
                peer: &rtp.remote_address(),
                endpoint: &key,
                call_id: "",
                came: None,
            };
            enter(refusal, who, details);
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
    let details = Details {
        shown: what.to_owned(),
        needed: String::new(),
    };
    let whom = Who {
        endpoint: who,
        ..Who::default()
    };
    enter(refusal, whom, &details);
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
    enter(refusal, Who::of(call), details);
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
