//! One SRTP session of Asterisk's: an RTP instance's keys, both ways, RTP and RTCP.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use log::Level;
use srtp::{LocalSsrc, Policy, PolicyError, Stats, UnprotectError};

use crate::config;
use crate::ffi::host;
use crate::ffi::module_ref::ModuleRef;
use crate::ffi::rtp::RtpInstance;
use crate::limited;
use crate::test_hooks as hooks;

use super::lifetime::{Age, Lifetimes};
use super::policy::PolicyBuilder;
use super::registry;

/// RTP or RTCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Media.
    Rtp,
    /// Its reports.
    Rtcp,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rtp => "SRTP",
            Self::Rtcp => "SRTCP",
        })
    }
}

/// A first line after so many packets in a row that do not authenticate: a few are normal around a new key.
const FIRST_LINE: u32 = 10;
/// The next lines after so many more.
const NEXT_LINES: u32 = 1500;

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

/// How old the keys are, as of the last look.
#[derive(Debug, Default)]
struct Ages {
    lifetimes: Lifetimes,
    local: Age,
    remote: Age,
}

/// `struct ast_srtp`.
pub struct Session {
    /// Poisoned by a panic inside: every later call fails, so that a call drops and never goes on in clear.
    inner: Mutex<srtp::Session>,
    rtp: RtpInstance,
    /// Packets in a row that did not authenticate.
    failing: AtomicU32,
    ages: Mutex<Ages>,
    /// With `strict_lifetime`: the key that we send with, and the peer's, have reached their lifetimes.
    spent: [AtomicBool; 2],
    /// Packets dropped for that.
    expired: AtomicU64,
    names: Mutex<Names>,
    _module: ModuleRef,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.names().channel)
    }
}

impl Session {
    /// A session for `rtp` with its first remote key. `None`: the key does not fit its suite (logged), or the module is being
    /// unloaded.
    pub fn new(rtp: RtpInstance, remote: Option<&PolicyBuilder>) -> Option<Arc<Self>> {
        let session = Arc::new(Self {
            inner: Mutex::new(srtp::Session::new(config::current().kernels)),
            rtp,
            failing: AtomicU32::new(0),
            ages: Mutex::default(),
            spent: [const { AtomicBool::new(false) }; 2],
            expired: AtomicU64::new(0),
            names: Mutex::default(),
            _module: ModuleRef::enter()?,
        });
        if let Some(remote) = remote
            && !session.set_remote(remote)
        {
            return None;
        }
        hooks::begun(rtp);
        registry::add(&session);
        Some(session)
    }

    /// Asterisk destroys it.
    pub fn retire(&self) {
        registry::remove(self);
    }

    /// The stream it belongs to.
    pub fn rtp(&self) -> RtpInstance {
        self.rtp
    }

    /// Its names, as of late.
    pub fn names(&self) -> Names {
        self.names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Asks the instance. Only on a thread of Asterisk's that works on it.
    fn refresh_names(&self) -> Names {
        let names = Names {
            channel: self.rtp.channel_id(),
            peer: self.rtp.remote_address(),
        };
        self.names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&names);
        names
    }

    /// Counters and suites; empty for a session that a panic broke.
    pub fn stats(&self) -> Stats {
        self.inner
            .lock()
            .map(|inner| inner.stats())
            .unwrap_or_default()
    }

    /// Packets, both ways, that `strict_lifetime` had dropped.
    pub fn expired(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }

    /// Takes the keys that the peer sends with. `false`: logged, and nothing has changed.
    pub fn set_remote(&self, builder: &PolicyBuilder) -> bool {
        self.negotiate(|inner, now| inner.set_remote(&builder.build()?, false, now))
    }

    /// Takes the keys that this side sends with, for the policy's SSRC. `false`: logged, and nothing has changed.
    pub fn set_local(&self, builder: &PolicyBuilder) -> bool {
        let ssrc = builder.ssrc.map_or(LocalSsrc::Any, LocalSsrc::Specific);
        self.negotiate(|inner, _| inner.set_local(ssrc, &builder.build()?[0]))
    }

    /// The peer offers new keys: they are tried beside the old ones, and ours changes only when the answer
    /// [stands](Self::stands). An offer that came before and did not stand is as if it had never come.
    pub fn offered(&self, remote: &[Policy], local: &Policy) -> bool {
        let ssrc = LocalSsrc::Specific(self.rtp.ssrc());
        self.negotiate(|inner, now| {
            inner.cancel(now);
            inner.set_remote(remote, false, now)?;
            inner.stage_local(ssrc, local)
        })
    }

    /// The peer answers our offer: both sides' keys are in force.
    pub fn answered(&self, remote: &[Policy], local: &Policy) -> bool {
        let ssrc = LocalSsrc::Specific(self.rtp.ssrc());
        self.negotiate(|inner, now| {
            inner.set_remote(remote, false, now)?;
            inner.set_local(ssrc, local)?;
            inner.commit();
            Ok(())
        })
    }

