//! The SRTP engine: Asterisk's sessions, policies and SDES negotiation on `crates/srtp`.
//!
//! [`engine`] is the seam to Asterisk; [`calls`] and `answer` are the only files here that need PJSIP.

#[cfg(feature = "pjsip")]
pub mod answer;
#[cfg(feature = "pjsip")]
pub mod calls;
#[cfg(not(feature = "pjsip"))]
#[path = "calls_none.rs"]
pub mod calls;
pub mod chan_sip;
pub mod engine;
mod history;
pub mod lifetime;
pub mod outcome;
mod policy;
pub mod refusal;
pub mod registry;
mod sdes;
pub mod session;
mod unheard;
pub mod watch;
