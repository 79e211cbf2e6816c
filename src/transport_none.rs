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

/// Connections that PJSIP points to.
pub fn live() -> usize {
    0
}

/// Factories that were made.
pub fn factories() -> usize {
    0
}
