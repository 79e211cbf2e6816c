//! The `method` option: which TLS versions a profile speaks.

use openssl::ssl::SslVersion;

use crate::error::Warning;

/// The lowest TLS version of a profile; the highest is always 1.3.
///
/// PJSIP reads `method` as "this version only". Here it is a floor: the word was written when its version was the newest, and
/// nobody means to shut newer peers out by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// TLS 1.0 to 1.3. OpenSSL 3 does 1.0 and 1.1 only at security level 0, which `cipher` can ask for.
    Tls10,
    /// TLS 1.1 to 1.3, under the same condition.
    Tls11,
    /// TLS 1.2 and 1.3.
    #[default]
    Tls12,
    /// TLS 1.3 only.
    Tls13,
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
            "" | "unspecified" | "default" | "sslv23" | "tlsv1_2" => (Method::Tls12, None),
            "sslv2" | "sslv3" => (Method::Tls12, Some(Warning::SslIsGone)),
            "tlsv1" => (Method::Tls10, Some(Warning::OldTls)),
            "tlsv1_1" => (Method::Tls11, Some(Warning::OldTls)),
            "tlsv1_3" => (Method::Tls13, None),
            _ => return Err(UnknownMethod),
        })
    }

    /// As OpenSSL writes the version.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Method::Tls10 => "TLSv1",
            Method::Tls11 => "TLSv1.1",
            Method::Tls12 => "TLSv1.2",
            Method::Tls13 => "TLSv1.3",
        }
    }

    pub(crate) fn floor(self) -> SslVersion {
        match self {
            Method::Tls10 => SslVersion::TLS1,
            Method::Tls11 => SslVersion::TLS1_1,
            Method::Tls12 => SslVersion::TLS1_2,
            Method::Tls13 => SslVersion::TLS1_3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for word in ["", "unspecified", "Default", "sslv23", "tlsv1_2"] {
            assert_eq!(Method::from_word(word), Ok((Method::Tls12, None)), "{word}");
        }
        assert_eq!(Method::from_word("tlsv1_3"), Ok((Method::Tls13, None)));
        assert_eq!(
            Method::from_word("tlsv1"),
            Ok((Method::Tls10, Some(Warning::OldTls)))
        );
        assert_eq!(
            Method::from_word("tlsv1_1"),
            Ok((Method::Tls11, Some(Warning::OldTls)))
        );
        assert_eq!(
            Method::from_word("sslv3"),
            Ok((Method::Tls12, Some(Warning::SslIsGone)))
        );
        assert_eq!(Method::from_word("tls1.2"), Err(UnknownMethod));
    }
}
