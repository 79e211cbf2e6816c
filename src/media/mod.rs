//! The SRTP engine: Asterisk's sessions, policies and SDES negotiation on `crates/srtp`.
//!
//! [`engine`] is the seam to Asterisk; [`calls`] is the only file here that needs PJSIP.

pub mod answer;
pub mod calls;
pub mod engine;
pub mod lifetime;
mod policy;
pub mod refusal;
pub mod registry;
mod sdes;
pub mod session;
pub mod watch;
