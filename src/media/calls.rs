//! Calls, as far as they are known: those of PJSIP. Whoever else makes calls (chan_sip) tells nothing of them.

pub use crate::ffi::pjsip::session::{
    Call, Registration, Session, SessionKey, Supplement, call_of, call_of_stream, count,
    offer_again, register,
};
