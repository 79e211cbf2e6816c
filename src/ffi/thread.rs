//! Threads, made by Asterisk's own function: they show in `core show threads`, and no thread-local of Rust's pins the
//! library (a thread of ours ends before the module is unmapped).

use std::ffi::{CString, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use super::guard::guard;
use super::sys;

/// A running thread. It must be joined: dropping it leaves a thread in code that will be unmapped, so `Drop` joins.
#[derive(Debug)]
pub struct Thread {
    id: Option<libc::pthread_t>,
    /// What `core show threads` prints; Asterisk keeps the pointer while the thread runs.
    _name: CString,
}

type Body = Box<dyn FnOnce() + Send>;

extern "C" fn run(body: *mut c_void) -> *mut c_void {
    // SAFETY: `spawn` made it of a `Box<Body>` and gave it to this thread alone.
    let body: Box<Body> = unsafe { Box::from_raw(body.cast()) };
    guard((), *body);
    ptr::null_mut()
}

/// Starts a thread called `name`.
///
/// # Errors
///
/// The system's, when it has no thread to give.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    let name = super::c_text(name);
    let body: Box<Body> = Box::new(Box::new(body));
    let body = Box::into_raw(body);
    let mut id = MaybeUninit::<libc::pthread_t>::uninit();
    // SAFETY: `run` takes the box back; the name outlives the thread, because `Thread` joins before it drops it.
    let failed = unsafe {
        sys::ct_thread_create(
            id.as_mut_ptr().cast(),
            Some(run),
            body.cast(),
            name.as_ptr(),
        )
    };
    if failed != 0 {
        // SAFETY: no thread was made, so nobody else has the box.
        drop(unsafe { Box::from_raw(body) });
        return Err(io::Error::from_raw_os_error(failed));
    }
    Ok(Thread {
        // SAFETY: pthread_create wrote it.
        id: Some(unsafe { id.assume_init() }),
        _name: name,
    })
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            // SAFETY: made joinable by `spawn`, and joined once.
            unsafe { libc::pthread_join(id, ptr::null_mut()) };
        }
    }
}
