//! Calls, as far as they are known: those of PJSIP. Whoever else makes calls (chan_sip) tells nothing of them.

pub use crate::ffi::call::{Call, SessionKey};
pub use crate::ffi::pjsip::session::{
    Incoming, Registration, Session, Supplement, call_of, call_of_stream, count, key_of,
    offer_again, register,
};
