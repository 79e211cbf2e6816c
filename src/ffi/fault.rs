//! Deliberate faults for the host tests. In a build for use there are none, and asking costs nothing.
//!
//! A fault is a name at the place where it happens: `fault::fires("pj_grp_lock_add_handler")` answers `true` once for each
//! time that the console's `ciphertrunk test fault NAME`, or for a load the file `ciphertrunk.faults`, has armed it.

/// Whether the fault `name` is armed; it is spent then.
#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub fn fires(_name: &'static str) -> bool {
    false
}

/// Nothing, in a build for use.
#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub fn arm_from_file() {}

/// Nothing, in a build for use.
#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub fn wait_for_a_user(_name: &'static str) {}

#[cfg(feature = "test-hooks")]
pub use armed::{arm, arm_from_file, fires, wait_for_a_user};

#[cfg(feature = "test-hooks")]
mod armed {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};
    use std::{fs, thread};

    use crate::ffi::sync::Mutex;
    use crate::ffi::{host, module_ref};

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

    /// Arms the faults of a load, one a line in `ciphertrunk.faults` beside `ciphertrunk.conf`: there is no console yet.
    pub fn arm_from_file() {
        let file = host::config_dir().join("ciphertrunk.faults");
        for name in fs::read_to_string(file).unwrap_or_default().lines() {
            arm(name);
        }
    }

    /// With the fault `name` armed, waits here until somebody uses the module.
    pub fn wait_for_a_user(name: &'static str) {
        if !fires(name) {
            return;
        }
        log::info!("{name}: waiting for a call");
        // Only a test that is broken reaches the limit.
        let end = Instant::now() + Duration::from_secs(120);
        while module_ref::held() == 0 && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
    }
}
