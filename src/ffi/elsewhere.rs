//! Technologies beside PJSIP's that say of themselves that they are encrypted, chan_sip's and IAX2's, which Asterisk's core asks no more
//! than that: the moment before a channel of theirs is made, and the one before it is called.

use std::ffi::{CStr, c_char, c_int};
use std::fmt;
use std::ptr::{self, NonNull};

use super::channel::Channel;
use super::entry::is_in_loader;
use super::exchange::{Exchange, Original};
use super::guard::guard;
use super::module_ref::ModuleRef;
use super::sys;

/// Who judges then.
pub trait Judge: 'static {
    /// What a call lacks.
    type Unmet;

    /// Whether a channel of `technology` may be made, which `by` dials.
    ///
    /// # Errors
    ///
    /// What it lacks.
    fn request(by: Channel<'_>, technology: &str) -> Result<(), Self::Unmet>;

    /// Whether the channel may be called, which is locked.
    ///
    /// # Errors
    ///
    /// What it lacks.
    fn call(channel: Channel<'_>) -> Result<(), Self::Unmet>;

    /// It is not, for this. `channel` is the one that was to be called, or that dials, and is not locked.
    fn refuse(channel: Channel<'_>, technology: &str, unmet: &Self::Unmet);
}

/// A technology.
trait Technology: 'static {
    const NAME: &'static str;
    const KIND: &'static CStr;
    /// A function of the dialplan that its module has in every branch.
    const FUNCTION: &'static CStr;

    /// The technology's own functions: that makes a channel, and that calls it.
    fn originals() -> [&'static Original; 2];
}

struct Sip;

impl Technology for Sip {
    const NAME: &'static str = "SIP";
    const KIND: &'static CStr = c"SIP";
    const FUNCTION: &'static CStr = c"SIPPEER";

    fn originals() -> [&'static Original; 2] {
        static ORIGINALS: [Original; 2] = [const { Original::new() }; 2];
        ORIGINALS.each_ref()
    }
}

struct Iax2;

impl Technology for Iax2 {
    const NAME: &'static str = "IAX2";
    const KIND: &'static CStr = c"IAX2";
    const FUNCTION: &'static CStr = c"IAXPEER";

    fn originals() -> [&'static Original; 2] {
        static ORIGINALS: [Original; 2] = [const { Original::new() }; 2];
        ORIGINALS.each_ref()
    }
}

type Request = unsafe extern "C" fn(
    *const c_char,
    *mut sys::ast_format_cap,
    *const sys::ast_assigned_ids,
    *const sys::ast_channel,
    *const c_char,
    *mut c_int,
) -> *mut sys::ast_channel;

type Call = unsafe extern "C" fn(*mut sys::ast_channel, *const c_char, c_int) -> c_int;

unsafe extern "C" fn request<J: Judge, T: Technology>(
    kind: *const c_char,
    formats: *mut sys::ast_format_cap,
    ids: *const sys::ast_assigned_ids,
    by: *const sys::ast_channel,
    address: *const c_char,
    cause: *mut c_int,
) -> *mut sys::ast_channel {
    // Nobody unloads the module while this runs, not an unload either that has put the other function back meanwhile.
    let _module = ModuleRef::take();
    let may_be = guard(false, || {
        // SAFETY: NULL, or the channel that dials, which lives during the call and is Asterisk's: what is done with it here locks it.
        let Some(by) = (unsafe { Channel::from_raw(by.cast_mut()) }) else {
            return true;
        };
        J::request(by, T::NAME)
            .inspect_err(|unmet| J::refuse(by, T::NAME, unmet))
            .is_ok()
    });
    let [original, _] = T::originals();
    let original = original.get();
    if !may_be || original.is_null() {
        // SAFETY: NULL, or the caller's word for the cause.
        if let Some(cause) = unsafe { cause.as_mut() } {
            *cause = sys::AST_CAUSE_BEARERCAPABILITY_NOTAVAIL.cast_signed();
        }
        return ptr::null_mut();
    }
    // SAFETY: the technology's function of this type, with the arguments that were for it; `Watch` is a use of its module.
    unsafe {
        std::mem::transmute::<*mut (), Request>(original)(kind, formats, ids, by, address, cause)
    }
}

unsafe extern "C" fn call<J: Judge, T: Technology>(
    channel: *mut sys::ast_channel,
    address: *const c_char,
    timeout: c_int,
) -> c_int {
    // Nobody unloads the module while this runs, not an unload either that has put the other function back meanwhile.
    let _module = ModuleRef::take();
    let may_be = guard(false, || {
        // SAFETY: Asterisk hands a channel of the technology's, which lives and is locked during the call.
        let Some(channel) = (unsafe { Channel::from_raw(channel) }) else {
            return false;
        };
        let Err(unmet) = J::call(channel) else {
            return true;
        };
        // SAFETY: locked once by Asterisk's `ast_call`, on this thread, which touches nothing of it between this call and its unlock but
        // a flag; nor does this function, which goes back from here. Others are locked meanwhile to be told.
        unsafe { sys::ct_channel_unlock(channel.as_ptr()) };
        guard((), || {
            channel.set_cause();
            J::refuse(channel, T::NAME, &unmet);
        });
        // SAFETY: alive, and locked again for the caller.
        unsafe { sys::ct_channel_lock(channel.as_ptr()) };
        false
    });
    let [_, original] = T::originals();
    let original = original.get();
    if !may_be || original.is_null() {
        return -1;
    }
    // SAFETY: the technology's function of this type, with the arguments that were for it; `Watch` is a use of its module.
    unsafe { std::mem::transmute::<*mut (), Call>(original)(channel, address, timeout) }
}

/// A use of the technology's module, which Asterisk does not unload meanwhile.
struct Used(NonNull<sys::ast_module>);

// SAFETY: a module of Asterisk's, whose count is atomic and may be given back on any thread.
unsafe impl Send for Used {}

impl Used {
    fn of(function: &CStr) -> Option<Self> {
        // SAFETY: in a call of the loader's, with the list of modules locked, so the module of a function in the list is there; the name
        // is read only.
        NonNull::new(unsafe { sys::ct_module_of_function(function.as_ptr()) }).map(Self)
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        // SAFETY: the one use that `of` took, so the module is still there.
        unsafe { sys::ct_module_of_unref(self.0.as_ptr()) };
    }
}

/// One technology's functions are ours; dropping it puts back what was there, and gives its module back.
struct Watch {
    name: &'static str,
    _exchanges: [Exchange; 2],
    // Behind the exchanges: they write into its module.
    _used: Used,
}

impl Watch {
    fn begin<J: Judge, T: Technology>() -> Option<Self> {
        let used = Used::of(T::FUNCTION)?;
        let [makes, calls] = T::originals();
        // SAFETY: the use keeps the technology's module while the exchanges live. Each function is of the type of its field of the
        // table, and calls the other as one.
        let exchanges = unsafe {
            [
                Exchange::new(
                    T::KIND,
                    |table| (&raw mut (*table).requester).cast(),
                    request::<J, T> as *const () as *mut (),
                    makes,
                    "a technology's function that makes a channel",
                )?,
                Exchange::new(
                    T::KIND,
                    |table| (&raw mut (*table).call).cast(),
                    call::<J, T> as *const () as *mut (),
                    calls,
                    "a technology's function that calls a channel",
                )?,
            ]
        };
        Some(Self {
            name: T::NAME,
            _exchanges: exchanges,
            _used: used,
        })
    }
}

/// The technologies that are watched.
pub struct Watches(Vec<Watch>);

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|it| it.name))
            .finish()
    }
}

impl Watches {
    /// None yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Watches those that are registered and are not watched. Only in a call of Asterisk's loader's; elsewhere it does nothing.
    pub fn look<J: Judge>(&mut self) {
        if !is_in_loader() {
            return;
        }
        for (name, begin) in [
            (Sip::NAME, Watch::begin::<J, Sip> as fn() -> Option<Watch>),
            (Iax2::NAME, Watch::begin::<J, Iax2>),
        ] {
            if self.0.iter().all(|it| it.name != name) {
                self.0.extend(begin());
            }
        }
    }
}
