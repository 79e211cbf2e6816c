//! The ten protection suites: lengths, tags and SDES names.

use std::fmt;

/// The cipher of a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// AES in counter mode with HMAC-SHA1 (RFC 3711 section 4, RFC 6188).
    AesCm,
    /// AES in Galois/counter mode, an AEAD (RFC 7714).
    AesGcm,
}

/// A protection suite: cipher, key length and tag lengths.
///
/// The ten are those of Asterisk's `enum ast_srtp_suite`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// RFC 3711, RFC 4568 section 6.2.1.
    AesCm128HmacSha1_80,
    /// RFC 3711, RFC 4568 section 6.2.2.
    AesCm128HmacSha1_32,
    /// RFC 6188.
    AesCm192HmacSha1_80,
    /// RFC 6188.
    AesCm192HmacSha1_32,
    /// RFC 6188.
    AesCm256HmacSha1_80,
    /// RFC 6188.
    AesCm256HmacSha1_32,
    /// RFC 7714.
    AeadAes128Gcm,
    /// RFC 7714.
    AeadAes256Gcm,
    /// A draft of RFC 7714 with an 8-octet RTP tag; some peers still use it.
    AeadAes128Gcm8,
    /// A draft of RFC 7714 with an 8-octet RTP tag; some peers still use it.
    AeadAes256Gcm8,
}

impl Suite {
    /// All suites, in the order of the enum.
    pub const ALL: [Suite; 10] = [
        Suite::AesCm128HmacSha1_80,
        Suite::AesCm128HmacSha1_32,
        Suite::AesCm192HmacSha1_80,
        Suite::AesCm192HmacSha1_32,
        Suite::AesCm256HmacSha1_80,
        Suite::AesCm256HmacSha1_32,
        Suite::AeadAes128Gcm,
        Suite::AeadAes256Gcm,
        Suite::AeadAes128Gcm8,
        Suite::AeadAes256Gcm8,
    ];

    /// The suite's cipher.
    pub const fn cipher(self) -> Cipher {
        match self {
            Suite::AeadAes128Gcm
            | Suite::AeadAes256Gcm
            | Suite::AeadAes128Gcm8
            | Suite::AeadAes256Gcm8 => Cipher::AesGcm,
            _ => Cipher::AesCm,
        }
    }

    /// Octets of the master key, and of the derived cipher key.
    pub const fn key_len(self) -> usize {
        match self {
            Suite::AesCm128HmacSha1_80
            | Suite::AesCm128HmacSha1_32
            | Suite::AeadAes128Gcm
            | Suite::AeadAes128Gcm8 => 16,
            Suite::AesCm192HmacSha1_80 | Suite::AesCm192HmacSha1_32 => 24,
            Suite::AesCm256HmacSha1_80
            | Suite::AesCm256HmacSha1_32
            | Suite::AeadAes256Gcm
            | Suite::AeadAes256Gcm8 => 32,
        }
    }

    /// Octets of the master salt: 14 (RFC 3711 section 8.2), for an AEAD 12 (RFC 7714 section 12).
    pub const fn salt_len(self) -> usize {
        match self.cipher() {
            Cipher::AesCm => 14,
            Cipher::AesGcm => 12,
        }
    }

    /// Octets of master key and salt together, as SDES carries them.
    pub const fn key_salt_len(self) -> usize {
        self.key_len() + self.salt_len()
    }

    /// Octets of an RTP packet's tag.
    pub const fn rtp_tag_len(self) -> usize {
        match self {
            Suite::AesCm128HmacSha1_80
            | Suite::AesCm192HmacSha1_80
            | Suite::AesCm256HmacSha1_80 => 10,
            Suite::AesCm128HmacSha1_32
            | Suite::AesCm192HmacSha1_32
            | Suite::AesCm256HmacSha1_32 => 4,
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => 16,
            Suite::AeadAes128Gcm8 | Suite::AeadAes256Gcm8 => 8,
        }
    }

    /// Whether neither the key nor the tag of RTP packets is shorter than `least`'s. There are suites of which neither is at
    /// least the other.
    pub const fn is_at_least(self, least: Self) -> bool {
        self.key_len() >= least.key_len() && self.rtp_tag_len() >= least.rtp_tag_len()
    }

