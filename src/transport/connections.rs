//! The connections that are up, and which of them have carried a call: a drain closes those that have not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use log::Level;
use sip_tls::frame::label;
use sip_tls::{Close, Conn, Profile, SendError, TlsInfo};

use crate::demand;
use crate::ffi::pjsip::transport::{Carrier, Security};
use crate::ffi::sync::Mutex;
use crate::limited;

/// What a message begins with that begins a call, or changes one.
const INVITE: &[u8] = b"INVITE ";

/// A TLS connection as pjsip's transport sees it.
#[derive(Default)]
pub struct TlsCarrier {
    /// An outgoing one is set once it is begun.
    conn: OnceLock<Conn>,
    /// Set once its handshake is done.
    tls: OnceLock<Arc<TlsInfo>>,
    /// Of an outgoing one: what is sent waits for its handshake, and is judged by whom that has shown when it is done.
    waits: Mutex<bool>,
    is_outgoing: bool,
    /// An INVITE has passed, in or out.
    has_carried_call: AtomicBool,
    /// Of an outgoing one, what its handshake will give at the least.
    least: Security,
}

impl TlsCarrier {
    /// Of a connection that is there.
    pub fn of(conn: &Conn, tls: Arc<TlsInfo>) -> Self {
        Self {
            conn: OnceLock::from(conn.clone()),
            tls: OnceLock::from(tls),
            ..Self::default()
        }
    }

    /// An outgoing one is to be begun: what it will have at the least.
    pub fn to_be(profile: &Profile, peer: &str) -> Self {
        Self {
            least: Security {
                version: profile.method().name(),
                verified: profile.verifies_servers().then(|| vec![peer.to_owned()]),
                tls: None,
            },
            waits: Mutex::new(true),
            is_outgoing: true,
            ..Self::default()
        }
    }

    /// Its handshake is done.
    pub fn established(&self, tls: Arc<TlsInfo>) {
        // It is done once.
        let _ = self.tls.set(tls);
        *self.waits.lock() = false;
    }

    /// Queues a message. Whoever looked at it before the handshake was done knows nothing of the peer: what is queued by then is
    /// [judged](Open::established) behind it, and what comes later here.
    fn queue(&self, conn: &Conn, message: &[u8], token: u64) -> Option<Result<(), SendError>> {
        let waits = self.waits.lock();
        if *waits {
            return Some(conn.send(message, token));
        }
        drop(waits);
        let known = self.tls.get().filter(|_| self.is_outgoing);
        let may_go = known.is_none_or(|tls| demand::may_go_to(message, tls));
        may_go.then(|| conn.send(message, token))
    }

    /// The connection has begun.
    pub fn begin(&self, conn: &Conn) {
        // It cannot have one yet.
        let _ = self.conn.set(conn.clone());
    }

    fn passes(&self, message: &[u8]) {
        if message.starts_with(INVITE) {
            self.has_carried_call.store(true, Ordering::Relaxed);
        }
    }
}

impl Carrier for TlsCarrier {
    fn send(&self, message: &[u8], token: u64) -> bool {
        self.passes(message);
        let Some(conn) = self.conn.get() else {
            return false;
        };
        let Some(sent) = self.queue(conn, message, token) else {
            return false;
        };
        if sent == Err(SendError::QueueFull) {
            limited::log(
                Level::Warn,
                "write queue full",
                &conn.remote().ip().to_string(),
                format_args!(
                    "{} was not sent to {}: it reads too slowly, {} octets wait for it already (to change there)",
                    label(message),
                    conn.remote(),
                    conn.queued()
                ),
            );
        }
        sent.is_ok()
    }

    fn security(&self) -> Security {
        let Some(tls) = self.tls.get() else {
            return self.least.clone();
        };
        Security {
            version: tls.version,
            // A certificate that was verified and not found good has faults. The name that was asked for may be one that a wildcard of
            // its stands for.
            verified: tls
                .peer
                .as_ref()
                .filter(|_| tls.faults.is_empty())
                .map(|peer| {
                    let asked = tls.wanted.iter().map(ToString::to_string);
                    peer.names().into_iter().chain(asked).collect()
                }),
            tls: Some(Arc::clone(tls)),
        }
    }

    fn close(&self) {
        if let Some(conn) = self.conn.get() {
            conn.close(Close::Graceful);
        }
    }

    fn tls(&self) -> Option<Arc<TlsInfo>> {
        self.tls.get().cloned()
    }
}

/// By address. A leaf among the locks: nothing but a connection's outbox is locked while it is held.
static OPEN: Mutex<BTreeMap<usize, Arc<TlsCarrier>>> = Mutex::new(BTreeMap::new());

/// A connection among those that are up, until it is dropped.
pub struct Open(Arc<TlsCarrier>);

impl Open {
    /// Enters it.
    pub fn enter(carrier: Arc<TlsCarrier>) -> Self {
        OPEN.lock().insert(key(&carrier), Arc::clone(&carrier));
        Self(carrier)
    }

    /// Its handshake is done. The tokens of those that waited for it and are not sent to this peer.
    pub fn established(&self, tls: &Arc<TlsInfo>) -> Vec<u64> {
        self.0.established(Arc::clone(tls));
        self.0.conn.get().map_or_else(Vec::new, |conn| {
            conn.withdraw(|message| !demand::may_go_to(message, tls))
        })
    }

    /// The peer has sent `message`.
    pub fn passes(&self, message: &[u8]) {
        self.0.passes(message);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let carrier = OPEN.lock().remove(&key(&self.0));
        drop(carrier);
    }
}

fn key(carrier: &Arc<TlsCarrier>) -> usize {
    Arc::as_ptr(carrier).addr()
}

/// Which connections to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that no call has used.
    Idle,
    /// All.
    All,
}

/// Closes connections, once what is queued is sent. It does not wait for their ends.
pub fn close(which: Which) {
    for carrier in OPEN.lock().values() {
        if which == Which::All || !carrier.has_carried_call.load(Ordering::Relaxed) {
            carrier.close();
        }
    }
}
