//! One SRTP session of Asterisk's: an RTP instance's keys, both ways, RTP and RTCP.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use srtp::{ProtectError, Stats, UnprotectError};

use crate::config;
use crate::ffi::module_ref::ModuleRef;
use crate::ffi::rtp::RtpInstance;
use crate::ffi::srtp::{Attached, Kind};
use crate::ffi::{host, sync};
use crate::test_hooks;

use super::calls::Call;
use super::history::History;
use super::passing::Passing;
use super::policy::PolicyBuilder;
use super::unheard::{self, Source};

mod keys;

pub use keys::Aged;
use keys::Ages;

/// A session as Asterisk, the registry and a negotiation share it.
pub type LiveSession = Arc<Attached<Session>>;

/// Looks for the answer to an offer, one each two seconds: an INVITE and its ACK take 32 seconds at most (RFC 3261 section 17).
const LOOKS: u32 = 20;

/// How often the names are asked for again, in packets received: both can change during a call.
const NAMES_EVERY: u64 = 4096;

/// What a line about the session is called by. Copies: the console may not ask the instance, whose lock comes before
/// the registry's.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// The channel's unique id; empty before there is one.
    pub channel: String,
    /// The address that the instance sends to.
    pub peer: String,
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "peer {}, channel {}",
            self.peer,
            if self.channel.is_empty() {
                "not yet made"
            } else {
                &self.channel
            }
        )
    }
}

/// Whose call it is, where SDES has told.
#[derive(Debug, Clone, Default)]
pub struct Owner {
    /// The PJSIP endpoint.
    pub endpoint: String,
    /// The Call-ID.
    pub call_id: String,
    /// The peer's URI, and address if one was known.
    pub peer: String,
}

/// `struct ast_srtp`.
pub struct Session {
    /// Poisoned by a panic inside: every later call fails, so that a call drops and never goes on in clear.
    inner: Mutex<srtp::Session>,
    /// Packets in a row that did not authenticate.
    failing: AtomicU32,
    ages: sync::Mutex<Ages>,
    /// With `strict_lifetime`: the key that we send with, and the peer's, have reached their lifetimes.
    spent: [AtomicBool; 2],
    /// Packets dropped for that.
    expired: AtomicU64,
    /// More is demanded of the call than its keys have: every packet is dropped, and the call is being hung up.
    forbidden: AtomicBool,
    /// Asterisk has destroyed it: its keys are not to be used again.
    detached: AtomicBool,
    /// How often it is still to be looked whether the answer to an offer of ours is here.
    looks: AtomicU32,
    names: sync::Mutex<Names>,
    owner: sync::Mutex<Owner>,
    history: History,
    passing: Passing,
    _module: ModuleRef,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.names().channel)
    }
}

impl Session {
    /// A session for `rtp` with its first remote key. `None`: the key does not fit its suite (logged), or
    /// the module is being unloaded.
    pub fn new(rtp: RtpInstance<'_>, remote: Option<&PolicyBuilder>) -> Option<Self> {
        let session = Self {
            inner: Mutex::new(srtp::Session::new(config::current().kernels)),
            failing: AtomicU32::new(0),
            ages: sync::Mutex::default(),
            spent: [const { AtomicBool::new(false) }; 2],
            expired: AtomicU64::new(0),
            forbidden: AtomicBool::new(false),
            detached: AtomicBool::new(false),
            looks: AtomicU32::new(0),
            names: sync::Mutex::default(),
            owner: sync::Mutex::default(),
            history: History::begin(rtp, remote),
            passing: Passing::default(),
            _module: ModuleRef::enter()?,
        };
        if let Some(remote) = remote
            && !session.set_remote(rtp, remote)
        {
            return None;
        }
        test_hooks::session_begins(rtp);
        Some(session)
    }

    /// Asterisk destroys it.
    pub fn set_detached(&self) {
        self.detached.store(true, Ordering::Relaxed);
    }

    /// Whether Asterisk has destroyed it.
    pub fn is_detached(&self) -> bool {
        self.detached.load(Ordering::Relaxed)
    }

    /// Whether a new offer of ours is out to which no answer was read. So many times after [`set_offering`], then not any more.
    ///
    /// [`set_offering`]: Self::set_offering
    pub fn look_for_answer(&self) -> bool {
        let one_less = |looks: u32| looks.checked_sub(1);
        self.looks
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_ok()
    }

    /// One goes out, or a description of the peer's was read.
    pub fn set_offering(&self, is_offering: bool) {
        let looks = if is_offering { LOOKS } else { 0 };
        self.looks.store(looks, Ordering::Relaxed);
    }

    /// Its names, as of late.
    pub fn names(&self) -> Names {
        self.names.lock().clone()
    }

    /// Whose call it is.
    pub fn owner(&self) -> Owner {
        self.owner.lock().clone()
    }

    /// It is this call's.
    pub fn set_owner(&self, call: &Call) {
        *self.owner.lock() = Owner {
            endpoint: call.endpoint.clone(),
            call_id: call.call_id.clone(),
            peer: call.peer.clone(),
        };
    }

    /// Asks the instance, which is this session's.
    pub fn refresh_names(&self, rtp: RtpInstance<'_>) -> Names {
        let names = Names {
            channel: rtp.channel_id(),
            peer: rtp.remote_address(),
        };
        self.names.lock().clone_from(&names);
        names
    }

