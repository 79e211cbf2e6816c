//! `transport` of a build without PJSIP: no TLS transport is ever ours.

/// Why transports could not be given back: they were never taken.
#[derive(Debug)]
pub enum Kept {}

impl Kept {
    /// What is still ours.
    pub fn asked(self) -> Option<Serving> {
        match self {}
    }
}

/// Never made: there is no [`Pjsip`](crate::ffi::late::Pjsip).
#[derive(Debug)]
pub enum Serving {}

impl Serving {
    /// Of none.
    pub fn stop(self) -> Result<(), Kept> {
        match self {}
    }
}

/// Never made.
#[derive(Debug)]
pub enum Tls {}

impl Tls {
    /// Of none.
    pub fn give_back(&self) {
        match *self {}
    }

    /// Of none.
    pub fn take_back(&self) {
        match *self {}
    }
}

/// The TLS transports that are ours: none.
pub fn current() -> Option<Tls> {
    None
}

/// Which connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// That carry no call.
    Idle,
    /// All.
    All,
}

/// Closes connections: there are none.
pub fn close(_which: Which) -> usize {
    0
}

/// Connections that PJSIP points to.
pub fn live() -> usize {
    0
}

/// Factories that were made.
pub fn factories() -> usize {
    0
}
