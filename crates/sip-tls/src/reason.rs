//! Why a connection failed or ended.
//!
//! The code comes from OpenSSL's error and alert numbers, the verify result, `errno` and our own state; never from a text.

use std::ffi::c_int;
use std::fmt;
use std::io;
use std::sync::Arc;

use openssl_sys as ffi;

use crate::alert;
use crate::code::{Code, Facts, Side, Stage};
use crate::frame::{FrameError, Label};
use crate::offending::Offending;
use crate::verify::CertFault;

/// Why a connection failed or ended. `Display` makes the sentence for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What happened.
    pub code: Code,
    /// How far the connection had come.
    pub stage: Stage,
    /// Who has to change something.
    pub side: Side,
    /// The TLS alert that the peer sent.
    pub alert: Option<u8>,
    /// What is wrong with the peer's certificate.
    pub fault: Option<CertFault>,
    /// The certificate that is wrong.
    pub certificate: Option<Arc<Offending>>,
    /// OpenSSL's library and reason number.
    pub openssl: Option<(i32, i32)>,
    /// The system's error number.
    pub errno: Option<i32>,
    /// Where the stream of messages broke.
    pub place: Option<Box<Place>>,
    /// The TLS version of the peer's hello, where that is the reason: the newest that a client speaks, or the one that a server chose.
    pub version: Option<HelloVersion>,
}

/// Where a stream of messages broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The octet that cannot begin, or be in, a message.
    pub octet: Option<u8>,
    /// The last good message before it.
    pub after: Label,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.octet {
            Some(octet) if octet.is_ascii_graphic() => {
                write!(f, "octet 0x{octet:02x} '{}', ", char::from(octet))?;
            }
            Some(octet) => write!(f, "octet 0x{octet:02x}, ")?,
            None => {}
        }
        if self.after.is_none() {
            f.write_str("before any message")
        } else {
            write!(f, "after its {}", self.after)
        }
    }
}

/// The version in a hello (`legacy_version` of RFC 8446 4.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HelloVersion {
    /// Whose hello it is.
    pub from_client: bool,
    /// As it is on the wire: 0x0301 is TLS 1.0.
    pub number: u16,
}

impl HelloVersion {
    /// Its name, and the word of `min_version` that allows it.
    fn words(self) -> Option<(&'static str, &'static str)> {
        Some(match i32::from(self.number) {
            ffi::TLS1_VERSION => ("TLS 1.0", "tls1.0"),
            ffi::TLS1_1_VERSION => ("TLS 1.1", "tls1.1"),
            ffi::TLS1_2_VERSION => ("TLS 1.2", "tls1.2"),
            _ => return None,
        })
    }
}

impl From<Code> for Reason {
    fn from(code: Code) -> Self {
        let Facts { stage, side, .. } = code.facts();
        Reason {
            code,
            stage,
            side,
            alert: None,
            fault: None,
            certificate: None,
            openssl: None,
            errno: None,
            place: None,
            version: None,
        }
    }
}

impl From<FrameError> for Reason {
    fn from(error: FrameError) -> Self {
        Reason::from(match error {
            FrameError::NotSip => Code::NotSip,
            FrameError::TooLong => Code::MessageTooLong,
            FrameError::Filler => Code::Filler,
            FrameError::NoContentLength => Code::NoContentLength,
            FrameError::BadContentLength | FrameError::TwoContentLengths => Code::BadContentLength,
        })
    }
}

impl From<CertFault> for Reason {
    fn from(fault: CertFault) -> Self {
        let code = match fault {
            CertFault::IssuerNotFound | CertFault::Untrusted => Code::CertUntrusted,
            CertFault::SelfSigned => Code::CertSelfSigned,
            CertFault::Expired => Code::CertExpired,
            CertFault::NotYetValid => Code::CertNotYetValid,
            CertFault::InvalidPurpose => Code::CertPurpose,
            CertFault::Revoked => Code::CertRevoked,
            CertFault::Weak => Code::CertWeak,
            CertFault::NameMismatch => Code::CertName,
            CertFault::NotPinned => Code::CertPin,
            CertFault::InvalidFormat
            | CertFault::IssuerMismatch
            | CertFault::Crl
            | CertFault::ChainTooLong
            | CertFault::Other(_) => Code::CertInvalid,
        };
        Reason {
            fault: Some(fault),
            ..Reason::from(code)
        }
    }
}

impl Reason {
    /// A TCP connection that could not be made.
    #[must_use]
    pub fn connect(error: &io::Error) -> Reason {
        let code = match error.raw_os_error() {
            Some(libc::ECONNREFUSED) => Code::ConnectRefused,
            Some(libc::ETIMEDOUT) => Code::ConnectTimeout,
            Some(libc::EHOSTUNREACH | libc::ENETUNREACH) => Code::Unreachable,
            _ => Code::ConnectFailed,
        };
        Reason {
            errno: error.raw_os_error(),
            ..Reason::from(code)
        }
    }

