//! The TLS transports that are served now, for whoever asks about them.

use std::mem;
use std::sync::Arc;
use std::thread;

use crate::ffi::sync::Mutex;

use super::Tls;

static CURRENT: Mutex<Option<Arc<Tls>>> = Mutex::new(None);

/// The TLS transports, if they are ours. Asking them may wait for PJSIP; no lock of this file is held meanwhile.
pub fn current() -> Option<Arc<Tls>> {
    CURRENT.lock().clone()
}

/// Why transports could not be given back.
#[derive(Debug)]
pub enum Kept {
    /// Somebody asks them just now: they are still ours.
    Asked(Serving),
    /// They are pjproject's again, but PJSIP still points to a connection or a factory of ours.
    Used,
}

impl Kept {
    /// What is still ours.
    pub fn asked(self) -> Option<Serving> {
        match self {
            Self::Asked(serving) => Some(serving),
            Self::Used => None,
        }
    }
}

/// While it lives, [`current`] is somebody; dropping it gives the transports back to pjproject.
#[derive(Debug)]
pub struct Serving(());

impl Serving {
    /// Takes over the TLS transports.
    ///
    /// # Errors
    ///
    /// A sentence for the log; they stay pjproject's.
    pub fn start() -> Result<Self, String> {
        let tls = super::start()?;
        *CURRENT.lock() = Some(Arc::new(tls));
        Ok(Self(()))
    }

    /// Gives the transports back to pjproject, and closes their connections.
    ///
    /// # Errors
    ///
    /// [`Kept`]: the library must stay.
    pub fn stop(self) -> Result<(), Kept> {
        let Some(tls) = CURRENT.lock().take() else {
            return Ok(());
        };
        match Arc::try_unwrap(tls) {
            Ok(tls) => {
                mem::forget(self);
                tls.stop().then_some(()).ok_or(Kept::Used)
            }
            Err(asked) => {
                *CURRENT.lock() = Some(asked);
                Err(Kept::Asked(self))
            }
        }
    }
}

/// A load that fails after this step. Whoever asks just now is waited for.
impl Drop for Serving {
    fn drop(&mut self) {
        let Some(mut tls) = CURRENT.lock().take() else {
            return;
        };
        let tls = loop {
            match Arc::try_unwrap(tls) {
                Ok(tls) => break tls,
                Err(asked) => tls = asked,
            }
            thread::yield_now();
        };
        if !tls.stop() {
            log::error!("PJSIP still points to a TLS connection that was closed");
        }
    }
}
