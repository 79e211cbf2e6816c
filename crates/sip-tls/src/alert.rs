//! TLS alerts (RFC 8446 6, RFC 5246 7.2), and what OpenSSL's error numbers mean.

use openssl::ssl::{Error, ErrorCode};

use crate::reason::{Code, Reason};
use crate::verify::CertFault;

/// The IANA name of an alert.
#[must_use]
pub fn name(number: u8) -> &'static str {
    match number {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => "(unknown)",
    }
}

/// What we know beside OpenSSL's error.
pub(crate) struct Evidence<'a> {
    /// Whether the handshake was done.
    pub open: bool,
    /// The first bytes that the peer sent.
    pub first: &'a [u8],
    /// What the verifier found.
    pub faults: &'a [CertFault],
}

// err.h and sslerr.h; these numbers are part of OpenSSL's ABI.
const ERR_LIB_SSL: i32 = 20;
const ALERTS: std::ops::RangeInclusive<i32> = 1000..=1255;

/// Turns a failed call into a reason.
pub(crate) fn explain(error: &Error, evidence: &Evidence<'_>) -> Reason {
    if !evidence.open
        && let Some(code) = not_tls(evidence.first)
    {
        return code.into();
    }
    if error.code() == ErrorCode::ZERO_RETURN {
        return if evidence.open {
            Code::PeerClosed
        } else {
            Code::ClosedInHandshake
        }
        .into();
    }
    if let Some(io) = error.io_error() {
        return Reason::io(io, evidence.open);
    }
    let closed = if evidence.open {
        Code::PeerEof
    } else {
        Code::ClosedInHandshake
    };
    let Some(stack) = error.ssl_error() else {
        return closed.into();
    };
    let Some(first) = stack.errors().first() else {
        return closed.into();
    };
    let mut reason = stack
        .errors()
        .iter()
        .filter(|error| error.library_code() == ERR_LIB_SSL)
        .find_map(|error| ssl_reason(error.reason_code(), closed, evidence))
        .unwrap_or_else(|| Code::Protocol.into());
    if reason.openssl.is_none() {
        reason.openssl = Some((first.library_code(), first.reason_code()));
    }
    reason
}

/// `SSL_R_*`; `None` for those that say nothing an operator can use.
fn ssl_reason(number: i32, closed: Code, evidence: &Evidence<'_>) -> Option<Reason> {
    if ALERTS.contains(&number) {
        return u8::try_from(number - ALERTS.start())
            .ok()
            .map(Reason::alert);
    }
    Some(match number {
        134 => evidence
            .faults
            .first()
            .map_or_else(|| Code::CertInvalid.into(), |&fault| Reason::from(fault)),
        199 => Code::NoClientCertificate.into(),
        294 => closed.into(),
        155 | 156 => Code::PlainHttp.into(),
        166 | 191 | 252 | 258 | 266 | 267 | 373 | 396 => Code::Version.into(),
        177 | 179 => Code::NoCertificateHere.into(),
        181 | 193 => Code::NoSharedCipher.into(),
        101 | 118 | 295 | 297 | 370 | 376 | 410 => Code::NoSharedAlgorithm.into(),
        394 => Code::WeakKeyExchange.into(),
        397..=399 => CertFault::Weak.into(),
        _ => return None,
    })
}

/// Whether the first bytes cannot be TLS, and what they are. A TLS record begins with its type (20 to 23); a hello in the format
/// of SSL 2 with a length whose first bit is set.
fn not_tls(first: &[u8]) -> Option<Code> {
    let byte = *first.first()?;
    if (20..=23).contains(&byte) || byte & 0x80 != 0 {
        return None;
    }
    const SIP: [&[u8]; 16] = [
        b"SIP/",
        b"INVI",
        b"REGI",
        b"OPTI",
        b"ACK ",
        b"BYE ",
        b"CANC",
        b"SUBS",
        b"NOTI",
        b"PUBL",
        b"MESS",
        b"INFO",
        b"REFE",
        b"UPDA",
        b"PRAC",
        b"\r\n\r\n",
    ];
    const HTTP: [&[u8]; 7] = [
        b"HTTP", b"GET ", b"POST", b"HEAD", b"PUT ", b"DELE", b"CONN",
    ];
    Some(if SIP.iter().any(|word| first.starts_with(word)) {
        Code::PlainSip
    } else if HTTP.iter().any(|word| first.starts_with(word)) {
        Code::PlainHttp
    } else {
        Code::NotTls
    })
}
