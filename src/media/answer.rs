//! Which answers to our offers are acceptable. Asterisk's core (`session_inv_on_media_update`) keeps a call up, and silent,
//! whose answer it could not apply.
//!
//! Not what an answer says is judged, but what came of it: each line of audio or video has to have an `a=crypto` that was
//! taken. Whatever was wrong (the line, its profile, that there is none), the call ends.

use srtp::sdes::Fault;

use crate::demand;
use crate::drain;
use crate::proof::{self, Connection};

use super::calls::{Incoming, Session, SessionKey, Supplement};
use super::outcome::{self, Details};
use super::refusal::{self, Refusal};
use super::{clear_keys, unmade};

/// What is done when calls are answered and end.
pub struct Answers;

impl Supplement for Answers {
    fn begun(key: SessionKey) {
        drain::begun(key);
    }

    fn heard(session: &Session<'_>, connection: Connection) {
        clear_keys::heard(session.key(), &connection);
        proof::heard(session, connection);
    }

    fn answered(session: &Session<'_>, is_final: bool) {
        if demand::answered(session) {
            return;
        }
        if is_final {
            proof::answered(session);
        }
        let key = session.key();
        let Some((reason, details)) = refused(session, is_final) else {
            return;
        };
        if !outcome::is_first(key, reason) {
            return;
        }
        // The endpoint is asked only then: that costs a copy of all its options.
        let ends = demand::is_of_media(key) || requires_sdes(session);
        if !ends && reason == Refusal::AnsweredInClear {
            return;
        }
        let call = session.facts();
        refusal::report_answer(&call, reason, &details, ends);
        if ends {
            demand::ends_in_clear(session, "audio or video");
            session.hang_up();
        }
    }

    fn invited(session: &Session<'_>, invite: &Incoming<'_>) -> bool {
        demand::invited(session, invite)
    }

    fn inviting(session: &Session<'_>) {
        demand::inviting(session);
    }

    fn answering(session: &Session<'_>) {
        demand::answering(session);
        proof::answered(session);
    }

    fn refusing(session: &Session<'_>, status: u16) {
        unmade::refusing(session, status);
    }

    fn refused(session: &Session<'_>, status: u16) {
        unmade::refused(session, status);
    }

    fn ending(session: &Session<'_>) {
        unmade::ending(session);
        demand::ending(session);
    }

    fn ended(key: SessionKey) {
        demand::ended(key);
        clear_keys::ended(key);
        drain::ended(key);
        outcome::forget(key);
        proof::ended(key);
    }
}

/// A line of the peer's answer was refused: the call is looked at when Asterisk has read all of them.
pub fn look_at(session: &Session<'_>) {
    Answers::answered(session, false);
}

/// The answer that counts may be here.
pub fn look_at_final(session: &Session<'_>) {
    Answers::answered(session, true);
}

/// Why the peer's answer is refused, if it is.
fn refused(session: &Session<'_>, is_final: bool) -> Option<(Refusal, Details)> {
    let key = session.key();
    let lines = session.answer();
    let (stream, line, fault) = lines.iter().enumerate().find_map(|(stream, line)| {
        let fault = line.fault(|value| outcome::is_taken(key, stream, value))?;
        Some((stream, line, fault))
    })?;
    let reason = match fault {
        Fault::InClear => Refusal::AnsweredInClear,
        Fault::Profile => Refusal::AnsweredProfile,
        Fault::NotTaken => {
            if let Some(refused) = outcome::why(key, stream, &line.crypto) {
                return Some((refused.reason, refused.details));
            }
            // Early media of a second phone, for example, which Asterisk was told not to follow.
            if !is_final {
                return None;
            }
            Refusal::AnswerNotApplied
        }
    };
    let details = Details {
        shown: format!("m={} {}", line.kind, line.transport),
        needed: format!("; needed: {}", line.offered),
    };
    Some((reason, details))
}

/// Whether the session's endpoint has `media_encryption = sdes`, and not as an option. One that cannot be read (no memory)
/// may have.
fn requires_sdes(session: &Session<'_>) -> bool {
    let options = session.endpoint_options();
    let option = |name: &str| options.get(name).map(|value| value.as_str());
    let yes = |value: &str| {
        ["yes", "true", "on", "1"]
            .iter()
            .any(|yes| value.eq_ignore_ascii_case(yes))
    };
    option("media_encryption").is_none_or(|kind| kind.eq_ignore_ascii_case("sdes"))
        && !option("media_encryption_optimistic").is_some_and(yes)
}
