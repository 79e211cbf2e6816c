//! Channels of Asterisk's, of any technology.

use std::ffi::{CStr, CString, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::ao2::Ao2;
use super::guard::guard;
use super::rtp::{MediaStream, OwnedRtp};
use super::{c_text, sys, text};

/// A channel's lock, until it is dropped.
pub(super) struct Locked<'a>(Channel<'a>);

impl<'a> Locked<'a> {
    /// The channel.
    pub(super) fn channel(&self) -> Channel<'a> {
        self.0
    }

    /// Whether Asterisk has had its technology hang it up, so that what this keeps with it may be taken apart by other threads, which do
    /// not lock the channel (chan_pjsip's hangup leaves all of it to a task). While it is `false` nobody has been told to.
    pub(super) fn is_given_up(&self) -> bool {
        // SAFETY: alive and locked. Every channel of a technology has a scheduler from its making on; `ast_hangup` takes it away and calls
        // the technology's `hangup` without unlocking the channel between the two.
        !self.0.is_in_hangup && unsafe { sys::ast_channel_sched(self.0.as_ptr()) }.is_null()
    }
}

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
/// Alive for `'a`. With `is_in_hangup` also locked for `'a`, and its technology's `hangup` has not begun.
#[derive(Debug, Clone, Copy)]
pub struct Channel<'a> {
    raw: NonNull<sys::ast_channel>,
    is_in_hangup: bool,
    _alive: PhantomData<&'a sys::ast_channel>,
}

impl<'a> Channel<'a> {
    /// # Safety
    ///
    /// `channel` is NULL, or lives for `'a`.
    pub(super) unsafe fn from_raw(channel: *mut sys::ast_channel) -> Option<Self> {
        NonNull::new(channel).map(|raw| Self {
            raw,
            is_in_hangup: false,
            _alive: PhantomData,
        })
    }

