//! pjsip's transports, in its own C structures: a factory for each `protocol=tls` transport, a transport for each connection.
//!
//! What they do is behind two small traits ([`factory::Connector`], [`transport::Carrier`]), so that `src/transport` sees no
//! C. This is the one seam to res_pjsip: what needs that module is called in here.
//!
//! Upwards, each file on those before it: [`status`], [`address`] and [`strings`] are pjlib's values; [`thread`] and
//! [`servant`] prove where code runs; [`transport`] is a connection, [`cert`] and [`state`] report on it, [`rx`] receives;
//! [`stock`] and [`factory`] make connections; [`sorcery`] and [`transport_state`] are what Asterisk keeps of `pjsip.conf`.

mod address;
mod cert;
pub mod digits;
pub mod endpoint;
pub mod factory;
pub mod gate;
pub mod hangup;
pub mod pjproject;
pub mod reading;
pub mod rx;
pub mod servant;
pub mod session;
pub mod sorcery;
mod state;
mod status;
pub mod stock;
mod strings;
pub mod thread;
pub mod transport;
pub mod transport_state;
pub mod unresolved;
mod versions;

pub use status::Status;
