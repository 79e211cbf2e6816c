//! PJSIP's endpoints.

use crate::ffi::late::Pjsip;
use crate::ffi::{c_text, sys};

/// Whether PJSIP's configuration has an endpoint of this name.
pub fn exists(_: Pjsip, name: &str) -> bool {
    let name = c_text(name);
    // SAFETY: PJSIP is there, by the token, and so is its sorcery; the strings live during the call. What
    // comes back is NULL or an object with one reference for us, which is given back.
    unsafe {
        let endpoint = sys::ast_sorcery_retrieve_by_id(
            sys::ast_sip_get_sorcery(),
            c"endpoint".as_ptr(),
            name.as_ptr(),
        );
        sys::__ao2_cleanup(endpoint);
        !endpoint.is_null()
    }
}
