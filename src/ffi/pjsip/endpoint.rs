//! PJSIP's endpoints.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::sorcery;
use crate::ffi::ao2::Ao2;
use crate::ffi::late::Pjsip;
use crate::ffi::{c_text, sys};

/// The options of the endpoint of this name, as `pjsip show endpoint` prints them. `None`: there is none.
pub fn options_of(_: Pjsip, name: &str) -> Option<BTreeMap<String, Zeroizing<String>>> {
    let name = c_text(name);
    // SAFETY: as in `exists`; the object is kept by the reference that came with it while its options are read.
    unsafe {
        let endpoint = Ao2::from_raw(sys::ast_sorcery_retrieve_by_id(
            sys::ast_sip_get_sorcery(),
            c"endpoint".as_ptr(),
            name.as_ptr(),
        ))?;
        Some(sorcery::options(endpoint.as_ptr()))
    }
}

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
