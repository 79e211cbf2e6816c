//! `pj_status_t`: how a call of pjlib or pjsip ended.

use crate::ffi::sys;

/// A `pj_status_t` that is not `PJ_SUCCESS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(i32);

impl Status {
    /// `PJ_SUCCESS`.
    pub const SUCCESS: i32 = 0;
    /// What `send_msg` answers when the message waits to be sent.
    pub const PENDING: Self = Self(sys::CT_PJ_EPENDING.cast_signed());
    /// A wrong argument.
    pub const INVALID: Self = Self(sys::CT_PJ_EINVAL.cast_signed());
    /// No memory.
    pub const NO_MEMORY: Self = Self(sys::CT_PJ_ENOMEM.cast_signed());
    /// The transport is going away.
    pub const CANCELLED: Self = Self(sys::CT_PJ_ECANCELLED.cast_signed());
    /// Something took too long.
    pub const TIMED_OUT: Self = Self(sys::CT_PJ_ETIMEDOUT.cast_signed());
    /// The peer is gone.
    pub const NOT_CONNECTED: Self = Self(sys::CT_PJ_ENOTCONN.cast_signed());
    /// The message is already being sent.
    pub const PENDING_TX: Self = Self(sys::CT_PJSIP_EPENDINGTX.cast_signed());
    /// The connection could not be made.
    pub const TLS_CONNECT: Self = Self(sys::CT_PJSIP_TLS_ECONNECT.cast_signed());
    /// The peer's certificate is not good.
    pub const TLS_CERT_VERIFY: Self = Self(sys::CT_PJSIP_TLS_ECERTVERIF.cast_signed());

    /// As C wants it.
    pub fn raw(self) -> i32 {
        self.0
    }

    /// The result of a call.
    pub(super) fn check(raw: i32) -> Result<(), Self> {
        if raw == Self::SUCCESS {
            Ok(())
        } else {
            Err(Self(raw))
        }
    }
}
