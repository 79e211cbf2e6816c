//! A TLS connection as pjsip's transport sees it, and what is known of it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use log::Level;
use policy::expiry::Nearness;
use policy::reasons::call::{Signaling, of_signaling};
use sip_tls::frame::label;
use sip_tls::{Close, Conn, Profile, SendError, TlsInfo};

use crate::demand;
use crate::ffi::host;
use crate::ffi::pjsip::transport::{Carrier, Direction, Security, SipTransport};
use crate::ffi::sync::Mutex;
use crate::limited;
use crate::observe::refusals::{self, Who};
use crate::transport::ends;

/// What a message begins with that begins a call, or changes one.
const INVITE: &[u8] = b"INVITE ";
/// What a response begins with.
pub(super) const RESPONSE: &[u8] = b"SIP/2.0 ";
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
    pub(super) id: u64,
    pub(super) about: About,
    since: SystemTime,
    /// SIP messages in and out.
    pub(super) messages: [AtomicU64; 2],
    /// When the first request that is to be answered was handed over, in milliseconds of [`host::monotonic_ms`]; 0: none was.
    asked: AtomicU64,
    /// When its latest response came, likewise.
    pub(super) answered: AtomicU64,
    /// That it answers nothing was told.
    told: AtomicBool,
    /// pjsip's side of an outgoing one, while it is among those that are up.
    pub(super) sip: Mutex<Option<SipTransport>>,
    /// How near the end of the peer's certificate was at the latest look: [`Nearness::rank`], or 0.
    near: AtomicU8,
    /// An outgoing one is set once it is begun.
    pub(super) conn: OnceLock<Conn>,
    /// Set once its handshake is done.
    pub(super) tls: OnceLock<Arc<TlsInfo>>,
    /// Of an outgoing one: what is sent waits for its handshake, and is judged by whom that has shown when it is done.
    waits: Mutex<bool>,
    /// An INVITE has passed, in or out.
    pub(super) has_carried_call: AtomicBool,
    /// Of an outgoing one, what its handshake will give at the least.
    least: Security,
    /// Of an outgoing one, [what its profile trusts](Profile::trust).
    pub(super) trust: Option<[u8; 32]>,
}

impl TlsCarrier {
    /// Ends the connection; pjsip hears of it.
    pub(super) fn hang_up(&self) {
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

    pub(super) fn shown(&self) -> Shown {
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
    pub(super) fn is_mute(&self) -> bool {
        let asked = self.asked.load(Ordering::Relaxed);
        asked != 0
            && self.about.direction == Direction::Outgoing
            && self.messages[0].load(Ordering::Relaxed) == 0
            && self.tls.get().is_some()
            && Duration::from_millis(host::monotonic_ms().saturating_sub(asked)) >= PATIENCE
    }

    /// Whether the end of the peer's certificate has come nearer than at the latest look.
    pub(super) fn comes_nearer(&self, now: i64) -> bool {
        let peer = self.tls.get().and_then(|tls| tls.peer.as_ref());
        let near = peer.and_then(|peer| Nearness::of(peer.not_after, now));
        let rank = near.map_or(0, Nearness::rank);
        rank > self.near.fetch_max(rank, Ordering::Relaxed)
    }

    /// Tells of it, once.
    pub(super) fn tell_mute(&self) {
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
    /// [judged](super::Open::established) behind it, and what comes later here.
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

    pub(super) fn passes(&self, message: &[u8]) {
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
