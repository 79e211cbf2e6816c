use core::fmt;

/// The caller gave a key of a length that the cipher does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLength;

impl fmt::Display for KeyLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cipher has no key of this length")
    }
}

impl std::error::Error for KeyLength {}

/// The packet, its trailer or its tag is not what the sender made: hostile, damaged, or under another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthFailed;

impl fmt::Display for AuthFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the authentication tag does not match")
    }
}

impl std::error::Error for AuthFailed {}

/// A kernel gave a wrong answer to a published test: this CPU or this build must not use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SelfTestError {
    /// AES block encryption (FIPS 197, appendix C).
    Aes,
    /// AES-CM key stream (RFC 3711, B.2).
    AesCm,
    /// HMAC-SHA1 (RFC 2202).
    HmacSha1,
    /// AES-GCM (the GCM specification, appendix B).
    AesGcm,
    /// The kernel disagrees with the portable one on longer packets.
    Disagrees,
    /// A packet with a wrong tag was accepted, or changed by the refusal.
    AcceptsForgery,
}

impl fmt::Display for SelfTestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aes => "AES block encryption gave a wrong answer",
            Self::AesCm => "the AES-CM key stream is wrong",
            Self::HmacSha1 => "HMAC-SHA1 gave a wrong answer",
            Self::AesGcm => "AES-GCM gave a wrong answer",
            Self::Disagrees => "the kernel disagrees with the portable one",
            Self::AcceptsForgery => "a forged packet was accepted or changed",
        })
    }
}

impl std::error::Error for SelfTestError {}
