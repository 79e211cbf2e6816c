//! Servers that are broken, each in one way, and servers that are sound: each is named rightly, and nothing else is said.

mod broken;
mod case;
mod dns;
mod others;
mod pki;
mod program;
mod server;
mod sip;
