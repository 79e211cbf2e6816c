//! The connections that are up: what is known of each, which of them have carried a call (a drain closes those that have not),
//! and which server has taken TLS and answers no SIP.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use log::Level;
use policy::expiry::Nearness;
use policy::reasons::call::{Signaling, of_signaling};
use sip_tls::frame::label;
use sip_tls::verify::PeerName;
use sip_tls::{Close, Conn, Profile, SendError, TlsInfo};

use crate::demand;
use crate::ffi::host;
use crate::ffi::pjsip::factory::FactoryRef;
use crate::ffi::pjsip::thread::PjThread;
use crate::ffi::pjsip::transport::{Carrier, Direction, Security, SipTransport};
use crate::ffi::sync::Mutex;
use crate::limited;
use crate::observe::refusals::{self, Who};

use super::ends::{self, End};

mod changed;

pub use changed::shut_down_changed;

/// What a message begins with that begins a call, or changes one.
const INVITE: &[u8] = b"INVITE ";
/// What a response begins with.
const RESPONSE: &[u8] = b"SIP/2.0 ";
/// What a message begins with that nobody answers.
const UNANSWERED: [&[u8]; 2] = [RESPONSE, b"ACK "];
/// When a server that has answered nothing is told of: Timer B and F of RFC 3261, at which PJSIP gives up.
const PATIENCE: Duration = Duration::from_secs(32);

/// What does not change of a connection.
#[derive(Debug, Clone)]
pub struct About {
    /// The transport's name in `pjsip.conf`.
    pub transport: Arc<str>,
    /// The profile that it is of, if that is not the transport's own.
    pub profile: Option<Arc<str>>,
    /// Which side began it.
    pub direction: Direction,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The name that was asked for, of an outgoing one.
    pub wanted: String,
}

impl About {
    /// The transport and the profile, for a line of the log.
    pub fn label(&self) -> String {
        match &self.profile {
            Some(profile) => format!("transport '{}', profile '{profile}'", self.transport),
            None => format!("transport '{}'", self.transport),
        }
    }

    /// Whether an operator means its peer: by its address, with or without port, or by the name that was asked for.
    pub fn is_with(&self, peer: &str) -> bool {
        self.wanted.eq_ignore_ascii_case(peer)
            || peer.parse() == Ok(self.remote.ip())
            || peer.parse() == Ok(self.remote)
    }
}

/// A connection, for a list.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its number since load.
    pub id: u64,
    /// What does not change.
    pub about: About,
    /// When it began.
    pub since: SystemTime,
    /// What its handshake has shown; `None`: it goes on.
    pub tls: Option<Arc<TlsInfo>>,
    /// SIP messages in and out.
    pub messages: [u64; 2],
    /// Octets that wait to be written.
    pub queued: usize,
    /// An INVITE has passed.
    pub has_carried_call: bool,
}

/// A TLS connection as pjsip's transport sees it.
pub struct TlsCarrier {
    id: u64,
    about: About,
    since: SystemTime,
    /// SIP messages in and out.
    messages: [AtomicU64; 2],
    /// When the first request that is to be answered was handed over, in milliseconds of [`host::monotonic_ms`]; 0: none was.
    asked: AtomicU64,
    /// When its latest response came, likewise.
    answered: AtomicU64,
    /// That it answers nothing was told.
    told: AtomicBool,
    /// pjsip's side of an outgoing one, while it is among those that are up.
    sip: Mutex<Option<SipTransport>>,
    /// How near the end of the peer's certificate was at the latest look: [`Nearness::rank`], or 0.
    near: AtomicU8,
    /// An outgoing one is set once it is begun.
    conn: OnceLock<Conn>,
    /// Set once its handshake is done.
    tls: OnceLock<Arc<TlsInfo>>,
    /// Of an outgoing one: what is sent waits for its handshake, and is judged by whom that has shown when it is done.
    waits: Mutex<bool>,
    /// An INVITE has passed, in or out.
    has_carried_call: AtomicBool,
    /// Of an outgoing one, what its handshake will give at the least.
    least: Security,
    /// Of an outgoing one, [what its profile trusts](Profile::trust).
    trust: Option<[u8; 32]>,
}

