//! `CHANNEL(secure_bridge_signaling)` and `CHANNEL(secure_bridge_media)`: Asterisk's core asks the technology of a channel that is to
//! be dialled (`setoption`, AST_OPTION_SECURE_...), and refuses the call when it says no. chan_pjsip has no such function, so
//! that every call would be refused; Local channels say yes and forget it.

use std::ffi::{CStr, c_int, c_void};
use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::channel::Channel;
use super::guard::guard;
use super::mapped::Mapped;
use super::module_ref::ModuleRef;
use super::sys;

/// What the core demands of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// `secure_bridge_signaling`.
    Signaling,
    /// `secure_bridge_media`.
    Media,
}

impl Wanted {
    fn of(option: c_int) -> Option<Self> {
        match option.cast_unsigned() {
            sys::AST_OPTION_SECURE_SIGNALING => Some(Self::Signaling),
            sys::AST_OPTION_SECURE_MEDIA => Some(Self::Media),
            _ => None,
        }
    }

    /// What the dialplan function `CHANNEL` calls it.
    fn name(self) -> &'static CStr {
        match self {
            Self::Signaling => c"secure_bridge_signaling",
            Self::Media => c"secure_bridge_media",
        }
    }
}

/// What is done when the core demands something of a PJSIP channel.
pub trait Secure: 'static {
    /// `false`: it cannot be had, and the call is refused. The channel is locked.
    fn demand(channel: Channel<'_>, wanted: Wanted) -> bool;
}

/// Asks the technology of a channel for it, as the core does. `false`: it cannot be had.
pub fn ask(channel: Channel<'_>, wanted: Wanted) -> bool {
    let _locked = channel.lock();
    let option = match wanted {
        Wanted::Signaling => sys::AST_OPTION_SECURE_SIGNALING,
        Wanted::Media => sys::AST_OPTION_SECURE_MEDIA,
    };
    let mut on: c_int = 1;
    // SAFETY: alive and locked, as the core has it then; its technology stays while the channel has it, and reads the word during the
    // call alone.
    unsafe {
        let technology = sys::ast_channel_tech(channel.as_ptr());
        let ask = (!technology.is_null()).then(|| (*technology).setoption);
        ask.flatten().is_some_and(|ask| {
            let length = size_of::<c_int>().cast_signed();
            let length = c_int::try_from(length).unwrap_or_default();
            ask(
                channel.as_ptr(),
                option.cast_signed(),
                (&raw mut on).cast(),
                length,
            ) == 0
        })
    }
}

type SetOption = unsafe extern "C" fn(*mut sys::ast_channel, c_int, *mut c_void, c_int) -> c_int;

const FAILED: c_int = -1;

unsafe extern "C" fn pjsip_setoption<S: Secure>(
    channel: *mut sys::ast_channel,
    option: c_int,
    data: *mut c_void,
    length: c_int,
) -> c_int {
    // Nobody unloads the module while this runs, not an unload either that has put the other function back meanwhile.
    let _module = ModuleRef::take();
    guard(FAILED, || {
        let (Some(wanted), Ok(length)) = (Wanted::of(option), usize::try_from(length)) else {
            return FAILED;
        };
        if length < size_of::<c_int>() || data.is_null() {
            return FAILED;
        }
        // SAFETY: the core's option is an `int` of that length; the channel lives during the call, and is locked.
        let (is_on, channel) = unsafe { (*data.cast::<c_int>() != 0, Channel::from_raw(channel)) };
        let done = !is_on || channel.is_some_and(|channel| S::demand(channel, wanted));
        if done { 0 } else { FAILED }
    })
}

/// Local's own, which is called for everything that is not ours.
static LOCAL: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

unsafe extern "C" fn local_setoption(
    channel: *mut sys::ast_channel,
    option: c_int,
    data: *mut c_void,
    length: c_int,
) -> c_int {
    // Nobody unloads the module while this runs, not an unload either that has put the other function back meanwhile.
    let _module = ModuleRef::take();
    guard(FAILED, || {
        let next = LOCAL.load(Ordering::Acquire);
        if next.is_null() {
            return FAILED;
        }
        // SAFETY: what `Hook::local` found in the table, which is a `SetOption`, with the core's arguments as they came.
        let status = unsafe {
            std::mem::transmute::<*mut c_void, SetOption>(next)(channel, option, data, length)
        };
        let wanted = Wanted::of(option).filter(|_| status == 0 && !data.is_null());
        let Some(wanted) = wanted else {
            return status;
        };
        // SAFETY: for these options the data is an `int`. What is written across is the demand itself, by the way that
        // `CHANNEL` takes through a Local channel; the channel is locked, which that way wants.
        unsafe {
            match *data.cast::<c_int>() {
                0 => status,
                _ => sys::ct_write_both_sides(channel, wanted.name().as_ptr()),
            }
        }
    })
}

/// A function of ours in a technology's table; dropping it puts back what was there.
pub struct Hook {
    technology: &'static CStr,
    ours: SetOption,
    before: *mut c_void,
}

// SAFETY: the pointer is a function's.
unsafe impl Send for Hook {}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hook({:?})", self.technology)
    }
}

/// The place in the table, which lives while its technology is registered.
fn place(technology: &CStr) -> Option<&'static AtomicPtr<c_void>> {
    // SAFETY: the name lives during the call. The table is a static variable of the technology's module, which is not constant:
    // chan_pjsip's is kept by our use of it, and Local is the core's. A word of it that is written whole, and only here.
    unsafe {
        let tech = sys::ast_get_channel_tech(technology.as_ptr()).cast_mut();
        if tech.is_null() {
            return None;
        }
        Some(AtomicPtr::from_ptr((&raw mut (*tech).setoption).cast()))
    }
}

impl Hook {
    fn install(technology: &'static CStr, ours: SetOption) -> Option<Self> {
        let before = place(technology)?.swap(ours as *mut c_void, Ordering::AcqRel);
        Some(Self {
            technology,
            ours,
            before,
        })
    }

    /// PJSIP's. `None`: there is no such technology, or it has such a function of its own.
    pub fn pjsip<S: Secure>() -> Option<Self> {
        let technology = c"PJSIP";
        if !place(technology)?.load(Ordering::Acquire).is_null() {
            return None;
        }
        Self::install(technology, pjsip_setoption::<S>)
    }

    /// Local's. `None`: it has none.
    pub fn local() -> Option<Self> {
        let technology = c"Local";
        let next = place(technology)?.load(Ordering::Acquire);
        if next.is_null() {
            return None;
        }
        LOCAL.store(next, Ordering::Release);
        Self::install(technology, local_setoption)
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        if let Some(place) = place(self.technology) {
            // Unless somebody has put another function over ours.
            let ours = self.ours as *mut c_void;
            let back =
                place.compare_exchange(ours, self.before, Ordering::AcqRel, Ordering::Acquire);
            if back.is_err() {
                // Whoever did it calls ours as what was there before: the library stays.
                if let Some(mapped) = Mapped::open() {
                    mapped.leak();
                }
                log::error!(
                    "another module has changed the technology {:?}",
                    self.technology
                );
            }
        }
    }
}
