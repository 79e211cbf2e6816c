//! What Ciphertrunk decides without its host, so that it can be tested and fuzzed without one.
//!
//! - [`chan_sip`]: what the names of chan_sip's channels and files say
//! - [`config`]: the model of `ciphertrunk.conf`, its parser, and what is doubtful about a good file
//! - [`date`]: a moment, for people
//! - [`demand`]: what is demanded of a call, and whether it has that
//! - [`expiry`]: when a certificate's end is told
//! - [`exposition`]: the text format of Prometheus
//! - [`facts`]: what is known of how a call is encrypted, as the dialplan and the CDR tell it
//! - [`keylog`]: whose keys `ciphertrunk keylog` writes, and how
//! - [`limiter`]: which log lines are written when a peer can cause as many as it likes
//! - [`message`]: what a SIP message on its way says of its call
//! - [`modules`]: what `modules.conf` says of the module
//! - [`offer`]: why the peer's offer was refused
//! - [`offered`]: which response refuses an offer in a call
//! - [`passing`]: when too many packets of another leg's are refused in a native bridge
//! - [`pjsip_conf`]: what `pjsip.conf` says of a transport's TLS
//! - [`reasons`]: why handshakes, calls and messages fail, as one table of codes
//! - [`record`]: the latest refusals, and how often each reason occurred
//! - [`refusal`]: why an `a=crypto` line or an answer is refused
//! - [`rtp_conf`]: what `rtp.conf` asks of an SRTP engine
//! - [`unheard`]: when a peer that is not heard is told of

#![forbid(unsafe_code)]

pub mod chan_sip;
pub mod config;
pub mod date;
pub mod demand;
pub mod expiry;
pub mod exposition;
pub mod facts;
pub mod keylog;
pub mod limiter;
pub mod message;
pub mod modules;
pub mod offer;
pub mod offered;
pub mod passing;
pub mod pjsip_conf;
pub mod reasons;
pub mod record;
pub mod refusal;
pub mod rtp_conf;
pub mod security;
pub mod unheard;
