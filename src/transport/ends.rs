//! Connections that end right behind an answer. Asterisk's threads handle what a peer sends, and may be behind: told of the end at once,
//! PJSIP would fail the request that has been answered. So the transport is shut down, and nothing new goes by it; those who wait for an
//! answer on it are told a little later, if they still do.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::ffi::guard::guard;
use crate::ffi::host;
use crate::ffi::pjsip::Status;
use crate::ffi::pjsip::thread::PjThread;
use crate::ffi::pjsip::transport::SipTransport;
use crate::ffi::sync::Mutex;

/// How long an answer may be on its way through Asterisk's threads.
const HANDLED: Duration = Duration::from_secs(1);

/// An end that is still to be told of.
pub struct End {
    pub sip: SipTransport,
    pub reason: Status,
    pub local: SocketAddr,
    pub remote: SocketAddr,
}

/// By the connection's number, with the time (of [`host::monotonic_ms`]) at which they are told. A leaf among the locks.
static ENDS: Mutex<BTreeMap<u64, (u64, End)>> = Mutex::new(BTreeMap::new());

/// Connection `id` has ended, and its latest answer came at `answered` (0: never).
pub fn tell(thread: PjThread, id: u64, answered: u64, end: End) {
    let due = answered.saturating_add(u64::try_from(HANDLED.as_millis()).unwrap_or(u64::MAX));
    if answered == 0 || due <= host::monotonic_ms() {
        end.tell(thread);
        return;
    }
    let sip = end.sip.clone();
    // First: pjsip may destroy the transport as soon as it is shut down, and then it is forgotten.
    ENDS.lock().insert(id, (due, end));
    sip.shut_down(thread);
    if sip.is_destroyed() {
        forget(id);
    }
}

/// pjsip has destroyed the transport of connection `id`: nobody waits for an answer on it.
pub fn forget(id: u64) {
    let end = ENDS.lock().remove(&id);
    // Behind the lock: it may be the transport's last count.
    drop(end);
}

/// Tells of those that are due. The watch asks.
pub fn look() {
    let now = host::monotonic_ms();
    let due: Vec<_> = {
        let mut ends = ENDS.lock();
        if ends.is_empty() {
            return;
        }
        let all = std::mem::take(&mut *ends).into_iter();
        let (due, rest): (Vec<_>, _) = all.partition(|(_, (due, _))| *due <= now);
        *ends = rest.into_iter().collect();
        due
    };
    for (_, (_, end)) in due {
        guard((), || end.tell(PjThread::here()));
    }
}

impl End {
    fn tell(&self, thread: PjThread) {
        self.sip
            .disconnected(thread, self.reason, self.local, self.remote);
    }
}
