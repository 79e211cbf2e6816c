//! The `method` option: which TLS versions a profile speaks.

use openssl::ssl::SslVersion;

use crate::error::Warning;

/// The lowest TLS version of a profile; the highest is always 1.3.
///
/// PJSIP reads `method` as "this version only". Here it is a floor: the word was written when its version was the newest, and
/// nobody means to shut newer peers out by it.
///
/// OpenSSL 3 does TLS 1.0 and 1.1 only at security level 0. Whoever asks for them by name gets that level, as in PJSIP, unless
/// `cipher` names another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Method {
    /// TLS 1.0 to 1.3.
    Tls10,
    /// TLS 1.1 to 1.3.
    Tls11,
    /// Every version that the security level has, which it does not change: TLS 1.0 to 1.3 with `@SECLEVEL=0` in `cipher`, TLS 1.2 and
    /// 1.3 without.
    Any,
    /// TLS 1.2 and 1.3.
    #[default]
    Tls12,
    /// TLS 1.3 only.
    Tls13,
}

/// A version of TLS, as `min_version` and `max_version` name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.0 (RFC 2246).
    Tls10,
    /// TLS 1.1 (RFC 4346).
    Tls11,
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl Version {
    /// Every one, with its word.
    pub const ALL: [(&'static str, Version); 4] = [
        ("tls1.0", Version::Tls10),
        ("tls1.1", Version::Tls11),
        ("tls1.2", Version::Tls12),
        ("tls1.3", Version::Tls13),
    ];

    /// Reads `tls1.2`, in any case.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Version> {
        let found = Version::ALL
            .iter()
            .find(|(known, _)| word.eq_ignore_ascii_case(known));
        found.map(|(_, version)| *version)
    }

    pub(crate) fn openssl(self) -> SslVersion {
        Method::from(self).floor(None)
    }
}

/// From this one on.
impl From<Version> for Method {
    fn from(version: Version) -> Method {
        match version {
            Version::Tls10 => Method::Tls10,
            Version::Tls11 => Method::Tls11,
            Version::Tls12 => Method::Tls12,
            Version::Tls13 => Method::Tls13,
        }
    }
}

/// A word that `method` does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownMethod;

impl Method {
    /// Reads Asterisk's word for it, in any case, and says what the operator should know about it.
    ///
    /// # Errors
    /// [`UnknownMethod`] if it is none of Asterisk's words.
    pub fn from_word(word: &str) -> Result<(Method, Option<Warning>), UnknownMethod> {
        let word = word.trim().to_ascii_lowercase();
        Ok(match word.as_str() {
            "" | "unspecified" | "tlsv1_2" => (Method::Tls12, None),
            "sslv23" => (Method::Any, None),
            "sslv2" | "sslv3" => (Method::Tls12, Some(Warning::SslIsGone)),
            // Asterisk's `default` comes back from it as `tlsv1`.
            "tlsv1" | "default" => (Method::Tls10, None),
            "tlsv1_1" => (Method::Tls11, None),
            "tlsv1_3" => (Method::Tls13, None),
            _ => return Err(UnknownMethod),
        })
    }

    /// As OpenSSL writes the version.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Method::Any | Method::Tls10 => "TLSv1",
            Method::Tls11 => "TLSv1.1",
            Method::Tls12 => "TLSv1.2",
            Method::Tls13 => "TLSv1.3",
        }
    }

    /// The lowest version, where `cipher` asks for security level `level`.
    pub(crate) fn floor(self, level: Option<u32>) -> SslVersion {
        match self {
            Method::Tls10 => SslVersion::TLS1,
            Method::Tls11 => SslVersion::TLS1_1,
            Method::Any if level == Some(0) => SslVersion::TLS1,
            Method::Any | Method::Tls12 => SslVersion::TLS1_2,
            Method::Tls13 => SslVersion::TLS1_3,
        }
    }

    /// Whether it asks by name for a version that needs security level 0.
    pub(crate) fn is_old(self) -> bool {
        matches!(self, Method::Tls10 | Method::Tls11)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for (word, method, warning) in [
            ("", Method::Tls12, None),
            ("unspecified", Method::Tls12, None),
            ("tlsv1_2", Method::Tls12, None),
            ("tlsv1_3", Method::Tls13, None),
            ("TLSv1", Method::Tls10, None),
            ("Default", Method::Tls10, None),
            ("tlsv1_1", Method::Tls11, None),
            ("sslv23", Method::Any, None),
            ("sslv2", Method::Tls12, Some(Warning::SslIsGone)),
            ("sslv3", Method::Tls12, Some(Warning::SslIsGone)),
        ] {
            assert_eq!(Method::from_word(word), Ok((method, warning)), "{word}");
        }
        assert_eq!(Method::from_word("tls1.2"), Err(UnknownMethod));
    }

    #[test]
    fn floors() {
        for level in [None, Some(0), Some(1), Some(2)] {
            assert_eq!(Method::Tls10.floor(level), SslVersion::TLS1);
            assert_eq!(Method::Tls11.floor(level), SslVersion::TLS1_1);
            assert_eq!(Method::Tls12.floor(level), SslVersion::TLS1_2);
            assert_eq!(Method::Tls13.floor(level), SslVersion::TLS1_3);
            let any = Method::Any.floor(level);
            assert_eq!(any == SslVersion::TLS1, level == Some(0), "{level:?}");
        }
    }
}
