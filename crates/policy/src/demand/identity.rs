//! Which certificates the peers of an endpoint have: the endpoint's calls come and go over no others.

use std::fmt;

use super::parse::bad;
use super::{BadDemand, Unmet};
use crate::facts::Certificate;

/// What tells one certificate from others of the same authority.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Identity {
    /// A SIP URI among its alternative names, in [lower case](sip_uri) but for the user.
    Uri(String),
    /// A DNS name among them, in lower case. A `*.` is itself, and stands for nothing.
    Dns(String),
    /// SHA-256 of its DER form.
    Sha256([u8; 32]),
}

impl Identity {
    fn parse(text: &str) -> Result<Self, BadDemand> {
        let (kind, rest) = text.split_once(':').unwrap_or(("", text));
        let kind = kind.to_ascii_lowercase();
        let parsed = match kind.as_str() {
            "sip" => sip_uri(text).map(Self::Uri),
            "uri" => sip_uri(rest).map(Self::Uri),
            "dns" => is_host(rest.strip_prefix("*.").unwrap_or(rest))
                .then(|| Self::Dns(rest.to_ascii_lowercase())),
            "sha256" => fingerprint(rest).map(Self::Sha256),
            _ => None,
        };
        parsed.map_or_else(
            || {
                bad(format!(
                    "'{text}' names no certificate; there are sip:DOMAIN and DNS:NAME, which are among its subjectAltNames, and \
                     SHA256:FINGERPRINT of 64 hexadecimal digits"
                ))
            },
            Ok,
        )
    }

    /// Whether it is the certificate itself, and not a name that whoever signs can give away.
    fn is_pin(&self) -> bool {
        matches!(self, Self::Sha256(_))
    }

    fn is_of(&self, certificate: &Certificate) -> bool {
        let has = |kind: &str, same: &dyn Fn(&str) -> bool| {
            let names = certificate.alt_names.iter();
            names.filter_map(|name| name.strip_prefix(kind)).any(same)
        };
        match self {
            Self::Uri(uri) => has("URI:", &|name| sip_uri(name).as_ref() == Some(uri)),
            Self::Dns(dns) => has("DNS:", &|name| name.eq_ignore_ascii_case(dns)),
            Self::Sha256(digest) => certificate.sha256 == *digest,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri(uri) => f.write_str(uri),
            Self::Dns(name) => write!(f, "DNS:{name}"),
            Self::Sha256(digest) => write!(f, "SHA256:{}", hexadecimal(digest)),
        }
    }
}

/// A SIP URI without port and parameters (RFC 5922 section 7.1; with a user it is that user's), scheme and host in lower case.
fn sip_uri(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once(':')?;
    let (user, host) = match rest.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, rest),
    };
    let is_user = |user: &str| {
        !user.is_empty()
            && user
                .bytes()
                .all(|octet| octet.is_ascii_graphic() && octet != b'@')
    };
    if !scheme.eq_ignore_ascii_case("sip") || !is_host(host) || !user.is_none_or(is_user) {
        return None;
    }
    let host = host.to_ascii_lowercase();
    Some(match user {
        Some(user) => format!("sip:{user}@{host}"),
        None => format!("sip:{host}"),
    })
}

fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || b".-_".contains(&octet))
}

/// 32 octets in hexadecimal digits, with or without colons between (as `openssl x509 -fingerprint -sha256` prints them).
fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let octets: Vec<&str> = match text.contains(':') {
        true => text.split(':').collect(),
        false => text
            .as_bytes()
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).unwrap_or_default())
            .collect(),
    };
    let octet = |pair: &str| {
        let is_pair = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_pair.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
    };
    let octets: Option<Vec<u8>> = octets.into_iter().map(octet).collect();
    octets?.try_into().ok()
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}

/// The certificates that an endpoint is bound to: any one of them will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding(Vec<Identity>);

impl Binding {
    /// A list with commas between, of `sip:DOMAIN` (also `URI:sip:DOMAIN`, as `CIPHERTRUNK(cert_san)` prints it), `DNS:NAME` and
    /// `SHA256:FINGERPRINT`.
    ///
    /// # Errors
    ///
    /// Another text, or none.
    pub fn parse(value: &str) -> Result<Self, BadDemand> {
        let mut binding = Self(Vec::new());
        for text in value.split(',').map(str::trim) {
            let identity = match text {
                "" => return bad(
                    "a certificate is missing: an endpoint that is bound to none has no such line"
                        .to_owned(),
                ),
                text => Identity::parse(text)?,
            };
            binding.add(Self(vec![identity]))?;
        }
        Ok(binding)
    }

    /// Any one of these will do as well.
    ///
    /// # Errors
    ///
    /// One of them stands there already.
    pub fn add(&mut self, more: Self) -> Result<(), BadDemand> {
        for identity in more.0 {
            if self.0.contains(&identity) {
                return bad(format!("'{identity}' stands there twice"));
            }
            self.0.push(identity);
        }
        Ok(())
    }

    /// Whether the peer of a connection is one of them: by the fingerprint of its certificate, which nobody else can use; or by a
    /// name in it, if it was verified.
    ///
    /// # Errors
    ///
    /// What was presented.
    pub fn judge(&self, presented: &Presented) -> Result<(), Unmet> {
        let unmet = |fault| {
            Err(Unmet::Certificate {
                fault,
                bound: self.to_string(),
                presented: presented.to_string(),
            })
        };
        match presented {
            // Before anything is sent it is judged again.
            Presented::Awaited => Ok(()),
            Presented::Nothing => unmet(Fault::Missing),
            Presented::Certificate {
                certificate,
                is_verified,
            } => {
                let mut found = self
                    .0
                    .iter()
                    .filter(|one| one.is_of(certificate))
                    .peekable();
                if found.peek().is_none() {
                    return unmet(Fault::Other);
                }
                match found.any(|one| *is_verified || one.is_pin()) {
                    true => Ok(()),
                    false => unmet(Fault::Unverified),
                }
            }
        }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join(" or "))
    }
}

/// What the peer of a TLS connection has presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presented {
    /// The handshake is still to come.
    Awaited,
    /// No certificate.
    Nothing,
    /// A certificate, whose key it has.
    Certificate {
        /// It.
        certificate: Certificate,
        /// Whether it is found good: by its chain and, where a name was asked for, by that name.
        is_verified: bool,
    },
}

impl fmt::Display for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (certificate, is_verified) = match self {
            Self::Awaited => return f.write_str("nothing yet"),
            Self::Nothing => return f.write_str("none"),
            Self::Certificate {
                certificate,
                is_verified,
            } => (certificate, is_verified),
        };
        // Whoever made the certificate chose the names.
        const MOST: usize = 200;
        let mut names: String = [&certificate.subject]
            .into_iter()
            .chain(&certificate.alt_names)
            .flat_map(|name| name.chars().chain([' ']))
            .map(|letter| if letter.is_control() { '?' } else { letter })
            .take(MOST + 1)
            .collect();
        if names.chars().count() > MOST {
            names.push_str("... ");
        }
        write!(
            f,
            "{names}SHA256:{}, {}",
            hexadecimal(&certificate.sha256),
            if *is_verified {
                "verified"
            } else {
                "not verified"
            }
        )
    }
}

/// What is wrong with what was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is nothing.
    Missing,
    /// It has a name that would do, and is not verified.
    Unverified,
    /// It is another certificate.
    Other,
}
