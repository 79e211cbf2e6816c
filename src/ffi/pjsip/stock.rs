//! pjproject's own factory of a TLS transport.

use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use crate::ffi::sys;

/// Stock's factory of a transport, while the state that points to it is held.
///
/// # Invariants
///
/// The pointer is to a live factory of pjproject's, and the value stays in a thread that pjlib knows (it is not `Send`).
#[derive(Debug)]
pub struct StockFactory<'state>(
    NonNull<sys::pjsip_tpfactory>,
    PhantomData<&'state sys::pjsip_tpfactory>,
);

impl StockFactory<'_> {
    /// # Safety
    ///
    /// NULL or a live factory of pjproject's, for the lifetime that the caller names; in a thread that pjlib knows.
    pub(super) unsafe fn new(raw: *mut sys::pjsip_tpfactory) -> Option<Self> {
        NonNull::new(raw).map(|raw| Self(raw, PhantomData))
    }

    /// Its pointer.
    pub(super) fn base(&self) -> *mut sys::pjsip_tpfactory {
        self.0.as_ptr()
    }

    /// Closes its socket. Its memory stays: connections that it has accepted point to it, and go on as pjproject's until
    /// they end, and dialogs may point to it for longer. That is one listener for each adoption.
    pub(super) fn close(self) {
        // SAFETY: live, by the invariant. Without a pool its `destroy` unregisters it and closes the socket, and cannot free.
        unsafe {
            (*self.base()).pool = ptr::null_mut();
            if let Some(destroy) = (*self.base()).destroy {
                destroy(self.base());
            }
        }
    }
}
