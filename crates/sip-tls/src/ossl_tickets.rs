//! OpenSSL's calls about session tickets: which key, and whether a session is still to be resumed.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_uchar, c_uint, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::slice;
use std::sync::{Arc, LazyLock};

use foreign_types::ForeignTypeRef;
use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::rand::rand_bytes;
use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslRef, SslSession};
use openssl::x509::X509Ref;
use openssl_sys as ffi;

use crate::tickets::{Key, NAME, TicketKeys};

/// Octets of the initialization vector of AES in CBC mode.
const IV: usize = 16;

/// Where a context keeps its keys.
static KEYS: LazyLock<Result<Index<SslContext, Arc<TicketKeys>>, ErrorStack>> =
    LazyLock::new(SslContext::new_ex_index);

/// What OpenSSL authenticates a ticket with.
#[cfg(ossl300)]
type Mac = ffi::EVP_MAC_CTX;
#[cfg(not(ossl300))]
type Mac = ffi::HMAC_CTX;

type KeyCallback = unsafe extern "C" fn(
    *mut ffi::SSL,
    *mut c_uchar,
    *mut c_uchar,
    *mut ffi::EVP_CIPHER_CTX,
    *mut Mac,
    c_int,
) -> c_int;

type OpenedCallback = unsafe extern "C" fn(
    *mut ffi::SSL,
    *mut ffi::SSL_SESSION,
    *const c_uchar,
    usize,
    c_uint,
    *mut c_void,
) -> c_uint;

unsafe extern "C" {
    /// `openssl/ssl.h`, since 3.0.
    #[cfg(ossl300)]
    fn SSL_CTX_set_tlsext_ticket_key_evp_cb(
        context: *mut ffi::SSL_CTX,
        callback: Option<KeyCallback>,
    ) -> c_int;
    /// `openssl/ssl.h`; the callback is of the type that its control says.
    #[cfg(not(ossl300))]
    fn SSL_CTX_callback_ctrl(
        context: *mut ffi::SSL_CTX,
        control: c_int,
        callback: Option<KeyCallback>,
    ) -> std::ffi::c_long;
    /// `openssl/ssl.h`, since 1.1.1.
    fn SSL_CTX_set_session_ticket_cb(
        context: *mut ffi::SSL_CTX,
        made: Option<unsafe extern "C" fn(*mut ffi::SSL, *mut c_void) -> c_int>,
        opened: Option<OpenedCallback>,
        argument: *mut c_void,
    ) -> c_int;
    /// `openssl/ssl.h`
    fn SSL_SESSION_get0_peer(session: *mut ffi::SSL_SESSION) -> *mut ffi::X509;
}

/// `SSL_CTRL_SET_TLSEXT_TICKET_KEY_CB` of `openssl/ssl.h`.
#[cfg(not(ossl300))]
const SSL_CTRL_SET_TLSEXT_TICKET_KEY_CB: c_int = 72;

/// `SSL_TICKET_STATUS` of `openssl/ssl.h`: what became of a ticket.
const SSL_TICKET_SUCCESS: c_uint = 5;
const SSL_TICKET_SUCCESS_RENEW: c_uint = 6;
/// `SSL_TICKET_RETURN`: what is to be done.
const SSL_TICKET_RETURN_IGNORE_RENEW: c_uint = 2;
const SSL_TICKET_RETURN_USE: c_uint = 3;
const SSL_TICKET_RETURN_USE_RENEW: c_uint = 4;

/// Tickets are made and opened with these keys.
pub(crate) fn set_ticket_keys(
    context: &mut SslContextBuilder,
    keys: TicketKeys,
) -> Result<(), ErrorStack> {
    let index = KEYS.as_ref().map_err(Clone::clone)?;
    context.set_ex_data(*index, Arc::new(keys));
    // SAFETY: the builder's context lives. The callbacks are functions of this library, of the types that OpenSSL asks for, and find what
    // they need in the context itself; the argument is not used.
    unsafe {
        #[cfg(ossl300)]
        SSL_CTX_set_tlsext_ticket_key_evp_cb(context.as_ptr(), Some(key));
        #[cfg(not(ossl300))]
        SSL_CTX_callback_ctrl(
            context.as_ptr(),
            SSL_CTRL_SET_TLSEXT_TICKET_KEY_CB,
            Some(key),
        );
        SSL_CTX_set_session_ticket_cb(context.as_ptr(), None, Some(opened), ptr::null_mut());
    }
    Ok(())
}

