//! Asterisk's reference-counted objects (`ao2`).

use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

use super::sys;

/// What `ao2`'s debug log shows for our references.
const TAG: &std::ffi::CStr = c"ciphertrunk";

/// One reference to an `ao2` object, given back when dropped.
///
/// # Invariants
///
/// The pointer is to a live `ao2` object, and one of its references is this value's.
#[derive(Debug)]
pub struct Ao2(NonNull<c_void>);

impl Ao2 {
    /// Takes over a reference that a function of Asterisk's returned; `None` for NULL.
    ///
    /// # Safety
    ///
    /// NULL, or an `ao2` object of which one reference is the caller's to give away.
    pub unsafe fn from_raw(object: *mut c_void) -> Option<Self> {
        NonNull::new(object).map(Self)
    }

    /// Another reference to an object that somebody else has one of; `None` for NULL.
    ///
    /// # Safety
    ///
    /// NULL, or an `ao2` object that lives during the call.
    pub unsafe fn share(object: *mut c_void) -> Option<Self> {
        let object = NonNull::new(object)?;
        // SAFETY: alive, by the caller. The reference that is added here is the value's.
        unsafe { count(object, 1) };
        Some(Self(object))
    }

    /// The object. Good while this reference lives.
    pub fn as_ptr(&self) -> *mut c_void {
        self.0.as_ptr()
    }

    /// The objects of a container, each with a reference of its own.
    ///
    /// # Safety
    ///
    /// This object is an `ao2_container`.
    pub unsafe fn objects(&self) -> Vec<Ao2> {
        let mut found = Vec::new();
        // SAFETY: a container, by the caller, which this reference keeps until the iterator is destroyed below.
        let mut iterator = unsafe { sys::ao2_iterator_init(self.as_ptr().cast(), 0) };
        loop {
            // SAFETY: the iterator was made above and is destroyed below. Each object comes with a reference for us.
            let object = unsafe {
                Self::from_raw(sys::__ao2_iterator_next(
                    &raw mut iterator,
                    ptr::null(),
                    TAG.as_ptr(),
                    0,
                    TAG.as_ptr(),
                ))
            };
            match object {
                Some(object) => found.push(object),
                None => break,
            }
        }
        // SAFETY: made above, and not used after this.
        unsafe { sys::ao2_iterator_destroy(&raw mut iterator) };
        found
    }
}

impl Drop for Ao2 {
    fn drop(&mut self) {
        // SAFETY: by the invariant one reference is ours; it is given back here and nowhere else.
        unsafe { count(self.0, -1) };
    }
}

/// # Safety
///
/// A live `ao2` object; for -1, one of whose references is the caller's to give away.
unsafe fn count(object: NonNull<c_void>, change: c_int) {
    // SAFETY: by the caller; the texts are static and for Asterisk's debug log.
    unsafe {
        sys::__ao2_ref(
            object.as_ptr(),
            change,
            ptr::null(),
            TAG.as_ptr(),
            0,
            TAG.as_ptr(),
        );
    }
}
