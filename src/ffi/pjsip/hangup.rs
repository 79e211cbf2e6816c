//! The moment before chan_pjsip hangs a channel up: the last in which channel, session and media are all there.
//!
//! Its technology is a structure that any module may change (`ast_get_channel_tech`), so the function there is exchanged for one of
//! ours, which calls it.

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::ffi::channel::Channel;
use crate::ffi::guard::guard;
use crate::ffi::late::Pjsip;
use crate::ffi::module_ref::ModuleRef;
use crate::ffi::sys;

/// What is done then. On any thread, with the channel locked: nothing here may wait.
pub trait Witness: 'static {
    /// The channel is about to be hung up.
    fn hangs_up(channel: Channel<'_>);
}

type Hangup = unsafe extern "C" fn(*mut sys::ast_channel) -> c_int;

/// chan_pjsip's own, while ours stands there.
static ORIGINAL: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// That ours stands there; dropping it puts chan_pjsip's own back.
#[derive(Debug)]
pub struct Watching {
    place: &'static AtomicPtr<()>,
    ours: *mut (),
}

// SAFETY: the pointer is an address of a function, and is compared.
unsafe impl Send for Watching {}

unsafe extern "C" fn hangup<W: Witness>(channel: *mut sys::ast_channel) -> c_int {
    // Nobody unloads the module while this runs.
    let _module = ModuleRef::enter();
    guard((), || {
        // SAFETY: Asterisk hands a channel of chan_pjsip's, which lives and is locked during the call.
        if let Some(channel) = unsafe { Channel::from_raw(channel) } {
            W::hangs_up(channel);
        }
    });
    let original = ORIGINAL.load(Ordering::Acquire);
    if original.is_null() {
        return 0;
    }
    // SAFETY: chan_pjsip's function of this type, with the argument that was for it; the module is a use of chan_pjsip.
    unsafe { std::mem::transmute::<*mut (), Hangup>(original)(channel) }
}

/// Once at a time. `None`: PJSIP's channels have no such function.
pub fn watch<W: Witness>(_: Pjsip) -> Option<Watching> {
    // SAFETY: a static text. The structure is a writable static of chan_pjsip's, which is in use as long as `Pjsip` is found; the
    // place is one aligned word, which Asterisk reads as such.
    let place = unsafe {
        let technology = sys::ast_get_channel_tech(c"PJSIP".as_ptr()).cast_mut();
        if technology.is_null() {
            return None;
        }
        AtomicPtr::from_ptr((&raw mut (*technology).hangup).cast::<*mut ()>())
    };
    let original = place.load(Ordering::Acquire);
    if original.is_null() {
        return None;
    }
    let ours = hangup::<W> as *const () as *mut ();
    // Where it could not be put back, ours may stand there still.
    if original != ours {
        ORIGINAL.store(original, Ordering::Release);
    }
    place.store(ours, Ordering::Release);
    Some(Watching { place, ours })
}

impl Drop for Watching {
    fn drop(&mut self) {
        let original = ORIGINAL.load(Ordering::Acquire);
        let back =
            self.place
                .compare_exchange(self.ours, original, Ordering::AcqRel, Ordering::Acquire);
        if back.is_err() {
            // Somebody stands before us and calls us: the library stays.
            std::mem::forget(ModuleRef::take());
            log::error!(
                "another module has taken the place of chan_pjsip's hangup: Ciphertrunk cannot be unloaded"
            );
        }
    }
}
