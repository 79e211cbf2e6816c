//! The module's use count: while somebody holds a [`ModuleRef`], Asterisk refuses to unload the module, and so do we.
//!
//! Asterisk's own count is ignored by a forced unload, so ours is kept beside it. It has a gate: an unload that finds
//! nobody in [closes](close) it, and from then on nobody can [enter](ModuleRef::enter). Both are one atomic step, so a
//! call either keeps the module or finds it gone.

use std::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::guard::guard;
use super::{sys, text};

/// The top bit of [`HELD`]: nobody may enter.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// The module's name in Asterisk's list.
pub const MODULE: &str = "res_ciphertrunk.so";

static HELD: AtomicUsize = AtomicUsize::new(0);

/// One count of the module's use. Whatever Asterisk may call back into holds one.
#[derive(Debug)]
pub struct ModuleRef(());

impl ModuleRef {
    /// Takes a reference, whether the gate is open or not: for what has been stopped before an unload closes the gate, and is still running or
    /// about to. The unload looks at the count once more.
    pub fn take() -> Self {
        HELD.fetch_add(1, Ordering::AcqRel);
        Self::counted()
    }

    /// Takes a reference. `None`: the module is being unloaded.
    pub fn enter() -> Option<Self> {
        HELD.fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| {
            (held & CLOSED == 0).then_some(held + 1)
        })
        .ok()
        .map(|_| Self::counted())
    }

    /// Tells Asterisk of a reference that [`HELD`] counts already.
    fn counted() -> Self {
        // SAFETY: AST_MODULE_SELF is set while code of the module runs, and Asterisk's count is atomic.
        unsafe { sys::ct_module_ref() };
        Self(())
    }
}

impl Drop for ModuleRef {
    fn drop(&mut self) {
        // SAFETY: gives back the one reference that `counted` took. Before ours, so that Asterisk's count is 0 when ours is.
        unsafe { sys::ct_module_unref() };
        HELD.fetch_sub(1, Ordering::AcqRel);
    }
}

/// References held now.
pub fn held() -> usize {
    HELD.load(Ordering::Acquire) & !CLOSED
}

/// Lets nobody in from now on. `false`: somebody is in, and the gate stays open.
pub fn close() -> bool {
    HELD.compare_exchange(0, CLOSED, Ordering::AcqRel, Ordering::Acquire)
        .is_ok()
}

/// Opens the gate.
pub fn open() {
    HELD.fetch_and(!CLOSED, Ordering::AcqRel);
}

/// Asterisk's own count. It has besides ours the console commands of ours that run now, and the sessions that hold a copy
/// of our supplement. Only on a thread that may take Asterisk's list of modules: load, reload and unload hold it.
pub fn uses() -> usize {
    static USES: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn entry(
        module: *const c_char,
        _description: *const c_char,
        uses: c_int,
        _status: *const c_char,
        _like: *const c_char,
        _support: sys::ast_module_support_level,
    ) -> c_int {
        guard(0, || {
            // SAFETY: the name of a module in the list, which is locked.
            if unsafe { text(module) }.is_some_and(|name| name == MODULE) {
                USES.store(usize::try_from(uses).unwrap_or(0), Ordering::Relaxed);
            }
            0
        })
    }

    USES.store(0, Ordering::Relaxed);
    // SAFETY: `entry` is called during the call alone, for each module in the list, and keeps nothing.
    unsafe { sys::ast_update_module_list(Some(entry), c"".as_ptr()) };
    USES.load(Ordering::Relaxed)
}
