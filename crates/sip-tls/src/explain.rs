//! From a failed call of OpenSSL to a reason.

use std::ffi::c_int;
use std::io;
use std::sync::Arc;

use openssl::ssl::{Error, ErrorCode};
use openssl_sys as ffi;

use crate::code::{Code, Stage};
use crate::offending::Offending;
use crate::ossl_ext::{ERR_LIB_SSL, ssl_r};
use crate::proxy;
use crate::reason::{HelloVersion, Reason};
use crate::verify::CertFault;

/// How far the handshake was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It was going on.
    Handshaking,
    /// It was done for us. A server of TLS 1.3, whose client we are, has not said yet what it thinks of our certificate.
    Unconfirmed,
    /// It was done.
    Open,
    /// It was done, and another one is going on.
    Renegotiating,
}

/// What we know beside OpenSSL's error.
#[derive(Debug, Clone)]
pub struct Evidence<'a> {
    /// How far the handshake was.
    pub progress: Progress,
    /// Whether we have refused the peer a renegotiation.
    pub refused: bool,
    /// Whether the peer connected to us.
    pub incoming: bool,
    /// The first bytes that the peer sent.
    pub first: &'a [u8],
    /// What the verifier found.
    pub faults: &'a [CertFault],
    /// Of which certificate the first of it is.
    pub offending: Option<Arc<Offending>>,
    /// The error that the socket has died of.
    pub socket: Option<c_int>,
}

impl Evidence<'_> {
    fn open(&self) -> bool {
        self.progress != Progress::Handshaking
    }

    /// The version in the peer's hello, if its first bytes are one: a record of a handshake (RFC 8446 5.1) with ClientHello or ServerHello
    /// (4).
    fn hello(&self) -> Option<HelloVersion> {
        const HANDSHAKE: u8 = 22;
        const CLIENT_HELLO: u8 = 1;
        const SERVER_HELLO: u8 = 2;
        let &[HANDSHAKE, _, _, _, _, kind, _, _, _, major, minor] = self.first else {
            return None;
        };
        [CLIENT_HELLO, SERVER_HELLO]
            .contains(&kind)
            .then(|| HelloVersion {
                from_client: kind == CLIENT_HELLO,
                number: u16::from_be_bytes([major, minor]),
            })
    }

    /// TCP was closed, without an alert.
    fn closed(&self) -> Code {
        if self.open() {
            Code::PeerEof
        } else if self.incoming && self.first.is_empty() {
            Code::NothingSent
        } else if self.first.is_empty() {
            Code::ClosedAtHello
        } else {
            Code::ClosedInHandshake
        }
    }

    /// The socket died.
    fn died(&self, error: &io::Error) -> Reason {
        let reason = Reason::io(error, self.open());
        if reason.code == Code::ResetInHandshake && self.incoming && self.first.is_empty() {
            return Code::NothingSent.into();
        }
        if reason.code == Code::ResetInHandshake && self.first.is_empty() {
            return Reason {
                errno: reason.errno,
                ..Code::ClosedAtHello.into()
            };
        }
        reason
    }
}

/// Turns a failed call into a reason.
#[must_use]
pub fn explain(error: &Error, evidence: &Evidence<'_>) -> Reason {
    let reason = of_call(error, evidence);
    match evidence.progress {
        Progress::Handshaking => reason,
        Progress::Unconfirmed if reason.stage == Stage::Hello => Reason {
            stage: Stage::Handshake,
            ..reason
        },
        Progress::Unconfirmed => reason,
        Progress::Open if evidence.refused && reason.is_peers_end() => Reason {
            alert: reason.alert,
            ..Code::RenegotiationRefused.into()
        },
        Progress::Open => reason.of_open(false),
        Progress::Renegotiating => reason.of_open(true),
    }
}

fn of_call(error: &Error, evidence: &Evidence<'_>) -> Reason {
    if !evidence.open() && evidence.incoming && proxy::begins_one(evidence.first) {
        return Code::ProxyHeaderRefused.into();
    }
    if !evidence.open()
        && let Some(code) = not_tls(evidence.first)
    {
        return code.into();
    }
    if error.code() == ErrorCode::ZERO_RETURN {
        return if evidence.open() {
            Code::PeerClosed
        } else {
            Code::ClosedInHandshake
        }
        .into();
    }
    if let Some(io) = error.io_error() {
        return evidence.died(io);
    }
    let Some(stack) = error.ssl_error() else {
        return evidence.closed().into();
    };
    let Some(first) = stack.errors().first() else {
        return evidence.closed().into();
    };
    let said = stack
        .errors()
        .iter()
        .filter(|error| error.library_code() == ERR_LIB_SSL)
        .find_map(|error| ssl_reason(error.reason_code(), evidence));
    let mut reason = match (said, evidence.socket) {
        (Some(said), _) => said,
        // Whatever else is in OpenSSL's queue, that is why it failed: a file that a look-up did not find is there too.
        (None, Some(errno)) => return evidence.died(&io::Error::from_raw_os_error(errno)),
        // Errors of the system alone, and none of the socket: it was closed.
        (None, None)
            if stack
                .errors()
                .iter()
                .all(|error| error.library_code() == ffi::ERR_LIB_SYS) =>
        {
            return evidence.closed().into();
        }
        (None, None) => Code::Protocol.into(),
    };
    if reason.openssl.is_none() {
        reason.openssl = Some((first.library_code(), first.reason_code()));
    }
    reason
}