    /// Reading or writing failed.
    pub(crate) fn io(error: &io::Error, open: bool) -> Reason {
        let code = match error.raw_os_error() {
            Some(libc::ECONNRESET | libc::EPIPE) if open => Code::PeerReset,
            Some(libc::ECONNRESET | libc::EPIPE) => Code::ResetInHandshake,
            Some(libc::ETIMEDOUT | libc::EHOSTUNREACH | libc::ENETUNREACH) => Code::PeerGone,
            _ => Code::IoError,
        };
        Reason {
            errno: error.raw_os_error(),
            ..Reason::from(code)
        }
    }

    /// Whether the peer ended the connection, in whatever way.
    pub(crate) fn is_peers_end(&self) -> bool {
        self.alert.is_some() || self.is_silent_end()
    }

    /// Whether the peer ended the connection and did not say why.
    pub(crate) fn is_silent_end(&self) -> bool {
        matches!(
            self.code,
            Code::PeerClosed | Code::PeerEof | Code::PeerReset
        )
    }

    /// The same on a connection whose handshake was done. While it renegotiates there is a handshake again; else an alert ends the
    /// connection, and says nothing about how it began.
    pub(crate) fn of_open(self, renegotiates: bool) -> Reason {
        if matches!(self.stage, Stage::Open | Stage::Message) {
            return self;
        }
        if renegotiates {
            return Reason {
                stage: Stage::Renegotiation,
                ..self
            };
        }
        let code = match self.alert {
            Some(_) => Code::PeerAborted,
            None => Code::Protocol,
        };
        Reason {
            code,
            stage: Stage::Open,
            side: Side::Theirs,
            ..self
        }
    }

    /// The peer sent an alert.
    #[must_use]
    pub fn alert(number: u8) -> Reason {
        let code = match c_int::from(number) {
            ffi::SSL_AD_UNKNOWN_CA => Code::PeerUnknownCa,
            ffi::SSL_AD_CERTIFICATE_EXPIRED => Code::PeerCertExpired,
            ffi::SSL_AD_BAD_CERTIFICATE
            | ffi::SSL_AD_UNSUPPORTED_CERTIFICATE
            | ffi::SSL_AD_CERTIFICATE_UNKNOWN => Code::PeerBadCertificate,
            ffi::SSL_AD_CERTIFICATE_REVOKED => Code::PeerCertRevoked,
            ffi::SSL_AD_CERTIFICATE_REQUIRED => Code::PeerWantsCertificate,
            ffi::SSL_AD_HANDSHAKE_FAILURE | ffi::SSL_AD_INSUFFICIENT_SECURITY => {
                Code::PeerHandshakeFailure
            }
            ffi::SSL_AD_PROTOCOL_VERSION | ffi::SSL_AD_INAPPROPRIATE_FALLBACK => Code::PeerVersion,
            ffi::SSL_AD_UNRECOGNIZED_NAME => Code::PeerUnknownName,
            ffi::SSL_AD_ACCESS_DENIED => Code::PeerDenied,
            _ => Code::PeerAlert,
        };
        Reason {
            alert: Some(number),
            ..Reason::from(code)
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(alert) = self.alert {
            write!(
                f,
                "the peer closed with alert {alert} {}: ",
                alert::name(alert)
            )?;
        }
        let Facts {
            sentence,
            mut change,
            ..
        } = self.code.facts();
        match self.version.and_then(|hello| Some((hello, hello.words()?))) {
            Some((hello, (version, word))) if self.code == Code::Version => {
                let what = if hello.from_client {
                    "the newest TLS version that it speaks is"
                } else {
                    "the TLS version that it chose is"
                };
                write!(
                    f,
                    "{what} {version}, and method and cipher here allow none so old; to update there, or to let it in here by a profile of \
                     its own, which protects it less well: a section in ciphertrunk.conf with type = tls, match = its {} and \
                     min_version = {word}",
                    if hello.from_client { "address" } else { "name" }
                )?;
                change = "";
            }
            _ => f.write_str(sentence)?,
        }
        if let Some(CertFault::Other(number)) = self.fault {
            write!(f, " (X509_V_ERR {number})")?;
        }
        if let Some(certificate) = &self.certificate {
            write!(f, " ({certificate})")?;
        }
        if let Some(place) = &self.place {
            write!(f, " ({place})")?;
        }
        if let Some(errno) = self.errno {
            write!(f, " ({})", io::Error::from_raw_os_error(errno))?;
        }
        if let Some((library, reason)) = self.openssl
            && matches!(self.code, Code::Protocol | Code::Internal)
        {
            write!(f, " (OpenSSL library {library}, reason {reason})")?;
        }
        match change {
            "" => Ok(()),
            change => write!(f, "; {change}"),
        }
    }
}
