//! Channels of Asterisk's, of any technology.

use std::ffi::CString;
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::ao2::Ao2;
use super::{sys, text};

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
