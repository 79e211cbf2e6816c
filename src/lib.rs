//! Ciphertrunk: encrypted calling for Asterisk, as one module.
//!
//! The rooms, from the ground up:
//!
//! - [`ffi`] is the only code that sees Asterisk's C, and the only one that may be `unsafe`. It imports no other room; what
//!   it calls back is handed to it
//! - [`limited`] is the log for lines that a peer can cause, bounded under a flood
//! - [`config`] keeps the state of `ciphertrunk.conf` that is in force; its model and its parser are `crates/policy`
//! - [`probe`] asks whether the Asterisk that loads us is one that we were built for
//! - [`media`] is the SRTP engine (`ast_srtp_res`, `ast_srtp_policy_res`, `ast_sdp_crypto_api`) on `crates/srtp`
//! - [`transport`] is SIP over TLS (`pjsip_tpfactory`, `pjsip_transport`) on `crates/sip-tls`
//! - [`proof`] is what is known of how a call is encrypted: the dialplan's CIPHERTRUNK(...), CDR and CEL
//! - [`observe`] is what an operator sees: the console
//! - [`demand`] is what is demanded of calls, and that nothing of them leaves without it
//! - [`drain`] has what is left look for its end, before an unload
//! - [`keylog`] has the keys of one peer in a file, for a time
//! - [`check`] looks at a peer from outside, as a call would go to it, by `crates/check`
//! - [`module`] is load, reload, drain and unload
//!
//! `test_hooks` has the deliberate faults of the test build, and is empty in a build for use.

#![deny(unsafe_code)]
// What only the half for PJSIP uses.
#![cfg_attr(not(feature = "pjsip"), allow(dead_code, unused_variables))]

#[cfg(feature = "pjsip")]
mod check;
mod config;
#[cfg(feature = "pjsip")]
mod demand;
mod drain;
#[allow(unsafe_code)]
mod ffi;
mod keylog;
mod limited;
mod media;
mod module;
mod observe;
mod probe;
mod proof;
mod test_hooks;
#[cfg(feature = "pjsip")]
mod transport;
#[cfg(not(feature = "pjsip"))]
#[path = "transport_none.rs"]
mod transport;

module_entry! {
    load: module::load,
    reload: module::reload,
    unload: module::unload,
}
