//! Which answers to our offers are acceptable. Asterisk's core would keep a call up, and silent, whose answer carries no
//! SRTP though the endpoint requires it.

use srtp::sdes::MediaLine;

use crate::demand;

use super::calls::{Incoming, Session, SessionKey, Supplement};
use super::refusal::{self, Refusal};

/// What is done when calls are answered and end.
pub struct Answers;

impl Supplement for Answers {
    fn answered(session: &Session<'_>) {
        if let Some(refusal) = refused(session) {
            let call = session.facts();
            refusal::report_answer(&call, refusal);
            refusal::keep(call, refusal);
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
    }

    fn ending(session: &Session<'_>) {
        demand::ending(session);
    }

    fn ended(key: SessionKey) {
        demand::ended(key);
        refusal::forget(key);
    }
}

/// Why the peer's answer is refused, if it is.
fn refused(session: &Session<'_>) -> Option<Refusal> {
    let in_clear = session.remote_media().iter().any(MediaLine::is_in_clear);
    // The endpoint is asked only then: that costs a copy of all its options.
    (in_clear && requires_sdes(session)).then_some(Refusal::AnsweredInClear)
}

/// Whether the session's endpoint has `media_encryption = sdes`, and not as an option. One that cannot be read (no memory)
/// may have.
fn requires_sdes(session: &Session<'_>) -> bool {
    let [encryption, optimistic] =
        session.endpoint_options(["media_encryption", "media_encryption_optimistic"]);
    let yes = |value: &str| {
        ["yes", "true", "on", "1"]
            .iter()
            .any(|yes| value.eq_ignore_ascii_case(yes))
    };
    encryption.is_none_or(|kind| kind.eq_ignore_ascii_case("sdes"))
        && !optimistic.is_some_and(|value| yes(&value))
}
