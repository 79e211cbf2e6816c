//! `transport` of a build without PJSIP: no TLS transport is ever ours.

/// There is none.
#[derive(Debug)]
pub enum Tls {}

impl Tls {
    /// Of none.
    pub fn reload(&self) {
        match *self {}
    }

    /// Likewise.
    pub fn stop(self) -> bool {
        match self {}
    }
}

/// Transports that live.
pub fn live() -> usize {
    0
}

/// Factories that were made.
pub fn factories() -> usize {
    0
}

/// Not called: there is no [`Pjsip`](crate::ffi::late::Pjsip).
pub fn start() -> Result<Tls, String> {
    Err("this module was built without PJSIP".to_owned())
}

/// It keeps nothing of ours.
pub fn forget_openssl() {}
