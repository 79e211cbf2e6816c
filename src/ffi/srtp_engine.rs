//! `ast_srtp_res` and `ast_srtp_policy_res`: the tables by which Asterisk uses an SRTP engine, over [`Session`] and
//! [`PolicyBuilder`], which know no C.
//!
//! `struct ast_srtp *` is an `Arc<Session>` that Asterisk owns one count of; `struct ast_srtp_policy *` is a boxed
//! `PolicyBuilder` that it owns.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_uchar, c_uint, c_ulong, c_void};
use std::slice;
use std::sync::Arc;

use crate::media::policy::PolicyBuilder;
use crate::media::session::{Kind, Session};

use super::guard::guard;
use super::rtp::RtpInstance;
use super::sys;

const FAILED: c_int = -1;

/// Longest packet that can be sent: stock's limit (`res_srtp.c`: 8192 octets and room for what is added).
pub const MAX_PACKET: usize = 8192 + 64 + srtp::MAX_TRAILER;

thread_local! {
    /// Where `protect` puts a packet: it may not change the caller's buffer, and the caller sends the result before it
    /// asks again. Per thread and not per session, because with ICE Asterisk lets go of the instance's lock before it
    /// sends. It has no destructor, so it does not pin the library (docs/safety.md).
    static OUT: UnsafeCell<[u8; MAX_PACKET]> = const { UnsafeCell::new([0; MAX_PACKET]) };
}

/// # Safety
///
/// `session` is what `create` gave and `destroy` has not taken back.
unsafe fn session<'a>(session: *mut sys::ast_srtp) -> &'a Session {
    // SAFETY: points to the `Session` inside the Arc; Asterisk's count keeps it.
    unsafe { &*session.cast::<Session>().cast_const() }
}

/// # Safety
///
/// `policy` is NULL or what `policy_alloc` gave and `policy_destroy` has not taken back.
unsafe fn policy<'a>(policy: *mut sys::ast_srtp_policy) -> Option<&'a PolicyBuilder> {
    // SAFETY: a `PolicyBuilder`, by the caller.
    unsafe { policy.cast::<PolicyBuilder>().as_ref() }
}

fn status(done: bool) -> c_int {
    if done { 0 } else { FAILED }
}

extern "C" fn create(
    out: *mut *mut sys::ast_srtp,
    rtp: *mut sys::ast_rtp_instance,
    remote: *mut sys::ast_srtp_policy,
) -> c_int {
    guard(FAILED, || {
        // SAFETY: `rtp` is the live instance that will own the session.
        let Some(rtp) = (unsafe { RtpInstance::from_raw(rtp) }) else {
            return FAILED;
        };
        // SAFETY: from `policy_alloc`, live during the call.
        let Some(session) = Session::new(rtp, unsafe { policy(remote) }) else {
            return FAILED;
        };
        // SAFETY: where Asterisk wants the session.
        unsafe { *out = Arc::into_raw(session).cast_mut().cast() };
        0
    })
}

/// The session stays and takes the new remote key: its contexts carry over by RFC 3711's rules, where stock begins anew
/// with ROC 0.
extern "C" fn replace(
    srtp: *mut *mut sys::ast_srtp,
    _rtp: *mut sys::ast_rtp_instance,
    remote: *mut sys::ast_srtp_policy,
) -> c_int {
    guard(FAILED, || {
        // SAFETY: `*srtp` is from `create`; the policy from `policy_alloc`.
        let (session, remote) = unsafe { (session(*srtp), policy(remote)) };
        status(remote.is_some_and(|remote| session.set_remote(remote)))
    })
}

extern "C" fn destroy(srtp: *mut sys::ast_srtp) {
    guard((), || {
        if srtp.is_null() {
            return;
        }
        // SAFETY: the count that `create` gave to Asterisk, taken back once.
        let session = unsafe { Arc::from_raw(srtp.cast::<Session>().cast_const()) };
        session.retire();
    });
}

extern "C" fn add_stream(srtp: *mut sys::ast_srtp, local: *mut sys::ast_srtp_policy) -> c_int {
    guard(FAILED, || {
        // SAFETY: from `create` and `policy_alloc`.
        let (session, local) = unsafe { (session(srtp), policy(local)) };
        status(local.is_some_and(|local| session.set_local(local)))
    })
}

extern "C" fn change_source(srtp: *mut sys::ast_srtp, from: c_uint, to: c_uint) -> c_int {
    guard(FAILED, || {
        // SAFETY: from `create`.
        unsafe { session(srtp) }.change_source(from, to);
        0
    })
}

