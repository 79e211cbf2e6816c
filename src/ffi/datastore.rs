//! Values of ours that a channel keeps (`ast_datastore`).

use std::any::Any;
use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::Arc;

use super::channel::Channel;
use super::guard::guard;
use super::opaque::Opaque;
use super::owned::{ForeignOwnable, give};
use super::sys;

/// What a channel keeps.
pub type Value = Arc<dyn Any + Send + Sync>;

/// `DATASTORE_INHERIT_FOREVER`.
const INHERIT_FOREVER: u32 = i32::MAX as u32;

struct Info(Opaque<sys::ast_datastore_info>);

// SAFETY: its fields are written once, before it is made; Asterisk reads them.
unsafe impl Sync for Info {}

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// The channels that are made for the channel get it as well: those that it dials, through Local channels, queues and
    /// forwards.
    Inherited,
    /// It is the channel's alone.
    Own,
}

impl Store {
    fn info(self) -> *mut sys::ast_datastore_info {
        static INHERITED: Info = Info::new(c"ciphertrunk-inherited");
        static OWN: Info = Info::new(c"ciphertrunk-own");
        match self {
            Self::Inherited => INHERITED.0.get(),
            Self::Own => OWN.0.get(),
        }
    }

    /// How many generations of channels get it.
    fn inheritance(self) -> u32 {
        match self {
            Self::Inherited => INHERIT_FOREVER,
            Self::Own => 0,
        }
    }
}

impl Info {
    const fn new(name: &'static CStr) -> Self {
        Self(Opaque::new(sys::ast_datastore_info {
            type_: name.as_ptr(),
            duplicate: Some(duplicate),
            destroy: Some(destroy),
            chan_fixup: None,
            chan_breakdown: None,
        }))
    }
}

unsafe extern "C" fn duplicate(data: *mut c_void) -> *mut c_void {
    guard(ptr::null_mut(), || {
        // SAFETY: a datastore of ours, whose data is a boxed value that Asterisk owns; it lives during the call.
        let value = unsafe { Box::<Value>::borrow(data.cast()) };
        value.map_or(ptr::null_mut(), |value| give(Arc::clone(value)).cast())
    })
}

unsafe extern "C" fn destroy(data: *mut c_void) {
    guard((), || {
        if !data.is_null() {
            // SAFETY: the boxed value of a datastore of ours, which Asterisk gives back once.
            drop(unsafe { Box::<Value>::from_foreign(data.cast()) });
        }
    });
}

/// What `channel` keeps.
pub fn get(channel: Channel<'_>, store: Store) -> Option<Value> {
    // SAFETY: alive; its datastores are read and changed under its lock, which is recursive.
    unsafe {
        sys::ct_channel_lock(channel.as_ptr());
        let found = sys::ast_channel_datastore_find(channel.as_ptr(), store.info(), ptr::null());
        let value = match found.is_null() {
            true => None,
            false => Box::<Value>::borrow((*found).data.cast()).map(Arc::clone),
        };
        sys::ct_channel_unlock(channel.as_ptr());
        value
    }
}

/// Has `channel` keep the value that `change` makes of the one it keeps. `false`: there is no memory, or `change` wants none.
pub fn change(
    channel: Channel<'_>,
    store: Store,
    change: impl FnOnce(Option<&Value>) -> Option<Value>,
) -> bool {
    // SAFETY: alive. The lock is held from the look to the exchange; `change` is ours and calls nothing of Asterisk's. A new
    // datastore is Asterisk's with its data, once the channel has it.
    unsafe {
        sys::ct_channel_lock(channel.as_ptr());
        let found = sys::ast_channel_datastore_find(channel.as_ptr(), store.info(), ptr::null());
        let done = match found.as_ref() {
            Some(found) => {
                let place = found.data.cast::<Value>();
                match change(place.as_ref()) {
                    Some(value) => {
                        *place = value;
                        true
                    }
                    None => false,
                }
            }
            None => change(None).is_some_and(|value| add(channel, store, value)),
        };
        sys::ct_channel_unlock(channel.as_ptr());
        done
    }
}

/// # Safety
///
/// The channel is locked, and has no datastore of ours.
unsafe fn add(channel: Channel<'_>, store: Store, value: Value) -> bool {
    // SAFETY: the information is static; the datastore holds a use of our module until it is freed. What is set in it is
    // Asterisk's from `ast_channel_datastore_add` on, which cannot fail.
    unsafe {
        let new = sys::ct_datastore_alloc(store.info());
        if new.is_null() {
            return false;
        }
        (*new).data = give(value).cast();
        (*new).inheritance = store.inheritance();
        sys::ast_channel_datastore_add(channel.as_ptr(), new);
        true
    }
}