/// `SSL_R_*`; `None` for those that say nothing an operator can use.
fn ssl_reason(number: c_int, evidence: &Evidence<'_>) -> Option<Reason> {
    // A fatal alert of the peer is its number beyond this offset.
    if let Some(alert) = number.checked_sub(ffi::SSL_AD_REASON_OFFSET)
        && let Ok(alert) = u8::try_from(alert)
    {
        return Some(Reason::alert(alert));
    }
    Some(match number {
        ssl_r::CERTIFICATE_VERIFY_FAILED => evidence.faults.first().map_or_else(
            || Code::CertInvalid.into(),
            |&fault| Reason {
                certificate: evidence.offending.clone(),
                ..fault.into()
            },
        ),
        ssl_r::PEER_DID_NOT_RETURN_A_CERTIFICATE => Code::NoClientCertificate.into(),
        ssl_r::EXCESSIVE_MESSAGE_SIZE => Code::HandshakeTooLong.into(),
        ssl_r::UNEXPECTED_EOF_WHILE_READING => evidence.closed().into(),
        ssl_r::HTTPS_PROXY_REQUEST | ssl_r::HTTP_REQUEST => Code::PlainHttp.into(),
        ssl_r::VERSION_TOO_HIGH
        | ssl_r::VERSION_TOO_LOW
        | ssl_r::NO_PROTOCOLS_AVAILABLE
        | ssl_r::UNKNOWN_PROTOCOL
        | ssl_r::UNSUPPORTED_PROTOCOL
        | ssl_r::WRONG_SSL_VERSION
        | ssl_r::WRONG_VERSION_NUMBER
        | ssl_r::INAPPROPRIATE_FALLBACK => of_version(evidence),
        // Before TLS 1.2 the signature's algorithm is not negotiated: where there is none, the security level bars the version.
        ssl_r::NO_SUITABLE_DIGEST_ALGORITHM | ssl_r::NO_SUITABLE_SIGNATURE_ALGORITHM
            if evidence
                .hello()
                .is_some_and(|hello| c_int::from(hello.number) < ffi::TLS1_2_VERSION) =>
        {
            of_version(evidence)
        }
        ssl_r::UNSAFE_LEGACY_RENEGOTIATION_DISABLED => Code::NoSecureRenegotiation.into(),
        ssl_r::NO_CERTIFICATE_ASSIGNED | ssl_r::NO_CERTIFICATE_SET => {
            Code::NoCertificateHere.into()
        }
        ssl_r::NO_CIPHERS_AVAILABLE | ssl_r::NO_SHARED_CIPHER => Code::NoSharedCipher.into(),
        ssl_r::NO_SUITABLE_KEY_SHARE
        | ssl_r::NO_SUITABLE_SIGNATURE_ALGORITHM
        | ssl_r::NO_SUITABLE_GROUPS
        | ssl_r::NO_SUITABLE_DIGEST_ALGORITHM
        | ssl_r::WRONG_SIGNATURE_TYPE
        | ssl_r::NO_SHARED_SIGNATURE_ALGORITHMS
        | ssl_r::NO_SHARED_GROUPS => Code::NoSharedAlgorithm.into(),
        ssl_r::DH_KEY_TOO_SMALL => Code::WeakKeyExchange.into(),
        ssl_r::CA_KEY_TOO_SMALL | ssl_r::CA_MD_TOO_WEAK | ssl_r::EE_KEY_TOO_SMALL => {
            CertFault::Weak.into()
        }
        _ => return None,
    })
}

fn of_version(evidence: &Evidence<'_>) -> Reason {
    Reason {
        version: evidence.hello(),
        ..Code::Version.into()
    }
}

/// Whether the first bytes cannot be TLS, and what they are. A TLS record begins with its type (20 to 23); a hello in the format
/// of SSL 2 with a length whose first bit is set.
fn not_tls(first: &[u8]) -> Option<Code> {
    /// ContentType change_cipher_spec to application_data (RFC 8446 5.1).
    const RECORD_TYPES: std::ops::RangeInclusive<u8> = 20..=23;
    const SSL2_LENGTH: u8 = 0x80;
    let byte = *first.first()?;
    if RECORD_TYPES.contains(&byte) || byte & SSL2_LENGTH != 0 {
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
