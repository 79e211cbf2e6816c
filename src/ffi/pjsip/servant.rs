//! PJSIP's own threads ("servants"), which work on its transports.

use std::ffi::{c_int, c_void};
use std::ptr;

use super::thread::{self, PjThread};
use crate::ffi::guard::guard;
use crate::ffi::sys;

/// This is a thread of PJSIP's, in a task that may block for a moment: no media and no message waits for it, and none of
/// pjsip's locks is held. Listeners are opened, closed and exchanged there.
///
/// It is no lock: PJSIP has many servants. Load, reload and unload of modules are in order by Asterisk's list of modules;
/// a transport of a realtime configuration is applied in whatever thread asks for it.
pub struct SipThread(PjThread);

impl SipThread {
    /// pjlib knows it.
    pub fn pj(&self) -> PjThread {
        self.0
    }
}

/// Runs `task` in a servant and waits for it. `None`: PJSIP did not run it, or it panicked.
pub fn in_sip_thread<R: Send>(task: impl FnOnce(&SipThread) -> R + Send) -> Option<R> {
    struct Call<F, R> {
        task: Option<F>,
        result: Option<R>,
    }
    extern "C" fn run<F: FnOnce(&SipThread) -> R, R>(data: *mut c_void) -> c_int {
        guard((), || {
            // SAFETY: the `Call` on the stack of `in_sip_thread`, which waits for this function and does not touch it
            // meanwhile.
            let call = unsafe { &mut *data.cast::<Call<F, R>>() };
            if let Some(task) = call.task.take() {
                // SAFETY: a servant of PJSIP's, which pjlib knows as long as it runs.
                let thread = SipThread(unsafe { PjThread::current() });
                call.result = Some(task(&thread));
            }
        });
        0
    }
    /// Names `run` for the closure's type, which has no name.
    fn entry<F: FnOnce(&SipThread) -> R, R>(
        _: &Call<F, R>,
    ) -> unsafe extern "C" fn(*mut c_void) -> c_int {
        run::<F, R>
    }
    let mut call = Call {
        task: Some(task),
        result: None,
    };
    let entry = entry(&call);
    // SAFETY: it returns when `run` is done with `call`, or was never called. Task and result are `Send`: they change threads.
    unsafe { sys::ct_sip_servant_wait(Some(entry), ptr::from_mut(&mut call).cast()) };
    call.result
}

/// Runs `task` in this thread, where Asterisk loads PJSIP's configuration: a servant at a reload of res_pjsip. Should
/// somebody else load it in a thread of another kind, a servant runs `task`, and this thread waits.
pub(super) fn while_configuring(task: impl FnOnce(&SipThread) + Send) {
    if thread::is_known() {
        // SAFETY: pjlib knows it, and Asterisk's threads keep their record until they end.
        task(&SipThread(unsafe { PjThread::current() }));
    } else {
        in_sip_thread(task);
    }
}