impl TlsCarrier {
    /// Ends the connection; pjsip hears of it.
    fn hang_up(&self) {
        if let Some(conn) = self.conn.get() {
            conn.close(Close::Graceful);
        }
    }

    fn new(about: About) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            about,
            since: SystemTime::now(),
            messages: Default::default(),
            asked: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            told: AtomicBool::new(false),
            sip: Mutex::default(),
            near: AtomicU8::new(0),
            conn: OnceLock::new(),
            tls: OnceLock::new(),
            waits: Mutex::new(false),
            has_carried_call: AtomicBool::new(false),
            least: Security::default(),
            trust: None,
        }
    }

    /// Of a connection that is there.
    pub fn of(about: About, conn: &Conn, tls: Arc<TlsInfo>) -> Self {
        Self {
            conn: OnceLock::from(conn.clone()),
            tls: OnceLock::from(tls),
            ..Self::new(about)
        }
    }

    /// An outgoing one is to be begun: what it will have at the least.
    pub fn to_be(about: About, profile: &Profile) -> Self {
        let verified = profile
            .verifies_servers()
            .then(|| vec![about.wanted.clone()]);
        Self {
            least: Security {
                version: profile.method().name(),
                verified,
                tls: None,
            },
            trust: Some(profile.trust()),
            waits: Mutex::new(true),
            ..Self::new(about)
        }
    }

    /// What does not change.
    pub fn about(&self) -> &About {
        &self.about
    }

    fn shown(&self) -> Shown {
        Shown {
            id: self.id,
            about: self.about.clone(),
            since: self.since,
            tls: self.tls.get().cloned(),
            messages: [0, 1].map(|way: usize| self.messages[way].load(Ordering::Relaxed)),
            queued: self.conn.get().map_or(0, Conn::queued),
            has_carried_call: self.has_carried_call.load(Ordering::Relaxed),
        }
    }

    /// Whether it is a server that has taken TLS and has been asked something [a while](PATIENCE) ago, and nothing of SIP has come.
    fn is_mute(&self) -> bool {
        let asked = self.asked.load(Ordering::Relaxed);
        asked != 0
            && self.about.direction == Direction::Outgoing
            && self.messages[0].load(Ordering::Relaxed) == 0
            && self.tls.get().is_some()
            && Duration::from_millis(host::monotonic_ms().saturating_sub(asked)) >= PATIENCE
    }

    /// Whether the end of the peer's certificate has come nearer than at the latest look.
    fn comes_nearer(&self, now: i64) -> bool {
        let peer = self.tls.get().and_then(|tls| tls.peer.as_ref());
        let near = peer.and_then(|peer| Nearness::of(peer.not_after, now));
        let rank = near.map_or(0, Nearness::rank);
        rank > self.near.fetch_max(rank, Ordering::Relaxed)
    }

    /// Tells of it, once.
    fn tell_mute(&self) {
        if self.told.swap(true, Ordering::Relaxed) {
            return;
        }
        let row = of_signaling(&Signaling::Unanswered);
        let peer = format!("{} ({})", self.about.wanted, self.about.remote);
        let who = Who {
            peer: &peer,
            endpoint: &self.about.transport,
            call_id: "",
            came: None,
        };
        refusals::note(row.code, who, format_args!("{}", row.words()));
        limited::log(
            Level::Warn,
            row.code,
            &self.about.wanted,
            format_args!(
                "{}: {peer}: {} ({} sent), reason {}",
                self.about.label(),
                row.words(),
                self.messages[1].load(Ordering::Relaxed),
                row.code
            ),
        );
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
        let is_outgoing = self.about.direction == Direction::Outgoing;
        let known = self.tls.get().filter(|_| is_outgoing);
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
        self.messages[1].fetch_add(1, Ordering::Relaxed);
        if self.asked.load(Ordering::Relaxed) == 0
            && !UNANSWERED.iter().any(|begin| message.starts_with(begin))
        {
            self.asked
                .store(host::monotonic_ms().max(1), Ordering::Relaxed);
        }
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
            verified: tls.verified_names(),
            tls: Some(Arc::clone(tls)),
        }
    }

    fn close(&self) {
        ends::forget(self.id);
        self.hang_up();
    }

    fn tls(&self) -> Option<Arc<TlsInfo>> {
        self.tls.get().cloned()
    }
}

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
