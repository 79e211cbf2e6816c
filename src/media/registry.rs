//! The live SRTP sessions, and the sums of those that ended, for the console.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::AddAssign;
use std::sync::{Arc, MutexGuard};

use srtp::Counters;

use crate::ffi::sync::Mutex;

use super::session::{LiveSession, Session};

/// What several sessions counted.
#[derive(Debug, Clone, Copy)]
pub struct Totals {
    /// In `crates/srtp`.
    pub counters: Counters,
    /// Packets that `strict_lifetime` had dropped.
    pub expired: u64,
}

impl Totals {
    const ZERO: Self = Self {
        counters: Counters::ZERO,
        expired: 0,
    };

    fn of(session: &Session) -> Self {
        Self {
            counters: session.stats().counters,
            expired: session.expired(),
        }
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.counters += other.counters;
        self.expired += other.expired;
    }
}

struct Sessions {
    live: BTreeMap<usize, LiveSession>,
    ended: Totals,
}

static SESSIONS: Mutex<Sessions> = Mutex::new(Sessions {
    live: BTreeMap::new(),
    ended: Totals::ZERO,
});

fn sessions() -> MutexGuard<'static, Sessions> {
    SESSIONS.lock()
}

fn key(session: &Session) -> usize {
    std::ptr::from_ref(session).addr()
}

/// Enters a session that was made.
pub fn add(session: &LiveSession) {
    sessions().live.insert(key(session), Arc::clone(session));
}

/// Strikes out a session that Asterisk destroys, and keeps its counts.
pub fn remove(session: &Session) {
    let totals = Totals::of(session);
    let mut sessions = sessions();
    sessions.live.remove(&key(session));
    sessions.ended += totals;
}

/// The live sessions.
pub fn live() -> Vec<LiveSession> {
    sessions().live.values().cloned().collect()
}

/// The live session at this address.
pub fn at(address: NonZeroUsize) -> Option<LiveSession> {
    sessions().live.get(&address.get()).cloned()
}

/// Whether a session of this channel lives.
pub fn has_channel(channel: &str) -> bool {
    let mut sessions = live().into_iter();
    !channel.is_empty() && sessions.any(|session| session.names().channel == channel)
}

/// How many live.
pub fn count() -> usize {
    sessions().live.len()
}

/// The counts of all sessions since load, ended ones too.
pub fn totals() -> Totals {
    let (mut sum, live) = {
        let sessions = sessions();
        (
            sessions.ended,
            sessions.live.values().cloned().collect::<Vec<_>>(),
        )
    };
    for session in live {
        sum += Totals::of(&session);
    }
    sum
}