    /// Counters and suites; empty for a session that a panic broke.
    pub fn stats(&self) -> Stats {
        self.inner
            .lock()
            .map(|inner| inner.stats())
            .unwrap_or_default()
    }

    /// How it began, and the keys that it was given.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Its leg in native bridges.
    pub fn passing(&self) -> &Passing {
        &self.passing
    }

    /// Every packet is dropped: more is demanded of the call than its keys have.
    #[cfg(feature = "pjsip")]
    pub fn is_forbidden(&self) -> bool {
        self.forbidden.load(Ordering::Relaxed)
    }

    /// The key that it sends with has reached its lifetime, under `strict_lifetime`.
    #[cfg(feature = "pjsip")]
    pub fn is_spent(&self) -> bool {
        self.spent[0].load(Ordering::Relaxed)
    }

    /// A panic broke it: it drops every packet, and its counters are gone.
    pub fn is_broken(&self) -> bool {
        self.inner.is_poisoned()
    }

    /// Packets, both ways, that `strict_lifetime` had dropped.
    pub fn expired(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }

    /// The SSRC that this side sends with changes.
    pub fn change_source(&self, from: u32, to: u32) {
        if let Ok(mut inner) = self.inner.lock() {
            inner.change_source(from, to);
        }
    }

    /// Encrypts `packet` into `out`; the length there. `None`: it must not be sent.
    pub fn protect(&self, kind: Kind, packet: &[u8], out: &mut [u8]) -> Option<usize> {
        if self.drops(&self.spent[0]) {
            self.not_sent(kind, false);
            return None;
        }
        let Ok(mut inner) = self.inner.lock() else {
            self.not_sent(kind, false);
            return None;
        };
        test_hooks::panic_if_armed(test_hooks::PROTECT);
        let sealed = match kind {
            Kind::Rtp => inner.protect_rtp(packet, out),
            Kind::Rtcp => inner.protect_rtcp(packet, out),
        };
        drop(inner);
        match sealed {
            Ok(length) => {
                if kind == Kind::Rtp {
                    self.passing.sent();
                }
                Some(length)
            }
            Err(reason) => {
                let by_index = matches!(
                    reason,
                    ProtectError::ReusedIndex
                        | ProtectError::IndexTooOld
                        | ProtectError::TooManySources
                );
                self.not_sent(kind, by_index);
                // Counted in the session; a line each would be a line a packet. The names as they are: with bundled streams
                // this thread holds another instance's lock, beside which this one's must not be taken. They are copied, so
                // only for a line that somebody reads.
                if log::log_enabled!(log::Level::Debug) {
                    log::debug!("{kind} packet of {} dropped: {reason}", self.names());
                }
                None
            }
        }
    }

    /// A packet was refused: for its index or its SSRC, or because nothing is sent any more.
    #[cold]
    fn not_sent(&self, kind: Kind, by_index: bool) {
        if kind == Kind::Rtp {
            self.passing.refused(by_index);
        }
    }

    /// Authenticates and decrypts `packet` in place; the length that is left. `None`: it is nothing.
    pub fn unprotect(&self, rtp: RtpInstance<'_>, kind: Kind, packet: &mut [u8]) -> Option<usize> {
        if self.drops(&self.spent[1]) {
            return None;
        }
        let mut inner = self.inner.lock().ok()?;
        test_hooks::panic_if_armed(test_hooks::UNPROTECT);
        let opened = match kind {
            Kind::Rtp => inner.unprotect_rtp(packet, host::monotonic_ms()),
            Kind::Rtcp => inner.unprotect_rtcp(packet, host::monotonic_ms()),
        };
        let received = inner.counters().received_rtp;
        let missed = match (kind, &opened) {
            (Kind::Rtp, Err(_)) => {
                Source::of(packet).map(|source| (inner.missed(source.ssrc), source))
            }
            _ => None,
        };
        drop(inner);
        match opened {
            Ok(length) => {
                if self.failing.load(Ordering::Relaxed) != 0 {
                    self.failing.store(0, Ordering::Relaxed);
                }
                if received % NAMES_EVERY == 1 {
                    self.refresh_names(rtp);
                }
                Some(length)
            }
            Err(reason) => {
                match (reason, missed) {
                    (UnprotectError::AuthFailed, _) => {
                        let failing = self.failing.fetch_add(1, Ordering::Relaxed) + 1;
                        unheard::report_key(failing, kind, || self.refresh_names(rtp));
                    }
                    (
                        UnprotectError::Replayed | UnprotectError::IndexTooOld,
                        Some((missed, source)),
                    ) => {
                        unheard::report_index(missed.into(), source, || self.refresh_names(rtp));
                    }
                    _ => {}
                }
                None
            }
        }
    }

    /// Whether a packet is dropped for the call's demands, or comes behind the lifetime of its key, which is counted.
    fn drops(&self, spent: &AtomicBool) -> bool {
        if self.forbidden.load(Ordering::Relaxed) {
            return true;
        }
        let expires = spent.load(Ordering::Relaxed);
        if expires {
            self.expired.fetch_add(1, Ordering::Relaxed);
        }
        expires
    }
}
