//! The names of TLS alerts (RFC 8446 6, RFC 5246 7.2).

use std::ffi::c_int;

use openssl_sys as ffi;

/// The IANA name of an alert.
#[must_use]
pub fn name(number: u8) -> &'static str {
    match c_int::from(number) {
        ffi::SSL_AD_CLOSE_NOTIFY => "close_notify",
        ffi::SSL_AD_UNEXPECTED_MESSAGE => "unexpected_message",
        ffi::SSL_AD_BAD_RECORD_MAC => "bad_record_mac",
        ffi::SSL_AD_DECRYPTION_FAILED => "decryption_failed",
        ffi::SSL_AD_RECORD_OVERFLOW => "record_overflow",
        ffi::SSL_AD_DECOMPRESSION_FAILURE => "decompression_failure",
        ffi::SSL_AD_HANDSHAKE_FAILURE => "handshake_failure",
        ffi::SSL_AD_NO_CERTIFICATE => "no_certificate",
        ffi::SSL_AD_BAD_CERTIFICATE => "bad_certificate",
        ffi::SSL_AD_UNSUPPORTED_CERTIFICATE => "unsupported_certificate",
        ffi::SSL_AD_CERTIFICATE_REVOKED => "certificate_revoked",
        ffi::SSL_AD_CERTIFICATE_EXPIRED => "certificate_expired",
        ffi::SSL_AD_CERTIFICATE_UNKNOWN => "certificate_unknown",
        ffi::SSL_AD_ILLEGAL_PARAMETER => "illegal_parameter",
        ffi::SSL_AD_UNKNOWN_CA => "unknown_ca",
        ffi::SSL_AD_ACCESS_DENIED => "access_denied",
        ffi::SSL_AD_DECODE_ERROR => "decode_error",
        ffi::SSL_AD_DECRYPT_ERROR => "decrypt_error",
        ffi::SSL_AD_PROTOCOL_VERSION => "protocol_version",
        ffi::SSL_AD_INSUFFICIENT_SECURITY => "insufficient_security",
        ffi::SSL_AD_INTERNAL_ERROR => "internal_error",
        ffi::SSL_AD_INAPPROPRIATE_FALLBACK => "inappropriate_fallback",
        ffi::SSL_AD_USER_CANCELLED => "user_canceled",
        ffi::SSL_AD_NO_RENEGOTIATION => "no_renegotiation",
        ffi::SSL_AD_MISSING_EXTENSION => "missing_extension",
        ffi::SSL_AD_UNSUPPORTED_EXTENSION => "unsupported_extension",
        ffi::SSL_AD_UNRECOGNIZED_NAME => "unrecognized_name",
        ffi::SSL_AD_BAD_CERTIFICATE_STATUS_RESPONSE => "bad_certificate_status_response",
        ffi::SSL_AD_UNKNOWN_PSK_IDENTITY => "unknown_psk_identity",
        ffi::SSL_AD_CERTIFICATE_REQUIRED => "certificate_required",
        ffi::SSL_AD_NO_APPLICATION_PROTOCOL => "no_application_protocol",
        _ => "(unknown)",
    }
}
