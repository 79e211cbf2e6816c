//! Lifetimes of master keys, as descriptions give them (RFC 4568 section 6.1): what an operator and a call get to know of
//! them. The hard limits of RFC 3711 section 9.2 hold without this, in `crates/srtp`.
//!
//! Looked at every few seconds and not with each packet: the shortest lifetime is hours of audio, and a minute of anything.

use std::time::Duration;

use policy::facts::KeySource;
use srtp::MAX_LOCAL_SOURCES;
use srtp::sdes::KeyAge;

use super::session::{Aged, LiveSession};
use super::{calls, registry};

/// How often they are looked at.
pub const INTERVAL: Duration = Duration::from_secs(2);

/// Looks at all sessions.
pub fn look() {
    for session in registry::live() {
        let aged = session.update_key_ages();
        let names = session.names();
        if session.look_for_answer() {
            // No message of Asterisk's brings the answer in the ACK of a re-INVITE that had no offer.
            calls::look_at_answer_of(&names.channel);
        }
        if is_due(&session, aged) && !calls::offer_again(&names.channel) {
            log::warn!(
                "the local SRTP key of {names} is old, and the channel cannot offer a new one"
            );
        }
        if aged.sources == Some(KeyAge::Spent) {
            log::warn!(
                "Asterisk has sent with {MAX_LOCAL_SOURCES} SSRCs to {names}, and there is room for none more under that SRTP key, in place \
                 of which there came no new one. It takes another SSRC whenever the call comes to a bridge or leaves one: nothing \
                 more is heard there then, until the call is made anew"
            );
        }
        if aged.local == Some(KeyAge::Spent) {
            log::warn!(
                "the local SRTP key of {names} is at the end of its lifetime: the peer took no new one"
            );
        }
        match aged.remote {
            Some(KeyAge::Old) => log::warn!(
                "the peer's SRTP key nears the end of the lifetime that it announced ({names}), and no new one has come"
            ),
            Some(KeyAge::Spent) => {
                log::warn!("the peer's SRTP key is behind the lifetime that it announced ({names})")
            }
            _ => {}
        }
    }
}

/// Whether a new key for us is due: the one in force nears its lifetime, or the end of its room for Asterisk's SSRCs. The keys of DTLS-SRTP have no
/// lifetime, and a new offer changes none of them.
fn is_due(session: &LiveSession, aged: Aged) -> bool {
    let is_old = |age: Option<KeyAge>| age.is_some_and(|age| age >= KeyAge::Old);
    is_old(aged.local) || (is_old(aged.sources) && session.history().source() == KeySource::Sdes)
}
