//! A value that C changes behind Rust's back.

use std::cell::UnsafeCell;
use std::marker::PhantomPinned;
use std::mem::MaybeUninit;

/// Room for a `T` that C reads and writes whenever it likes: under locks of its own, from other threads, uninitialised at
/// first. Rust never makes a reference to the `T` itself, only pointers, so nothing is assumed of what lies there
/// (as `Opaque` in Rust for Linux).
///
/// # Invariants
///
/// Once C has its address, the value does not move.
#[repr(transparent)]
pub struct Opaque<T> {
    value: UnsafeCell<MaybeUninit<T>>,
    _pinned: PhantomPinned,
}

impl<T> Opaque<T> {
    /// With this value to begin with.
    pub const fn new(value: T) -> Self {
        Self {
            value: UnsafeCell::new(MaybeUninit::new(value)),
            _pinned: PhantomPinned,
        }
    }

    /// All octets zero: "not set" for the plain C structures of the host.
    pub const fn zeroed() -> Self {
        Self {
            value: UnsafeCell::new(MaybeUninit::zeroed()),
            _pinned: PhantomPinned,
        }
    }

    /// Where it is. Reading and writing through the pointer is `unsafe`, and each place argues why it may.
    pub const fn get(&self) -> *mut T {
        UnsafeCell::raw_get(&raw const self.value).cast()
    }
}
