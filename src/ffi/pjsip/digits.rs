//! The moment before chan_pjsip sends a digit that Asterisk makes (RFC 4733): one of AMI's, ARI's, a dialplan's, or one that came by SIP INFO.
//!
//! The function in its technology's table is [exchanged](Exchange) for one of ours, which calls it.

use std::ffi::{c_char, c_int};

use crate::ffi::channel::Channel;
use crate::ffi::exchange::{Exchange, Original};
use crate::ffi::guard::guard;
use crate::ffi::late::Pjsip;
use crate::ffi::module_ref::ModuleRef;
use crate::ffi::sys;

/// What is done then. On any thread, with the channel not locked: nothing here may wait.
pub trait Digits: 'static {
    /// What is kept until chan_pjsip has begun it, such as a lock.
    type Kept;

    /// A digit is about to be sent to the channel.
    fn begins(channel: Channel<'_>) -> Self::Kept;
}

type SendDigitBegin = unsafe extern "C" fn(*mut sys::ast_channel, c_char) -> c_int;

/// chan_pjsip's own.
static ORIGINAL: Original = Original::new();

unsafe extern "C" fn send_digit_begin<D: Digits>(
    channel: *mut sys::ast_channel,
    digit: c_char,
) -> c_int {
    // Nobody unloads the module while this runs, not an unload either that has put the other function back meanwhile.
    let _module = ModuleRef::take();
    let kept = guard(None, || {
        // SAFETY: Asterisk hands a channel of chan_pjsip's, which lives during the call.
        unsafe { Channel::from_raw(channel) }.map(D::begins)
    });
    let original = ORIGINAL.get();
    if original.is_null() {
        return 0;
    }
    // SAFETY: chan_pjsip's function of this type; the module is a use of chan_pjsip.
    let original = unsafe { std::mem::transmute::<*mut (), SendDigitBegin>(original) };
    // SAFETY: with the arguments that were for it.
    let status = unsafe { original(channel, digit) };
    guard((), || drop(kept));
    status
}

/// Once at a time. `None`: PJSIP's channels have no such function.
pub fn watch<D: Digits>(_: Pjsip) -> Option<Exchange> {
    // SAFETY: chan_pjsip is in use as long as `Pjsip` is found. The function is of the type of the table's `send_digit_begin`, and calls
    // the other as one.
    unsafe {
        Exchange::new(
            c"PJSIP",
            |table| (&raw mut (*table).send_digit_begin).cast(),
            send_digit_begin::<D> as *const () as *mut (),
            &ORIGINAL,
            "chan_pjsip's sending of digits",
        )
    }
}
