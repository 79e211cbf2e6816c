//! `ciphertrunk drain`: no new calls are taken, idle connections are closed, and what is up goes on to its end. Then the
//! module can be unloaded.
//!
//! [`module`](crate::module) gives up what brings new calls and connections in; what is left is looked after here, by the
//! [watch](crate::media::watch)'s thread.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ffi::call::SessionKey;
use crate::ffi::module_ref;
use crate::ffi::sync::Mutex;
use crate::media::{calls, registry};
use crate::transport::{self, Which};

/// Asked for each SDES line and each new session.
static ON: AtomicBool = AtomicBool::new(false);

/// How far the drain is, as far as the log has it. `None`: there is none.
static STAGE: Mutex<Option<Stage>> = Mutex::new(None);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Draining,
    Empty,
}

/// Whether the module is being drained.
pub fn is_on() -> bool {
    ON.load(Ordering::Acquire)
}

/// From here on no new SRTP session begins. `false`: it was so already.
pub fn begin() -> bool {
    let mut stage = STAGE.lock();
    ON.store(true, Ordering::Release);
    let new = stage.is_none();
    stage.get_or_insert(Stage::Draining);
    new
}

/// Everything begins again. `false`: there was no drain.
pub fn end() -> bool {
    let mut stage = STAGE.lock();
    ON.store(false, Ordering::Release);
    stage.take().is_some()
}

/// Calls of PJSIP's that have begun since. There are none known where nobody makes demands of calls.
static LATE: Mutex<BTreeSet<SessionKey>> = Mutex::new(BTreeSet::new());

/// A call of PJSIP's begins.
#[cfg(feature = "pjsip")]
pub fn begun(key: SessionKey) {
    if is_on() {
        LATE.lock().insert(key);
    }
}

/// It has ended.
#[cfg(feature = "pjsip")]
pub fn ended(key: SessionKey) {
    LATE.lock().remove(&key);
}

/// Whether a call that is known began while the module was being drained.
pub fn is_late(key: SessionKey) -> bool {
    LATE.lock().contains(&key)
}

/// What keeps the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    calls: usize,
    sessions: usize,
    connections: usize,
    /// Uses of the module, those of the above among them.
    uses: usize,
}

impl Left {
    /// As it is now.
    pub fn now() -> Self {
        Self {
            calls: calls::count(),
            sessions: registry::count(),
            connections: transport::live(),
            uses: module_ref::held(),
        }
    }

    fn has_call(self) -> bool {
        self.calls + self.sessions > 0
    }

    /// Whether an unload would find nobody.
    pub fn is_nothing(self) -> bool {
        !self.has_call() && self.connections + self.uses == 0
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} calls, {} SRTP sessions, {} connections left",
            self.calls, self.sessions, self.connections
        )
    }
}

/// Closes what may be closed by now, and says when nothing is left. The watch asks.
pub fn look() {
    if !is_on() {
        return;
    }
    // A connection may have come while the listeners closed.
    let left = Left::now();
    transport::close(if left.has_call() {
        Which::Idle
    } else {
        Which::All
    });
    let mut stage = STAGE.lock();
    if *stage == Some(Stage::Draining) && left.is_nothing() {
        *stage = Some(Stage::Empty);
        drop(stage);
        log::info!(
            "the drain is done, no call and no connection is left: `module unload res_ciphertrunk.so` works now"
        );
    }
}
