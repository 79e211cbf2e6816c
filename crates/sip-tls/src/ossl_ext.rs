//! What the `openssl` crate does not wrap, and the numbers of OpenSSL that `openssl-sys` does not name.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_long, c_uint};
use std::ptr;

use foreign_types::ForeignTypeRef;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKeyRef, Private};
use openssl::ssl::{SslCipher, SslCipherRef, SslContextBuilder, SslRef};
use openssl::stack::StackRef;
use openssl::x509::{X509, X509Ref, X509VerifyResult};
use openssl_sys as ffi;

/// `X509_V_ERR_HOSTNAME_MISMATCH`; OpenSSL answers it with the alert bad_certificate.
pub(crate) fn hostname_mismatch() -> X509VerifyResult {
    // SAFETY: `from_raw` asks for a value that OpenSSL defines as a verify result, and this is one.
    unsafe { X509VerifyResult::from_raw(ffi::X509_V_ERR_HOSTNAME_MISMATCH) }
}

/// `X509_V_ERR_APPLICATION_VERIFICATION`: the callback refuses it; OpenSSL answers it with the alert certificate_unknown.
pub(crate) fn application_verification() -> X509VerifyResult {
    // SAFETY: `from_raw` asks for a value that OpenSSL defines as a verify result, and this is one.
    unsafe { X509VerifyResult::from_raw(ffi::X509_V_ERR_APPLICATION_VERIFICATION) }
}

/// Whether a certificate's extended key usage has TLS servers or TLS clients.
pub(crate) fn is_for_either_side(certificate: &X509Ref) -> bool {
    // SAFETY: the certificate lives. OpenSSL reads its extensions, and keeps what it found in the object under a lock of its own; it
    // wants a mutable pointer for that.
    let usage = unsafe { ffi::X509_get_extended_key_usage(certificate.as_ptr()) };
    // All bits are set where there is no such extension.
    usage & (ffi::XKU_SSL_SERVER | ffi::XKU_SSL_CLIENT) != 0
}

/// Whether a certificate has a subjectAltName extension, be it one that cannot be read, or several.
pub(crate) fn has_alt_names(certificate: &X509Ref) -> bool {
    const FROM_THE_FIRST: c_int = -1;
    // SAFETY: the certificate lives, and is only read.
    let place = unsafe {
        ffi::X509_get_ext_by_NID(
            certificate.as_ptr(),
            Nid::SUBJECT_ALT_NAME.as_raw(),
            FROM_THE_FIRST,
        )
    };
    place >= 0
}

/// The server name of a ClientHello, where a client-hello callback asks: OpenSSL has not read it by then (RFC 6066 3). `None`: there is
/// none, or it is malformed.
pub(crate) fn asked_server_name(ssl: &mut SslRef) -> Option<String> {
    let mut data = ptr::null();
    let mut length = 0;
    // SAFETY: called in the client-hello callback alone, with its connection; OpenSSL writes both on success, and what it points to
    // lives until the callback is done.
    let bytes = unsafe {
        let found =
            SSL_client_hello_get0_ext(ssl.as_ptr(), SERVER_NAME, &raw mut data, &raw mut length);
        if found != 1 || data.is_null() {
            return None;
        }
        std::slice::from_raw_parts(data, length)
    };
    server_name(bytes).map(str::to_owned)
}

/// A list of names, of which the first of type `host_name` (0) is meant.
fn server_name(bytes: &[u8]) -> Option<&str> {
    let (length, list) = bytes.split_first_chunk::<2>()?;
    if usize::from(u16::from_be_bytes(*length)) != list.len() {
        return None;
    }
    let (head, rest) = list.split_first_chunk::<3>()?;
    let [0, high, low] = *head else { return None };
    let name = rest.get(..usize::from(u16::from_be_bytes([high, low])))?;
    std::str::from_utf8(name).ok()
}

