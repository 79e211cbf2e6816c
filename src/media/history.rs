//! What a session has been through, as far as the proof of a call asks: how it began, and the keys it was given.

use std::hash::{DefaultHasher, Hash, Hasher};

use policy::facts::{KeySource, Known};
use policy::keylog::Direction;
use srtp::Policy;
use subtle::ConstantTimeEq;

use crate::config;
use crate::ffi::rtp::RtpInstance;
use crate::ffi::sync::Mutex;

use super::policy::PolicyBuilder;
use super::watch;

/// Of one session.
pub struct History {
    source: KeySource,
    /// RTP had been sent or received when it began, in clear; `None`: nobody counted.
    had_passed: Option<bool>,
    /// How often the engine had been lost by then.
    times_lost: u64,
    keys: Mutex<Keys>,
}

/// How many keys are kept: those of an offer and an answer, before and after a change, with MKIs.
const MOST_HELD: usize = 16;

/// Hashes of keys, to tell a new one from one that comes again; and the latest keys, where `keylog` may ask for them.
#[derive(Default)]
struct Keys {
    remote: Option<u64>,
    local: Option<u64>,
    /// Those of an offer, which may yet be refused.
    proposed: Option<(u64, u64)>,
    /// How often new ones came into force since the first.
    changes: u32,
    /// One came under which RTP is not encrypted (`UNENCRYPTED_SRTP`), be it that the offer was refused.
    unencrypted: bool,
    held: Vec<(Direction, Policy)>,
}

impl Keys {
    fn note(&mut self, direction: Direction, policies: &[Policy]) -> u64 {
        if config::current().keylog {
            self.hold(direction, policies);
        }
        self.unencrypted |= policies
            .iter()
            .any(|policy| policy.params().unencrypted_srtp);
        let mut hasher = DefaultHasher::new();
        for policy in policies {
            policy.key().key_salt().hash(&mut hasher);
        }
        hasher.finish()
    }

    fn note_both(&mut self, remote: &[Policy], local: &Policy) -> (u64, u64) {
        (
            self.note(Direction::In, remote),
            self.note(Direction::Out, std::slice::from_ref(local)),
        )
    }

    fn hold(&mut self, direction: Direction, policies: &[Policy]) {
        for policy in policies {
            let is_held = self.held.iter().any(|(way, held)| {
                *way == direction
                    && held.suite() == policy.suite()
                    && held.mki() == policy.mki()
                    && bool::from(held.key().key_salt().ct_eq(policy.key().key_salt()))
            });
            if !is_held {
                self.held.truncate(MOST_HELD - 1);
                self.held.insert(0, (direction, policy.clone()));
            }
        }
    }

    fn enter(&mut self, remote: u64, local: u64) {
        let before = (self.remote.replace(remote), self.local.replace(local));
        if before != (Some(remote), Some(local)) {
            self.changes += 1;
        }
    }
}

impl History {
    /// A session begins for `rtp`.
    pub fn begin(rtp: RtpInstance<'_>, remote: Option<&PolicyBuilder>) -> Self {
        let is_sdes = remote.is_some_and(PolicyBuilder::is_negotiated);
        Self {
            source: if is_sdes {
                KeySource::Sdes
            } else {
                KeySource::DtlsSrtp
            },
            had_passed: rtp.counts().map(|counts| counts.sent + counts.received > 0),
            times_lost: watch::lost().0,
            keys: Mutex::default(),
        }
    }

    /// The peer's keys are these from now on. With DTLS-SRTP ours follow, and are no second change.
    pub fn remote(&self, policies: &[Policy]) {
        let mut keys = self.keys.lock();
        let hash = keys.note(Direction::In, policies);
        if keys
            .remote
            .replace(hash)
            .is_some_and(|before| before != hash)
        {
            keys.changes += 1;
        }
    }

    /// Ours are these.
    pub fn local(&self, policies: &[Policy]) {
        let mut keys = self.keys.lock();
        let hash = keys.note(Direction::Out, policies);
        keys.local = Some(hash);
    }

    /// Both are these.
    pub fn both(&self, remote: &[Policy], local: &Policy) {
        let mut keys = self.keys.lock();
        let (remote, local) = keys.note_both(remote, local);
        keys.enter(remote, local);
    }

    /// Both are to be these, once the answer stands.
    pub fn propose(&self, remote: &[Policy], local: &Policy) {
        let mut keys = self.keys.lock();
        keys.proposed = Some(keys.note_both(remote, local));
    }

    /// The answer stands.
    pub fn commit(&self) {
        let mut keys = self.keys.lock();
        if let Some((remote, local)) = keys.proposed.take() {
            keys.enter(remote, local);
        }
    }

    /// The offer was refused.
    pub fn cancel(&self) {
        self.keys.lock().proposed = None;
    }

    /// The latest keys, be it that their offer was refused. None with `[general] keylog = no`.
    pub fn held(&self) -> Vec<(Direction, Policy)> {
        self.keys.lock().held.clone()
    }

    /// Where its first keys came from.
    pub fn source(&self) -> KeySource {
        self.source
    }

    /// How often new keys came into force since the first.
    pub fn rekeys(&self) -> u32 {
        self.keys.lock().changes
    }

    /// Whether keys came with which packets are not encrypted.
    pub fn is_unencrypted(&self) -> bool {
        self.keys.lock().unencrypted
    }

    /// Whether a packet of the stream went in clear, either way: before the session began, or since.
    ///
    /// # Errors
    ///
    /// Why it is not known.
    pub fn in_clear(&self) -> Known<bool> {
        if self.had_passed == Some(true) {
            return Ok(true);
        }
        if self.had_passed.is_none() {
            return Err("Asterisk did not count RTP before SRTP began");
        }
        if self.times_lost != watch::lost().0 {
            return Err("the SRTP engine was taken away for a while during the call");
        }
        if self.is_unencrypted() {
            return Err("a key with UNENCRYPTED_SRTP was agreed or proposed");
        }
        Ok(false)
    }
}
