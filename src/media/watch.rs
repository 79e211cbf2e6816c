//! The watch over the engine.
//!
//! Asterisk has one SRTP engine, and anybody can take it away. With none, `res_rtp_asterisk.c` sends a live SRTP call in
//! clear. The guard in front of libsrtp's start (`ffi::libsrtp_guard`) keeps stock's module from doing that; this is the
//! second line: it looks, takes the engine back, and says for how long it was gone. The lifetimes of keys are looked at on
//! the same thread, legs given back from native bridges to the core, the summaries of suppressed log lines written, events sent, and a drain brought to its end.
//!
//! An unload waits for this thread while Asterisk's list of modules is locked: nothing here may ask Asterisk's loader for
//! anything.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar};
use std::time::{Duration, Instant};

use crate::drain;
use crate::ffi::prometheus;
use crate::ffi::srtp::{self as engine, Owner};
use crate::ffi::sync::Mutex;
use crate::ffi::thread::{self, Thread};
use crate::keylog;
use crate::limited;
use crate::observe::{events, metrics};

use super::{lifetime, passing};

/// How often connections are looked at: there may be many.
#[cfg(feature = "pjsip")]
const CONNECTIONS_INTERVAL: Duration = Duration::from_secs(2);
/// How often it looks: a tenth of a second of five packets each way is the most that a lost engine can cost a call.
const INTERVAL: Duration = Duration::from_millis(100);

static TIMES_LOST: AtomicU64 = AtomicU64::new(0);
static MILLISECONDS_LOST: AtomicU64 = AtomicU64::new(0);

/// How often and for how long the engine was not ours since load.
pub fn lost() -> (u64, Duration) {
    let milliseconds = MILLISECONDS_LOST.load(Ordering::Relaxed);
    (
        TIMES_LOST.load(Ordering::Relaxed),
        Duration::from_millis(milliseconds),
    )
}

/// The running watch; dropping it stops it.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<(Mutex<bool>, Condvar)>,
    // Dropped after `drop` below has set `stop`: joins.
    _thread: Thread,
}

/// Starts the watch.
///
/// # Errors
///
/// No thread could be made.
pub fn start() -> io::Result<Watch> {
    let stop = Arc::new((Mutex::new(false), Condvar::new()));
    let its_stop = Arc::clone(&stop);
    let thread = thread::spawn("ciphertrunk watch", move || {
        let mut engine = Engine::default();
        let mut last_lifetimes = Instant::now();
        #[cfg(feature = "pjsip")]
        let mut last_connections = Instant::now();
        while !stopped_within(&its_stop, INTERVAL) {
            engine.look();
            passing::look();
            limited::summarise();
            events::send();
            drain::look();
            keylog::look();
            prometheus::look(metrics::page);
            #[cfg(feature = "pjsip")]
            crate::demand::look();
            #[cfg(feature = "pjsip")]
            crate::transport::tell_ends();
            #[cfg(feature = "pjsip")]
            if last_connections.elapsed() >= CONNECTIONS_INTERVAL {
                last_connections = Instant::now();
                crate::transport::look();
            }
            if last_lifetimes.elapsed() >= lifetime::INTERVAL {
                last_lifetimes = Instant::now();
                lifetime::look();
            }
        }
        events::send_rest();
    })?;
    Ok(Watch {
        stop,
        _thread: thread,
    })
}

/// Waits. `true`: the watch is to stop.
fn stopped_within(stop: &(Mutex<bool>, Condvar), time: Duration) -> bool {
    let (stopped, changed) = stop;
    *stopped.wait_timeout_while(changed, time, |stopped| !*stopped)
}

/// What the watch knows of the engine.
struct Engine {
    /// When it was ours last.
    last_seen: Instant,
    /// That another module has it was said.
    told: bool,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            last_seen: Instant::now(),
            told: false,
        }
    }
}

impl Engine {
    fn look(&mut self) {
        match engine::owner() {
            Owner::Ours => {
                self.last_seen = Instant::now();
                self.told = false;
            }
            // Another look comes, if somebody was faster.
            Owner::Nobody => {
                if engine::register_again() {
                    self.taken_back();
                }
            }
            Owner::Another if !self.told => {
                self.told = true;
                log::error!(
                    "another module has made itself Asterisk's SRTP engine: SRTP is not Ciphertrunk's now. Find that module \
                     and unload it (`noload` in modules.conf keeps it out): Ciphertrunk takes the engine back at once"
                );
            }
            Owner::Another => {}
        }
    }

    fn taken_back(&mut self) {
        let gone = self.last_seen.elapsed();
        *self = Self::default();
        TIMES_LOST.fetch_add(1, Ordering::Relaxed);
        MILLISECONDS_LOST.fetch_add(
            u64::try_from(gone.as_millis()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        log::error!(
            "the SRTP engine was taken away and is ours again after at most {:.2} s, in which calls may have gone out in \
             clear. Find the module that unregistered it",
            gone.as_secs_f64()
        );
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let (stopped, changed) = &*self.stop;
        *stopped.lock() = true;
        changed.notify_all();
    }
}
