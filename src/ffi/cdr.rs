//! Values for a channel's CDR, and CEL's user events (`include/cdr.c`).

use std::ffi::CStr;

use super::channel::Channel;
use super::{c_text, sys};

/// That CDRs take values of ours; dropping it ends that.
#[derive(Debug)]
pub struct Registered(());

/// `None`: the CDR engine does not run, or `stasis.conf` declines the message.
pub fn register() -> Option<Registered> {
    // SAFETY: called once at a time, as there is one `Registered` (the module's); our function for the messages stays until `drop`.
    (unsafe { sys::ct_cdr_begin() } == 0).then_some(Registered(()))
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: begun by `register`, and ended once. No message of ours is served after this.
        unsafe { sys::ct_cdr_end() };
    }
}

impl Registered {
    /// Sets a variable of the channel's CDR. It does not wait: the value comes there behind what has happened to the channel, and
    /// before its end.
    pub fn set(&self, channel: Channel<'_>, name: &'static CStr, value: &str) {
        let value = c_text(value);
        // SAFETY: alive, and between begin and end by `self`; the name is static, the value is copied.
        unsafe { sys::ct_cdr_set(channel.as_ptr(), name.as_ptr(), value.as_ptr()) };
    }
}

/// CEL's event `event`, of the channel.
pub fn cel_event(channel: Channel<'_>, event: &CStr, extra: &str) {
    let extra = c_text(extra);
    // SAFETY: alive; the texts are copied.
    unsafe { sys::ct_cel_event(channel.as_ptr(), event.as_ptr(), extra.as_ptr()) };
}
