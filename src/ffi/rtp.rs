//! `ast_rtp_instance`: the media stream that an SRTP session belongs to.

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use super::{sys, text};

/// An RTP instance, borrowed: it owns its SRTP session and outlives it (`ast_rtp_instance` destroys the session first).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpInstance(NonNull<sys::ast_rtp_instance>);

// SAFETY: an `ao2` object of Asterisk's with a lock of its own; the functions below take that lock or read one word.
unsafe impl Send for RtpInstance {}
// SAFETY: as above.
unsafe impl Sync for RtpInstance {}

impl RtpInstance {
    /// # Safety
    ///
    /// `instance` is a live instance, and stays so while the value (or what keeps it) is used.
    pub(super) unsafe fn from_raw(instance: *mut sys::ast_rtp_instance) -> Option<Self> {
        NonNull::new(instance).map(Self)
    }

    /// The raw pointer, for calls in this folder.
    pub(super) fn as_ptr(self) -> *mut sys::ast_rtp_instance {
        self.0.as_ptr()
    }

    /// The SSRC that this side sends with.
    pub fn ssrc(self) -> u32 {
        // SAFETY: live, by `from_raw`.
        unsafe { sys::ast_rtp_instance_get_ssrc(self.as_ptr()) }
    }

    /// The unique id of the channel it serves; empty before there is one.
    pub fn channel_id(self) -> String {
        // SAFETY: live; the text is inside the instance.
        unsafe { text(sys::ast_rtp_instance_get_channel_id(self.as_ptr())) }.unwrap_or_default()
    }

    /// The address it sends to, `host:port`; `(null)` before one is known.
    pub fn remote_address(self) -> String {
        let mut address = MaybeUninit::<sys::ast_sockaddr>::zeroed();
        // SAFETY: live; the address is filled under the instance's lock, and a zeroed one prints as "(null)".
        unsafe {
            sys::ast_rtp_instance_get_incoming_source_address(self.as_ptr(), address.as_mut_ptr());
            text(sys::ast_sockaddr_stringify_fmt(
                address.as_ptr(),
                (sys::AST_SOCKADDR_STR_ADDR | sys::AST_SOCKADDR_STR_PORT).cast_signed(),
            ))
        }
        .unwrap_or_default()
    }

    /// Has it keep what it sends, for a NACK of the peer's.
    #[cfg(feature = "test-hooks")]
    pub fn retransmit(self) {
        // SAFETY: live, by `from_raw`; the property and its value are numbers, and the instance's lock is recursive.
        unsafe {
            sys::ast_rtp_instance_set_prop(self.as_ptr(), sys::AST_RTP_PROPERTY_RETRANS_SEND, 1);
        }
    }
}
