//! Dialplan functions (`ast_custom_function`).
//!
//! Their text for `core show function` comes from the XML documentation (`docs/xml`), which Asterisk reads when they are
//! registered.

use std::ffi::{CStr, c_char, c_int};
use std::fmt;
use std::ptr;

use super::channel::Channel;
use super::guard::guard;
use super::opaque::Opaque;
use super::{c_text, sys, text};

const DONE: c_int = 0;
const FAILED: c_int = -1;

/// A function of the dialplan. Called on any thread of Asterisk's, with no lock of the channel's held.
pub trait Function: 'static {
    /// Its name.
    const NAME: &'static CStr;

    /// `${NAME(arguments)}`; without a channel, for a console that asks globally. `None`: it cannot be read so, which is logged.
    fn read(channel: Option<Channel<'_>>, arguments: &str) -> Option<String>;

    /// `Set(NAME(arguments)=value)`. `false`: nothing is set, which is logged.
    fn write(channel: Option<Channel<'_>>, arguments: &str, value: &str) -> bool;
}

/// Room for what later releases of a branch append to `ast_custom_function`: the core writes it in ours.
#[repr(C)]
struct Padded {
    function: sys::ast_custom_function,
    _room: [usize; 16],
}

/// A registered function; dropping it unregisters it.
///
/// # Invariants
///
/// A box of [`register`]'s that Asterisk knows.
pub struct Registered(*mut Opaque<Padded>);

// SAFETY: used by `drop` alone; what Asterisk does with it meanwhile it guards with a lock of its own.
unsafe impl Send for Registered {}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registered(a function)")
    }
}

unsafe extern "C" fn read<F: Function>(
    channel: *mut sys::ast_channel,
    _name: *const c_char,
    arguments: *mut c_char,
    buffer: *mut c_char,
    length: usize,
) -> c_int {
    guard(FAILED, || {
        // SAFETY: Asterisk's arguments: a channel that lives during the call, or NULL; a text, or NULL.
        let (channel, arguments) = unsafe { (Channel::from_raw(channel), text(arguments)) };
        let Some(value) = F::read(channel, &arguments.unwrap_or_default()) else {
            return FAILED;
        };
        let value = c_text(&value);
        let octets = value.as_bytes();
        let Some(room) = length.checked_sub(1) else {
            return FAILED;
        };
        let count = octets.len().min(room);
        // SAFETY: `buffer` has `length` octets, one more than are copied; the last is the end of the text.
        unsafe {
            ptr::copy_nonoverlapping(octets.as_ptr(), buffer.cast::<u8>(), count);
            *buffer.add(count) = 0;
        }
        DONE
    })
}

unsafe extern "C" fn write<F: Function>(
    channel: *mut sys::ast_channel,
    _name: *const c_char,
    arguments: *mut c_char,
    value: *const c_char,
) -> c_int {
    guard(FAILED, || {
        let (channel, arguments, value) =
            // SAFETY: Asterisk's arguments: a channel that lives during the call, or NULL; texts, or NULL.
            unsafe { (Channel::from_raw(channel), text(arguments), text(value)) };
        let done = F::write(
            channel,
            &arguments.unwrap_or_default(),
            &value.unwrap_or_default(),
        );
        if done { DONE } else { FAILED }
    })
}

/// Registers `F`. `None`: there is a function of that name, which Asterisk logs.
pub fn register<F: Function>() -> Option<Registered> {
    let padded = Box::into_raw(Box::new(Opaque::<Padded>::zeroed()));
    // SAFETY: a box of ours that nobody else knows yet; zeros stand for "not set" in each field.
    let failed = unsafe {
        let function = &raw mut (*(*padded).get()).function;
        (*function).name = F::NAME.as_ptr();
        (*function).read = Some(read::<F>);
        (*function).write = Some(write::<F>);
        sys::ct_function_register(function)
    };
    if failed != 0 {
        // SAFETY: made above, and Asterisk did not take it.
        drop(unsafe { Box::from_raw(padded) });
        return None;
    }
    Some(Registered(padded))
}

impl Drop for Registered {
    fn drop(&mut self) {
        // A thread of Asterisk's may have found the function and not yet counted its use of the module (`ast_func_read`), so
        // the structure is not freed: some 200 octets for each unload.
        // SAFETY: registered, by the type's invariant, and unregistered once.
        unsafe { sys::ast_custom_function_unregister(&raw mut (*(*self.0).get()).function) };
    }
}
