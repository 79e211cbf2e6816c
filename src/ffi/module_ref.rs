//! A use count of the module: while one lives, Asterisk refuses to unload it.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::sys;

static HELD: AtomicUsize = AtomicUsize::new(0);

/// One count of the module's use. Whatever Asterisk may call back into holds one.
#[derive(Debug)]
pub struct ModuleRef(());

impl ModuleRef {
    /// Takes a reference.
    pub fn take() -> Self {
        // SAFETY: the module is registered while code of it runs; the count is atomic.
        unsafe { sys::ct_module_ref() };
        HELD.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for ModuleRef {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: gives back the one reference that `take` took.
        unsafe { sys::ct_module_unref() };
    }
}

/// References held now. A forced unload asks, because it ignores Asterisk's own count.
pub fn held() -> usize {
    HELD.load(Ordering::Relaxed)
}
