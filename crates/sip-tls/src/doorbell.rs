//! Waking an I/O loop, at most once per sleep.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mio::Waker;

#[derive(Default)]
struct State {
    /// Connections with something to do.
    slots: Vec<usize>,
    rung: bool,
    asleep: bool,
}

pub(crate) struct Doorbell {
    waker: Waker,
    state: Mutex<State>,
}

impl Doorbell {
    pub(crate) fn new(waker: Waker) -> Self {
        Doorbell {
            waker,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the loop to look at a connection, or at its commands.
    pub(crate) fn ring(&self, slot: Option<usize>) {
        let mut state = self.state();
        state.slots.extend(slot);
        state.rung = true;
        let wake = std::mem::replace(&mut state.asleep, false);
        drop(state);
        if wake {
            // The eventfd's counter cannot overflow, for it is rung once per sleep; and nothing else can fail.
            let _ = self.waker.wake();
        }
    }

    /// Before waiting: `false` if the bell has rung and the loop must not sleep.
    pub(crate) fn sleep(&self) -> bool {
        let mut state = self.state();
        state.asleep = !state.rung;
        state.asleep
    }

    /// After waiting: what has been asked for, moved into `slots`.
    pub(crate) fn answer(&self, slots: &mut Vec<usize>) {
        let mut state = self.state();
        state.asleep = false;
        state.rung = false;
        slots.append(&mut state.slots);
    }
}
