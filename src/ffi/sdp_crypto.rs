//! `ast_sdp_crypto_api`: the SDES negotiation of one media stream.
//!
//! `struct ast_sdp_crypto *` is a boxed [`Crypto`] that Asterisk owns. A stream's `struct ast_sdp_srtp` is a list whose
//! nodes each stand for one `a=crypto` line of an offer. The first node's `Crypto` negotiates; those behind it only carry
//! a line each.

use std::ffi::{c_char, c_int};
use std::ptr;

use crate::media::sdes::{Crypto, Lines};

use super::guard::guard;
use super::rtp::RtpInstance;
use super::{session, sys, text};

const FAILED: c_int = -1;

extern "C" fn alloc() -> *mut sys::ast_sdp_crypto {
    guard(ptr::null_mut(), || {
        Box::into_raw(Box::new(Crypto::new())).cast()
    })
}

extern "C" fn dtor(crypto: *mut sys::ast_sdp_crypto) {
    guard((), || {
        if !crypto.is_null() {
            // SAFETY: from `alloc` or `attach`, given back once.
            drop(unsafe { Box::from_raw(crypto.cast::<Crypto>()) });
        }
    });
}

/// Nobody in Asterisk 22 calls it: lines are asked for by `get_attr`.
extern "C" fn build_offer(_crypto: *mut sys::ast_sdp_crypto, _taglen: c_int) -> c_int {
    FAILED
}

/// Gives `node` a `Crypto` if it has none.
///
/// # Safety
///
/// `node` is a live node that no other thread uses during the call.
unsafe fn attach<'a>(node: *mut sys::ast_sdp_srtp) -> &'a mut Crypto {
    // SAFETY: live and ours alone, by the caller; a node's crypto is always from this file.
    unsafe {
        if (*node).crypto.is_null() {
            (*node).crypto = Box::into_raw(Box::new(Crypto::new())).cast();
        }
        &mut *(*node).crypto.cast::<Crypto>()
    }
}

extern "C" fn parse_offer(
    rtp: *mut sys::ast_rtp_instance,
    srtp: *mut sys::ast_sdp_srtp,
    attr: *const c_char,
) -> c_int {
    guard(FAILED, || {
        // SAFETY: a live instance, the stream's list, used by its session's serializer alone, and a string.
        let (rtp, crypto, attr) = unsafe {
            let (Some(rtp), Some(attr)) = (RtpInstance::from_raw(rtp), text(attr)) else {
                return FAILED;
            };
            if srtp.is_null() {
                return FAILED;
            }
            (rtp, attach(srtp), attr)
        };
        if !crypto.receive(rtp, &attr) {
            return FAILED;
        }
        // CHANNEL(rtp,secure) reads this flag.
        // SAFETY: as above.
        unsafe { (*srtp).flags |= sys::AST_SRTP_CRYPTO_OFFER_OK };
        0
    })
}

extern "C" fn get_attr(
    srtp: *mut sys::ast_sdp_srtp,
    dtls_enabled: c_int,
    default_taglen_32: c_int,
) -> *const c_char {
    guard(ptr::null(), || {
        if srtp.is_null() || dtls_enabled != 0 {
            // DTLS-SRTP carries no keys in SDP.
            return ptr::null();
        }
        // SAFETY: the stream's list, used by its session's serializer alone.
        let crypto = unsafe { attach(srtp) };
        match crypto.lines(default_taglen_32 != 0, session::call_of_list(srtp)) {
            Lines::Own => {}
            // SAFETY: as above.
            Lines::Only => unsafe { truncate(srtp) },
            Lines::WithFollowers(followers) => {
                // SAFETY: as above.
                unsafe { truncate(srtp) };
                let mut last = srtp;
                for follower in followers {
                    // SAFETY: Asterisk allocates the node and frees it with the list; its crypto is a box of ours.
                    unsafe {
                        let node = sys::ast_sdp_srtp_alloc();
                        if node.is_null() {
                            break;
                        }
                        (*node).crypto = Box::into_raw(Box::new(follower)).cast();
                        (*last).sdp_srtp_list.next = node;
                        last = node;
                    }
                }
            }
        }
        // SAFETY: as above; the text lives in the node's Crypto until its next line is made.
        unsafe { attach(srtp) }
            .line()
            .map_or(ptr::null(), |line| line.as_ptr())
    })
}

/// Drops the nodes behind `node`.
///
/// # Safety
///
/// As [`attach`].
unsafe fn truncate(node: *mut sys::ast_sdp_srtp) {
    // SAFETY: the rest of the list, which nobody else holds; Asterisk frees its nodes and, by `dtor`, their crypto.
    unsafe {
        let rest = (*node).sdp_srtp_list.next;
        (*node).sdp_srtp_list.next = ptr::null_mut();
        if !rest.is_null() {
            sys::ast_sdp_srtp_destroy(rest);
        }
    }
}

static mut API: sys::ast_sdp_crypto_api = sys::ast_sdp_crypto_api {
    dtor: Some(dtor),
    alloc: Some(alloc),
    build_offer: Some(build_offer),
    parse_offer: Some(parse_offer),
    get_attr: Some(get_attr),
};

/// Makes ours the SDES negotiation. `false`: another one is registered.
pub fn register() -> bool {
    // SAFETY: a static table that lives as long as the library.
    unsafe { sys::ast_sdp_crypto_register(&raw mut API) == 0 }
}

/// Takes it away, and only ours (Asterisk compares). No `Crypto` of ours may live.
pub fn unregister() {
    // SAFETY: as in `register`.
    unsafe { sys::ast_sdp_crypto_unregister(&raw mut API) };
}
