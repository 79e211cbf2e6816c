//! The moment before chan_pjsip hangs a channel up: the last in which channel, session and media are all there.
//!
//! The function in its technology's table is [exchanged](Exchange) for one of ours, which calls it.

use std::ffi::c_int;

use crate::ffi::channel::Channel;
use crate::ffi::exchange::{Exchange, Original};
use crate::ffi::fault;
use crate::ffi::guard::guard;
use crate::ffi::late::Pjsip;
use crate::ffi::module_ref::ModuleRef;
use crate::ffi::sys;

use super::session::{key_of, media_of};

/// What is done then. On any thread, with the channel locked: nothing here may wait.
pub trait Witness: 'static {
    /// The channel is about to be hung up.
    fn hangs_up(channel: Channel<'_>);
}

type Hangup = unsafe extern "C" fn(*mut sys::ast_channel) -> c_int;

/// chan_pjsip's own.
static ORIGINAL: Original = Original::new();

unsafe extern "C" fn hangup<W: Witness>(channel: *mut sys::ast_channel) -> c_int {
    // Nobody unloads the module while this runs, not an unload either that has put the other function back meanwhile.
    let _module = ModuleRef::take();
    let is_read = fault::fires("hangup-reads");
    guard((), || {
        // SAFETY: Asterisk hands a channel of chan_pjsip's, which lives and is locked during the call; chan_pjsip's own function is called
        // below.
        if let Some(channel) = unsafe { Channel::in_hangup(channel) } {
            W::hangs_up(channel);
            if is_read {
                tell("before", channel);
            }
        }
    });
    let original = ORIGINAL.get();
    if original.is_null() {
        return 0;
    }
    // SAFETY: chan_pjsip's function of this type, with the argument that was for it; the module is a use of chan_pjsip.
    let result = unsafe { std::mem::transmute::<*mut (), Hangup>(original)(channel) };
    if is_read {
        guard((), || {
            // SAFETY: the caller's reference is given back behind this call.
            if let Some(channel) = unsafe { Channel::from_raw(channel) } {
                tell("behind", channel);
            }
        });
    }
    result
}

/// For a test: what is read of a channel that is locked, beside its hangup.
fn tell(when: &str, channel: Channel<'_>) {
    log::info!(
        "{when} the hangup of {}: a session {}, streams {}, by the glue {}",
        channel.name(),
        key_of(channel).is_some(),
        media_of(channel).len(),
        channel.media().len()
    );
}

/// Once at a time. `None`: PJSIP's channels have no such function.
pub fn watch<W: Witness>(_: Pjsip) -> Option<Exchange> {
    // SAFETY: chan_pjsip is in use as long as `Pjsip` is found. The function is of the type of the table's `hangup`, and calls the
    // other as one.
    unsafe {
        Exchange::new(
            c"PJSIP",
            |table| (&raw mut (*table).hangup).cast(),
            hangup::<W> as *const () as *mut (),
            &ORIGINAL,
            "chan_pjsip's hangup",
        )
    }
}