/// Stock's callback asks for a context of an unknown SSRC and nobody in Asterisk sets it: our contexts come with the
/// first packet that authenticates.
extern "C" fn set_cb(_srtp: *mut sys::ast_srtp, _cb: *const sys::ast_srtp_cb, _data: *mut c_void) {}

/// `flags`: bit 0 says RTCP. Bit 1 is `srtpreplayprotection`, by which stock may start anew with ROC 0; a session of
/// ours never does.
extern "C" fn unprotect(
    srtp: *mut sys::ast_srtp,
    buf: *mut c_void,
    len: *mut c_int,
    flags: c_int,
) -> c_int {
    let received = guard(None, || {
        // SAFETY: a packet of `*len` octets in a buffer of Asterisk's that nobody else uses during the call; the session is
        // from `create`.
        let (session, packet) = unsafe {
            let length = usize::try_from(*len).ok()?;
            (
                session(srtp),
                slice::from_raw_parts_mut(buf.cast::<u8>(), length),
            )
        };
        let kind = if flags & 1 == 0 {
            Kind::Rtp
        } else {
            Kind::Rtcp
        };
        c_int::try_from(session.unprotect(kind, packet)?).ok()
    });
    let Some(length) = received else {
        // SAFETY: this thread's errno. EAGAIN tells Asterisk that this packet is nothing, and not that the stream is broken.
        unsafe { *libc::__errno_location() = libc::EAGAIN };
        return FAILED;
    };
    // SAFETY: Asterisk's variable.
    unsafe { *len = length };
    length
}

