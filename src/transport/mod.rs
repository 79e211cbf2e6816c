//! SIP over TLS: PJSIP's `protocol=tls` transports on `crates/sip-tls`.
//!
//! Stock's listener of each such transport is taken over after PJSIP has read its configuration, at start and after each
//! reload ([`adopt`]); connections live in a pool of I/O threads ([`engine`]); each is a `pjsip_transport`
//! (`ffi::pjsip::transport`).

mod adopt;
mod current;
mod engine;
mod facts;
mod options;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ffi::pjsip::config::{self, Observing, in_sip_thread};
use crate::ffi::pjsip::{factory, transport};

use adopt::Adopter;
pub use current::{Kept, Serving, current};
use engine::Engine;

/// SIP over TLS, while it is ours.
pub struct Tls {
    observing: Option<Observing>,
    adopter: Arc<Adopter>,
    engine: Engine,
}

/// Takes over the TLS transports.
///
/// # Errors
///
/// A sentence for the log; stock's transports stay as they are.
pub fn start() -> Result<Tls, String> {
    let engine = Engine::start()?;
    let adopter = Arc::new(Adopter::new(engine.pool()));
    in_sip_thread(|| adopter.adopt_all()).ok_or("PJSIP ran no task")?;
    let observing =
        config::observe(adopter.clone()).ok_or("PJSIP's configuration cannot be observed")?;
    Ok(Tls {
        observing: Some(observing),
        adopter,
        engine,
    })
}

/// One line of `ciphertrunk show transports`.
pub use adopt::Listening;

impl Tls {
    /// What listens.
    pub fn listening(&self) -> Vec<Listening> {
        self.adopter.listening()
    }

    /// What the engine counted.
    pub fn counts(&self) -> sip_tls::Counts {
        self.engine.pool().counts()
    }

    /// Reads certificates again, and what `ciphertrunk.conf` says of transports to leave alone.
    pub fn reload(&self) {
        in_sip_thread(|| self.adopter.adopt_all());
    }

    /// Gives stock its listeners back and closes every connection. `false`: PJSIP still points to one, and the library must
    /// stay.
    pub fn stop(mut self) -> bool {
        // No reload from here on.
        drop(self.observing.take());
        in_sip_thread(|| self.adopter.give_back_all());
        self.engine.stop();
        // PJSIP destroys a closed transport from a timer.
        let end = Instant::now() + LAST_CONNECTIONS;
        while transport::live() > 0 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        in_sip_thread(config::reclaim_factories);
        transport::live() == 0 && factory::live() == 0
    }
}

/// How long an unload waits for PJSIP to let go of connections that came in its last moment.
const LAST_CONNECTIONS: Duration = Duration::from_secs(5);

/// Connections and factories that PJSIP still points to.
pub fn live() -> usize {
    transport::live()
}

/// Factories that are not freed.
pub fn factories() -> usize {
    factory::live()
}
