//! A session's keys: those that are in force, those that are proposed, and their ages.

use std::sync::atomic::Ordering;

use log::Level;
use srtp::sdes::negotiation::Keys;
use srtp::sdes::{KeyAge, KeyLifetimes};
use srtp::{KeyUsage, LocalSsrc, PolicyError};

use crate::ffi::host;
use crate::ffi::rtp::RtpInstance;
use crate::limited;
use crate::media::calls;
use crate::media::policy::PolicyBuilder;
use crate::test_hooks;

use super::Session;

/// The ages of the two keys in force, as of the last look.
#[derive(Debug, Default)]
pub(super) struct Ages {
    lifetimes: KeyLifetimes,
    /// `strict_lifetime`: what a key that has reached its lifetime protects is dropped.
    strict: bool,
    local: KeyAge,
    /// Of the key that we send with, by the SSRCs that Asterisk has had under it.
    sources: KeyAge,
    remote: KeyAge,
}

/// What a look at the ages has found: those that have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aged {
    /// Of the key that we send with, by its lifetime.
    pub local: Option<KeyAge>,
    /// Of the same, by the SSRCs that Asterisk has had under it.
    pub sources: Option<KeyAge>,
    /// Of the peer's.
    pub remote: Option<KeyAge>,
}

impl Session {
    /// Takes the keys that the peer sends with. `false`: logged, and nothing has changed.
    pub fn set_remote(&self, rtp: RtpInstance<'_>, builder: &PolicyBuilder) -> bool {
        if let Some(suite) = builder.suite().filter(|_| !builder.is_negotiated()) {
            // The keys are taken all the same: without a session Asterisk would send in clear.
            let forbidden = !calls::permits_dtls(&rtp.channel_id(), suite);
            self.forbidden.store(forbidden, Ordering::Relaxed);
        }
        self.negotiate(rtp, |inner, now| {
            let policies = builder.build()?;
            self.history.remote(&policies);
            inner.set_remote(&policies, false, now)
        })
    }

    /// Takes the keys that this side sends with, for the policy's SSRC: with SDES for any, as a native bridge sends another leg's packets with
    /// theirs. `false`: logged, and nothing has changed.
    pub fn set_local(&self, rtp: RtpInstance<'_>, builder: &PolicyBuilder) -> bool {
        let ssrc = builder.ssrc().map_or(LocalSsrc::Any, LocalSsrc::Specific);
        // A stream bundled on this transport, which has an instance of its own that cannot be asked: Asterisk bundles for
        // browsers alone.
        let own = rtp.ssrc();
        let is_bundled = builder.ssrc().is_some_and(|ssrc| ssrc != own);
        self.negotiate(rtp, |inner, _| {
            if is_bundled {
                inner.keep_sent();
            }
            let policies = builder.build()?;
            self.history.local(&policies);
            if ssrc == LocalSsrc::Any {
                inner.set_own_source(own);
            }
            inner.set_local(ssrc, &policies[0])
        })
    }

    /// The peer's offer: its keys are tried beside the ones in force, and ours changes only when they are
    /// [committed](Self::commit). An offer that came before and was not committed is as if it had never come. `false`:
    /// logged.
    pub fn propose(&self, rtp: RtpInstance<'_>, keys: &Keys) -> bool {
        self.history.propose(&keys.remote, &keys.local);
        self.negotiate(rtp, |inner, now| {
            inner.cancel(now);
            inner.set_remote(&keys.remote, keys.peer_moved, now)?;
            let staged = inner.stage_local(LocalSsrc::Any, &keys.local);
            staged.inspect_err(|_| inner.cancel(now))
        })
    }

    /// Both sides' keys are in force now; what was pending never came. `false`: logged.
    pub fn put_in_force(&self, rtp: RtpInstance<'_>, keys: &Keys) -> bool {
        self.history.both(&keys.remote, &keys.local);
        self.negotiate(rtp, |inner, now| {
            inner.cancel(now);
            inner.set_remote(&keys.remote, keys.peer_moved, now)?;
            let set = inner.set_local(LocalSsrc::Any, &keys.local);
            match set {
                Ok(()) => inner.commit(),
                Err(_) => inner.cancel(now),
            }
            set
        })
    }

    /// A description of the peer's came, whatever it says.
    pub fn renew(&self) {
        if let Ok(mut inner) = self.inner.lock() {
            inner.renew();
        }
    }

    /// What was proposed was refused: as if it had never come.
    pub fn cancel(&self) {
        self.history.cancel();
        if let Ok(mut inner) = self.inner.lock() {
            inner.cancel(host::monotonic_ms());
        }
    }

    /// The answer to what was proposed stands.
    pub fn commit(&self) {
        self.history.commit();
        if let Ok(mut inner) = self.inner.lock() {
            inner.commit();
        }
    }

    fn negotiate(
        &self,
        rtp: RtpInstance<'_>,
        step: impl FnOnce(&mut srtp::Session, u64) -> Result<(), PolicyError>,
    ) -> bool {
        let retransmits = rtp.retransmits();
        let Ok(mut inner) = self.inner.lock() else {
            return false;
        };
        if retransmits {
            inner.keep_sent();
        }
        let done = step(&mut inner, host::monotonic_ms());
        drop(inner);
        if let Err(reason) = &done {
            let names = self.refresh_names(rtp);
            limited::log(
                Level::Error,
                "keys refused",
                &names.peer,
                format_args!("the SRTP keys of {names} were refused: {reason}"),
            );
        }
        done.is_ok()
    }

    /// New keys are in force, with these lifetimes. `strict`: what a key protects behind its lifetime is dropped.
    pub fn begin_lifetimes(&self, lifetimes: KeyLifetimes, strict: bool) {
        *self.ages.lock() = Ages {
            lifetimes,
            strict,
            ..Ages::default()
        };
        for spent in &self.spent {
            spent.store(false, Ordering::Relaxed);
        }
    }

    /// The age of the key that we send with.
    pub fn local_age(&self) -> KeyAge {
        let ages = self.ages.lock();
        ages.local.max(ages.sources)
    }

    /// Looks at the ages of the keys; those that have changed.
    pub fn update_key_ages(&self) -> Aged {
        let stats = self.stats();
        let extra = test_hooks::extra_packets();
        let usage = |key: KeyUsage| KeyUsage {
            rtp: key.rtp + extra,
            ..key
        };
        let mut ages = self.ages.lock();
        let local = KeyAge::of(usage(stats.local_key), ages.lifetimes.local);
        let sources = KeyAge::of_sources(stats.local_sources + test_hooks::extra_sources());
        let remote = KeyAge::of(usage(stats.remote_key), ages.lifetimes.remote);
        if ages.strict {
            for (spent, age) in self.spent.iter().zip([local, remote]) {
                spent.store(age == KeyAge::Spent, Ordering::Relaxed);
            }
        }
        let changed = Aged {
            local: (local != ages.local).then_some(local),
            sources: (sources != ages.sources).then_some(sources),
            remote: (remote != ages.remote).then_some(remote),
        };
        (ages.local, ages.sources, ages.remote) = (local, sources, remote);
        changed
    }
}
