//! The connections that are up: what is known of each, which of them have carried a call (a drain closes those that have not),
//! and which server has taken TLS and answers no SIP.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use sip_tls::TlsInfo;
use sip_tls::verify::PeerName;

use crate::demand;
use crate::ffi::host;
use crate::ffi::pjsip::factory::FactoryRef;
use crate::ffi::pjsip::thread::PjThread;
use crate::ffi::pjsip::transport::{Direction, SipTransport};
use crate::ffi::sync::Mutex;

use super::ends::{self, End};

mod carrier;
mod changed;

use carrier::RESPONSE;
pub use carrier::{About, Shown, TlsCarrier};
pub use changed::shut_down_changed;

/// By number, so the oldest first. A leaf among the locks: nothing but a connection's outbox is locked while it is held.
static OPEN: Mutex<BTreeMap<u64, Arc<TlsCarrier>>> = Mutex::new(BTreeMap::new());

/// Those that are up now. What is asked of each is asked behind the lock, which the I/O threads need.
fn open() -> Vec<Arc<TlsCarrier>> {
    OPEN.lock().values().cloned().collect()
}

/// A connection among those that are up, until it is dropped.
pub struct Open(Arc<TlsCarrier>);

impl Open {
    /// Enters it.
    pub fn enter(carrier: Arc<TlsCarrier>) -> Self {
        OPEN.lock().insert(carrier.id, Arc::clone(&carrier));
        Self(carrier)
    }

    /// Enters an outgoing one, of which pjsip has `sip`.
    pub fn enter_outgoing(carrier: Arc<TlsCarrier>, sip: SipTransport) -> Self {
        *carrier.sip.lock() = Some(sip);
        Self::enter(carrier)
    }

    /// Its handshake is done. The tokens of those that waited for it and are not sent to this peer.
    pub fn established(&self, tls: &Arc<TlsInfo>) -> Vec<u64> {
        self.0.established(Arc::clone(tls));
        self.0.conn.get().map_or_else(Vec::new, |conn| {
            conn.withdraw(|message| !demand::may_go_to(message, tls))
        })
    }

    /// Whether its handshake was done.
    pub fn is_established(&self) -> bool {
        self.0.tls.get().is_some()
    }

    /// Its end, for those who wait for an answer.
    pub fn ended(&self, thread: PjThread, end: End) {
        ends::tell(
            thread,
            self.0.id,
            self.0.answered.load(Ordering::Relaxed),
            end,
        );
    }

    /// The peer has sent `message`.
    pub fn passes(&self, message: &[u8]) {
        self.0.messages[0].fetch_add(1, Ordering::Relaxed);
        if message.starts_with(RESPONSE) {
            self.0
                .answered
                .store(host::monotonic_ms().max(1), Ordering::Relaxed);
        }
        self.0.passes(message);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let carrier = OPEN.lock().remove(&self.0.id);
        drop(carrier);
        // It has the carrier.
        let sip = self.0.sip.lock().take();
        drop(sip);
    }
}

/// Which connections to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// Those that no call has used.
    Idle,
    /// All.
    All,
    /// The one with this number.
    Id(u64),
    /// Those with this peer: its address, with or without port, or the name that was asked for.
    Peer(&'a str),
}

impl Which<'_> {
    fn is(self, carrier: &TlsCarrier) -> bool {
        match self {
            Self::All => true,
            Self::Idle => !carrier.has_carried_call.load(Ordering::Relaxed),
            Self::Id(id) => carrier.id == id,
            Self::Peer(peer) => carrier.about.is_with(peer),
        }
    }
}

/// Closes connections, once what is queued is sent; how many. It does not wait for their ends.
pub fn close(which: Which<'_>) -> usize {
    let open = open();
    let closed = open.iter().filter(|carrier| which.is(carrier));
    closed.map(|carrier| carrier.hang_up()).count()
}

/// The connections, the oldest first.
pub fn all() -> Vec<Shown> {
    open().iter().map(|it| it.shown()).collect()
}

/// The first so many of them, and how many there are.
pub fn first(most: usize) -> (Vec<Shown>, usize) {
    let open = open();
    let shown = open.iter().take(most).map(|it| it.shown());
    (shown.collect(), open.len())
}

/// Those that an operator means: by number, or by peer.
pub fn meant_by(wanted: &str) -> Vec<Shown> {
    let id = wanted.parse::<u64>().ok();
    let open = open();
    let meant = open
        .iter()
        .filter(|it| id == Some(it.id) || it.about.is_with(wanted));
    meant.map(|it| it.shown()).collect()
}

/// Each certificate of a connected peer's once, with a connection that has it.
pub fn peers_certificates() -> Vec<(About, Arc<TlsInfo>)> {
    let mut known = BTreeSet::new();
    let open = open();
    let with = open.iter().filter_map(|it| {
        let tls = it.tls.get()?;
        let peer = tls.peer.as_ref()?;
        let is_new = known.insert(peer.sha256);
        is_new.then(|| (it.about.clone(), Arc::clone(tls)))
    });
    with.collect()
}

/// Those whose peer's certificate has come nearer to its end than at the latest look.
pub fn come_near_their_end(now: i64) -> Vec<(About, Arc<TlsInfo>)> {
    let open = open();
    let near = open.iter().filter(|it| it.comes_nearer(now));
    let with = near.filter_map(|it| Some((it.about.clone(), Arc::clone(it.tls.get()?))));
    with.collect()
}

/// How many there are.
pub fn count() -> usize {
    OPEN.lock().len()
}

/// A connection of `transport`, `profile` and `factory` to this address, of a peer that was called by a name and whose certificate was found
/// good, if there is one such name: where several stand for one address, nobody knows which is meant.
pub fn named_to(
    transport: &str,
    profile: Option<&Arc<str>>,
    remote: SocketAddr,
    factory: &FactoryRef,
) -> Option<SipTransport> {
    let is_it = |it: &TlsCarrier| {
        it.about.direction == Direction::Outgoing
            && it.about.remote == remote
            && &*it.about.transport == transport
            && matches!(PeerName::parse(&it.about.wanted), PeerName::Dns(_))
    };
    let named: Vec<_> = open().into_iter().filter(|it| is_it(it)).collect();
    let first = named.first()?;
    let is_good = |it: &TlsCarrier| {
        let is_verified = it.tls.get().is_some_and(|tls| tls.faults.is_empty());
        is_verified && it.about.profile.as_ref() == profile
    };
    let is_one = named
        .iter()
        .all(|it| it.about.wanted.eq_ignore_ascii_case(&first.about.wanted));
    let mut good = named.iter().filter(|it| is_one && is_good(it));
    good.find_map(|it| {
        let sip = it.sip.lock().clone();
        sip.filter(|sip| sip.is_usable_of(factory))
    })
}

/// Tells of the servers that take TLS and answer no SIP. The watch asks.
pub fn look() {
    for carrier in open() {
        if carrier.is_mute() {
            carrier.tell_mute();
        }
    }
}
