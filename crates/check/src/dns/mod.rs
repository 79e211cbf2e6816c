//! Which addresses a name has for SIP over TLS (RFC 3263).

mod client;
mod locate;

pub(crate) use client::{Client, Trouble};
pub(crate) use locate::{Target, locate};
