//! The record of refusals: what failed lately, with whom and why. What it keeps is `policy::record`, and what is entered becomes
//! [events](super::events).

use std::fmt;
use std::net::SocketAddr;
use std::time::SystemTime;

use policy::record::{Entry, New, Record};

use crate::ffi::call::Call;
use crate::ffi::sync::Mutex;

use super::events;

/// A leaf among the locks.
static RECORD: Mutex<Record> = Mutex::new(Record::new());

/// With whom; what is not known is empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Who<'a> {
    /// The peer's address, or the name or URI that was asked for.
    pub peer: &'a str,
    /// The endpoint of PJSIP's, the peer of chan_sip's, or the transport of a connection that belongs to none.
    pub endpoint: &'a str,
    /// The call's Call-ID.
    pub call_id: &'a str,
    /// How the peer came to us. `None`: it did not, or it is not known.
    pub came: Option<Came<'a>>,
}

/// How a peer came to us.
#[derive(Debug, Clone, Copy)]
pub struct Came<'a> {
    /// From where.
    pub remote: SocketAddr,
    /// To where; `None`: that is not known.
    pub local: Option<SocketAddr>,
    /// Over which transport: `TLS`.
    pub over: &'a str,
}

impl<'a> Who<'a> {
    /// Of a call of PJSIP's.
    pub fn of(call: &'a Call) -> Self {
        Self {
            peer: &call.peer,
            endpoint: &call.endpoint,
            call_id: &call.call_id,
            came: call.came.as_ref().map(|came| Came {
                remote: came.remote,
                local: came.local,
                over: &came.over,
            }),
        }
    }
}

/// Enters what failed. `code` has a row in `policy::reasons`.
pub fn note(code: &'static str, who: Who<'_>, sentence: fmt::Arguments<'_>) {
    let new = New {
        time: SystemTime::now(),
        code,
        peer: who.peer,
        endpoint: who.endpoint,
        call_id: who.call_id,
        sentence,
    };
    RECORD.lock().enter(new);
    events::push(new, who.came);
}

/// Whether something of this call was refused lately.
#[cfg(feature = "pjsip")]
pub fn is_told(call_id: &str) -> bool {
    /// A refusal of a call comes with the others of its moment.
    const LATELY: usize = 100;
    let record = RECORD.lock();
    record.latest(LATELY).any(|entry| entry.call_id == call_id)
}

/// What is kept of the latest `most`, the newest first; how many are kept, and how many there were since load.
pub fn latest(most: usize) -> (Vec<Entry>, usize, u64) {
    let record = RECORD.lock();
    (
        record.latest(most).cloned().collect(),
        record.kept(),
        record.total(),
    )
}

/// How often each reason occurred since load.
pub fn counts() -> Vec<(&'static str, u64)> {
    let record = RECORD.lock();
    record.counts().iter().map(|(k, v)| (*k, *v)).collect()
}
