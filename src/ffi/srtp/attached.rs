//! A session as Asterisk holds it.

use std::fmt;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::ffi::owned::ForeignOwnable;
use crate::ffi::rtp::RtpInstance;
use crate::ffi::sys;

/// Sessions that Asterisk holds.
static ATTACHED: AtomicUsize = AtomicUsize::new(0);

/// A session as Asterisk holds it: with the instance it belongs to, which is reached only while Asterisk calls for it.
///
/// # Invariants
///
/// `rtp` lives as long as Asterisk has the session: an instance destroys its session before itself
/// (`instance_destructor` in `rtp_engine.c`).
#[repr(C)]
pub struct Attached<S> {
    // First, so that a packet finds it where the pointer points.
    session: S,
    rtp: NonNull<sys::ast_rtp_instance>,
}

// SAFETY: `rtp` is only read as an address, and dereferenced only in calls from Asterisk for this very session.
unsafe impl<S: Send> Send for Attached<S> {}
// SAFETY: see `Send`.
unsafe impl<S: Sync> Sync for Attached<S> {}

impl<S> Deref for Attached<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.session
    }
}

impl<S> fmt::Debug for Attached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attached({:?})", self.rtp)
    }
}

impl<S> Attached<S> {
    /// Of `rtp`, which has it as long as Asterisk has.
    pub(super) fn new(session: S, rtp: NonNull<sys::ast_rtp_instance>) -> Self {
        Self { session, rtp }
    }

    /// # Safety
    ///
    /// Asterisk has the session during `'a`: the caller is a call of its for this session.
    pub(super) unsafe fn rtp<'a>(&self) -> Option<RtpInstance<'a>> {
        // SAFETY: alive while Asterisk has the session, by the type's invariant and the caller.
        unsafe { RtpInstance::from_raw(self.rtp.as_ptr()) }
    }
}

/// Gives one count of a session to Asterisk.
pub(super) fn give<S>(session: Arc<Attached<S>>) -> *mut sys::ast_srtp {
    ATTACHED.fetch_add(1, Ordering::Relaxed);
    session.into_foreign().cast()
}

/// Takes it back.
///
/// # Safety
///
/// `session` is what [`give`] gave, of the same `S`, and is taken back once.
pub(super) unsafe fn take_back<S>(session: *mut sys::ast_srtp) -> Arc<Attached<S>> {
    ATTACHED.fetch_sub(1, Ordering::Relaxed);
    // SAFETY: a count from `into_foreign`, by the caller.
    unsafe { Arc::from_foreign(session.cast()) }
}

/// Looks at it while Asterisk has it.
///
/// # Safety
///
/// `session` is what [`give`] gave, of the same `S`, and is not taken back during `'a`.
pub(super) unsafe fn borrow<'a, S>(session: *mut sys::ast_srtp) -> &'a Attached<S> {
    // SAFETY: points to the value inside the Arc of which Asterisk has a count, by the caller.
    unsafe { &*session.cast::<Attached<S>>().cast_const() }
}

/// How many Asterisk has.
pub(super) fn count() -> usize {
    ATTACHED.load(Ordering::Relaxed)
}

/// Whether `session` is the one that Asterisk has for `rtp`. Addresses are compared, so a session of another engine is
/// never looked into.
pub fn is_session_of<S>(session: &Arc<Attached<S>>, rtp: RtpInstance<'_>) -> bool {
    // SAFETY: alive by its type; the function reads one word that changes in this call's own serializer alone.
    let of_rtp = unsafe { sys::ast_rtp_instance_get_srtp(rtp.as_ptr(), 0) };
    ptr::eq(of_rtp.cast_const().cast(), Arc::as_ptr(session))
}
