//! `ast_rtp_instance`: the media stream that an SRTP session belongs to.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use super::ao2::Ao2;
use super::{sys, text};

/// An RTP instance that is alive for `'a`: Asterisk's own reference keeps it during the call from C in which this value
/// was made. It cannot be kept longer. (A counted reference would never be given back: the instance owns the SRTP session
/// that would hold it.)
///
/// # Invariants
///
/// A live instance for `'a`.
#[derive(Debug, Clone, Copy)]
pub struct RtpInstance<'a> {
    raw: NonNull<sys::ast_rtp_instance>,
    _alive: PhantomData<&'a sys::ast_rtp_instance>,
}

impl RtpInstance<'_> {
    /// # Safety
    ///
    /// `instance` is NULL, or an instance that lives as long as the value.
    pub(super) unsafe fn from_raw(instance: *mut sys::ast_rtp_instance) -> Option<Self> {
        NonNull::new(instance).map(|raw| Self {
            raw,
            _alive: PhantomData,
        })
    }

    /// The raw pointer, for calls in this folder.
    pub(super) fn as_ptr(self) -> *mut sys::ast_rtp_instance {
        self.raw.as_ptr()
    }

    /// Its address: which one it is, while it lives.
    pub fn address(self) -> usize {
        self.raw.as_ptr().addr()
    }

    /// The SSRC that this side sends with.
    pub fn ssrc(self) -> u32 {
        // SAFETY: alive by the type's invariant; the function asks the RTP engine under the instance's recursive lock.
        unsafe { sys::ast_rtp_instance_get_ssrc(self.as_ptr()) }
    }

    /// The unique id of the channel it serves; empty before there is one.
    pub fn channel_id(self) -> String {
        // SAFETY: alive by the type's invariant; the text is an array inside the instance, terminated at all times.
        unsafe { text(sys::ast_rtp_instance_get_channel_id(self.as_ptr())) }.unwrap_or_default()
    }

    /// The address it sends to, `host:port`; `(null)` before one is known.
    pub fn remote_address(self) -> String {
        let mut address = MaybeUninit::<sys::ast_sockaddr>::zeroed();
        // SAFETY: alive by the type's invariant; the address is filled under the instance's lock, all zeros are a valid
        // one ("(null)"), and the text lies in a buffer of this thread until its next call.
        unsafe {
            sys::ast_rtp_instance_get_incoming_source_address(self.as_ptr(), address.as_mut_ptr());
            text(sys::ast_sockaddr_stringify_fmt(
                address.as_ptr(),
                (sys::AST_SOCKADDR_STR_ADDR | sys::AST_SOCKADDR_STR_PORT).cast_signed(),
            ))
        }
        .unwrap_or_default()
    }

    /// The address of the SRTP session that Asterisk has for its RTP, of whatever engine; `None`: it has none.
    pub fn srtp_session(self) -> Option<NonZeroUsize> {
        // SAFETY: alive by the type's invariant; the function reads one word, which is set once and stays as long as the instance.
        let session = unsafe { sys::ast_rtp_instance_get_srtp(self.as_ptr(), 0) };
        NonZeroUsize::new(session.addr())
    }

    /// What Asterisk counts. `None`: nothing, for there is no RTCP yet.
    pub fn counts(self) -> Option<Counts> {
        let mut counts = [0; 3];
        // SAFETY: alive by the type's invariant; three numbers are written, under the instance's recursive lock.
        let failed = unsafe { sys::ct_rtp_counts(self.as_ptr(), counts.as_mut_ptr()) };
        let [sent, received, lost] = counts;
        (failed == 0).then_some(Counts {
            sent: sent.into(),
            received: received.into(),
            // A difference of two numbers, which repeated packets make less than nothing.
            lost: u64::try_from(lost.cast_signed()).unwrap_or(0),
        })
    }

    /// Whether its keys are to come by a DTLS handshake.
    pub fn is_dtls(self) -> bool {
        // SAFETY: alive by the type's invariant; the engine is asked for one flag.
        unsafe { sys::ct_rtp_is_dtls(self.as_ptr()) != 0 }
    }

    /// Whether it keeps what it sends, for a NACK of the peer's.
    pub fn retransmits(self) -> bool {
        // SAFETY: alive by the type's invariant; the function reads one number of it.
        unsafe {
            sys::ast_rtp_instance_get_prop(self.as_ptr(), sys::AST_RTP_PROPERTY_RETRANS_SEND) != 0
        }
    }

    /// Whether RTP header extensions were negotiated for it (RFC 8285), whose numbers are its own.
    pub fn has_extensions(self) -> bool {
        // SAFETY: alive by the type's invariant; the function counts under the instance's recursive lock.
        unsafe { sys::ast_rtp_instance_extmap_count(self.as_ptr()) != 0 }
    }

    /// Has it send with another SSRC from now on.
    pub fn change_source(self) {
        // SAFETY: alive by the type's invariant; the function asks the RTP engine under the instance's recursive lock.
        unsafe { sys::ast_rtp_instance_change_source(self.as_ptr()) };
    }

    /// Has it keep what it sends, for a NACK of the peer's.
    #[cfg(feature = "test-hooks")]
    pub fn retransmit(self) {
        // SAFETY: alive by the type's invariant; property and value are numbers, and the instance's lock is recursive.
        unsafe {
            sys::ast_rtp_instance_set_prop(self.as_ptr(), sys::AST_RTP_PROPERTY_RETRANS_SEND, 1);
        }
    }
}

