//! SIP over TLS: PJSIP's `protocol=tls` transports on `crates/sip-tls`.
//!
//! Stock's listener of each such transport is taken over after PJSIP has read its configuration, at start and after each
//! reload ([`adopt`]); a factory in its place ([`factories`]) listens and connects ([`endpoint`]); connections live in a pool
//! of I/O threads ([`engine`], and what happens on them: [`events`]); each is a `pjsip_transport` (`ffi::pjsip::transport`).

mod adopt;
mod connections;
mod current;
mod endpoint;
mod ends;
mod engine;
mod events;
pub mod expiry;
mod factories;
mod limits;
pub mod options;
mod status;
pub mod tally;
mod told;
mod words;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ffi::guard::guard;
use crate::ffi::pjsip::servant::in_sip_thread;
use crate::ffi::pjsip::sorcery::{self, Observing};
use crate::ffi::pjsip::transport;
use crate::ffi::thread::{self, Thread};

use sip_tls::{Files, Watcher};

use adopt::Adopter;
pub use connections::{
    About, Shown, Which, all, close, count, first, meant_by, peers_certificates,
};
pub use current::{Serving, current};
pub use ends::look as tell_ends;
use engine::Engine;

/// SIP over TLS, while it is ours.
pub struct Tls {
    /// `None`: no longer, or never.
    observing: Option<Observing>,
    adopter: Arc<Adopter>,
    engine: Engine,
    /// Watches the transports' files. A thread of its own: a file system may hang, and nobody else may hang with it.
    files: Option<(Files, Thread)>,
}

/// Takes over the TLS transports.
///
/// # Errors
///
/// A sentence for the log; stock's transports stay as they are.
pub fn start() -> Result<Tls, String> {
    let engine = Engine::start()?;
    let watch = Files::new();
    let files = watch.as_ref().ok().map(|(files, _)| files.clone());
    let adopter = Arc::new(Adopter::new(engine.pool(), files.clone()));
    let mut tls = Tls {
        observing: None,
        adopter: Arc::clone(&adopter),
        engine,
        files: None,
    };
    match watch.and_then(|(_, watcher)| watch_files(watcher, &adopter)) {
        Ok(thread) => tls.files = files.map(|files| (files, thread)),
        Err(error) => log::warn!(
            "the TLS transports' files are not watched ({error}): a renewed certificate needs a reload of res_pjsip.so"
        ),
    }
    let failure = if in_sip_thread(|thread| adopter.adopt_all(thread)).is_none() {
        "PJSIP ran no task"
    } else {
        tls.observing = sorcery::observe(adopter);
        if tls.observing.is_some() {
            return Ok(tls);
        }
        "PJSIP's configuration cannot be observed"
    };
    tls.stop();
    Err(failure.to_owned())
}

/// Renews from the files what has changed, until the watch is told to stop.
fn watch_files(watcher: Watcher, adopter: &Arc<Adopter>) -> std::io::Result<Thread> {
    let adopter = Arc::clone(adopter);
    thread::spawn("ciphertrunk files", move || {
        if let Err(error) = watcher.run(|| guard((), || adopter.renew_files())) {
            log::error!("the TLS transports' files are not watched any more: {error}");
        }
    })
}

/// One line of `ciphertrunk show transports`.
pub use adopt::Listening;

impl Tls {
    /// What listens.
    pub fn listening(&self) -> Vec<Listening> {
        self.adopter.listening()
    }

    /// The `protocol=tls` transports that are not ours, and why.
    pub fn left(&self) -> Vec<(String, String)> {
        self.adopter.left()
    }

    /// Whether the latest look could put everything in force that is configured.
    pub fn is_whole(&self) -> bool {
        self.adopter.is_whole()
    }

    /// The certificates of those that are ours and their chains, by transport.
    pub fn certificates(&self) -> Vec<(String, sip_tls::OwnCertificate)> {
        self.adopter.certificates()
    }

    /// What the engine counted.
    pub fn counts(&self) -> sip_tls::Counts {
        self.engine.pool().counts()
    }

    /// What clients have now.
    pub fn usage(&self) -> sip_tls::Usage {
        self.engine.pool().usage()
    }

    /// The connections of each I/O loop.
    pub fn loads(&self) -> Vec<usize> {
        self.engine.pool().loads()
    }

    /// Reads certificates again, and what `ciphertrunk.conf` says of transports to leave alone and of limits.
    pub fn reload(&self) {
        self.engine.pool().set_limits(limits::load());
        in_sip_thread(|thread| self.adopter.adopt_all(thread));
    }

    /// Gives stock its listeners back. Connections stay, and no reload takes a transport over until
    /// [`take_back`](Self::take_back).
    pub fn give_back(&self) {
        in_sip_thread(|thread| self.adopter.give_back_all(thread));
    }

    /// Takes the transports over again.
    pub fn take_back(&self) {
        in_sip_thread(|thread| self.adopter.take_back_all(thread));
    }

    /// Gives stock its listeners back and closes every connection. `false`: PJSIP still points to one, or could still call a
    /// factory, and the library must stay.
    pub fn stop(mut self) -> bool {
        // No reload from here on, neither PJSIP's nor one that a file causes.
        if let Some((files, thread)) = self.files.take() {
            files.stop();
            drop(thread);
        }
        drop(self.observing.take());
        self.give_back();
        self.engine.stop();
        limits::unload();
        // PJSIP destroys a closed transport from a timer.
        let end = Instant::now() + LAST_CONNECTIONS;
        while transport::live() > 0 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        transport::live() == 0 && in_sip_thread(factories::seal).unwrap_or(false)
    }
}

/// How long an unload waits for PJSIP to let go of connections that came in its last moment.
const LAST_CONNECTIONS: Duration = Duration::from_secs(5);

/// Tells of what nobody else would: a server that answers no SIP, a certificate that is about to expire. The watch asks.
pub fn look() {
    connections::look();
    expiry::look();
}

/// Connections that PJSIP still points to.
pub fn live() -> usize {
    transport::live()
}

/// Factories that were made since the module was loaded: they are used again, and never freed.
pub fn factories() -> usize {
    factories::made()
}
