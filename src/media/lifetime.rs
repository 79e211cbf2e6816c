//! Lifetimes of master keys, as descriptions give them (RFC 4568 section 6.1): what an operator and a call get to know of
//! them. The hard limits of RFC 3711 section 9.2 hold without this, in `crates/srtp`.
//!
//! Looked at every few seconds and not with each packet: the shortest lifetime is hours of audio, and a minute of anything.

use std::time::Duration;

use srtp::sdes::KeyAge;

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
        if aged.local.is_some_and(|age| age >= KeyAge::Old) && !calls::offer_again(&names.channel) {
            log::warn!(
                "the local SRTP key of {names} is old, and the channel cannot offer a new one"
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
