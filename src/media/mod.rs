//! The SRTP engine: Asterisk's sessions, policies and SDES negotiation on `crates/srtp`.

mod lines;
pub mod policy;
pub mod registry;
pub mod sdes;
pub mod session;
pub mod watch;