    /// One that is not given up yet, though Asterisk has begun to.
    ///
    /// # Safety
    ///
    /// `channel` is NULL; or it lives for `'a` and is locked for as long, by this thread, which is about to call its technology's `hangup`.
    pub(super) unsafe fn in_hangup(channel: *mut sys::ast_channel) -> Option<Self> {
        NonNull::new(channel).map(|raw| Self {
            raw,
            is_in_hangup: true,
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

    /// Its streams of audio and video, as its technology gives them to bridges; none once it is hung up.
    pub fn media(self) -> Vec<MediaStream> {
        let technology = c_text(&self.technology());
        // SAFETY: a text that lives during the call. What comes back is registered by the channel's driver, which the channel
        // keeps in use.
        let glue = unsafe { sys::ast_rtp_instance_get_glue(technology.as_ptr()) };
        if glue.is_null() {
            return Vec::new();
        }
        let locked = self.lock();
        if locked.is_given_up() {
            return Vec::new();
        }
        // SAFETY: alive, and locked as the bridges have it when they ask, and not given up; an instance that is written comes with a reference,
        // whatever the result says of bridging.
        let asked = unsafe {
            [
                ("audio", (*glue).get_rtp_info),
                ("video", (*glue).get_vrtp_info),
            ]
            .map(|(kind, ask)| {
                let mut instance = ptr::null_mut();
                ask?(self.as_ptr(), &raw mut instance);
                Some(MediaStream::alone(kind, OwnedRtp::from_raw(instance)?))
            })
        };
        asked.into_iter().flatten().collect()
    }

    /// Whether T.38 is agreed on it now; not once it is hung up.
    pub fn is_t38(self) -> bool {
        let locked = self.lock();
        if locked.is_given_up() {
            return false;
        }
        let mut state = sys::T38_STATE_UNAVAILABLE;
        let mut length = c_int::try_from(size_of_val(&state)).unwrap_or_default();
        // SAFETY: alive, not given up, and locked once, as `ast_channel_queryoption` has it then (Local's unlocks it meanwhile); its
        // technology stays while the channel has it, and writes the state during the call alone.
        let is_told = unsafe {
            let technology = sys::ast_channel_tech(self.as_ptr());
            let ask = (!technology.is_null()).then(|| (*technology).queryoption);
            ask.flatten().is_some_and(|ask| {
                let option = sys::AST_OPTION_T38_STATE.cast_signed();
                ask(
                    self.as_ptr(),
                    option,
                    (&raw mut state).cast(),
                    &raw mut length,
                ) == 0
            })
        };
        is_told && state == sys::T38_STATE_NEGOTIATED
    }

    /// Whether an originate made it, and not a call.
    pub fn is_originated(self) -> bool {
        // SAFETY: alive; a flag that is set when it is made.
        unsafe { sys::ct_channel_is_originated(self.as_ptr()) != 0 }
    }

    /// Whether it runs a dialplan of its own, or an originate made it to; and is not one that another channel dialled.
    pub fn runs_dialplan(self) -> bool {
        // SAFETY: alive; the function locks it.
        unsafe { sys::ct_channel_runs_dialplan(self.as_ptr()) != 0 }
    }

    /// What a function of the dialplan says, `NAME(arguments)`. `None`: it says nothing.
    pub fn function(self, call: &CStr) -> Option<String> {
        let mut said = [0; 64];
        // SAFETY: alive; the text and the room live during the call, which ends what it writes.
        unsafe {
            let status =
                sys::ast_func_read(self.as_ptr(), call.as_ptr(), said.as_mut_ptr(), said.len());
            (status == 0).then(|| text(said.as_ptr())).flatten()
        }
    }

    /// What Asterisk's own words demand of those that it is bridged with (`CHANNEL(secure_bridge_...)`): signalling, media.
    pub fn secure_bridge(self) -> [bool; 2] {
        // SAFETY: alive; the function locks it.
        let demanded = unsafe { sys::ct_channel_secure_bridge(self.as_ptr()) };
        [sys::CT_SECURE_SIGNALING, sys::CT_SECURE_MEDIA].map(|bit| demanded & bit != 0)
    }

    /// Whether it is about to end.
    pub fn is_hung_up(self) -> bool {
        // SAFETY: alive.
        unsafe { sys::ast_check_hangup(self.as_ptr()) != 0 }
    }

    /// The one channel that it is bridged with now; `None` where there is none, or several.
    pub fn bridged_with(self) -> Option<OwnedChannel> {
        // SAFETY: alive; the function locks it and the bridge. What comes back has a reference, which is ours.
        unsafe { Ao2::from_raw(sys::ast_channel_bridge_peer(self.as_ptr()).cast()) }
            .map(OwnedChannel)
    }

    /// Whether `ask` says yes of each other channel of its bridge, if there are any. `false` also where another thread has the bridge, or one
    /// of them: nothing is waited for, and whoever looks for a bridge's best technology has them all.
    pub fn all_others(self, ask: fn(Channel<'_>) -> bool) -> bool {
        struct Asked {
            ask: fn(Channel<'_>) -> bool,
            all: bool,
        }
        unsafe extern "C" fn each(other: *mut sys::ast_channel, asked: *mut c_void) {
            guard((), || {
                // SAFETY: the value below, which nobody else has meanwhile; the bridge keeps its channels while it is locked.
                unsafe {
                    let asked = &mut *asked.cast::<Asked>();
                    asked.all &= Channel::from_raw(other).is_some_and(asked.ask);
                }
            });
        }
        let mut asked = Asked { ask, all: true };
        let _locked = self.lock();
        // SAFETY: alive and locked; `each` is called during the call alone.
        let status = unsafe {
            sys::ct_channel_each_other(self.as_ptr(), Some(each), (&raw mut asked).cast())
        };
        status == 0 && asked.all
    }

    /// The technology of the bridge that it is in, e.g. `native_rtp`; `None`: it is in none.
    pub fn bridge_technology(self) -> Option<String> {
        let mut name = [0; 32];
        // SAFETY: alive; the function locks it, then its bridge, and ends what it writes into the room.
        unsafe {
            sys::ct_channel_bridge_technology(self.as_ptr(), name.as_mut_ptr(), name.len());
            text(name.as_ptr())
        }
        .filter(|name| !name.is_empty())
    }

    /// Has its bridge look again which technology is the best one for it.
    pub fn bridge_anew(self) {
        // SAFETY: alive; the function locks it, and queues a frame by which its bridge's thread wakes.
        unsafe { sys::ast_channel_set_unbridged(self.as_ptr(), 1) };
    }

    /// Its unique id, which is its own but for a masquerade, that exchanges two channels'.
    pub fn unique_id(self) -> String {
        let _locked = self.lock();
        // SAFETY: alive; the text is changed under the channel's lock alone, which is held.
        unsafe { text(sys::ast_channel_uniqueid(self.as_ptr())) }.unwrap_or_default()
    }

    /// The unique id of the first channel of its call.
    pub fn linked_id(self) -> String {
        let _locked = self.lock();
        // SAFETY: alive; the text is changed under the channel's lock alone, which is held.
        unsafe { text(sys::ast_channel_linkedid(self.as_ptr())) }.unwrap_or_default()
    }

    /// Sets a variable of the dialplan.
    pub fn set_variable(self, name: &CStr, value: &str) {
        let value = c_text(value);
        // SAFETY: alive; the texts live during the call, which copies them and locks the channel.
        unsafe {
            sys::pbx_builtin_setvar_helper(self.as_ptr(), name.as_ptr(), value.as_ptr());
        }
    }

    /// Takes a variable of the dialplan away.
    pub fn clear_variable(self, name: &CStr) {
        // SAFETY: alive; the name lives during the call, which locks the channel; no value is "no such variable".
        unsafe { sys::pbx_builtin_setvar_helper(self.as_ptr(), name.as_ptr(), ptr::null()) };
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
        let name = c_text(&self.name());
        // SAFETY: alive; the function locks it, and its bridge, and copies the name.
        unsafe { sys::ast_set_hangupsource(self.as_ptr(), name.as_ptr(), 0) };
        self.hang_up_in_bridge();
    }

    /// The same with its bridge locked: who did it is not told to those beside it.
    pub fn hang_up_in_bridge(self) {
        self.set_cause();
        // SAFETY: alive; the function locks it.
        unsafe { sys::ast_queue_hangup(self.as_ptr()) };
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

    /// Another reference to a channel.
    pub(super) fn share(channel: Channel<'_>) -> Self {
        // SAFETY: alive, so it has a reference, to which another one is added.
        Self(unsafe { Ao2::share(channel.as_ptr().cast()) }.expect("not NULL"))
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
    let snapshot =
        // SAFETY: the id lives during the call, which gives NULL, or an object with a reference for us.
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
