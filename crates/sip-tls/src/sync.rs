//! Locks. In the loom tests they are loom's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, PoisonError};
use std::time::{Duration, Instant};

#[cfg(all(loom, test))]
use loom::sync as imp;
#[cfg(not(all(loom, test)))]
use std::sync as imp;

/// A mutex whose poison is no error: what these locks protect is put in, changed and taken out whole, so it is good whatever
/// panicked near it.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(imp::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Mutex(imp::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> imp::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) type MutexGuard<'a, T> = imp::MutexGuard<'a, T>;

/// Something that happens once, and can be waited for.
#[derive(Debug, Default)]
pub(crate) struct Once {
    happened: AtomicBool,
    lock: std::sync::Mutex<()>,
    changed: Condvar,
}

impl Once {
    pub(crate) fn happens(&self) {
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.happened.store(true, Ordering::Release);
        drop(guard);
        self.changed.notify_all();
    }

    pub(crate) fn has_happened(&self) -> bool {
        self.happened.load(Ordering::Acquire)
    }

    /// Waits at most so long; whether it has happened.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.has_happened() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            guard = self
                .changed
                .wait_timeout(guard, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }
}
