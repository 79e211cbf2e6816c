//! Values for a channel's CDR, and CEL's user events (`include/cdr.c`).

use std::ffi::CStr;
use std::ptr;

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

/// Which record of a channel gets a value: its latest, under a condition.
#[derive(Debug, Clone, Copy)]
pub enum If<'a> {
    /// None.
    Always,
    /// It has no second channel: the channel was dialled, and the record of both is the caller's, which gets the value.
    Alone,
    /// Its second channel has this name.
    With(&'a str),
}

impl Registered {
    /// Sets a variable in the record of the channel called `of`. It does not wait: the value comes there behind what has happened to
    /// `channel`, and before its end, and the condition is looked at then.
    pub fn set(
        &self,
        channel: Channel<'_>,
        of: &str,
        name: &'static CStr,
        value: &str,
        condition: If<'_>,
    ) {
        let (of, value) = (c_text(of), c_text(value));
        let with = match condition {
            If::Always => None,
            If::Alone => Some(c_text("")),
            If::With(name) => Some(c_text(name)),
        };
        let with = with.as_deref().map_or(ptr::null(), CStr::as_ptr);
        // SAFETY: alive, and between begin and end by `self`; the variable's name is static, the other texts are copied.
        unsafe {
            sys::ct_cdr_set(
                channel.as_ptr(),
                of.as_ptr(),
                with,
                name.as_ptr(),
                value.as_ptr(),
            );
        }
    }
}

/// CEL's event `event`, of the channel.
pub fn cel_event(channel: Channel<'_>, event: &CStr, extra: &str) {
    let extra = c_text(extra);
    // SAFETY: alive; the texts are copied.
    unsafe { sys::ct_cel_event(channel.as_ptr(), event.as_ptr(), extra.as_ptr()) };
}
