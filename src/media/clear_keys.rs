//! Keys of SDES that travel in SIP messages which nothing encrypts: told once for each endpoint.

use std::collections::{BTreeMap, BTreeSet};

use policy::reasons::call::{Signaling, of_signaling};

use crate::ffi::call::SessionKey;
use crate::ffi::sync::Mutex;
use crate::observe::refusals::{self, Who};
use crate::proof::Connection;

use super::calls::Call;

#[derive(Debug)]
struct Keys {
    /// Calls whose keys were agreed, until it is known what their messages go over.
    agreed: BTreeMap<SessionKey, Call>,
    /// Endpoints that were told of.
    told: BTreeSet<String>,
}

static KEYS: Mutex<Keys> = Mutex::new(Keys {
    agreed: BTreeMap::new(),
    told: BTreeSet::new(),
});

/// Keys of SDES were taken in a call.
pub fn agreed(call: &Call) {
    let mut keys = KEYS.lock();
    if !keys.told.contains(&call.endpoint) {
        keys.agreed.insert(call.key, call.clone());
    }
}

/// A message of a call came over this connection, and what it describes was applied.
pub fn heard(key: SessionKey, connection: &Connection) {
    let call = {
        let mut keys = KEYS.lock();
        let Some(call) = keys.agreed.remove(&key) else {
            return;
        };
        if connection.is_secure || !keys.told.insert(call.endpoint.clone()) {
            return;
        }
        call
    };
    let row = of_signaling(&Signaling::KeysInClear);
    refusals::note(
        row.code,
        Who::of(&call),
        format_args!("{} ({})", row.words(), connection.kind),
    );
    log::warn!(
        "a call with endpoint '{}' has its messages over {}, reason {}: {}. Peer {}, Call-ID {}. This is told once for each endpoint",
        call.endpoint,
        connection.kind,
        row.code,
        row.words(),
        call.peer,
        call.call_id
    );
}

/// The call has ended.
pub fn ended(key: SessionKey) {
    KEYS.lock().agreed.remove(&key);
}
