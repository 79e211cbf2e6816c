//! What the dialplan reads of a PJSIP channel by `CHANNEL(...)`: chan_pjsip's technology has a function for what Asterisk's core does
//! not know, which is exchanged for one of ours that calls it.

use std::ffi::{CStr, c_char, c_int};

use crate::ffi::channel::Channel;
use crate::ffi::exchange::{Exchange, Original};
use crate::ffi::guard::guard;
use crate::ffi::late::Pjsip;
use crate::ffi::module_ref::ModuleRef;
use crate::ffi::sys;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// `secure_signaling`.
    Signaling,
    /// `secure_media`.
    Media,
}

impl Question {
    fn of(item: &CStr) -> Option<Self> {
        let item = item.to_bytes();
        [
            (&b"secure_signaling"[..], Self::Signaling),
            (b"secure_media", Self::Media),
        ]
        .into_iter()
        .find(|(name, _)| item.eq_ignore_ascii_case(name))
        .map(|(_, question)| question)
    }
}

/// Who answers.
pub trait Reading: 'static {
    /// Whether it is so.
    fn is(channel: Channel<'_>, question: Question) -> bool;
}

type Read = unsafe extern "C" fn(
    *mut sys::ast_channel,
    *const c_char,
    *mut c_char,
    *mut c_char,
    usize,
) -> c_int;

/// chan_pjsip's own.
static ORIGINAL: Original = Original::new();

unsafe extern "C" fn read<R: Reading>(
    channel: *mut sys::ast_channel,
    function: *const c_char,
    item: *mut c_char,
    said: *mut c_char,
    room: usize,
) -> c_int {
    // Nobody unloads the module while this runs, not an unload either that has put the other function back meanwhile.
    let _module = ModuleRef::take();
    let answer = guard(None, || {
        if item.is_null() || said.is_null() || room < 2 {
            return None;
        }
        // SAFETY: Asterisk hands a text, and a channel of chan_pjsip's that lives during the call.
        let (item, channel) = unsafe { (CStr::from_ptr(item), Channel::from_raw(channel)?) };
        Some(R::is(channel, Question::of(item)?))
    });
    if let Some(is) = answer {
        // Whether a `char` of C's has a sign is the machine's.
        let said = said.cast::<u8>();
        // SAFETY: room for the digit and the end, as was looked.
        unsafe {
            let end = if is {
                *said = b'1';
                said.add(1)
            } else {
                said
            };
            *end = 0;
        }
        return 0;
    }
    let original = ORIGINAL.get();
    if original.is_null() {
        return -1;
    }
    // SAFETY: chan_pjsip's function of this type, with the arguments that were for it; the module is a use of chan_pjsip.
    unsafe { std::mem::transmute::<*mut (), Read>(original)(channel, function, item, said, room) }
}

/// Once at a time. `None`: PJSIP's channels have no such function.
pub fn hook<R: Reading>(_: Pjsip) -> Option<Exchange> {
    // SAFETY: chan_pjsip is in use as long as `Pjsip` is found. The function is of the type of the table's `func_channel_read`, and
    // calls the other as one.
    unsafe {
        Exchange::new(
            c"PJSIP",
            |table| (&raw mut (*table).func_channel_read).cast(),
            read::<R> as *const () as *mut (),
            &ORIGINAL,
            "chan_pjsip's function for CHANNEL()",
        )
    }
}