    /// Octets of an RTCP packet's tag as we send it: the `_32` suites have 80 bits there
    /// (RFC 4568 section 6.2.2), every AEAD suite 16 octets (RFC 7714 section 13).
    pub const fn rtcp_tag_len(self) -> usize {
        match self.cipher() {
            Cipher::AesCm => 10,
            Cipher::AesGcm => 16,
        }
    }

    /// A second RTCP tag length that is accepted, because peers (libsrtp's default policies,
    /// stock Asterisk) give SRTCP the short tag of RTP.
    pub const fn rtcp_short_tag_len(self) -> Option<usize> {
        if self.rtp_tag_len() < self.rtcp_tag_len() {
            Some(self.rtp_tag_len())
        } else {
            None
        }
    }

    /// The name in `a=crypto` (IANA "SRTP Crypto Suite Registrations").
    pub const fn name(self) -> &'static str {
        match self {
            Suite::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Suite::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Suite::AesCm192HmacSha1_80 => "AES_192_CM_HMAC_SHA1_80",
            Suite::AesCm192HmacSha1_32 => "AES_192_CM_HMAC_SHA1_32",
            Suite::AesCm256HmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Suite::AesCm256HmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Suite::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Suite::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Suite::AeadAes128Gcm8 => "AEAD_AES_128_GCM_8",
            Suite::AeadAes256Gcm8 => "AEAD_AES_256_GCM_8",
        }
    }

    /// The name that drafts of RFC 6188 used and some peers still do.
    pub const fn old_name(self) -> Option<&'static str> {
        match self {
            Suite::AesCm192HmacSha1_80 => Some("AES_CM_192_HMAC_SHA1_80"),
            Suite::AesCm192HmacSha1_32 => Some("AES_CM_192_HMAC_SHA1_32"),
            Suite::AesCm256HmacSha1_80 => Some("AES_CM_256_HMAC_SHA1_80"),
            Suite::AesCm256HmacSha1_32 => Some("AES_CM_256_HMAC_SHA1_32"),
            _ => None,
        }
    }

    /// The suite of a registered or old name, exactly as written.
    pub fn from_name(name: &str) -> Option<Suite> {
        Suite::ALL.into_iter().find(|suite| {
            let names = [Some(suite.name()), suite.old_name()];
            names
                .iter()
                .flatten()
                .any(|known| known.eq_ignore_ascii_case(name))
        })
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lead_back() {
        for s in Suite::ALL {
            assert_eq!(Suite::from_name(s.name()), Some(s));
            if let Some(old) = s.old_name() {
                assert_eq!(Suite::from_name(old), Some(s));
            }
            assert_eq!(Suite::from_name(&s.name().to_lowercase()), Some(s));
            assert_eq!(Suite::from_name(&s.name()[1..]), None);
        }
    }

    #[test]
    fn lengths_are_those_of_the_registry() {
        let rows = [
            (Suite::AesCm128HmacSha1_80, 30, 10, 10, None),
            (Suite::AesCm128HmacSha1_32, 30, 4, 10, Some(4)),
            (Suite::AesCm192HmacSha1_80, 38, 10, 10, None),
            (Suite::AesCm192HmacSha1_32, 38, 4, 10, Some(4)),
            (Suite::AesCm256HmacSha1_80, 46, 10, 10, None),
            (Suite::AesCm256HmacSha1_32, 46, 4, 10, Some(4)),
            (Suite::AeadAes128Gcm, 28, 16, 16, None),
            (Suite::AeadAes256Gcm, 44, 16, 16, None),
            (Suite::AeadAes128Gcm8, 28, 8, 16, Some(8)),
            (Suite::AeadAes256Gcm8, 44, 8, 16, Some(8)),
        ];
        for (s, key_salt, rtp, rtcp, short) in rows {
            assert_eq!(s.key_salt_len(), key_salt, "{s}");
            assert_eq!(s.rtp_tag_len(), rtp, "{s}");
            assert_eq!(s.rtcp_tag_len(), rtcp, "{s}");
            assert_eq!(s.rtcp_short_tag_len(), short, "{s}");
        }
    }
}
