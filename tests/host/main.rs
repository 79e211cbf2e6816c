//! Host tests: the module in a real Asterisk, with peers that we did not write. One file per behaviour.

#[macro_use]
mod world;

mod chan_sip;
mod config;
mod crypto_lines;
mod detectors;
mod drain;
mod dtls;
mod engine;
mod fail_closed;
mod host_needs;
mod load;
mod load_steps;
mod log_flood;
mod no_pjsip;
mod other_modules;
mod panic;
mod phone;
mod plain_answer;
mod sdes;
mod srtp_bundle;
mod srtp_call;
mod srtp_lifetime;
mod srtp_nack;
mod srtp_reinvite;
mod srtp_replay;
mod srtp_reuse;
mod srtp_rollover;
mod srtp_sdes;
mod tls_adoption;
mod tls_framing;
mod tls_lifetimes;
mod tls_loops;
mod tls_many;
mod tls_old_peers;
mod tls_options;
mod tls_outgoing;
mod tls_reasons;
mod tls_registration;
mod tls_reload;
mod tls_sipp;
mod tls_soak;
mod tls_world;
mod unload;
mod vicidial;
