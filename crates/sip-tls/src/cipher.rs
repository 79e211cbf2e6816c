//! The `cipher` option: one list for TLS 1.2 and below, one for TLS 1.3.

use openssl::ssl::{SslContext, SslContextBuilder, SslMethod, SslVersion, cipher_name};

use crate::error::{ConfigOption, Fault, ProfileError, Warning};
use crate::method::Version;
use crate::ossl_ext::ciphers_of;
use crate::profile_config::ProfileConfig;

/// The two lists, as OpenSSL takes them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CipherLists {
    up_to_tls12: Vec<String>,
    tls13: Vec<String>,
    /// Naming suites of TLS 1.3 alone does not mean TLS 1.3 alone.
    keeps_tls12: bool,
}

fn fault(fault: Fault) -> ProfileError {
    ProfileError::new(ConfigOption::Cipher, None, fault)
}

fn of_suites(fault: Fault) -> ProfileError {
    ProfileError::new(ConfigOption::Ciphersuites, None, fault)
}

impl CipherLists {
    /// Reads OpenSSL or IANA names, separated by commas, colons or spaces; OpenSSL's keywords and `@SECLEVEL=` are understood.
    pub(crate) fn parse(text: &str) -> Result<CipherLists, ProfileError> {
        let mut lists = CipherLists::default();
        for word in text
            .split([',', ':', ' ', '\t'])
            .filter(|word| !word.is_empty())
        {
            let mut probe = SslContext::builder(SslMethod::tls())?;
            // OpenSSL takes the IANA names of older suites ("TLS_..._WITH_...") here too, to no effect.
            if !word.contains("_WITH_") && probe.set_ciphersuites(word).is_ok() {
                lists.tls13.push(word.to_owned());
                continue;
            }
            let name = match cipher_name(word) {
                "(NONE)" => word,
                known => known,
            };
            // "!", "-", "+" and "@" change a list and are none by themselves.
            let changes = name.starts_with(['!', '-', '+', '@']);
            let tried = if changes {
                format!("ALL:{name}")
            } else {
                name.to_owned()
            };
            probe
                .set_cipher_list(&tried)
                .map_err(|stack| fault(Fault::UnknownCipher(word.to_owned())).because(stack))?;
            lists.up_to_tls12.push(name.to_owned());
        }
        // With modifiers only, they modify the default.
        if lists
            .up_to_tls12
            .first()
            .is_some_and(|first| first.starts_with(['!', '-', '+', '@']))
        {
            lists.up_to_tls12.insert(0, "DEFAULT".to_owned());
        }
        Ok(lists)
    }

    /// Those of a profile.
    pub(crate) fn of(config: &ProfileConfig) -> Result<CipherLists, ProfileError> {
        let mut lists = CipherLists::parse(config.cipher.as_deref().unwrap_or_default())?;
        if let Some(suites) = &config.ciphersuites {
            let own = CipherLists::parse(suites).map_err(|error| ProfileError {
                option: Some(ConfigOption::Ciphersuites),
                ..error
            })?;
            if let Some(other) = own.up_to_tls12.first() {
                return Err(of_suites(Fault::UnknownCipher(other.clone())));
            }
            if own.tls13.is_empty() {
                return Err(of_suites(Fault::NoCipherLeft));
            }
            lists.tls13 = own.tls13;
            lists.keeps_tls12 = true;
        }
        Ok(lists)
    }

    /// Whether a suite of TLS 1.2 or older is asked for by name.
    fn names_one(&self) -> bool {
        self.up_to_tls12
            .iter()
            .any(|name| name != "DEFAULT" && !name.starts_with(['!', '-', '+', '@']))
    }

    /// Puts the lists to work. A family of versions that is not named keeps its default, except that naming only TLS 1.3 suites means
    /// TLS 1.3 only.
    pub(crate) fn apply(&self, context: &mut SslContextBuilder) -> Result<(), ProfileError> {
        if !self.tls13.is_empty() {
            context
                .set_ciphersuites(&self.tls13.join(":"))
                .map_err(|stack| fault(Fault::NoCipherLeft).because(stack))?;
        }
        if !self.up_to_tls12.is_empty() {
            context
                .set_cipher_list(&self.up_to_tls12.join(":"))
                .map_err(|stack| fault(Fault::NoCipherLeft).because(stack))?;
        } else if !self.tls13.is_empty() && !self.keeps_tls12 {
            context.set_min_proto_version(Some(SslVersion::TLS1_3))?;
        }
        Ok(())
    }

