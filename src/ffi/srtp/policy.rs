//! The functions of `ast_srtp_policy_res`.
//!
//! # Safety
//!
//! Each is called by Asterisk, and as `asterisk/res_srtp.h` has it: with NULL or a policy that `alloc` of the same `P` gave and
//! that has not been destroyed, from one thread at a time, and with pointers that are good for the call.

use std::ffi::{c_int, c_uchar, c_ulong};
use std::{ptr, slice};

use super::{FAILED, PolicyWords, status};
use crate::ffi::guard::guard;
use crate::ffi::owned::{borrow_mut, dispose, give};
use crate::ffi::sys;

pub(super) unsafe extern "C" fn alloc<P: PolicyWords>() -> *mut sys::ast_srtp_policy {
    guard(ptr::null_mut(), || give(P::default()).cast())
}

pub(super) unsafe extern "C" fn destroy<P: PolicyWords>(policy: *mut sys::ast_srtp_policy) {
    guard((), || {
        // SAFETY: NULL or from `alloc`, given back once.
        unsafe { dispose(policy.cast::<P>()) };
    });
}

pub(super) unsafe extern "C" fn set_suite<P: PolicyWords>(
    policy: *mut sys::ast_srtp_policy,
    suite: sys::ast_srtp_suite,
) -> c_int {
    guard(FAILED, || {
        // SAFETY: NULL or from `alloc`; one thread builds a policy, and no reference outlives a call.
        let policy = unsafe { borrow_mut(policy.cast::<P>()) };
        status(suite_of(suite).zip(policy).is_some_and(|(suite, policy)| {
            policy.set_suite(suite);
            true
        }))
    })
}

pub(super) unsafe extern "C" fn set_master_key<P: PolicyWords>(
    policy: *mut sys::ast_srtp_policy,
    key: *const c_uchar,
    key_len: usize,
    salt: *const c_uchar,
    salt_len: usize,
) -> c_int {
    guard(FAILED, || {
        // SAFETY: NULL or from `alloc`; one thread builds a policy, and no reference outlives a call. Key and salt
        // have the lengths given and stay during the call.
        let (policy, key, salt) = unsafe {
            (
                borrow_mut(policy.cast::<P>()),
                slice::from_raw_parts(key, key_len),
                slice::from_raw_parts(salt, salt_len),
            )
        };
        status(policy.is_some_and(|policy| policy.set_master_key(key, salt)))
    })
}

pub(super) unsafe extern "C" fn set_ssrc<P: PolicyWords>(
    policy: *mut sys::ast_srtp_policy,
    ssrc: c_ulong,
    _inbound: c_int,
) {
    guard((), || {
        // SAFETY: NULL or from `alloc`; one thread builds a policy, and no reference outlives a call.
        if let Some(policy) = unsafe { borrow_mut(policy.cast::<P>()) } {
            // An SSRC has 32 bits; 0 is "any".
            policy.set_ssrc(u32::try_from(ssrc).ok().filter(|ssrc| *ssrc != 0));
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