/// OpenSSL makes a ticket (`enc` 1) or opens one. 1: with the key that it gets; 2: so, and the client is to have a new one; 0: there is no
/// such key, or no ticket; -1 fails the handshake.
///
/// # Safety
///
/// OpenSSL's promises: all pointers are live during the call, `name` has 16 octets and `iv` `EVP_MAX_IV_LENGTH`, 16.
unsafe extern "C" fn key(
    ssl: *mut ffi::SSL,
    name: *mut c_uchar,
    iv: *mut c_uchar,
    cipher: *mut ffi::EVP_CIPHER_CTX,
    mac: *mut Mac,
    enc: c_int,
) -> c_int {
    catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: live and of these lengths, by the caller; nobody else has them during the call.
        let (ssl, name, iv) = unsafe {
            (
                SslRef::from_ptr(ssl),
                slice::from_raw_parts_mut(name, NAME),
                slice::from_raw_parts_mut(iv, IV),
            )
        };
        let Some(keys) = keys_of(ssl) else { return 0 };
        if enc == 1 {
            let Some(key) = keys.signing() else { return 0 };
            if rand_bytes(iv).is_err() {
                return 0;
            }
            name.copy_from_slice(key.name());
            // SAFETY: both contexts are live, by the caller; key and vector have the lengths of AES-256 in CBC mode.
            let done = unsafe {
                ffi::EVP_EncryptInit_ex(
                    cipher,
                    ffi::EVP_aes_256_cbc(),
                    ptr::null_mut(),
                    key.aes().as_ptr(),
                    iv.as_ptr(),
                ) == 1
                    && authenticate_with(mac, &key)
            };
            return if done { 1 } else { -1 };
        }
        let Some((key, signs)) = keys.opening(name) else {
            return 0;
        };
        // SAFETY: as above.
        let done = unsafe {
            ffi::EVP_DecryptInit_ex(
                cipher,
                ffi::EVP_aes_256_cbc(),
                ptr::null_mut(),
                key.aes().as_ptr(),
                iv.as_ptr(),
            ) == 1
                && authenticate_with(mac, &key)
        };
        match (done, signs) {
            (false, _) => -1,
            (true, true) => 1,
            (true, false) => 2,
        }
    }))
    .unwrap_or(-1)
}

fn keys_of(ssl: &SslRef) -> Option<&Arc<TicketKeys>> {
    ssl.ssl_context().ex_data(*KEYS.as_ref().ok()?)
}

/// Gives the MAC its key, and SHA-256.
///
/// # Safety
///
/// `mac` is live.
#[cfg(ossl300)]
unsafe fn authenticate_with(mac: *mut Mac, key: &Key) -> bool {
    let mut digest = *b"SHA256\0";
    // `OSSL_PARAM` as `OSSL_PARAM_construct_utf8_string` and `OSSL_PARAM_construct_end` make it.
    let digest = Param {
        key: c"digest".as_ptr(),
        data_type: OSSL_PARAM_UTF8_STRING,
        data: digest.as_mut_ptr().cast(),
        data_size: digest.len() - 1,
        return_size: usize::MAX,
    };
    let end = Param {
        key: ptr::null(),
        data_type: 0,
        data: ptr::null_mut(),
        data_size: 0,
        return_size: 0,
    };
    let parameters = [digest, end];
    // SAFETY: live, by the caller. Key and parameters live during the call, and OpenSSL copies them; the list has its end.
    unsafe {
        ffi::EVP_MAC_init(
            mac,
            key.hmac().as_ptr(),
            key.hmac().len(),
            parameters.as_ptr().cast(),
        ) == 1
    }
}

/// # Safety
///
/// `mac` is live.
#[cfg(not(ossl300))]
unsafe fn authenticate_with(mac: *mut Mac, key: &Key) -> bool {
    let length = key.hmac().len() as c_int;
    // SAFETY: live, by the caller. The key lives during the call, and OpenSSL copies it.
    unsafe {
        ffi::HMAC_Init_ex(
            mac,
            key.hmac().as_ptr().cast(),
            length,
            ffi::EVP_sha256(),
            ptr::null_mut(),
        ) == 1
    }
}

/// `OSSL_PARAM` of `openssl/core.h`, whose layout is part of OpenSSL's ABI.
#[cfg(ossl300)]
#[repr(C)]
struct Param {
    key: *const std::ffi::c_char,
    data_type: c_uint,
    data: *mut c_void,
    data_size: usize,
    return_size: usize,
}

/// `openssl/core.h`
#[cfg(ossl300)]
const OSSL_PARAM_UTF8_STRING: c_uint = 4;

/// OpenSSL has opened a ticket, or could not. A session with a client whose certificate has expired since is not resumed: the whole
/// handshake decides.
///
/// # Safety
///
/// OpenSSL's promises: `session` is NULL or live during the call.
unsafe extern "C" fn opened(
    _ssl: *mut ffi::SSL,
    session: *mut ffi::SSL_SESSION,
    _name: *const c_uchar,
    _name_length: usize,
    status: c_uint,
    _argument: *mut c_void,
) -> c_uint {
    let answer = match status {
        SSL_TICKET_SUCCESS => SSL_TICKET_RETURN_USE,
        SSL_TICKET_SUCCESS_RENEW => SSL_TICKET_RETURN_USE_RENEW,
        _ => return SSL_TICKET_RETURN_IGNORE_RENEW,
    };
    catch_unwind(|| {
        if session.is_null() {
            return SSL_TICKET_RETURN_IGNORE_RENEW;
        }
        // SAFETY: live, by the caller.
        let peer = unsafe { SSL_SESSION_get0_peer(session) };
        if peer.is_null() {
            return answer;
        }
        // SAFETY: the certificate is the session's and lives as long.
        let peer = unsafe { X509Ref::from_ptr(peer) };
        let is_good = Asn1Time::days_from_now(0).is_ok_and(|now| peer.not_after() > now);
        if is_good {
            answer
        } else {
            SSL_TICKET_RETURN_IGNORE_RENEW
        }
    })
    .unwrap_or(SSL_TICKET_RETURN_IGNORE_RENEW)
}

/// Offers a session to be resumed. It is one of the same profile: what keeps them has no others.
pub(crate) fn offer(ssl: &mut Ssl, session: &SslSession) {
    // SAFETY: OpenSSL wants a session of the same context or of one with the same method; the profile has one for clients, and keeps
    // sessions of that alone. A session that does not fit is not taken, and the handshake is a whole one.
    let _ = unsafe { ssl.set_session(session) };
}
