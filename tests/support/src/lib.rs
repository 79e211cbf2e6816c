//! What the host tests and the demo stand on: real Asterisks and real peers, in a world that ends with the test.
//!
//! - [`lab`]: one test's namespaces and folder; everything that runs, runs in there
//! - [`host`]: which Asterisk a run of the tests is for
//! - [`process`]: a program in a lab, killed on drop
//! - [`setup`], [`asterisk`]: an Asterisk with or without the module under test, before and after it starts
//! - [`ami`]: its manager interface
//! - [`pjsip`]: pieces of configuration that several tests want alike
//! - [`baresip`], [`sipp`], [`certificates`]: the peers that we did not write
//! - [`sip`]: SIP over TLS by hand, for what no real peer does; its TLS is OpenSSL's
//! - [`websocket`]: SIP over WebSockets by hand
//! - [`names`]: the lab's DNS
//! - [`peer`]: a phone by hand and by libsrtp, for what no real phone can be made to do
//! - [`capture`], [`audio`], [`wav`]: what was on the wire, and whether it can be heard
//! - `tool`: AddressSanitizer and valgrind, where the environment asks for them
//! - [`wait`]: every wait has an end and says what it waited for
//!
//! A fault of the environment (no root, a program that does not start) panics: a test cannot go on without it. What a
//! test may want to assert is a result.

pub mod ami;
pub mod asterisk;
pub mod audio;
pub mod baresip;
pub mod capture;
pub mod certificates;
pub mod host;
pub mod lab;
pub mod names;
pub mod peer;
pub mod pjsip;
pub mod process;
pub mod setup;
pub mod sip;
pub mod sipp;
mod tool;
pub mod wait;
pub mod wav;
pub mod websocket;
