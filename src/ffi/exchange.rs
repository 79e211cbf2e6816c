//! A function in a table of another module's, exchanged for one of ours, which calls it: in a channel technology's, which is a static
//! variable that any module may change (`ast_get_channel_tech`), or in a module of pjsip's.

use std::ffi::CStr;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::module_ref::ModuleRef;
use super::sys;

/// The function that was there, while ours stands there.
pub struct Original {
    function: AtomicPtr<()>,
    /// It could not be put back: another module stands before ours and calls it, for ever.
    buried: AtomicBool,
}

impl Original {
    pub(super) const fn new() -> Self {
        Self {
            function: AtomicPtr::new(ptr::null_mut()),
            buried: AtomicBool::new(false),
        }
    }

    /// As an address; NULL: ours has never stood there.
    pub(super) fn get(&self) -> *mut () {
        self.function.load(Ordering::Acquire)
    }
}

/// That ours stands there; dropping it puts the other back.
pub struct Exchange {
    place: &'static AtomicPtr<()>,
    ours: *mut (),
    original: &'static Original,
    what: &'static str,
}

// SAFETY: the pointer is an address of a function, and is compared.
unsafe impl Send for Exchange {}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Exchange({})", self.what)
    }
}

impl Exchange {
    /// Once at a time for each `original`. `None`: there is no such technology, or it has no such function.
    ///
    /// # Safety
    ///
    /// The technology's module stays while the value lives. `field` tells where the table has a function, and `ours` is one of its
    /// type, which calls `original` as one.
    pub(super) unsafe fn new(
        technology: &CStr,
        field: impl FnOnce(*mut sys::ast_channel_tech) -> *mut *mut (),
        ours: *mut (),
        original: &'static Original,
        what: &'static str,
    ) -> Option<Self> {
        // SAFETY: a text that stays during the call; the rest is the caller's.
        unsafe {
            let table = sys::ast_get_channel_tech(technology.as_ptr()).cast_mut();
            if table.is_null() {
                return None;
            }
            Self::at(field(table), ours, original, what)
        }
    }

    /// The same of any place. `None`: there is no function there.
    ///
    /// # Safety
    ///
    /// `place` is one aligned word that is read as such, may be written, and stays while the value lives. `ours` is a function of the
    /// type of the one there, which calls `original` as one.
    pub(super) unsafe fn at(
        place: *mut *mut (),
        ours: *mut (),
        original: &'static Original,
        what: &'static str,
    ) -> Option<Self> {
        // SAFETY: by the caller.
        let place = unsafe { AtomicPtr::from_ptr(place) };
        let before = place.load(Ordering::Acquire);
        if before.is_null() {
            return None;
        }
        // Whoever stands before ours calls it: to stand before that as well would have the two call each other for ever.
        if !original.buried.load(Ordering::Acquire) {
            if before != ours {
                original.function.store(before, Ordering::Release);
            }
            place.store(ours, Ordering::Release);
        }
        Some(Self {
            place,
            ours,
            original,
            what,
        })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.original.buried.load(Ordering::Acquire) {
            return;
        }
        let original = self.original.get();
        let back =
            self.place
                .compare_exchange(self.ours, original, Ordering::AcqRel, Ordering::Acquire);
        if back.is_err() {
            // Somebody stands before us and calls us: the library stays.
            self.original.buried.store(true, Ordering::Release);
            std::mem::forget(ModuleRef::take());
            log::error!(
                "another module has taken the place of {}: Ciphertrunk cannot be unloaded",
                self.what
            );
        }
    }
}