/// `SSL_CTX_use_cert_and_key`: a certificate with its key and chain, beside those of other types of key that are there.
pub(crate) fn use_certificate(
    context: &mut SslContextBuilder,
    certificate: &X509Ref,
    key: &PKeyRef<Private>,
    chain: &StackRef<X509>,
) -> Result<(), ErrorStack> {
    const REPLACE: c_int = 1;
    // SAFETY: all four live; OpenSSL takes references of its own to certificate and key, and copies the chain.
    let done = unsafe {
        SSL_CTX_use_cert_and_key(
            context.as_ptr(),
            certificate.as_ptr(),
            key.as_ptr(),
            chain.as_ptr(),
            REPLACE,
        )
    };
    if done == 1 {
        Ok(())
    } else {
        Err(ErrorStack::get())
    }
}

/// The names of a context's ciphers that `is` takes, in its order.
pub(crate) fn ciphers_of(
    context: &SslContextBuilder,
    is: impl Fn(&SslCipherRef) -> bool,
) -> Vec<&'static str> {
    // SAFETY: the context lives and keeps the list, which nobody changes meanwhile.
    let ciphers = unsafe {
        let list = SSL_CTX_get_ciphers(context.as_ptr());
        if list.is_null() {
            return Vec::new();
        }
        StackRef::<SslCipher>::from_ptr(list.cast_mut())
    };
    let taken = ciphers.iter().filter(|cipher| is(cipher));
    taken.map(SslCipherRef::name).collect()
}

/// `SSL_set1_groups_list`
pub(crate) fn set_groups(ssl: &mut SslRef, groups: &CStr) -> Result<(), ErrorStack> {
    // SAFETY: the connection lives, and the list does during the call, which reads it.
    let done = unsafe { ffi::SSL_set1_groups_list(ssl.as_ptr(), groups.as_ptr()) };
    if done == 1 {
        Ok(())
    } else {
        Err(ErrorStack::get())
    }
}

/// `SSL_CTX_set_dh_auto`: clients that know no elliptic curves get a group of OpenSSL's that fits our key.
pub(crate) fn set_automatic_dh(context: &mut SslContextBuilder) {
    // SAFETY: the context lives; this control sets a flag in it.
    unsafe { ffi::SSL_CTX_set_dh_auto(context.as_ptr(), 1) };
}

unsafe extern "C" {
    /// `openssl/ssl.h`, since 1.1.1.
    fn SSL_client_hello_get0_ext(
        ssl: *mut ffi::SSL,
        kind: c_uint,
        out: *mut *const u8,
        length: *mut usize,
    ) -> c_int;
    /// `openssl/ssl.h`, since 1.1.0. The list is the context's.
    fn SSL_CTX_get_ciphers(context: *const ffi::SSL_CTX) -> *const ffi::stack_st_SSL_CIPHER;
    /// `openssl/ssl.h`, since 1.1.1.
    fn SSL_CTX_use_cert_and_key(
        context: *mut ffi::SSL_CTX,
        certificate: *mut ffi::X509,
        key: *mut ffi::EVP_PKEY,
        chain: *mut ffi::stack_st_X509,
        replace: c_int,
    ) -> c_int;
}

/// The number of the extension `server_name` (RFC 6066 3).
const SERVER_NAME: c_uint = 0;

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
const GROUPS: [(c_int, &str); 6] = [
    (0x0200, "MLKEM512"),
    (0x0201, "MLKEM768"),
    (0x0202, "MLKEM1024"),
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

#[cfg(test)]
mod tests {
    use super::server_name;

    #[test]
    fn server_names_of_a_hello() {
        let good = b"\0\x0c\0\0\x09a.example";
        assert_eq!(server_name(good), Some("a.example"));
        for bad in [
            &b""[..],
            b"\0",
            b"\0\0",
            // Another type of name.
            b"\0\x0c\x01\0\x09a.example",
            // The list is longer than it says, and shorter.
            b"\0\x0b\0\0\x09a.example",
            b"\0\x0d\0\0\x09a.example",
            // The name is longer than the list.
            b"\0\x0c\0\0\x0aa.example",
            b"\0\x04\0\0\x01\xff",
        ] {
            assert_eq!(server_name(bad), None, "{bad:?}");
        }
    }
}
