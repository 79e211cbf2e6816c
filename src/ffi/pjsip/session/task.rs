//! Tasks for a session's serializer.

use std::ffi::{c_int, c_void};

use crate::ffi::ao2::Ao2;
use crate::ffi::guard::guard;
use crate::ffi::module_ref::ModuleRef;
use crate::ffi::owned::{ForeignOwnable, give};
use crate::ffi::sys;

use super::Session;

/// What is to be done with a session, in its serializer. While it waits there it keeps the session, and the module, whose
/// code it is.
struct Task {
    session: Ao2,
    run: fn(&Session<'_>),
    _module: ModuleRef,
}

/// Has `run` be called in the session's serializer, behind what waits there. `false`: it will not be: the serializer takes
/// nothing, or the module is being unloaded.
///
/// # Safety
///
/// `session` is a reference to an `ast_sip_session`.
pub(super) unsafe fn push(session: Ao2, run: fn(&Session<'_>)) -> bool {
    let Some(module) = ModuleRef::enter() else {
        return false;
    };
    // SAFETY: a session, by the caller, which the reference keeps; its serializer does not change.
    let serializer = unsafe { (*session.as_ptr().cast::<sys::ast_sip_session>()).serializer };
    let task = give(Task {
        session,
        run,
        _module: module,
    });
    // SAFETY: the session keeps its serializer, and the task keeps the session; `run_task` takes the task back, once.
    if unsafe { sys::ct_sip_push_task(serializer, Some(run_task), task.cast()) } == 0 {
        return true;
    }
    // SAFETY: given above, and Asterisk did not take it.
    drop(unsafe { Box::from_foreign(task) });
    false
}

/// # Safety
///
/// `task` is from `push`, and not taken back before.
unsafe extern "C" fn run_task(task: *mut c_void) -> c_int {
    guard((), || {
        // SAFETY: by the caller.
        let task = unsafe { Box::from_foreign(task.cast::<Task>()) };
        // SAFETY: a session, by `push`, which the task's reference keeps; this is a task of its serializer.
        if let Some(session) = unsafe { Session::from_raw(task.session.as_ptr().cast()) } {
            (task.run)(&session);
        }
    });
    0
}
