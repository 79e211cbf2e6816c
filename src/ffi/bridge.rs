//! A bridge technology of ours: the one of a bridge whose channels may not hear each other. Asterisk asks every technology whether it
//! is for a bridge, whenever channels have come to a two-party or mixing bridge and before a frame passes between them; ours is asked
//! first, and says no where there is no reason to.

use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;

use super::channel::Channel;
use super::guard::guard;
use super::module_ref::ModuleRef;
use super::opaque::Opaque;
use super::owned::{ForeignOwnable, give};
use super::sys;

/// Who may hear whom.
pub trait Together: 'static {
    /// `false`: they may not, and nothing passes between them. The bridge is locked, or nobody else's yet.
    fn may_be(bridge: &Bridge<'_>) -> bool;
}

/// A bridge that is locked, or nobody else's yet.
#[derive(Debug)]
pub struct Bridge<'a> {
    raw: *mut sys::ast_bridge,
    _alive: PhantomData<&'a sys::ast_bridge>,
}

impl<'a> Bridge<'a> {
    /// Its channels.
    pub fn channels(&self) -> Vec<Channel<'a>> {
        unsafe extern "C" fn each(channel: *mut sys::ast_channel, channels: *mut c_void) {
            guard((), || {
                // SAFETY: the vector below, which nobody else has meanwhile; the bridge keeps its channels while it is locked.
                unsafe {
                    (*channels.cast::<Vec<Channel<'_>>>()).extend(Channel::from_raw(channel))
                };
            });
        }
        let mut channels: Vec<Channel<'a>> = Vec::new();
        // SAFETY: by `self` the bridge is as the function wants it; `each` is called during the call alone.
        unsafe { sys::ct_bridge_each(self.raw, Some(each), (&raw mut channels).cast()) };
        channels
    }
}

/// Above all of Asterisk's, the highest of which is 100.
const PREFERENCE: sys::ast_bridge_preference = 1000;
const NAME: &CStr = c"ciphertrunk";
const DONE: c_int = 0;
const FAILED: c_int = -1;

/// Room for what later releases of a branch append.
#[repr(C)]
struct Padded {
    technology: sys::ast_bridge_technology,
    _room: [usize; 16],
}

struct Shared(Opaque<Padded>);

// SAFETY: written by `register`, of which there is one at a time, before Asterisk has it; then Asterisk's, under its lock.
unsafe impl Sync for Shared {}

static TECHNOLOGY: Shared = Shared(Opaque::zeroed());

unsafe extern "C" fn compatible<T: Together>(bridge: *mut sys::ast_bridge) -> c_int {
    /// Ours is the technology for the bridge.
    const YES: c_int = 1;
    const NO: c_int = 0;
    // After a panic nothing passes either.
    guard(YES, || {
        let bridge = Bridge {
            raw: bridge,
            _alive: PhantomData,
        };
        if T::may_be(&bridge) { NO } else { YES }
    })
}

unsafe extern "C" fn create(bridge: *mut sys::ast_bridge) -> c_int {
    // An unload under way: the bridge ends.
    guard(FAILED, || match ModuleRef::enter() {
        Some(module) => {
            // SAFETY: Asterisk hands a bridge that can be used as if it were locked, whose technology's place is empty.
            unsafe { *sys::ct_bridge_private(bridge) = give(module).cast() };
            DONE
        }
        None => FAILED,
    })
}

unsafe extern "C" fn destroy(bridge: *mut sys::ast_bridge) {
    guard((), || {
        // SAFETY: Asterisk hands a bridge, or a copy of one, with what `create` has put there, once.
        unsafe {
            let place = sys::ct_bridge_private(bridge);
            if !(*place).is_null() {
                drop(Box::<ModuleRef>::from_foreign((*place).cast()));
                *place = std::ptr::null_mut();
            }
        }
    });
}

/// Nothing passes.
unsafe extern "C" fn write(
    _bridge: *mut sys::ast_bridge,
    _channel: *mut sys::ast_bridge_channel,
    _frame: *mut sys::ast_frame,
) -> c_int {
    DONE
}

/// The technology, while it is registered.
#[derive(Debug)]
pub struct Registration(());

/// Registers it. Once at a time: the module has one. `None`: Asterisk does not take it.
pub fn register<T: Together>() -> Option<Registration> {
    let technology = TECHNOLOGY.0.get();
    // SAFETY: a static that lives as long as the library and is not registered now, so nobody writes it but we: what a bridge that has
    // it still from before may read stays what it was. The module is ours.
    unsafe {
        let technology = &raw mut (*technology).technology;
        (*technology).name = NAME.as_ptr();
        (*technology).capabilities = sys::AST_BRIDGE_CAPABILITY_NATIVE
            | sys::AST_BRIDGE_CAPABILITY_1TO1MIX
            | sys::AST_BRIDGE_CAPABILITY_MULTIMIX;
        (*technology).preference = PREFERENCE;
        (*technology).compatible = Some(compatible::<T>);
        (*technology).create = Some(create);
        (*technology).destroy = Some(destroy);
        (*technology).write = Some(write);
        let taken = sys::__ast_bridge_technology_register(technology, sys::ct_module_self());
        (taken == DONE).then_some(Registration(()))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: registered, and once. Asterisk takes it out of its list under the lock that it holds while it asks one; a bridge that
        // has it keeps the module, by `create`.
        unsafe { sys::ast_bridge_technology_unregister(TECHNOLOGY.0.get().cast()) };
    }
}
