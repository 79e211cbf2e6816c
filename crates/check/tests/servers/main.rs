//! Servers that are broken, each in one way, and servers that are sound: each is named rightly, and nothing else is said.

mod broken;
mod calls;
mod case;
mod cli;
mod dns;
mod others;
mod phones;
mod pki;
mod program;
mod server;
mod sip;
