//! A mutex whose poison is no error.
//!
//! A panic is caught at the entry from C (`guard`) and fails one call. What a lock of this kind protects is put in, changed
//! and taken out whole, so it is good whatever panicked near it. Where that does not hold, use `std`'s and let the poison
//! fail every later call (`media::session`).
//!
//! `std`'s mutex is a futex without a thread-local that has a destructor, which would pin the library (docs/safety.md).

use std::sync::{Condvar, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// See the module.
#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A mutex around `value`.
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the lock, and then until `condition` no longer holds, for `time` at most; `changed` says when to look.
    pub fn wait_timeout_while(
        &self,
        changed: &Condvar,
        time: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'_, T> {
        let waited = changed.wait_timeout_while(self.lock(), time, condition);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// The lock, if nobody has it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
