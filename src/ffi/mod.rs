//! The only code that sees Asterisk's C: the raw bindings, and one thin safe file per host API.
//!
//! It is the ground floor: no policy lives here, and no other folder of `src` is imported. What an entry from C leads to is
//! behind a trait (`srtp::Engine`, `sdes::Negotiator`, `pjsip::session::Supplement`); what is registered with Asterisk is a
//! value whose `Drop` takes it away. Facts that the `SAFETY` arguments lean on (which thread calls what, which lock is held, how
//! long a pointer lives) are stated once in `docs/safety.md`.

#[cfg(feature = "pjsip")]
pub mod acl;
pub mod ao2;
#[cfg(feature = "pjsip")]
pub mod bridge;
pub mod call;
pub mod cdr;
pub mod channel;
pub mod cli;
pub mod config;
pub mod datastore;
#[cfg(feature = "pjsip")]
pub mod elsewhere;
pub mod entry;
#[cfg(feature = "pjsip")]
pub mod exchange;
pub mod fault;
pub mod function;
#[cfg(feature = "pjsip")]
pub mod glue;
pub mod guard;
pub mod host;
pub mod late;
pub mod libsrtp_guard;
#[cfg(feature = "pjsip")]
pub mod local;
pub mod log;
pub mod manager;
pub mod mapped;
pub mod module_ref;
pub mod opaque;
pub mod openssl;
mod owned;
#[cfg(feature = "pjsip")]
pub mod pjsip;
pub mod prometheus;
pub mod rtp;
pub mod sdes;
pub mod security;
pub mod srtp;
pub mod sync;
mod sys;
pub mod technology;
pub mod thread;

use std::ffi::{CStr, CString, c_char};

/// A C string of the host as text; bytes that are not UTF-8 are replaced. `None` for NULL.
///
/// # Safety
///
/// `text` is NULL or a NUL-terminated string that stays as it is during the call.
unsafe fn text(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not NULL, and the caller vouches for the terminator and for the time, which ends with the copy below.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned())
}

/// Text for the host; an interior NUL, which C would take for the end, becomes `?`.
fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_| {
        let cleaned = text.replace('\0', "?");
        CString::new(cleaned).unwrap_or_default()
    })
}
