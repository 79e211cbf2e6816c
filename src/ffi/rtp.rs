//! `ast_rtp_instance`: the media stream that an SRTP session belongs to.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

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

    /// Whether it keeps what it sends, for a NACK of the peer's.
    pub fn retransmits(self) -> bool {
        // SAFETY: alive by the type's invariant; the function reads one number of it.
        unsafe {
            sys::ast_rtp_instance_get_prop(self.as_ptr(), sys::AST_RTP_PROPERTY_RETRANS_SEND) != 0
        }
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
