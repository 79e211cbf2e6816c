//! Threads that pjlib knows.
//!
//! pjlib keeps a record of each thread that calls it and reads it when it locks: a call by a thread without one fails an
//! assertion or dereferences NULL. [`PjThread`] is the proof that this thread has a record.

use std::ffi::CString;
use std::io;
use std::marker::PhantomData;

use super::Status;
use crate::ffi::opaque::Opaque;
use crate::ffi::thread::{self, Thread};
use crate::ffi::{c_text, sys};

/// This thread is known to pjlib.
///
/// # Invariants
///
/// It never leaves its thread (it is not `Send`), and pjlib's record of that thread stays until the thread ends.
#[derive(Clone, Copy)]
pub struct PjThread(PhantomData<*mut sys::pj_thread_t>);

/// pjlib's record of a thread, and the name that it points to.
struct Record {
    words: Opaque<sys::pj_thread_desc>,
    name: CString,
}

impl Record {
    fn new(name: &str) -> Self {
        Self {
            words: Opaque::zeroed(),
            name: c_text(name),
        }
    }

    /// Gives pjlib this record for the calling thread.
    ///
    /// # Safety
    ///
    /// The record stays where it is until this thread has made its last call of pjlib.
    unsafe fn register(&self) -> Result<(), Status> {
        let mut thread = std::ptr::null_mut();
        // SAFETY: `words` is a `pj_thread_desc` that only pjlib uses; both it and the name stay, by the caller.
        Status::check(unsafe {
            sys::pj_thread_register(self.name.as_ptr(), self.words.get().cast(), &raw mut thread)
        })
    }
}

impl PjThread {
    /// The calling thread, which is made known to pjlib if it is not.
    ///
    /// # Panics
    ///
    /// pjlib does not take it.
    pub fn here() -> Self {
        make_known();
        assert!(is_known(), "pjlib does not take a thread");
        // SAFETY: known now. The record is the one that `spawn` keeps until the thread ends, or one that is never freed, or
        // that of a thread of C's, which keeps its own.
        unsafe { Self::current() }
    }

    /// The calling thread, which pjlib knows already.
    ///
    /// # Safety
    ///
    /// pjlib knows this thread, and will as long as it runs: pjsip or res_pjsip called us on it, whose threads keep their
    /// record until they end.
    pub(super) unsafe fn current() -> Self {
        Self(PhantomData)
    }
}

/// Starts a thread called `name` that pjlib knows; `body` gets the proof.
///
/// # Errors
///
/// The system's, when it has no thread to give.
pub fn spawn(name: &str, body: impl FnOnce(PjThread) + Send + 'static) -> io::Result<Thread> {
    let name = name.to_owned();
    thread::spawn(&name.clone(), move || {
        let record = Record::new(&name);
        // SAFETY: the record is dropped when `body` is done, and this thread does nothing after that.
        match unsafe { record.register() } {
            Ok(()) => body(PjThread(PhantomData)),
            Err(status) => log::error!(
                "{name}: pjlib does not take the thread (status {}), and it ends",
                status.raw()
            ),
        }
    })
}

/// Whether pjlib knows the calling thread.
pub(super) fn is_known() -> bool {
    // SAFETY: reads a thread-specific value of pjlib's, which is loaded.
    unsafe { sys::pj_thread_is_registered() != 0 }
}

/// Makes the calling thread known to pjlib, if it is not, for as long as it lives: for a `Drop`, which can ask nobody for a
/// proof. Connections end in threads that are known, so this is for the exception; a record stays for each such thread.
pub(super) fn make_known() {
    if is_known() {
        return;
    }
    let record: &'static Record = Box::leak(Box::new(Record::new("ciphertrunk")));
    // SAFETY: it is never freed.
    if let Err(status) = unsafe { record.register() } {
        log::error!("pjlib does not take a thread (status {})", status.raw());
    }
}