    /// Where no suite of TLS 1.2 is named: takes those with static RSA key exchange, which has no forward secrecy, and those with a MAC of
    /// SHA-1 out of the ones that a context has by default, as the system's policy made them. TLS 1.0 and 1.1 have no others, so they
    /// stay where these are allowed.
    pub(crate) fn leave_out_old(
        &self,
        context: &mut SslContextBuilder,
        floor: SslVersion,
    ) -> Result<(), ProfileError> {
        if self.names_one() || floor == SslVersion::TLS1 || floor == SslVersion::TLS1_1 {
            return Ok(());
        }
        let left = ciphers_of(context, |cipher| {
            // "Kx=RSA", "Mac=SHA1": the words of SSL_CIPHER_description.
            let description = cipher.description();
            let is_old = description
                .split_ascii_whitespace()
                .any(|word| ["Kx=RSA", "Mac=SHA1"].contains(&word));
            !is_old && cipher.version() != "TLSv1.3"
        });
        context
            .set_cipher_list(&left.join(":"))
            .map_err(|stack| fault(Fault::NoCipherLeft).because(stack))
    }

    /// The security level that it asks for; the last word counts.
    pub(crate) fn security_level(&self) -> Option<u32> {
        self.up_to_tls12.iter().rev().find_map(|word| {
            let (_, level) = word.rsplit_once("@SECLEVEL=")?;
            level.parse().ok()
        })
    }

    /// Where TLS 1.3 is allowed and keeps its own suites beside those that are named.
    pub(crate) fn warning(&self, highest: Option<Version>) -> Option<Warning> {
        let has_tls13 = highest.is_none_or(|highest| highest >= Version::Tls13);
        (has_tls13 && self.tls13.is_empty() && self.names_one())
            .then_some(Warning::Tls13Unrestricted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_told_apart() {
        let lists =
            CipherLists::parse("ECDHE-RSA-AES128-SHA, TLS_AES_128_GCM_SHA256,AES128-SHA").unwrap();
        assert_eq!(lists.up_to_tls12, ["ECDHE-RSA-AES128-SHA", "AES128-SHA"]);
        assert_eq!(lists.tls13, ["TLS_AES_128_GCM_SHA256"]);
        assert_eq!(lists.warning(None), None);
        let lists = CipherLists::parse("AES128-SHA").unwrap();
        for highest in [None, Some(Version::Tls13)] {
            assert_eq!(lists.warning(highest), Some(Warning::Tls13Unrestricted));
        }
        assert_eq!(lists.warning(Some(Version::Tls12)), None);
    }

    #[test]
    fn iana_names() {
        let lists = CipherLists::parse("TLS_RSA_WITH_AES_128_CBC_SHA").unwrap();
        assert_eq!(lists.up_to_tls12, ["AES128-SHA"]);
    }

    #[test]
    fn unknown_names_are_refused_by_name() {
        for text in ["AES128-SHA,AES129-SHA", "TLS_AES_128_GCM_SHA255", "12"] {
            let error = CipherLists::parse(text).unwrap_err();
            let Fault::UnknownCipher(name) = &error.fault else {
                panic!("{error}")
            };
            assert!(text.ends_with(name.as_str()), "{name}");
        }
    }

    #[test]
    fn modifiers_modify_the_default() {
        let lists = CipherLists::parse("@SECLEVEL=0").unwrap();
        assert_eq!(lists.up_to_tls12, ["DEFAULT", "@SECLEVEL=0"]);
        assert_eq!(lists.warning(None), None);
    }

    #[test]
    fn security_levels() {
        for (text, level) in [
            ("", None),
            ("AES128-SHA", None),
            ("@SECLEVEL=0", Some(0)),
            ("AES128-SHA, @SECLEVEL=1", Some(1)),
            ("DEFAULT@SECLEVEL=0", Some(0)),
            ("DEFAULT:@SECLEVEL=2,@SECLEVEL=0", Some(0)),
            ("TLS_AES_128_GCM_SHA256", None),
        ] {
            let lists = CipherLists::parse(text).unwrap();
            assert_eq!(lists.security_level(), level, "{text}");
        }
    }
}
