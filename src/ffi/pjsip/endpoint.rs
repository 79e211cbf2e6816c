//! PJSIP's endpoints.

use std::collections::BTreeMap;
use std::ptr;

use zeroize::Zeroizing;

use super::servant::SipThread;
use super::sorcery::options;
use crate::ffi::ao2::Ao2;
use crate::ffi::late::Pjsip;
use crate::ffi::{c_text, sys, text};

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
        Some(options(endpoint.as_ptr()))
    }
}

/// Where an endpoint is.
#[derive(Debug, Default)]
pub struct Places {
    /// The URIs of its contacts, of a registration or of its AoR.
    pub contacts: Vec<String>,
    /// What the `match` of its `identify` sections has: networks, as `192.0.2.0/255.255.255.0`.
    pub matches: Vec<String>,
}

/// Where the endpoint of this name is now; `None`: there is none.
pub fn places(_: &SipThread, name: &str) -> Option<Places> {
    let id = c_text(name);
    // SAFETY: PJSIP is there in a thread of its own, and so is its sorcery; the strings live during the call. NULL, or an object
    // with a reference for us, of which the options are read.
    let endpoint = unsafe {
        let sorcery = sys::ast_sip_get_sorcery();
        let object = sys::ast_sorcery_retrieve_by_id(sorcery, c"endpoint".as_ptr(), id.as_ptr());
        options(Ao2::from_raw(object)?.as_ptr())
    };
    let aors = endpoint.get("aors").map_or("", |aors| aors.as_str());
    let contacts = aors
        .split(',')
        .map(str::trim)
        .filter(|aor| !aor.is_empty())
        .flat_map(contacts)
        .collect();
    Some(Places {
        contacts,
        matches: matches(name),
    })
}

/// The URIs of an AoR's contacts.
fn contacts(aor: &str) -> Vec<String> {
    let id = c_text(aor);
    // SAFETY: PJSIP is there, as the caller knows; the name lives during the call. NULL, or an AoR with a reference for us; its
    // contacts are NULL, or a container with one. Each in it is an object of that sorcery, kept by our reference.
    unsafe {
        let Some(aor) = Ao2::from_raw(sys::ast_sip_location_retrieve_aor(id.as_ptr()).cast())
        else {
            return Vec::new();
        };
        let found = sys::ast_sip_location_retrieve_aor_contacts(aor.as_ptr().cast());
        let Some(found) = Ao2::from_raw(found.cast()) else {
            return Vec::new();
        };
        let uri = |contact: &Ao2| options(contact.as_ptr()).remove("uri");
        found
            .objects()
            .iter()
            .filter_map(uri)
            .map(|uri| uri.to_string())
            .collect()
    }
}

/// The names of all endpoints.
pub fn names(_: Pjsip) -> Vec<String> {
    let flags = sys::AST_RETRIEVE_FLAG_MULTIPLE | sys::AST_RETRIEVE_FLAG_ALL;
    // SAFETY: PJSIP is there, by the token, and so is its sorcery. NULL, or a container with a reference for us, of objects of that
    // sorcery, which are kept while their names, which do not change, are copied.
    unsafe {
        let found = sys::ast_sorcery_retrieve_by_fields(
            sys::ast_sip_get_sorcery(),
            c"endpoint".as_ptr(),
            flags,
            ptr::null_mut(),
        );
        let Some(found) = Ao2::from_raw(found) else {
            return Vec::new();
        };
        let endpoints = found.objects();
        endpoints
            .iter()
            .filter_map(|endpoint| text(sys::ast_sorcery_object_get_id(endpoint.as_ptr())))
            .collect()
    }
}

/// The networks of an endpoint's `identify` sections.
fn matches(endpoint: &str) -> Vec<String> {
    let flags = sys::AST_RETRIEVE_FLAG_MULTIPLE | sys::AST_RETRIEVE_FLAG_ALL;
    // SAFETY: PJSIP's sorcery, as above; a type that nobody has registered gives NULL. NULL, or a container with a reference
    // for us, of objects of that sorcery.
    let all: Vec<_> = unsafe {
        let sorcery = sys::ast_sip_get_sorcery();
        let found = sys::ast_sorcery_retrieve_by_fields(
            sorcery,
            c"identify".as_ptr(),
            flags,
            ptr::null_mut(),
        );
        let Some(found) = Ao2::from_raw(found) else {
            return Vec::new();
        };
        let objects = found.objects();
        objects
            .iter()
            .map(|object| options(object.as_ptr()))
            .collect()
    };
    all.iter()
        .filter(|identify| {
            identify
                .get("endpoint")
                .is_some_and(|it| it.as_str() == endpoint)
        })
        .filter_map(|identify| identify.get("match"))
        .flat_map(|networks| networks.split(','))
        .map(str::trim)
        // One that is excepted from a larger one.
        .filter(|network| !network.is_empty() && !network.starts_with('!'))
        .map(str::to_owned)
        .collect()
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
