//! The SRTP engine: Asterisk's sessions, policies and SDES negotiation on `crates/srtp`.
//!
//! [`engine`] is the seam to Asterisk; [`calls`], `answer`, `unmade`, `native` and `clear_keys` are the only files here that need PJSIP.

#[cfg(feature = "pjsip")]
pub mod answer;
#[cfg(feature = "pjsip")]
pub mod calls;
#[cfg(not(feature = "pjsip"))]
#[path = "calls_none.rs"]
pub mod calls;
pub mod chan_sip;
#[cfg(feature = "pjsip")]
mod clear_keys;
pub mod engine;
mod history;
pub mod lifetime;
#[cfg(feature = "pjsip")]
pub mod native;
pub mod outcome;
pub mod passing;
mod policy;
pub mod refusal;
pub mod registry;
mod sdes;
pub mod session;
mod unheard;
#[cfg(feature = "pjsip")]
pub mod unmade;
pub mod watch;