/// What Asterisk counts of an instance's RTP packets, encrypted or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Sent.
    pub sent: u64,
    /// Received: since the peer's SSRC changed last.
    pub received: u64,
    /// Of the peer's that did not come, as of the last report of ours.
    pub lost: u64,
}

/// An instance with a reference of ours.
#[derive(Debug)]
pub struct OwnedRtp(Ao2);

// SAFETY: the count is atomic. What an instance is asked for is read under its own lock, or is a word or a terminated text that
// any thread may read; whichever thread gives the last reference back destroys it, as Asterisk's own do.
unsafe impl Send for OwnedRtp {}
// SAFETY: the same.
unsafe impl Sync for OwnedRtp {}

impl OwnedRtp {
    /// # Safety
    ///
    /// NULL, or an `ast_rtp_instance` of which one reference is the caller's to give away.
    pub(super) unsafe fn from_raw(instance: *mut sys::ast_rtp_instance) -> Option<Self> {
        // SAFETY: instances are `ao2` objects; the reference is the caller's.
        unsafe { Ao2::from_raw(instance.cast()) }.map(Self)
    }

    /// # Safety
    ///
    /// NULL, or an `ast_rtp_instance` that lives during the call.
    pub(super) unsafe fn share(instance: *mut sys::ast_rtp_instance) -> Option<Self> {
        // SAFETY: instances are `ao2` objects; alive, by the caller.
        unsafe { Ao2::share(instance.cast()) }.map(Self)
    }

    /// Locks it: a recursive lock, of this thread.
    pub fn lock(self) -> LockedRtp {
        // SAFETY: alive by our reference, which the value keeps.
        unsafe { sys::ct_rtp_lock(self.0.as_ptr().cast()) };
        LockedRtp {
            rtp: self,
            _of_this_thread: PhantomData,
        }
    }

    /// The instance.
    pub fn get(&self) -> Option<RtpInstance<'_>> {
        // SAFETY: our reference keeps it while `self` is borrowed.
        unsafe { RtpInstance::from_raw(self.0.as_ptr().cast()) }
    }
}

/// An instance that is locked until this is dropped. Of the thread that locked it.
#[derive(Debug)]
pub struct LockedRtp {
    rtp: OwnedRtp,
    _of_this_thread: PhantomData<*const ()>,
}

impl LockedRtp {
    /// The instance.
    pub fn get(&self) -> Option<RtpInstance<'_>> {
        self.rtp.get()
    }
}

impl Drop for LockedRtp {
    fn drop(&mut self) {
        // SAFETY: alive by the reference, and locked by `lock`, on this thread.
        unsafe { sys::ct_rtp_unlock(self.rtp.0.as_ptr().cast()) };
    }
}

/// A stream of media of a channel.
#[derive(Debug)]
pub struct MediaStream {
    /// What Asterisk calls its kind: `audio`, `video`.
    pub kind: &'static str,
    /// Its instance.
    pub rtp: OwnedRtp,
    /// Where it is bundled (RFC 8843): the instance that sends and receives its packets, with the SRTP session of that.
    pub carrier: Option<OwnedRtp>,
    /// It was declined, or is there no more.
    pub is_removed: bool,
    /// Asterisk sends packets of its own while it is silent (`rtp_keepalive`).
    pub keeps_alive: bool,
    /// chan_pjsip listens to it in Asterisk's core, for digits in the audio (`dtmf_mode`) or the tone of a fax (`fax_detect`).
    pub is_listened_to: bool,
}

impl MediaStream {
    /// One that is on its own.
    pub fn alone(kind: &'static str, rtp: OwnedRtp) -> Self {
        Self {
            kind,
            rtp,
            carrier: None,
            is_removed: false,
            keeps_alive: false,
            is_listened_to: false,
        }
    }
}
