//! Values of ours that a channel keeps (`ast_datastore`).

use std::any::Any;
use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::channel::Channel;
use super::fault;
use super::guard::guard;
use super::module_ref::ModuleRef;
use super::opaque::Opaque;
use super::owned::{ForeignOwnable, borrow_mut, give};
use super::sys;

/// What a channel keeps.
pub type Value = Arc<dyn Any + Send + Sync>;

/// One copy of it. Asterisk counts the module for the first one alone, and not for those that it hands on.
struct Kept {
    value: Value,
    _module: ModuleRef,
}

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// How many copies there are, of all channels.
pub fn count() -> usize {
    COUNT.load(Ordering::Relaxed)
}

impl Drop for Kept {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Kept {
    fn new(value: Value) -> Self {
        COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            value,
            _module: ModuleRef::take(),
        }
    }
}

/// In the place of a value that could not be handed on: a datastore without data.
pub struct Lost;

/// `DATASTORE_INHERIT_FOREVER`.
const INHERIT_FOREVER: u32 = i32::MAX as u32;

struct Info(Opaque<sys::ast_datastore_info>);

// SAFETY: its fields are written once, before it is made; Asterisk reads them.
unsafe impl Sync for Info {}

/// The channels that are made for the channel get it as well: those that it dials, through Local channels, queues and forwards.
static INFO: Info = Info::new(c"ciphertrunk");

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
    let copy: *mut c_void = guard(ptr::null_mut(), || {
        assert!(
            !fault::fires("datastore_duplicate"),
            "deliberate panic for a test in datastore_duplicate"
        );
        // SAFETY: a datastore of ours, whose data is a boxed value that Asterisk owns; it lives during the call.
        let kept = unsafe { Box::<Kept>::borrow(data.cast()) };
        kept.map_or(ptr::null_mut(), |kept| {
            give(Kept::new(Arc::clone(&kept.value))).cast()
        })
    });
    if copy.is_null() {
        // Asterisk hands it on by this function all the same, and nothing tells when the last such datastore is gone.
        std::mem::forget(ModuleRef::take());
    }
    copy
}

unsafe extern "C" fn destroy(data: *mut c_void) {
    guard((), || {
        if !data.is_null() {
            // SAFETY: the boxed value of a datastore of ours, which Asterisk gives back once.
            drop(unsafe { Box::<Kept>::from_foreign(data.cast()) });
        }
    });
}

/// What `channel` keeps: its own, and what it got from others, which may be several; [`Lost`] for one that it should have got.
pub fn all(channel: Channel<'_>) -> Vec<Value> {
    unsafe extern "C" fn each(data: *mut c_void, values: *mut c_void) {
        guard((), || {
            // SAFETY: the vector below, which nobody else has meanwhile; the data of a datastore of ours, which lives while its
            // channel is locked.
            unsafe {
                let kept = Box::<Kept>::borrow(data.cast());
                let value =
                    kept.map_or_else(|| Arc::new(Lost) as Value, |kept| Arc::clone(&kept.value));
                (*values.cast::<Vec<Value>>()).push(value);
            }
        });
    }
    let mut values = Vec::new();
    // SAFETY: alive; the function locks it, and calls `each` during the call alone.
    unsafe {
        let data = (&raw mut values).cast();
        sys::ct_datastores_each(channel.as_ptr(), INFO.0.get(), Some(each), data);
    }
    values
}

/// Has `channel` keep the value that `change` makes of its own. `false`: there is no memory, its own is [`Lost`], or `change` wants
/// none.
pub fn change(channel: Channel<'_>, change: impl FnOnce(Option<&Value>) -> Option<Value>) -> bool {
    // SAFETY: alive. The lock is held from the look to the exchange; `change` is ours and calls nothing of Asterisk's. A new
    // datastore is Asterisk's with its data, once the channel has it.
    unsafe {
        sys::ct_channel_lock(channel.as_ptr());
        let found = sys::ast_channel_datastore_find(channel.as_ptr(), INFO.0.get(), ptr::null());
        let done = match found.as_ref() {
            Some(found) => {
                let kept = borrow_mut(found.data.cast::<Kept>());
                kept.is_some_and(|kept| match change(Some(&kept.value)) {
                    Some(value) => {
                        kept.value = value;
                        true
                    }
                    None => false,
                })
            }
            None => change(None).is_some_and(|value| add(channel, value)),
        };
        sys::ct_channel_unlock(channel.as_ptr());
        done
    }
}

/// # Safety
///
/// The channel is locked, and has no datastore of ours.
unsafe fn add(channel: Channel<'_>, value: Value) -> bool {
    // SAFETY: the information is static, and its data hold the module until Asterisk frees the datastore. What is set in it is
    // Asterisk's from `ast_channel_datastore_add` on, which cannot fail.
    unsafe {
        let new = sys::ct_datastore_alloc(INFO.0.get());
        if new.is_null() {
            return false;
        }
        (*new).data = give(Kept::new(value)).cast();
        (*new).inheritance = INHERIT_FOREVER;
        sys::ast_channel_datastore_add(channel.as_ptr(), new);
        true
    }
}
