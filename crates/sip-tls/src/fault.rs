//! Deliberate faults, for tests. In a build without the feature `test-hooks` there are none, and asking costs nothing.

/// Whether the fault `name` is armed; it is spent then.
#[cfg(not(feature = "test-hooks"))]
#[inline(always)]
pub(crate) fn fires(_name: &str) -> bool {
    false
}

#[cfg(feature = "test-hooks")]
pub use armed::arm;
#[cfg(feature = "test-hooks")]
pub(crate) use armed::fires;

/// The framer panics at what a connection has just sent.
pub(crate) const FRAMER: &str = "tls-framer";
/// An I/O loop panics when it starts.
pub(crate) const LOOP_START: &str = "tls-loop-start";
/// An I/O loop's `epoll_wait` fails.
pub(crate) const EPOLL_WAIT: &str = "tls-epoll-wait";

/// Panics if the fault `name` is armed.
pub(crate) fn panic_if(name: &'static str) {
    assert!(!fires(name), "deliberate panic for a test at {name}");
}

#[cfg(feature = "test-hooks")]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::sync::Mutex;

    static ARMED: LazyLock<Mutex<Vec<String>>> = LazyLock::new(Mutex::default);
    /// How many are armed, so that connections do not queue at the lock.
    static COUNT: AtomicUsize = AtomicUsize::new(0);

    /// The next pass through the place called `name` (`tls-framer`, `tls-loop-start`, `tls-epoll-wait`) fails, once for each call.
    pub fn arm(name: &str) {
        let mut armed = ARMED.lock();
        armed.push(name.to_owned());
        COUNT.store(armed.len(), Ordering::Relaxed);
    }

    pub(crate) fn fires(name: &str) -> bool {
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
