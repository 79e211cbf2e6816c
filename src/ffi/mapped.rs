//! The library stays mapped while the module serves.
//!
//! `module unload -h` ("hard") goes on after an unload that was refused: Asterisk closes the library, and the next packet of a
//! call would jump into nothing. One more handle of our own makes that harmless: Asterisk then calls the module not running,
//! calls go on, and `module load` puts it right.

use std::ffi::c_void;
use std::mem;
use std::ptr::NonNull;

use super::sys;

/// A handle of this library.
#[derive(Debug)]
pub struct Mapped(NonNull<c_void>);

// SAFETY: glibc's handles may be closed on any thread.
unsafe impl Send for Mapped {}

impl Mapped {
    /// Opens it. `None`: the library cannot be opened by its name any more; it was moved, for one.
    pub fn open() -> Option<Self> {
        // SAFETY: finds the library that is running, which is mapped.
        NonNull::new(unsafe { sys::ct_open_self() }).map(Self)
    }

    /// It is not closed here: it is for Asterisk's loader, which closes one when it unloads the module, or for nobody, and the
    /// library stays for ever.
    pub fn leak(self) {
        mem::forget(self);
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: opened by `open`, and closed once. Asterisk's loader, which has called us, has its own handle: it was there
        // before ours, or came from `leak`.
        unsafe { sys::ct_close_self(self.0.as_ptr()) };
    }
}
