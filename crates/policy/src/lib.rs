//! What Ciphertrunk decides without its host, so that it can be tested and fuzzed without one.
//!
//! - [`config`]: the model of `ciphertrunk.conf`, its parser, and what is doubtful about a good file
//! - [`facts`]: what is known of how a call is encrypted, as the dialplan and the CDR tell it
//! - [`limiter`]: which log lines are written when a peer can cause as many as it likes
//! - [`modules`]: what `modules.conf` says of the module

#![forbid(unsafe_code)]

pub mod config;
pub mod facts;
pub mod limiter;
pub mod modules;
