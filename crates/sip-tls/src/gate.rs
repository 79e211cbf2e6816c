//! Who may come in: the limits in force, and what is counted against them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::limits::{Accounts, Limits, Owner, Usage};
use crate::reason::Code;
use crate::sync::Mutex;

#[derive(Debug, Default)]
struct State {
    limits: Limits,
    accounts: Accounts,
}

/// One for the engine. Its lock is a leaf.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<State>);

impl Gate {
    pub(crate) fn new(limits: Limits) -> Gate {
        Gate(Mutex::new(State {
            limits,
            accounts: Accounts::default(),
        }))
    }

    /// From now on these hold. What is there stays.
    pub(crate) fn set(&self, limits: Limits) {
        self.0.lock().limits = limits;
    }

    pub(crate) fn usage(&self) -> Usage {
        self.0.lock().accounts.usage()
    }

    /// A connection from `address` was accepted, and its descriptor has this number: whether it may stay.
    pub(crate) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        descriptor: usize,
    ) -> Result<Pass, Code> {
        let State { limits, accounts } = &mut *self.0.lock();
        let owner = accounts.admit(limits, address, descriptor, Instant::now())?;
        Ok(Pass {
            gate: Arc::clone(self),
            owner,
            is_handshaking: true,
        })
    }
}

/// A connection that was let in. Dropping it gives back what is counted for it: when its socket is closed.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    owner: Owner,
    is_handshaking: bool,
}

impl Pass {
    /// Its handshake is done.
    pub(crate) fn established(&mut self) {
        if std::mem::take(&mut self.is_handshaking) {
            self.gate.0.lock().accounts.established(self.owner);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.0.lock();
        state
            .accounts
            .left(self.owner, self.is_handshaking, Instant::now());
    }
}
