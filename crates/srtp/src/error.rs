//! What can go wrong, and whose fault it is.

use std::fmt;

/// Why a packet is not an RTP or RTCP packet: the fault of whoever made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter than its header, CSRC list, extension or SRTP trailer.
    TooShort,
    /// Longer than a UDP datagram can be.
    TooLong,
    /// The version is not 2.
    Version,
    /// The header extension ends behind the packet.
    Extension,
    /// The RTCP packet type is not one (RFC 5761 section 4: 192 to 223).
    PacketType,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::TooShort => "the packet is too short",
            Malformed::TooLong => "the packet is too long",
            Malformed::Version => "the version is not 2",
            Malformed::Extension => "the header extension does not fit into the packet",
            Malformed::PacketType => "the packet type is not one of RTCP",
        })
    }
}

impl std::error::Error for Malformed {}

/// Why a packet was not protected. Nothing may be sent then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtectError {
    /// The caller's packet is not RTP or RTCP.
    Malformed(Malformed),
    /// The caller's buffer is shorter than the packet and [`MAX_TRAILER`](crate::MAX_TRAILER).
    BufferTooSmall,
    /// No local key is set for this SSRC.
    NoKey,
    /// This packet index was used before, and not for the same packet (or under an AEAD):
    /// encrypting would use a key stream twice (RFC 3711 section 9.1, RFC 7714 section 8.4).
    ReusedIndex,
    /// The packet is so late that nobody knows whether its index was used; or its sequence number is so far ahead that a receiver would
    /// take it for one that is late.
    IndexTooOld,
    /// All indexes of this key are used up (RFC 3711 section 9.2): a new key is due.
    KeyExhausted,
    /// More of the host's own SSRCs than [`MAX_LOCAL_SOURCES`](crate::MAX_LOCAL_SOURCES) under one key, or more than
    /// [`MAX_PASSING_SOURCES`](crate::MAX_PASSING_SOURCES) that pass through. None can be forgotten, or its indexes would be used again.
    TooManySources,
}

impl fmt::Display for ProtectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProtectError::Malformed(_) => "the packet to send is malformed",
            ProtectError::BufferTooSmall => "the output buffer is too small",
            ProtectError::NoKey => "no local key for this SSRC",
            ProtectError::ReusedIndex => "the packet index was already used for other data",
            ProtectError::IndexTooOld => {
                "the packet is too late, or too far ahead, to be encrypted safely"
            }
            ProtectError::KeyExhausted => "the local key has no packet index left",
            ProtectError::TooManySources => "too many SSRCs under one local key",
        })
    }
}

impl std::error::Error for ProtectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ProtectError::Malformed(m) => Some(m),
            _ => None,
        }
    }
}

impl From<Malformed> for ProtectError {
    fn from(m: Malformed) -> Self {
        ProtectError::Malformed(m)
    }
}

/// Why a received packet was dropped. Buffer and state are as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnprotectError {
    /// Not RTP or RTCP, or too short for a tag: the sender's fault.
    Malformed(Malformed),
    /// No remote key is set.
    NoKey,
    /// The index was received before: a replay or a duplicate.
    Replayed,
    /// The index lies before the replay window.
    IndexTooOld,
    /// The tag verifies under none of the keys: a forgery, damage, or a wrong key.
    AuthFailed,
    /// SRTCP without encryption, which the policy does not allow.
    Unencrypted,
    /// The index would be behind the last one of the key.
    KeyExhausted,
}

impl fmt::Display for UnprotectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnprotectError::Malformed(_) => "the received packet is malformed",
            UnprotectError::NoKey => "no remote key is set",
            UnprotectError::Replayed => "the packet was received before",
            UnprotectError::IndexTooOld => "the packet is older than the replay window",
            UnprotectError::AuthFailed => "the authentication tag does not verify",
            UnprotectError::Unencrypted => "the SRTCP packet is not encrypted",
            UnprotectError::KeyExhausted => "the remote key has no packet index left",
        })
    }
}

impl std::error::Error for UnprotectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            UnprotectError::Malformed(m) => Some(m),
            _ => None,
        }
    }
}

impl From<Malformed> for UnprotectError {
    fn from(m: Malformed) -> Self {
        UnprotectError::Malformed(m)
    }
}

/// Why a policy, or a set of them, is refused: the caller's mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyError {
    /// Master key and salt do not have the suite's lengths.
    KeyLength,
    /// An MKI must have 1 to 128 octets (RFC 4568 section 6.1).
    MkiLength,
    /// An AEAD cannot go without authentication (RFC 7714 section 14 names no such mode).
    UnauthenticatedAead,
    /// Neither encryption nor authentication would be left.
    NoProtection,
    /// A set of remote keys has 1 to [`MAX_REMOTE_KEYS`](crate::MAX_REMOTE_KEYS) members.
    KeyCount,
    /// Several remote keys need different MKIs of one length (RFC 4568 section 6.1).
    MkiSet,
    /// More local policies than [`MAX_LOCAL_POLICIES`](crate::MAX_LOCAL_POLICIES).
    TooManyLocal,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PolicyError::KeyLength => "master key or salt has not the length of the suite",
            PolicyError::MkiLength => "an MKI has 1 to 128 octets",
            PolicyError::UnauthenticatedAead => "an AEAD suite cannot be unauthenticated",
            PolicyError::NoProtection => "RTP would be neither encrypted nor authenticated",
            PolicyError::KeyCount => "no remote key, or too many of them",
            PolicyError::MkiSet => "several keys need different MKIs of one length",
            PolicyError::TooManyLocal => "too many local policies",
        })
    }
}

impl std::error::Error for PolicyError {}
