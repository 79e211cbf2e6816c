//! The SRTP engine: Asterisk's sessions, policies and SDES negotiation on `crates/srtp`.

pub mod lifetime;
mod lines;
pub mod policy;
pub mod refusal;
pub mod registry;
pub mod sdes;
pub mod session;
pub mod watch;
