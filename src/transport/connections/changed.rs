//! Connections of peers that have another profile by now.

use std::sync::Arc;

use sip_tls::Profile;
use sip_tls::verify::PeerName;

use crate::ffi::pjsip::thread::PjThread;

use super::{TlsCarrier, open};

/// Shuts down the connections that `transport` has made to peers whose profile is another one by now, or demands something else: nothing new
/// goes by them, and the next request opens another. `profile` is the transport's. How many.
pub fn shut_down_changed(transport: &str, profile: &Arc<Profile>, thread: PjThread) -> usize {
    let is_changed = |it: &TlsCarrier| {
        let Some(trust) = it.trust.filter(|_| &*it.about.transport == transport) else {
            return false;
        };
        // Where that could not be loaded, nothing is in force that they could be held against.
        let now = profile.to(&PeerName::parse(&it.about.wanted));
        now.is_ok_and(|now| now.trust() != trust)
    };
    let open = open();
    let changed = open.iter().filter(|it| is_changed(it));
    let transports = changed.filter_map(|it| it.sip.lock().clone());
    transports.filter(|sip| sip.shut_down(thread)).count()
}
