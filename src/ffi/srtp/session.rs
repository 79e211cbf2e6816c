//! The functions of `ast_srtp_res`.
//!
//! # Safety
//!
//! Each is called by Asterisk, and as `asterisk/res_srtp.h` has it: with a session that `create` of the same `E` gave and
//! that has not been destroyed, a live instance, and pointers that are good for the call.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_uchar, c_uint, c_void};
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use super::attached::{self, Attached};
use super::{Engine, FAILED, Kind, status};
use crate::ffi::guard::guard;
use crate::ffi::owned::{ForeignOwnable, share};
use crate::ffi::rtp::RtpInstance;
use crate::ffi::sys;

/// Longest packet that can be sent: stock's limit (`res_srtp.c`: 8192 octets and room for what is added).
const MAX_PACKET: usize = 8192 + 64 + srtp::MAX_TRAILER;

thread_local! {
    /// Where `protect` puts a packet: it may not change the caller's buffer, and the caller sends the result before it
    /// asks again. Per thread and not per session, because with ICE Asterisk lets go of the instance's lock before it
    /// sends. It has no destructor, so it does not pin the library (docs/safety.md).
    static OUT: UnsafeCell<[u8; MAX_PACKET]> = const { UnsafeCell::new([0; MAX_PACKET]) };
}

pub(super) unsafe extern "C" fn create<E: Engine>(
    out: *mut *mut sys::ast_srtp,
    rtp: *mut sys::ast_rtp_instance,
    remote: *mut sys::ast_srtp_policy,
) -> c_int {
    guard(FAILED, || {
        // SAFETY: the instance that will own the session; the caller's reference keeps it during the call.
        let Some(instance) = (unsafe { RtpInstance::from_raw(rtp) }) else {
            return FAILED;
        };
        // SAFETY: NULL or from `policy::alloc`; the caller destroys it after the call and changes it on this thread alone.
        let remote = unsafe { Box::<E::Policy>::borrow(remote.cast()) };
        let (Some(session), Some(rtp)) = (E::create(instance, remote), NonNull::new(rtp)) else {
            return FAILED;
        };
        let session = Arc::new(Attached::new(session, rtp));
        E::attached(&session, remote);
        // SAFETY: where Asterisk wants the session: its own variable.
        unsafe { *out = attached::give(session) };
        0
    })
}

/// The session stays and takes the new remote keys: its contexts carry over by RFC 3711's rules, where stock begins anew
/// with ROC 0.
pub(super) unsafe extern "C" fn replace<E: Engine>(
    srtp: *mut *mut sys::ast_srtp,
    rtp: *mut sys::ast_rtp_instance,
    remote: *mut sys::ast_srtp_policy,
) -> c_int {
    guard(FAILED, || {
        // SAFETY: `*srtp` is from `create`, and the instance has it during the call; the policy is NULL or from
        // `policy::alloc`, and not changed meanwhile; the caller's reference keeps the instance.
        let (session, remote, rtp) = unsafe {
            (
                share((*srtp).cast::<Attached<E::Session>>()),
                Box::<E::Policy>::borrow(remote.cast()),
                RtpInstance::from_raw(rtp),
            )
        };
        let (Some(remote), Some(rtp)) = (remote, rtp) else {
            return FAILED;
        };
        status(E::replace(&session, rtp, remote))
    })
}

pub(super) unsafe extern "C" fn destroy<E: Engine>(srtp: *mut sys::ast_srtp) {
    guard((), || {
        if srtp.is_null() {
            return;
        }
        // SAFETY: what `create` gave to Asterisk, which gives it back once: the instance is being destroyed.
        let session = unsafe { attached::take_back::<E::Session>(srtp) };
        E::detached(&session);
    });
}

pub(super) unsafe extern "C" fn add_stream<E: Engine>(
    srtp: *mut sys::ast_srtp,
    local: *mut sys::ast_srtp_policy,
) -> c_int {
    guard(FAILED, || {
        // SAFETY: from `create`, and Asterisk has it during the call, so its instance lives too; the policy is NULL or from
        // `policy::alloc`, and not changed meanwhile.
        let (session, local) = unsafe {
            (
                attached::borrow::<E::Session>(srtp),
                Box::<E::Policy>::borrow(local.cast()),
            )
        };
        // SAFETY: this is a call of Asterisk's for the session.
        let rtp = unsafe { session.rtp() };
        let (Some(local), Some(rtp)) = (local, rtp) else {
            return FAILED;
        };
        status(E::add_stream(session, rtp, local))
    })
}