extern "C" fn protect(
    srtp: *mut sys::ast_srtp,
    buf: *mut *mut c_void,
    len: *mut c_int,
    rtcp: c_int,
) -> c_int {
    let sent = guard(None, || {
        // SAFETY: a packet of `*len` octets that stays as it is during the call; the session is from `create`.
        let (session, packet) = unsafe {
            let length = usize::try_from(*len).ok()?;
            (
                session(srtp),
                slice::from_raw_parts((*buf).cast::<u8>().cast_const(), length),
            )
        };
        let kind = if rtcp == 0 { Kind::Rtp } else { Kind::Rtcp };
        OUT.try_with(|out| {
            // SAFETY: this thread's alone, and no other borrow of it lives: `protect` is not entered again from inside.
            // `packet` is not in it: Asterisk never hands back what it was given here.
            let out_slice = unsafe { &mut *out.get() };
            let length = session.protect(kind, packet, out_slice)?;
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

extern "C" fn get_random(key: *mut c_uchar, len: usize) -> c_int {
    guard(FAILED, || {
        // SAFETY: `len` octets of Asterisk's to be written.
        let key = unsafe { slice::from_raw_parts_mut(key, len) };
        status(openssl::rand::rand_bytes(key).is_ok())
    })
}

extern "C" fn policy_alloc() -> *mut sys::ast_srtp_policy {
    guard(std::ptr::null_mut(), || {
        Box::into_raw(Box::new(PolicyBuilder::default())).cast()
    })
}

extern "C" fn policy_destroy(policy: *mut sys::ast_srtp_policy) {
    guard((), || {
        if !policy.is_null() {
            // SAFETY: from `policy_alloc`, given back once.
            drop(unsafe { Box::from_raw(policy.cast::<PolicyBuilder>()) });
        }
    });
}

/// # Safety
///
/// As [`policy`], and no other reference to it lives.
unsafe fn policy_mut<'a>(policy: *mut sys::ast_srtp_policy) -> Option<&'a mut PolicyBuilder> {
    // SAFETY: by the caller.
    unsafe { policy.cast::<PolicyBuilder>().as_mut() }
}

extern "C" fn policy_set_suite(
    policy: *mut sys::ast_srtp_policy,
    suite: sys::ast_srtp_suite,
) -> c_int {
    guard(FAILED, || {
        // SAFETY: Asterisk's policy, used by one thread while it is built.
        let policy = unsafe { policy_mut(policy) };
        status(suite_of(suite).zip(policy).is_some_and(|(suite, policy)| {
            policy.suite = Some(suite);
            true
        }))
    })
}

extern "C" fn policy_set_master_key(
    policy: *mut sys::ast_srtp_policy,
    key: *const c_uchar,
    key_len: usize,
    salt: *const c_uchar,
    salt_len: usize,
) -> c_int {
    guard(FAILED, || {
        // SAFETY: as in `policy_set_suite`; key and salt have the lengths given.
        let (policy, key, salt) = unsafe {
            (
                policy_mut(policy),
                slice::from_raw_parts(key, key_len),
                slice::from_raw_parts(salt, salt_len),
            )
        };
        status(policy.is_some_and(|policy| policy.set_master_key(key, salt)))
    })
}

extern "C" fn policy_set_ssrc(policy: *mut sys::ast_srtp_policy, ssrc: c_ulong, _inbound: c_int) {
    guard((), || {
        // SAFETY: as in `policy_set_suite`.
        if let Some(policy) = unsafe { policy_mut(policy) } {
            // An SSRC has 32 bits; 0 is "any".
            policy.ssrc = u32::try_from(ssrc).ok().filter(|ssrc| *ssrc != 0);
        }
    });
}

/// Asterisk's number of a suite.
fn suite_of(suite: sys::ast_srtp_suite) -> Option<srtp::Suite> {
    use srtp::Suite;
    Some(match suite {
        sys::AST_AES_CM_128_HMAC_SHA1_80 => Suite::AesCm128HmacSha1_80,
        sys::AST_AES_CM_128_HMAC_SHA1_32 => Suite::AesCm128HmacSha1_32,
        sys::AST_AES_CM_192_HMAC_SHA1_80 => Suite::AesCm192HmacSha1_80,
        sys::AST_AES_CM_192_HMAC_SHA1_32 => Suite::AesCm192HmacSha1_32,
        sys::AST_AES_CM_256_HMAC_SHA1_80 => Suite::AesCm256HmacSha1_80,
        sys::AST_AES_CM_256_HMAC_SHA1_32 => Suite::AesCm256HmacSha1_32,
        sys::AST_AES_GCM_128 => Suite::AeadAes128Gcm,
        sys::AST_AES_GCM_256 => Suite::AeadAes256Gcm,
        sys::AST_AES_GCM_128_8 => Suite::AeadAes128Gcm8,
        sys::AST_AES_GCM_256_8 => Suite::AeadAes256Gcm8,
        _ => return None,
    })
}

// Asterisk takes pointers to mutable tables and only reads them.
static mut ENGINE: sys::ast_srtp_res = sys::ast_srtp_res {
    create: Some(create),
    replace: Some(replace),
    destroy: Some(destroy),
    add_stream: Some(add_stream),
    change_source: Some(change_source),
    set_cb: Some(set_cb),
    unprotect: Some(unprotect),
    protect: Some(protect),
    get_random: Some(get_random),
};
static mut POLICIES: sys::ast_srtp_policy_res = sys::ast_srtp_policy_res {
    alloc: Some(policy_alloc),
    destroy: Some(policy_destroy),
    set_suite: Some(policy_set_suite),
    set_master_key: Some(policy_set_master_key),
    set_ssrc: Some(policy_set_ssrc),
};

/// Whose engine Asterisk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Ours.
    Ours,
    /// Another module's.
    Another,
    /// Nobody's: live calls with SRTP would go on in clear.
    Nobody,
}

/// Whose engine Asterisk has now.
pub fn owner() -> Owner {
    // SAFETY: two words of Asterisk's that change only by the functions below and their like; read as volatile, because
    // another thread may write them.
    let (engine, policies) = unsafe {
        (
            (&raw const sys::res_srtp).read_volatile(),
            (&raw const sys::res_srtp_policy).read_volatile(),
        )
    };
    if std::ptr::eq(engine, &raw const ENGINE) && std::ptr::eq(policies, &raw const POLICIES) {
        Owner::Ours
    } else if engine.is_null() && policies.is_null() {
        Owner::Nobody
    } else {
        Owner::Another
    }
}

/// Makes ours the engine. `false`: another one is registered.
pub fn register() -> bool {
    // SAFETY: static tables that live as long as the library.
    unsafe { sys::ast_rtp_engine_register_srtp(&raw mut ENGINE, &raw mut POLICIES) == 0 }
}

/// Takes our engine away, and only ours. No session of ours may live.
pub fn unregister() {
    if owner() == Owner::Ours {
        // SAFETY: no session lives that Asterisk would call the engine for.
        unsafe { sys::ast_rtp_engine_unregister_srtp() };
    }
}

/// Adds a stream's keys to its RTP instance, which comes back through `create`, `replace` and `add_stream` above.
/// Called by the SDES negotiation.
pub fn activate(rtp: RtpInstance, remote: PolicyBuilder, local: PolicyBuilder) -> bool {
    let remote: *mut PolicyBuilder = Box::into_raw(Box::new(remote));
    let local: *mut PolicyBuilder = Box::into_raw(Box::new(local));
    // SAFETY: Asterisk hands both to our table during the call and keeps neither; the instance is live.
    let failed = unsafe {
        sys::ast_rtp_instance_add_srtp_policy(rtp.as_ptr(), remote.cast(), local.cast(), 0)
    };
    policy_destroy(remote.cast());
    policy_destroy(local.cast());
    failed == 0
}
