//! Host tests: the module in a real Asterisk, with peers that we did not write. One file per behaviour.

#[macro_use]
mod world;

mod config;
mod detectors;
mod dtls;
mod load;
mod phone;
mod sdes;
mod srtp_bundle;
mod srtp_call;
mod srtp_reinvite;
mod srtp_replay;
mod srtp_reuse;
mod srtp_rollover;
mod srtp_sdes;
