//! What a SIP peer does with DNS, TCP, TLS, SIP and SRTP, looked at from outside before Asterisk is touched.
//!
//! [`check`] goes to a peer, step by step, and comes back with a [`Report`]: for each step a verdict, whose side it is, and
//! what to change there. [`listen`] waits for a phone and reports what that did. Both block, start
//! no threads, keep no state, and write nothing but what their caller's closure writes. Certificates, names and the reasons of
//! failed handshakes are judged by `sip-tls`, the code that the module itself decides with.

#![deny(unsafe_code)]

mod chain;
mod code;
mod dns;
mod hello;
mod lines;
mod listen;
mod node;
mod options;
mod own;
mod report;
mod run;
mod sip;
mod tcp;
pub mod text;
mod tls;
mod uri;

pub use code::{Code, Level, Row};
pub use lines::Lines;
pub use listen::{ListenOptions, listen};
pub use options::Options;
pub use report::{Finding, Outcome, Report, Stage, Step, Verdict};
pub use run::check;
pub use sip_tls::{Method, ProfileConfig, Side};
pub use uri::SipUri;
