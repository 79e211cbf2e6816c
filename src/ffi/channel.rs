//! Channels of Asterisk's, of any technology.

use std::ffi::CString;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::ao2::Ao2;
use super::rtp::OwnedRtp;
use super::{sys, text};

/// A channel's lock, until it is dropped.
pub(super) struct Locked<'a>(Channel<'a>);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // SAFETY: alive, and locked by `lock`, on this thread.
        unsafe { sys::ct_channel_unlock(self.0.as_ptr()) };
    }
}

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

    /// Its recursive lock, of this thread.
    pub(super) fn lock(self) -> Locked<'a> {
        // SAFETY: alive.
        unsafe { sys::ct_channel_lock(self.as_ptr()) };
        Locked(self)
    }

    /// Its name, e.g. `PJSIP/carrier-00000001`.
    pub fn name(self) -> String {
        let _locked = self.lock();
        // SAFETY: alive; the name is changed under the channel's lock alone, which is held.
        unsafe { text(sys::ast_channel_name(self.as_ptr())) }.unwrap_or_default()
    }

    /// The kind of its technology, e.g. `PJSIP`; empty without one.
    pub fn technology(self) -> String {
        let _locked = self.lock();
        // SAFETY: alive and locked; a technology and its kind stay while a channel has it.
        unsafe {
            let technology = sys::ast_channel_tech(self.as_ptr());
            match technology.is_null() {
                true => None,
                false => text((*technology).type_),
            }
        }
        .unwrap_or_default()
    }

    /// Its RTP instances for audio and video, as its technology gives them to bridges.
    pub fn media(self) -> [Option<OwnedRtp>; 2] {
        let technology = super::c_text(&self.technology());
        // SAFETY: a text that lives during the call. What comes back is registered by the channel's driver, which the channel
        // keeps in use.
        let glue = unsafe { sys::ast_rtp_instance_get_glue(technology.as_ptr()) };
        if glue.is_null() {
            return [None, None];
        }
        let _locked = self.lock();
        // SAFETY: alive, and locked as the bridges have it when they ask; an instance that is written comes with a reference,
        // whatever the result says of bridging.
        unsafe {
            [(*glue).get_rtp_info, (*glue).get_vrtp_info].map(|ask| {
                let mut instance = ptr::null_mut();
                ask?(self.as_ptr(), &raw mut instance);
                OwnedRtp::from_raw(instance)
            })
        }
    }

    /// Whether T.38 is agreed on it now.
    pub fn is_t38(self) -> bool {
        // SAFETY: alive; the function locks it and asks its driver.
        unsafe { sys::ct_channel_is_t38(self.as_ptr()) != 0 }
    }

    /// Whether an originate made it, and not a call.
    pub fn is_originated(self) -> bool {
        // SAFETY: alive; a flag that is set when it is made.
        unsafe { sys::ct_channel_is_originated(self.as_ptr()) != 0 }
    }

    /// The one channel that it is bridged with now; `None` where there is none, or several.
    pub fn bridged_with(self) -> Option<OwnedChannel> {
        // SAFETY: alive; the function locks it and the bridge. What comes back has a reference, which is ours.
        unsafe { Ao2::from_raw(sys::ast_channel_bridge_peer(self.as_ptr()).cast()) }
            .map(OwnedChannel)
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
