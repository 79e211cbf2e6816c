//! pjlib's strings: a pointer and a length, without a terminator.

use std::ffi::{CStr, c_char};
use std::ptr::NonNull;

use crate::ffi::{c_text, sys};

/// A `pj_str_t` as text; octets that are not UTF-8 are replaced.
///
/// # Safety
///
/// Its pointer is NULL or has that many octets, which stay as they are during the call.
pub(super) unsafe fn to_text(text: sys::pj_str_t) -> String {
    let length = usize::try_from(text.slen).unwrap_or(0);
    if text.ptr.is_null() || length == 0 {
        return String::new();
    }
    // SAFETY: by the caller; the copy is made before this returns.
    let octets = unsafe { std::slice::from_raw_parts(text.ptr.cast::<u8>(), length) };
    String::from_utf8_lossy(octets).into_owned()
}

/// A `pj_str_t` that points into `text`. Nothing but its user's care keeps `text` alive meanwhile: it goes where C reads it
/// during a call, or into a structure that owns `text` too.
pub(super) fn pointing_to(text: &CStr) -> sys::pj_str_t {
    sys::pj_str_t {
        ptr: text.as_ptr().cast_mut(),
        // The length of something in memory is never more than isize::MAX.
        slen: text.count_bytes() as sys::pj_ssize_t,
    }
}

/// Copies `text` into a field of C's, cut to fit, with its terminator and zeroes behind it.
///
/// # Safety
///
/// `field` points to `N` octets that may be written, and nobody else uses them during the call.
pub(super) unsafe fn fill<const N: usize>(field: *mut [c_char; N], text: &str) {
    let mut filled = [0; N];
    for (to, from) in filled[..N.saturating_sub(1)].iter_mut().zip(text.bytes()) {
        // A char of C's is signed on x86-64 and unsigned on aarch64.
        *to = c_char::from_ne_bytes([from]);
    }
    // SAFETY: by the caller.
    unsafe { field.write(filled) };
}

/// A text that a structure of C's points to. It stays where it is however this value is moved, and has at least [`ROOM`]
/// octets, zeroes behind the text: who reads a new pointer with an old length reads no further.
///
/// # Invariants
///
/// The pointer is by `Box::into_raw`. (It is no `Box`: the address of what is in one is given away only until it moves.)
pub(super) struct Kept(NonNull<[u8]>);

/// Octets of a [`Kept`] at least: more than the longest address has as text.
const ROOM: usize = 64;

// SAFETY: the octets are this value's, and are not written after it is made.
unsafe impl Send for Kept {}
// SAFETY: they are only read.
unsafe impl Sync for Kept {}

impl Kept {
    pub(super) fn new(text: &str) -> Self {
        let mut octets = c_text(text).into_bytes_with_nul();
        octets.resize(octets.len().max(ROOM), 0);
        Self(NonNull::from(Box::leak(octets.into_boxed_slice())))
    }

    /// It, for a structure that is not used after this value is gone.
    pub(super) fn pj_str(&self) -> sys::pj_str_t {
        pointing_to(self.text())
    }

    pub(super) fn text(&self) -> &CStr {
        // SAFETY: live, and never written, by the invariant.
        CStr::from_bytes_until_nul(unsafe { self.0.as_ref() }).unwrap_or_default()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: by the invariant; nobody uses it any more.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
