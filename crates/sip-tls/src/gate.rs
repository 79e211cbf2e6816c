//! Who may come in: the limits in force, and what is counted against them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::code::Code;
use crate::limits::{Accounts, Limits, Owner, Usage};
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

    /// Whether connections from `address` begin with a PROXY protocol header.
    pub(crate) fn is_balancer(&self, address: IpAddr) -> bool {
        self.0.lock().limits.is_balancer(address)
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
            is_balancers: limits.is_balancer(address),
        })
    }
}

/// A connection that was let in. Dropping it gives back what is counted for it: when its socket is closed.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    owner: Owner,
    is_handshaking: bool,
    is_balancers: bool,
}

impl Pass {
    /// Whether it begins with a PROXY protocol header.
    pub(crate) fn is_balancers(&self) -> bool {
        self.is_balancers
    }

    /// The balancer's connection is this client's: whether it may stay.
    pub(crate) fn is_of(&mut self, client: IpAddr) -> Result<(), Code> {
        let State { limits, accounts } = &mut *self.gate.0.lock();
        self.owner = accounts.enter(limits, client, Instant::now())?;
        Ok(())
    }

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
