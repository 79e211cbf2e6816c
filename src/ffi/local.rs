//! The moment before a Local channel is called, when the channel of its other side gets what it keeps.

use std::ffi::{c_char, c_int};

use super::channel::Channel;
use super::exchange::{Exchange, Original};
use super::guard::guard;
use super::module_ref::ModuleRef;
use super::sys;

/// What is done then.
pub trait Called: 'static {
    /// The channel is about to be called, and is locked.
    fn is_called(channel: Channel<'_>);
}

type Call = unsafe extern "C" fn(*mut sys::ast_channel, *const c_char, c_int) -> c_int;

/// Local's own.
static ORIGINAL: Original = Original::new();

unsafe extern "C" fn call<C: Called>(
    channel: *mut sys::ast_channel,
    address: *const c_char,
    timeout: c_int,
) -> c_int {
    // Nobody unloads the module while this runs, not an unload either that has put the other function back meanwhile.
    let _module = ModuleRef::take();
    guard((), || {
        // SAFETY: Asterisk hands a Local channel, which lives and is locked during the call.
        if let Some(channel) = unsafe { Channel::from_raw(channel) } {
            C::is_called(channel);
        }
    });
    let original = ORIGINAL.get();
    if original.is_null() {
        return -1;
    }
    // SAFETY: Local's function of this type, with the arguments that were for it; Local is the core's.
    unsafe { std::mem::transmute::<*mut (), Call>(original)(channel, address, timeout) }
}

/// Once at a time.
pub fn watch<C: Called>() -> Option<Exchange> {
    // SAFETY: Local is the core's. The function is of the type of the table's `call`, and calls the other as one.
    unsafe {
        Exchange::new(
            c"Local",
            |table| (&raw mut (*table).call).cast(),
            call::<C> as *const () as *mut (),
            &ORIGINAL,
            "Local's function that calls a channel",
        )
    }
}