    /// The peer's offer was refused: as if it had never come.
    pub fn withdrawn(&self) {
        if let Ok(mut inner) = self.inner.lock() {
            inner.cancel(host::monotonic_ms());
        }
    }

    /// Our answer stands.
    pub fn stands(&self) {
        if let Ok(mut inner) = self.inner.lock() {
            inner.commit();
        }
    }

    fn negotiate(
        &self,
        step: impl FnOnce(&mut srtp::Session, u64) -> Result<(), PolicyError>,
    ) -> bool {
        let Ok(mut inner) = self.inner.lock() else {
            return false;
        };
        let done = step(&mut inner, host::monotonic_ms());
        drop(inner);
        if let Err(reason) = &done {
            log::error!(
                "the SRTP keys of {} were refused: {reason}",
                self.refresh_names()
            );
        }
        done.is_ok()
    }

    /// New keys are in force, with these lifetimes.
    pub fn begin_ages(&self, lifetimes: Lifetimes) {
        *self.ages.lock().unwrap_or_else(PoisonError::into_inner) = Ages {
            lifetimes,
            ..Ages::default()
        };
        for spent in &self.spent {
            spent.store(false, Ordering::Relaxed);
        }
    }

    /// The age of the key that we send with.
    pub fn local_age(&self) -> Age {
        self.ages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .local
    }

    /// Looks at the ages of the keys; those of ours and of the peer's that have changed.
    pub fn grow_older(&self) -> (Option<Age>, Option<Age>) {
        let stats = self.stats();
        let mut ages = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        let local = Age::of(stats.local_key, ages.lifetimes.local);
        let remote = Age::of(stats.remote_key, ages.lifetimes.remote);
        if ages.lifetimes.strict {
            for (spent, age) in self.spent.iter().zip([local, remote]) {
                spent.store(age == Age::Spent, Ordering::Relaxed);
            }
        }
        let changed = (
            (local != ages.local).then_some(local),
            (remote != ages.remote).then_some(remote),
        );
        (ages.local, ages.remote) = (local, remote);
        changed
    }

    /// The SSRC that this side sends with changes.
    pub fn change_source(&self, from: u32, to: u32) {
        if let Ok(mut inner) = self.inner.lock() {
            inner.change_source(from, to);
        }
    }

    /// Encrypts `packet` into `out`; the length there. `None`: it must not be sent.
    pub fn protect(&self, kind: Kind, packet: &[u8], out: &mut [u8]) -> Option<usize> {
        if self.expires(&self.spent[0]) {
            return None;
        }
        let mut inner = self.inner.lock().ok()?;
        hooks::panic_if_armed(hooks::Point::Protect);
        let sealed = match kind {
            Kind::Rtp => inner.protect_rtp(packet, out),
            Kind::Rtcp => inner.protect_rtcp(packet, out),
        };
        drop(inner);
        match sealed {
            Ok(length) => Some(length),
            Err(reason) => {
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

    /// Authenticates and decrypts `packet` in place; the length that is left. `None`: it is nothing.
    pub fn unprotect(&self, kind: Kind, packet: &mut [u8]) -> Option<usize> {
        if self.expires(&self.spent[1]) {
            return None;
        }
        let mut inner = self.inner.lock().ok()?;
        hooks::panic_if_armed(hooks::Point::Unprotect);
        let opened = match kind {
            Kind::Rtp => inner.unprotect_rtp(packet, host::monotonic_ms()),
            Kind::Rtcp => inner.unprotect_rtcp(packet, host::monotonic_ms()),
        };
        let received = inner.counters().received_rtp;
        drop(inner);
        match opened {
            Ok(length) => {
                if self.failing.load(Ordering::Relaxed) != 0 {
                    self.failing.store(0, Ordering::Relaxed);
                }
                if received % NAMES_EVERY == 1 {
                    self.refresh_names();
                }
                Some(length)
            }
            Err(reason) => {
                self.report_failure(kind, reason);
                None
            }
        }
    }

    /// Whether a packet comes behind the lifetime of its key. It is counted then.
    fn expires(&self, spent: &AtomicBool) -> bool {
        let expires = spent.load(Ordering::Relaxed);
        if expires {
            self.expired.fetch_add(1, Ordering::Relaxed);
        }
        expires
    }

    /// A line for the operator when a stream keeps failing, not one for each packet.
    fn report_failure(&self, kind: Kind, reason: UnprotectError) {
        if reason != UnprotectError::AuthFailed {
            return;
        }
        let failing = self.failing.fetch_add(1, Ordering::Relaxed) + 1;
        if failing == FIRST_LINE
            || (failing > FIRST_LINE && (failing - FIRST_LINE).is_multiple_of(NEXT_LINES))
        {
            let names = self.refresh_names();
            limited::log(
                Level::Warn,
                "packets not authenticated",
                &names.peer,
                format_args!(
                    "{failing} packets in a row do not authenticate ({kind}, {names}): the peer does not use the key that it announced, or somebody else sends to this port"
                ),
            );
        }
    }
}
