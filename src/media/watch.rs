//! The watch over the engine.
//!
//! Asterisk has one SRTP engine, and anybody can take it away. With none, `res_rtp_asterisk.c` sends a live SRTP call in
//! clear. `srtp_init` in the shim keeps stock's module from doing that; this is the second line: it looks, takes the
//! engine back, and says for how long it was gone. The lifetimes of keys are looked at on the same thread.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::ffi::host;
use crate::ffi::srtp::{self as engine, Owner};
use crate::ffi::thread::{self, Thread};

use super::lifetime;

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
        let (stopped, changed) = &*its_stop;
        let mut last_seen = Instant::now();
        let mut last_look = Instant::now();
        let mut refused = false;
        let mut guard = stopped.lock().unwrap_or_else(PoisonError::into_inner);
        while !*guard {
            (guard, _) = changed
                .wait_timeout(guard, INTERVAL)
                .unwrap_or_else(PoisonError::into_inner);
            if *guard {
                break;
            }
            if last_look.elapsed() >= lifetime::INTERVAL {
                last_look = Instant::now();
                drop(guard);
                lifetime::look();
                guard = stopped.lock().unwrap_or_else(PoisonError::into_inner);
            }
            if engine::owner() == Owner::Ours {
                last_seen = Instant::now();
                continue;
            }
            // Not held while Asterisk is called.
            drop(guard);
            refused = take_back(last_seen, refused);
            guard = stopped.lock().unwrap_or_else(PoisonError::into_inner);
        }
    })?;
    Ok(Watch {
        stop,
        _thread: thread,
    })
}

/// One attempt. `true`: another engine stays; said once (`refused`).
fn take_back(last_seen: Instant, refused: bool) -> bool {
    if engine::owner() == Owner::Another {
        host::unload_module("res_srtp.so");
    }
    if engine::register_again() {
        let gone = last_seen.elapsed();
        TIMES_LOST.fetch_add(1, Ordering::Relaxed);
        MILLISECONDS_LOST.fetch_add(
            u64::try_from(gone.as_millis()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        log::error!(
            "the SRTP engine was taken away and is ours again after at most {:.2} s, in which calls may have gone out \
             in clear. Find the module that unregistered it",
            gone.as_secs_f64()
        );
        return false;
    }
    if !refused {
        log::error!(
            "another module is Asterisk's SRTP engine and is in use: SRTP is not Ciphertrunk's. Put `noload = \
             res_srtp.so` into modules.conf and restart Asterisk"
        );
    }
    true
}

impl Drop for Watch {
    fn drop(&mut self) {
        let (stopped, changed) = &*self.stop;
        *stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }
}
