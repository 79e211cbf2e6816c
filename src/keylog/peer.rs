//! Who is meant by the name of a peer.

use policy::keylog::Peer;

#[cfg(feature = "pjsip")]
use crate::ffi::{
    late,
    pjsip::{endpoint, servant::in_sip_thread},
};

/// A PJSIP endpoint of that name, where its contacts and `identify` sections are now; or else an address or a host.
pub fn of(name: &str) -> Peer {
    #[cfg(feature = "pjsip")]
    if late::found().is_some()
        && let Some(places) = in_sip_thread(|thread| endpoint::places(thread, name)).flatten()
    {
        return Peer::endpoint(
            name,
            places.contacts.iter().map(String::as_str),
            places.matches.iter().map(String::as_str),
        );
    }
    Peer::named(name)
}
