//! What is wrong with a message, or with a stream.

use std::fmt;

use crate::frame::{self, MAX_FILLER, MAX_JUNK, MAX_MESSAGE};
use crate::head::{self, Label};
use crate::reason::Place;

/// What is wrong with one message, of which it is known where the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Lines that are no SIP message, or the message of another protocol. Told once for all of them.
    NotSip,
    /// A request of another version of SIP.
    Version,
    /// A response without a status, or of another version of SIP.
    Status,
    /// Longer than [`MAX_MESSAGE`].
    TooLong,
    /// A body, and no Content-Length. RFC 3261 20.14 demands it on streams.
    NoContentLength,
    /// A Content-Length that is not a plain number (RFC 3261 25.1: `1*DIGIT`).
    BadContentLength,
    /// Two Content-Length fields that differ.
    TwoContentLengths,
}

impl FaultKind {
    /// Status and reason phrase for a request (RFC 3261 21.4 and 21.5).
    fn status(self) -> Option<&'static str> {
        match self {
            FaultKind::NotSip | FaultKind::Status => None,
            FaultKind::Version => Some("505 Version Not Supported"),
            FaultKind::TooLong => Some("513 Message Too Large"),
            FaultKind::NoContentLength => Some("400 Missing Content-Length"),
            FaultKind::BadContentLength => Some("400 Bad Content-Length"),
            FaultKind::TwoContentLengths => Some("400 Differing Content-Length"),
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultKind::NotSip => f.write_str("what is not SIP"),
            FaultKind::Version => f.write_str("a request of another version of SIP than 2.0"),
            FaultKind::Status => f.write_str("a response without a SIP/2.0 status"),
            FaultKind::TooLong => write!(f, "a message longer than {MAX_MESSAGE} bytes"),
            FaultKind::NoContentLength => f.write_str(
                "a message with a body and no Content-Length, which SIP demands over TLS",
            ),
            FaultKind::BadContentLength => {
                f.write_str("a message with a Content-Length that is not a number")
            }
            FaultKind::TwoContentLengths => {
                f.write_str("a message with two different Content-Length fields")
            }
        }
    }
}

/// Something in the stream that is not handed on.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault<'a> {
    /// What is wrong with it.
    pub kind: FaultKind,
    /// Its start line and header; of lines that are no message, what was looked at.
    pub head: &'a [u8],
    /// Whether the next message begins where this one says that it ends, or at the next line that is a start line. Otherwise it begins with
    /// the next TLS record that begins with one.
    pub is_end_known: bool,
    /// Where in the stream.
    pub place: Place,
}

impl Fault<'_> {
    /// Which message it is; of lines that are none, none.
    #[must_use]
    pub fn label(&self) -> Label {
        if self.kind == FaultKind::NotSip {
            return Label::NONE;
        }
        frame::label(self.head)
    }

    /// The response, if it is a request that can have one.
    #[must_use]
    pub fn answer(&self) -> Option<Vec<u8>> {
        head::refuse(self.head, self.kind.status()?)
    }

    /// Its status and reason phrase.
    #[must_use]
    pub fn status(&self) -> Option<&'static str> {
        self.answer().and(self.kind.status())
    }
}

/// Why a stream cannot be cut into messages any more. All of them are the peer's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// The first bytes of all are not SIP's, or more than [`MAX_JUNK`] of them are not.
    NotSip,
    /// The header is longer than [`MAX_MESSAGE`], or the message says it is longer than
    /// [`MAX_SKIPPED`](crate::frame::MAX_SKIPPED).
    TooLong,
    /// More than [`MAX_FILLER`] line ends, NULs and blanks without a message.
    Filler,
    /// After a message with a body and no Content-Length, no TLS record began with a start line, for [`MAX_JUNK`].
    NoContentLength,
    /// Likewise, after one with a Content-Length without a number.
    BadContentLength,
    /// Likewise, after two Content-Length fields that differ.
    TwoContentLengths,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::NotSip => f.write_str("what it sent does not begin like a SIP message"),
            FrameError::TooLong => write!(f, "its message is longer than {MAX_MESSAGE} bytes"),
            FrameError::Filler => write!(
                f,
                "it sent more than {MAX_FILLER} line ends, NULs and blanks without a message"
            ),
            FrameError::NoContentLength => f.write_str(
                "its message has a body and no Content-Length, which SIP demands over TLS, and its end was not found",
            ),
            FrameError::BadContentLength => write!(
                f,
                "its message has a Content-Length that is not a number, and its end was not found in {MAX_JUNK} bytes"
            ),
            FrameError::TwoContentLengths => f.write_str(
                "its message has two different Content-Length fields, and its end was not found",
            ),
        }
    }
}

impl std::error::Error for FrameError {}
