//! What the `openssl` crate does not wrap, and the numbers of OpenSSL that `openssl-sys` does not name.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_long};
use std::ptr;

use foreign_types::ForeignTypeRef;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::ssl::{SslContextBuilder, SslRef};
use openssl::x509::X509VerifyResult;
use openssl_sys as ffi;

/// `X509_V_ERR_HOSTNAME_MISMATCH`; OpenSSL answers it with the alert bad_certificate.
pub(crate) fn hostname_mismatch() -> X509VerifyResult {
    // SAFETY: `from_raw` asks for a value that OpenSSL defines as a verify result, and this is one.
    unsafe { X509VerifyResult::from_raw(ffi::X509_V_ERR_HOSTNAME_MISMATCH) }
}

/// `SSL_CTX_set_max_cert_list`: a peer whose certificate chain has more octets is refused while it sends it.
pub(crate) fn set_max_cert_list(context: &mut SslContextBuilder, octets: c_long) {
    // SAFETY: the builder's context lives; this control stores the number and never reads the NULL pointer.
    unsafe {
        ffi::SSL_CTX_ctrl(
            context.as_ptr(),
            SSL_CTRL_SET_MAX_CERT_LIST,
            octets,
            ptr::null_mut(),
        )
    };
}

/// `SSL_get_negotiated_group`, as a name. Before OpenSSL 3.0 it is not told.
#[must_use]
pub fn negotiated_group(ssl: &SslRef) -> Option<String> {
    // SAFETY: the connection lives; this control reads the group and never the NULL pointer. An OpenSSL that does not know it
    // answers 0.
    let number = unsafe {
        ffi::SSL_ctrl(
            ssl.as_ptr(),
            SSL_CTRL_GET_NEGOTIATED_GROUP,
            0,
            ptr::null_mut(),
        )
    };
    let number = c_int::try_from(number).ok().filter(|number| *number > 0)?;
    if number & NID_UNKNOWN != 0 {
        let id = number & !NID_UNKNOWN;
        let known = GROUPS.iter().find(|(group, _)| *group == id);
        return Some(known.map_or_else(|| format!("0x{id:04x}"), |(_, name)| (*name).to_owned()));
    }
    Nid::from_raw(number).short_name().ok().map(str::to_owned)
}

/// `SSL_total_renegotiations`: how many have begun on this connection.
pub(crate) fn renegotiations(ssl: &SslRef) -> c_long {
    // SAFETY: the connection lives; this control reads a number and never the NULL pointer. It wants a mutable pointer like all
    // controls, and writes nothing.
    unsafe {
        ffi::SSL_ctrl(
            ssl.as_ptr(),
            SSL_CTRL_GET_TOTAL_RENEGOTIATIONS,
            0,
            ptr::null_mut(),
        )
    }
}

/// `SSL_new_session_ticket`: what is written next to a client of TLS 1.3 goes with a ticket for its session. Before OpenSSL 3.0 there is
/// no such thing, and such a session cannot be resumed.
#[cfg(ossl300)]
pub(crate) fn queue_ticket(ssl: &SslRef) {
    // SAFETY: the connection lives, and this is the thread that uses it; what this changes is its state for the next write alone. It
    // wants a mutable pointer like all of them.
    unsafe { SSL_new_session_ticket(ssl.as_ptr()) };
}

#[cfg(not(ossl300))]
pub(crate) fn queue_ticket(_ssl: &SslRef) {}

#[cfg(ossl300)]
unsafe extern "C" {
    /// `openssl/ssl.h`, since 3.0. 0 if it cannot be: then there is none.
    fn SSL_new_session_ticket(ssl: *mut ffi::SSL) -> c_int;
}

