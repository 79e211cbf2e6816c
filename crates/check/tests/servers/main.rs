//! Servers that are broken, each in one way, and servers that are sound: each is named rightly, and nothing else is said.

mod answers;
mod broken;
mod calls;
mod case;
mod chains;
mod cli;
mod dns;
mod elsewhere;
mod handshakes;
mod others;
mod ours;
mod phones;
mod pki;
mod program;
mod server;
mod sip;
