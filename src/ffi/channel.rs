//! Channels of Asterisk's, of any technology.

use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::ao2::Ao2;
use super::{c_text, sys, text};

/// A channel, by a reference that is somebody else's.
///
/// # Invariants
///
/// Alive for `'a`.
#[derive(Debug, Clone, Copy)]
pub struct Channel<'a> {
    raw: NonNull<sys::ast_channel>,
    _alive: PhantomData<&'a sys::ast_channel>,
}

impl<'a> Channel<'a> {
    /// # Safety
    ///
    /// `channel` is NULL, or lives for `'a`.
    pub(super) unsafe fn from_raw(channel: *mut sys::ast_channel) -> Option<Self> {
        NonNull::new(channel).map(|raw| Self {
            raw,
            _alive: PhantomData,
        })
    }

    /// For a call of Asterisk's.
    pub(super) fn as_ptr(self) -> *mut sys::ast_channel {
        self.raw.as_ptr()
    }

    /// Its name, e.g. `PJSIP/carrier-00000001`.
    pub fn name(self) -> String {
        // SAFETY: alive; the name is changed under the channel's lock alone.
        unsafe {
            sys::ct_channel_lock(self.as_ptr());
            let name = text(sys::ast_channel_name(self.as_ptr())).unwrap_or_default();
            sys::ct_channel_unlock(self.as_ptr());
            name
        }
    }

    /// Its unique id, which never changes.
    pub fn unique_id(self) -> String {
        // SAFETY: alive, and the text lives as long.
        unsafe { text(sys::ast_channel_uniqueid(self.as_ptr())) }.unwrap_or_default()
    }

    /// The unique id of the first channel of its call.
    pub fn linked_id(self) -> String {
        // SAFETY: alive; the text is changed under the channel's lock alone.
        unsafe {
            sys::ct_channel_lock(self.as_ptr());
            let id = text(sys::ast_channel_linkedid(self.as_ptr())).unwrap_or_default();
            sys::ct_channel_unlock(self.as_ptr());
            id
        }
    }

    /// Sets a variable of the dialplan.
    pub fn set_variable(self, name: &CStr, value: &str) {
        let value = c_text(value);
        // SAFETY: alive; the texts live during the call, which copies them and locks the channel.
        unsafe {
            sys::pbx_builtin_setvar_helper(self.as_ptr(), name.as_ptr(), value.as_ptr());
        }
    }

    /// Sets a function of the dialplan, `NAME(arguments)`. `false`: it says no.
    pub fn set_function(self, call: &CStr, value: &CStr) -> bool {
        // SAFETY: alive; the texts live during the call.
        unsafe { sys::ast_func_write(self.as_ptr(), call.as_ptr(), value.as_ptr()) == 0 }
    }

    /// The cause of its end will be "bearer capability not available" (58), as Asterisk's core has it for a demand that is not met.
    pub fn set_cause(self) {
        let cause = sys::AST_CAUSE_BEARERCAPABILITY_NOTAVAIL.cast_signed();
        // SAFETY: alive; a word of it.
        unsafe { sys::ast_channel_hangupcause_set(self.as_ptr(), cause) };
    }

    /// Hangs it up, with that cause.
    pub fn hang_up(self) {
        self.set_cause();
        // SAFETY: alive; the functions lock it.
        unsafe {
            sys::ast_set_hangupsource(self.as_ptr(), sys::ast_channel_name(self.as_ptr()), 0);
            sys::ast_queue_hangup(self.as_ptr());
        }
    }
}

/// Calls `each` with every channel of the call that began with the channel of this unique id. It walks through all channels: for
/// what happens seldom.
pub fn each_of_call(linked_id: &str, mut each: impl FnMut(Channel<'_>)) {
    // SAFETY: made here, and destroyed below.
    let iterator = unsafe { sys::ast_channel_iterator_all_new() };
    if iterator.is_null() {
        return;
    }
    loop {
        // SAFETY: the iterator lives. Each channel comes with a reference for us.
        let channel = unsafe { Ao2::from_raw(sys::ast_channel_iterator_next(iterator).cast()) }
            .map(OwnedChannel);
        let Some(channel) = channel else {
            break;
        };
        if let Some(channel) = channel.get()
            && channel.linked_id() == linked_id
        {
            each(channel);
        }
    }
    // SAFETY: made above, and not used after this.
    unsafe { sys::ast_channel_iterator_destroy(iterator) };
}

/// A channel with a reference of ours.
#[derive(Debug)]
pub struct OwnedChannel(Ao2);

impl OwnedChannel {
    /// The channel of this name or unique id. Not from a media thread: it locks the list of channels. `None`: there is none.
    pub fn find(name: &str) -> Option<Self> {
        // An empty name would find any channel.
        let name = CString::new(name).ok().filter(|name| !name.is_empty())?;
        // SAFETY: the name lives during the call; the channel comes back with a reference, which is ours.
        unsafe { Ao2::from_raw(sys::ast_channel_get_by_name(name.as_ptr()).cast()) }.map(Self)
    }

    /// The channel.
    pub fn get(&self) -> Option<Channel<'_>> {
        // SAFETY: our reference keeps it while `self` is borrowed.
        unsafe { Channel::from_raw(self.0.as_ptr().cast()) }
    }
}

/// The name of the channel with this unique id; `None` if there is none. Any lock of a channel's may be held: snapshots lie in a
/// container of their own, whose lock is held for nothing else.
pub fn name_of(unique_id: &str) -> Option<String> {
    if unique_id.is_empty() {
        return None;
    }
    let id = c_text(unique_id);
    // SAFETY: the id lives during the call, which gives NULL, or an object with a reference for us.
    let snapshot =
        unsafe { Ao2::from_raw(sys::ast_channel_snapshot_get_latest(id.as_ptr()).cast())? };
    let snapshot = snapshot.as_ptr().cast::<sys::ast_channel_snapshot>();
    // SAFETY: a snapshot, which nobody changes once it is made, and which the reference above keeps until the copy is made; so
    // it does the part that has the name.
    unsafe {
        #[cfg(channel_snapshot_has_base)]
        let name = (*(*snapshot).base).name;
        #[cfg(not(channel_snapshot_has_base))]
        let name = (*snapshot).name;
        text(name)
    }
}
