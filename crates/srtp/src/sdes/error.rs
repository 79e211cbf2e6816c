//! Why a crypto attribute is refused.

use std::fmt;

use crate::error::PolicyError;

/// Why an `a=crypto` value is refused, one sentence each. None shows the line's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdesError {
    /// Longer than [`MAX_LINE`](super::MAX_LINE).
    TooLong,
    /// The tag is not 1 to 9 digits.
    Tag,
    /// The line ends before its crypto suite.
    MissingSuite,
    /// No suite has this name: a later line may do.
    UnknownSuite,
    /// The suite is known, but not among the accepted ones: a later line may do.
    SuiteNotAccepted(crate::Suite),
    /// The line ends before its key parameters.
    MissingKey,
    /// A key method other than `inline`.
    KeyMethod,
    /// Key and salt are not base64.
    KeyEncoding,
    /// Key and salt have not the length of the suite.
    KeyLength,
    /// More key parameters than [`MAX_REMOTE_KEYS`](crate::MAX_REMOTE_KEYS).
    TooManyKeys,
    /// Behind key, lifetime and MKI there is something else.
    KeyTrailer,
    /// The lifetime is no number, nor a power of two.
    Lifetime,
    /// The lifetime is shorter than 2^20 packets.
    LifetimeTooShort,
    /// The lifetime is longer than 2^48 packets (RFC 3711 section 9.2).
    LifetimeTooLong,
    /// The MKI is not `value:length`.
    Mki,
    /// The MKI's length is not 1 to 128.
    MkiLength,
    /// The MKI's value does not fit into its length.
    MkiValue,
    /// An MKI other than 1, which the rules do not accept.
    MkiNotAccepted,
    /// Several keys need different MKIs of one length (RFC 4568 section 6.1).
    MkiSet,
    /// A session parameter is not written as RFC 4568 section 9.2 has it.
    ParamSyntax,
    /// `KDR`: key derivation rates other than 0 are not supported.
    Kdr,
    /// `FEC_ORDER` or `FEC_KEY`: forward error correction is not supported.
    Fec,
    /// `UNENCRYPTED_SRTP` is not allowed.
    UnencryptedSrtp,
    /// `UNENCRYPTED_SRTCP` is not allowed.
    UnencryptedSrtcp,
    /// `UNAUTHENTICATED_SRTP` is not allowed.
    UnauthenticatedSrtp,
    /// The session parameters do not go with the suite, or leave no protection.
    ParamConflict,
    /// An unknown session parameter that is not marked as optional by a `-`.
    UnknownParam,
}

impl SdesError {
    /// Whether the line is only not for us: another one of the same offer may be chosen.
    pub fn is_other_suite(self) -> bool {
        matches!(
            self,
            SdesError::UnknownSuite | SdesError::SuiteNotAccepted(_)
        )
    }
}

impl fmt::Display for SdesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SdesError::TooLong => "the crypto attribute is too long",
            SdesError::Tag => "the tag is not a number of 1 to 9 digits",
            SdesError::MissingSuite => "the crypto suite is missing",
            SdesError::UnknownSuite => "the crypto suite is unknown",
            SdesError::SuiteNotAccepted(suite) => {
                return write!(f, "the crypto suite {suite} is not accepted here");
            }
            SdesError::MissingKey => "the key is missing",
            SdesError::KeyMethod => "the key method is not \"inline\"",
            SdesError::KeyEncoding => "the key is not valid base64",
            SdesError::KeyLength => "the key has not the length its crypto suite needs",
            SdesError::TooManyKeys => "the line has too many keys",
            SdesError::KeyTrailer => "the key has fields behind lifetime and MKI",
            SdesError::Lifetime => "the key lifetime is not a number or a power of two",
            SdesError::LifetimeTooShort => "the key lifetime is shorter than 2^20 packets",
            SdesError::LifetimeTooLong => {
                "the key lifetime is longer than 2^48 packets, more than any key may have (RFC 3711 section 9.2)"
            }
            SdesError::Mki => "the MKI is not written as value:length",
            SdesError::MkiLength => "the MKI length is not between 1 and 128",
            SdesError::MkiValue => "the MKI value does not fit into the MKI length",
            SdesError::MkiNotAccepted => "an MKI value other than 1 is not accepted here",
            SdesError::MkiSet => "several keys need different MKI values of one length",
            SdesError::ParamSyntax => "a session parameter is malformed",
            SdesError::Kdr => "the session parameter KDR is not supported",
            SdesError::Fec => "the session parameters FEC_ORDER and FEC_KEY are not supported",
            SdesError::UnencryptedSrtp => {
                "the session parameter UNENCRYPTED_SRTP is not allowed here"
            }
            SdesError::UnencryptedSrtcp => {
                "the session parameter UNENCRYPTED_SRTCP is not allowed here"
            }
            SdesError::UnauthenticatedSrtp => {
                "the session parameter UNAUTHENTICATED_SRTP is not allowed here"
            }
            SdesError::ParamConflict => {
                "the session parameters do not fit the crypto suite or leave no protection"
            }
            SdesError::UnknownParam => "a session parameter is unknown and not optional",
        })
    }
}

impl std::error::Error for SdesError {}

impl From<PolicyError> for SdesError {
    fn from(e: PolicyError) -> Self {
        match e {
            PolicyError::KeyLength => SdesError::KeyLength,
            PolicyError::MkiLength => SdesError::MkiLength,
            PolicyError::MkiSet => SdesError::MkiSet,
            PolicyError::KeyCount | PolicyError::TooManyLocal => SdesError::TooManyKeys,
            PolicyError::UnauthenticatedAead | PolicyError::NoProtection => {
                SdesError::ParamConflict
            }
        }
    }
}
