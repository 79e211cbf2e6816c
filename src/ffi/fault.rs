//! Deliberate faults for the host tests. In a build for use there are none, and asking costs nothing.
//!
//! A fault is a name at the place where it happens: `fault::fires("pj_grp_lock_add_handler")` answers `true` once for each
//! time that the console's `ciphertrunk test fault NAME` has armed it.

/// Whether the fault `name` is armed; it is spent then.
#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub fn fires(_name: &'static str) -> bool {
    false
}

#[cfg(feature = "test-hooks")]
pub use armed::{arm, fires};

#[cfg(feature = "test-hooks")]
mod armed {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::ffi::sync::Mutex;

    static ARMED: Mutex<Vec<String>> = Mutex::new(Vec::new());
    /// How many are armed: packets ask for faults too, and must not queue at a lock.
    static COUNT: AtomicUsize = AtomicUsize::new(0);

    /// The next pass through the place called `name` fails, once for each call.
    pub fn arm(name: &str) {
        let mut armed = ARMED.lock();
        armed.push(name.to_owned());
        COUNT.store(armed.len(), Ordering::Relaxed);
    }

    /// Whether the fault `name` is armed; it is spent then.
    pub fn fires(name: &'static str) -> bool {
        if COUNT.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut armed = ARMED.lock();
        let found = armed.iter().position(|other| other == name);
        if let Some(index) = found {
            armed.swap_remove(index);
            COUNT.store(armed.len(), Ordering::Relaxed);
        }
        found.is_some()
    }
}