pub(super) unsafe extern "C" fn change_source<E: Engine>(
    srtp: *mut sys::ast_srtp,
    from: c_uint,
    to: c_uint,
) -> c_int {
    guard(FAILED, || {
        // SAFETY: from `create`, and Asterisk has it during the call.
        E::change_source(unsafe { attached::borrow::<E::Session>(srtp) }, from, to);
        0
    })
}

/// Stock's callback asks for a context of an unknown SSRC and nobody in Asterisk sets it: our contexts come with the
/// first packet that authenticates.
pub(super) extern "C" fn set_cb(
    _srtp: *mut sys::ast_srtp,
    _cb: *const sys::ast_srtp_cb,
    _data: *mut c_void,
) {
}

/// `flags`: bit 0 says RTCP. Bit 1 is `srtpreplayprotection`, by which stock may start anew with ROC 0; a session of
/// ours never does.
pub(super) unsafe extern "C" fn unprotect<E: Engine>(
    srtp: *mut sys::ast_srtp,
    buf: *mut c_void,
    len: *mut c_int,
    flags: c_int,
) -> c_int {
    let received = guard(None, || {
        // SAFETY: a packet of `*len` octets in a buffer of Asterisk's that nobody else uses during the call; the session is
        // from `create`, and Asterisk has it during the call.
        let (session, packet) = unsafe {
            let length = usize::try_from(*len).ok()?;
            (
                attached::borrow::<E::Session>(srtp),
                slice::from_raw_parts_mut(buf.cast::<u8>(), length),
            )
        };
        // SAFETY: this is a call of Asterisk's for the session.
        let rtp = unsafe { session.rtp() }?;
        let kind = if flags & 1 == 0 {
            Kind::Rtp
        } else {
            Kind::Rtcp
        };
        c_int::try_from(E::unprotect(session, rtp, kind, packet)?).ok()
    });
    let Some(length) = received else {
        // Asterisk 22 takes every failure for a packet that is nothing and looks at no errno; 16 and 18 tell EAGAIN apart
        // from a broken stream (`__rtp_recvfrom` in res_rtp_asterisk.c).
        // SAFETY: this thread's errno.
        unsafe { *libc::__errno_location() = libc::EAGAIN };
        return FAILED;
    };
    // SAFETY: Asterisk's variable.
    unsafe { *len = length };
    length
}

pub(super) unsafe extern "C" fn protect<E: Engine>(
    srtp: *mut sys::ast_srtp,
    buf: *mut *mut c_void,
    len: *mut c_int,
    rtcp: c_int,
) -> c_int {
    let sent = guard(None, || {
        // SAFETY: a packet of `*len` octets that stays as it is during the call; the session is from `create`, and Asterisk
        // has it during the call.
        let (session, packet) = unsafe {
            let length = usize::try_from(*len).ok()?;
            (
                attached::borrow::<E::Session>(srtp),
                slice::from_raw_parts((*buf).cast::<u8>().cast_const(), length),
            )
        };
        let kind = if rtcp == 0 { Kind::Rtp } else { Kind::Rtcp };
        OUT.try_with(|out| {
            // SAFETY: this thread's alone, and no other borrow of it lives: `protect` is not entered again from inside.
            // `packet` is not in it: Asterisk never hands back what it was given here.
            let out_slice = unsafe { &mut *out.get() };
            let length = E::protect(session, kind, packet, out_slice)?;
            Some((out.get().cast::<c_void>(), c_int::try_from(length).ok()?))
        })
        .ok()?
    });
    let Some((out, length)) = sent else {
        // SAFETY: this thread's errno.
        unsafe { *libc::__errno_location() = libc::EINVAL };
        return FAILED;
    };
    // SAFETY: Asterisk's variables; the buffer holds the packet until this thread's next call.
    unsafe {
        *buf = out;
        *len = length;
    }
    length
}

pub(super) unsafe extern "C" fn get_random<E: Engine>(key: *mut c_uchar, len: usize) -> c_int {
    guard(FAILED, || {
        // SAFETY: `len` octets of Asterisk's to be written, which nobody else uses during the call.
        status(E::random(unsafe { slice::from_raw_parts_mut(key, len) }))
    })
}
