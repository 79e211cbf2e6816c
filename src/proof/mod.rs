//! What is known of how a call is encrypted: for the dialplan ([`function`]), and for the CDR and CEL ([`record`]).
//!
//! Signalling is noted when a message of the call comes, in the call's serializer; media are looked at then too, and when somebody
//! wants to know, and what was seen last is kept, because a stream can end before its call ([`legs`]). The model is `policy::facts`.

pub mod function;
mod legs;
#[cfg(feature = "pjsip")]
pub mod record;
#[cfg(feature = "pjsip")]
mod signaling;
mod streams;
pub mod words;

pub use legs::look;
#[cfg(feature = "pjsip")]
pub use legs::{Live, answered, ended, heard, live, now};
#[cfg(feature = "pjsip")]
pub use signaling::{Connection, certificate};