/// `openssl/ssl.h`
const SSL_CTRL_GET_TOTAL_RENEGOTIATIONS: c_int = 12;
/// `openssl/ssl.h`
const SSL_CTRL_SET_MAX_CERT_LIST: c_int = 51;
/// `openssl/ssl.h`, since 3.0
const SSL_CTRL_GET_NEGOTIATED_GROUP: c_int = 134;
/// `TLSEXT_nid_unknown` of `openssl/tls1.h`: the group has no NID, and its number in IANA's registry is in the low bits.
const NID_UNKNOWN: c_int = 0x0100_0000;
/// Groups without a NID, by IANA's registry of TLS Supported Groups.
const GROUPS: [(c_int, &str); 3] = [
    (0x11eb, "SecP256r1MLKEM768"),
    (0x11ec, "X25519MLKEM768"),
    (0x11ed, "SecP384r1MLKEM1024"),
];

/// `openssl/err.h`
pub(crate) const ERR_LIB_SSL: c_int = 20;

/// Whether OpenSSL said that a certificate, a key or a digest is too weak for the security level.
pub(crate) fn is_too_weak(stack: &ErrorStack) -> bool {
    stack.errors().iter().any(|error| {
        error.library_code() == ERR_LIB_SSL
            && matches!(
                error.reason_code(),
                ssl_r::CA_KEY_TOO_SMALL | ssl_r::CA_MD_TOO_WEAK | ssl_r::EE_KEY_TOO_SMALL
            )
    })
}

/// `openssl/x509_vfy.h`: since OpenSSL 3.0; before it the number was `X509_V_ERR_INVALID_CA`.
pub(crate) const X509_V_ERR_NO_ISSUER_PUBLIC_KEY: c_int = 24;

/// The `SSL_R_*` of `openssl/sslerr.h` that tell an operator something. They are part of OpenSSL's ABI.
pub(crate) mod ssl_r {
    use std::ffi::c_int;

    pub(crate) const NO_SUITABLE_KEY_SHARE: c_int = 101;
    pub(crate) const NO_SUITABLE_SIGNATURE_ALGORITHM: c_int = 118;
    pub(crate) const CERTIFICATE_VERIFY_FAILED: c_int = 134;
    pub(crate) const EXCESSIVE_MESSAGE_SIZE: c_int = 152;
    pub(crate) const HTTPS_PROXY_REQUEST: c_int = 155;
    pub(crate) const HTTP_REQUEST: c_int = 156;
    pub(crate) const VERSION_TOO_HIGH: c_int = 166;
    pub(crate) const NO_CERTIFICATE_ASSIGNED: c_int = 177;
    pub(crate) const NO_CERTIFICATE_SET: c_int = 179;
    pub(crate) const NO_CIPHERS_AVAILABLE: c_int = 181;
    pub(crate) const NO_PROTOCOLS_AVAILABLE: c_int = 191;
    pub(crate) const NO_SHARED_CIPHER: c_int = 193;
    pub(crate) const PEER_DID_NOT_RETURN_A_CERTIFICATE: c_int = 199;
    pub(crate) const UNKNOWN_PROTOCOL: c_int = 252;
    pub(crate) const UNSUPPORTED_PROTOCOL: c_int = 258;
    pub(crate) const WRONG_SSL_VERSION: c_int = 266;
    pub(crate) const WRONG_VERSION_NUMBER: c_int = 267;
    pub(crate) const UNEXPECTED_EOF_WHILE_READING: c_int = 294;
    pub(crate) const NO_SUITABLE_GROUPS: c_int = 295;
    pub(crate) const NO_SUITABLE_DIGEST_ALGORITHM: c_int = 297;
    pub(crate) const UNSAFE_LEGACY_RENEGOTIATION_DISABLED: c_int = 338;
    pub(crate) const WRONG_SIGNATURE_TYPE: c_int = 370;
    pub(crate) const INAPPROPRIATE_FALLBACK: c_int = 373;
    pub(crate) const NO_SHARED_SIGNATURE_ALGORITHMS: c_int = 376;
    pub(crate) const DH_KEY_TOO_SMALL: c_int = 394;
    pub(crate) const VERSION_TOO_LOW: c_int = 396;
    pub(crate) const CA_KEY_TOO_SMALL: c_int = 397;
    pub(crate) const CA_MD_TOO_WEAK: c_int = 398;
    pub(crate) const EE_KEY_TOO_SMALL: c_int = 399;
    pub(crate) const NO_SHARED_GROUPS: c_int = 410;
}
