//! Values of ours that Asterisk holds by pointer: who owns what is part of the type, so that the wrong release does not
//! compile (as `ForeignOwnable` in Rust for Linux).

use std::ptr;
use std::sync::Arc;

/// An owner whose value C can hold by one pointer.
pub trait ForeignOwnable: Sized {
    /// What the pointer points to.
    type Target;

    /// Gives the value to C, which owns it from now on.
    fn into_foreign(self) -> *mut Self::Target;

    /// Takes it back.
    ///
    /// # Safety
    ///
    /// `foreign` came from [`into_foreign`](Self::into_foreign) of this type and is taken back once; nothing borrowed from
    /// it is used after that.
    unsafe fn from_foreign(foreign: *mut Self::Target) -> Self;

    /// Looks at it while C owns it. `None` for NULL.
    ///
    /// # Safety
    ///
    /// `foreign` is NULL, or came from [`into_foreign`](Self::into_foreign) of this type, is not taken back during `'a`, and
    /// nobody changes it meanwhile.
    unsafe fn borrow<'a>(foreign: *const Self::Target) -> Option<&'a Self::Target> {
        // SAFETY: a live value by the caller, which nobody changes during `'a`.
        unsafe { foreign.as_ref() }
    }
}

impl<T> ForeignOwnable for Box<T> {
    type Target = T;

    fn into_foreign(self) -> *mut T {
        Box::into_raw(self)
    }

    unsafe fn from_foreign(foreign: *mut T) -> Self {
        // SAFETY: from `Box::into_raw`, once, by the caller.
        unsafe { Box::from_raw(foreign) }
    }
}

/// Changes a boxed value while C owns it. `None` for NULL.
///
/// # Safety
///
/// As [`ForeignOwnable::borrow`], and no other reference to the value lives during `'a`.
pub unsafe fn borrow_mut<'a, T>(foreign: *mut T) -> Option<&'a mut T> {
    // SAFETY: a live value that nobody else refers to, by the caller.
    unsafe { foreign.as_mut() }
}

impl<T> ForeignOwnable for Arc<T> {
    type Target = T;

    fn into_foreign(self) -> *mut T {
        Arc::into_raw(self).cast_mut()
    }

    unsafe fn from_foreign(foreign: *mut T) -> Self {
        // SAFETY: a count from `Arc::into_raw`, taken back once, by the caller.
        unsafe { Arc::from_raw(foreign.cast_const()) }
    }
}

/// Another count of an `Arc` that C holds one of.
///
/// # Safety
///
/// `foreign` came from `Arc::into_foreign` and is not taken back during the call.
pub unsafe fn share<T>(foreign: *mut T) -> Arc<T> {
    // SAFETY: from `Arc::into_raw`, and C's count keeps it during the call, by the caller.
    unsafe {
        Arc::increment_strong_count(foreign.cast_const());
        Arc::from_raw(foreign.cast_const())
    }
}

/// Boxes a value for C; NULL-safe counterpart of [`dispose`].
pub fn give<T>(value: T) -> *mut T {
    Box::new(value).into_foreign()
}

/// Drops a boxed value that C gives back; nothing for NULL.
///
/// # Safety
///
/// As [`ForeignOwnable::from_foreign`], or NULL.
pub unsafe fn dispose<T>(foreign: *mut T) {
    if !ptr::eq(foreign, ptr::null()) {
        // SAFETY: not NULL; the rest by the caller.
        drop(unsafe { Box::from_foreign(foreign) });
    }
}
