//! Sections with `type = tls`: what differs from a transport for some of its peers.

use std::fmt;
use std::path::PathBuf;

use sip_tls::select::{Destination, Selectors};
use sip_tls::verify::PeerName;
use sip_tls::{KeyPair, Pin, ProfileConfig, Sni, Version, without_pin, without_pins};
use zeroize::Zeroizing;

use super::parse::{Problem, boolean, each, names, number};
use super::{Section, Variable};

/// What opens a key. It is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("...")
    }
}

/// A profile. What it does not set stands as in the transport of the connection.
#[derive(Debug, Clone, Default)]
pub struct TlsProfile {
    /// The section's name.
    pub name: String,
    /// `match` and `server_name`: whose it is.
    pub selectors: Selectors,
    /// What is wrong with it, where it is in force all the same: its peers get no connection.
    pub broken: Option<String>,
    lines: Vec<(String, String)>,
    cert_files: Vec<PathBuf>,
    priv_key_files: Vec<PathBuf>,
    password: Option<Password>,
    client_cert_file: Option<PathBuf>,
    client_priv_key_file: Option<PathBuf>,
    ca_list_file: Option<PathBuf>,
    ca_list_path: Option<PathBuf>,
    crl_file: Option<PathBuf>,
    min_version: Option<Version>,
    max_version: Option<Version>,
    cipher: Option<String>,
    ciphersuites: Option<String>,
    groups: Option<String>,
    signature_algorithms: Option<String>,
    security_level: Option<u32>,
    verify_server: Option<bool>,
    verify_client: Option<bool>,
    require_client_cert: Option<bool>,
    allow_wildcard_certs: Option<bool>,
    any_eku: Option<bool>,
    verify_names: Vec<PeerName>,
    pins: Vec<Pin>,
    sni: Option<Sni>,
}

const OPTIONS: &str = "match, server_name, cert_file, priv_key_file, password, client_cert_file, client_priv_key_file, ca_list_file, \
                       ca_list_path, crl_file, min_version, max_version, cipher, ciphersuites, groups, signature_algorithms, \
                       security_level, verify_server, verify_client, require_client_cert, allow_wildcard_certs, verify_name, eku, pin, sni";

impl TlsProfile {
    /// Reads a section. What is good of it is in the profile, whatever is wrong with the rest.
    pub(super) fn read(section: &Section, problems: &mut Vec<Problem>) -> Self {
        let mut profile = Self {
            name: section.name.clone(),
            ..Self::default()
        };
        let lines = section.variables.iter();
        profile.lines = lines
            .filter(|it| it.name != "password")
            .map(|it| {
                let shown = match it.name.as_str() {
                    // A list, in which a comma ends a URI; in one name it is the PIN's.
                    "priv_key_file" => without_pins(&it.value),
                    _ => without_pin(&it.value),
                };
                (it.name.clone(), shown.into_owned())
            })
            .collect();
        let before = problems.len();
        each(section, problems, |variable| profile.set(variable));
        if problems.len() == before
            && let Err((option, reason)) = profile.check()
        {
            problems.push(Problem::of(section, option, reason));
        }
        profile
    }

    fn set(&mut self, variable: &Variable) -> Result<(), String> {
        let value = variable.value.as_str();
        if names(value).is_empty() {
            return Err(
                "it has no value; an option that is left out stands as in the transport".to_owned(),
            );
        }
        let text = || Some(value.to_owned());
        let path = || Some(PathBuf::from(value));
        // OpenSSL's lists have colons; commas are what this file has elsewhere.
        let list = || Some(names(value).join(":"));
        let yes = || boolean(value).map(Some);
        match variable.name.as_str() {
            "type" => {}
            "match" => destinations(value, &mut self.selectors.destinations)?,
            "server_name" => server_names(value, &mut self.selectors.server_names)?,
            "cert_file" => self
                .cert_files
                .extend(names(value).into_iter().map(PathBuf::from)),
            "priv_key_file" => self
                .priv_key_files
                .extend(names(value).into_iter().map(PathBuf::from)),
            "password" => self.password = Some(Password(Zeroizing::new(value.to_owned()))),
            "client_cert_file" => self.client_cert_file = path(),
            "client_priv_key_file" => self.client_priv_key_file = path(),
            "ca_list_file" => self.ca_list_file = path(),
            "ca_list_path" => self.ca_list_path = path(),
            "crl_file" => self.crl_file = path(),
            "min_version" => self.min_version = Some(version(value)?),
            "max_version" => self.max_version = Some(version(value)?),
            "cipher" => self.cipher = text(),
            "ciphersuites" => self.ciphersuites = text(),
            "groups" => self.groups = list(),
            "signature_algorithms" => self.signature_algorithms = list(),
            "security_level" => {
                self.security_level = u32::try_from(number(value, 0, 5)?).ok();
            }
            "verify_server" => self.verify_server = yes()?,
            "verify_client" => self.verify_client = yes()?,
            "require_client_cert" => self.require_client_cert = yes()?,
            "allow_wildcard_certs" => self.allow_wildcard_certs = yes()?,
            "eku" => {
                self.any_eku = Some(match value {
                    "any" => true,
                    "strict" => false,
                    _ => return Err(format!("'{value}': there are strict, any")),
                });
            }
            "verify_name" => self
                .verify_names
                .extend(names(value).iter().map(|name| PeerName::parse(name))),
            "pin" => self.pins.extend(pins(value)?),
            "sni" => self.sni = Some(sni(value)?),
            "method" => {
                return Err(
                    "it is an option of transports; here there are min_version and max_version"
                        .to_owned(),
                );
            }
            _ => {
                return Err(format!(
                    "there is no such option; there are: type, {OPTIONS}"
                ));
            }
        }
        Ok(())
    }

    /// What is wrong with the section as a whole: the option, and why.
    fn check(&self) -> Result<(), (&'static str, String)> {
        let wrong = |option, reason: &str| Err((option, reason.to_owned()));
        if self.selectors == Selectors::default() {
            return wrong(
                "type",
                "no peer gets it: match names those that we connect to and the addresses that connect to us, server_name what clients \
                 ask for",
            );
        }
        if self.priv_key_files.len() > self.cert_files.len() {
            return wrong(
                "priv_key_file",
                "each key belongs to the cert_file at the same place, and there are fewer of those",
            );
        }
        if self.client_priv_key_file.is_some() && self.client_cert_file.is_none() {
            return wrong("client_priv_key_file", "there is no client_cert_file");
        }
        if self.password.is_some() && self.cert_files.is_empty() && self.client_cert_file.is_none()
        {
            return wrong(
                "password",
                "there is neither cert_file nor client_cert_file",
            );
        }
        if let (Some(lowest), Some(highest)) = (self.min_version, self.max_version)
            && highest < lowest
        {
            return wrong("max_version", "it is below min_version");
        }
        Ok(())
    }

    /// The options of a connection of this profile, on a transport with these.
    #[must_use]
    pub fn over(&self, transport: &ProfileConfig) -> ProfileConfig {
        let mut config = ProfileConfig {
            name: Some(self.name.as_str().into()),
            ..transport.clone()
        };
        let pair = |at: usize, cert_file: &PathBuf| KeyPair {
            cert_file: cert_file.clone(),
            priv_key_file: self.priv_key_files.get(at).cloned(),
        };
        let mut pairs = self.cert_files.iter().enumerate();
        // A certificate, its key and what opens that belong together, as the CAs do.
        if let Some((at, first)) = pairs.next() {
            let first = pair(at, first);
            config.cert_file = Some(first.cert_file);
            config.priv_key_file = first.priv_key_file;
            config.more_certificates = pairs.map(|(at, file)| pair(at, file)).collect();
        }
        if let Some(cert_file) = &self.client_cert_file {
            config.client_certificate = Some(KeyPair {
                cert_file: cert_file.clone(),
                priv_key_file: self.client_priv_key_file.clone(),
            });
        }
        if let Some(password) = &self.password {
            config.password = Some(password.0.clone());
        }
        if self.ca_list_file.is_some() || self.ca_list_path.is_some() {
            config.ca_list_file.clone_from(&self.ca_list_file);
            config.ca_list_path.clone_from(&self.ca_list_path);
        }
        fn set<T: Clone>(option: &mut T, value: Option<&T>) {
            if let Some(value) = value {
                option.clone_from(value);
            }
        }
        fn over<T: Clone>(option: &mut Option<T>, value: &Option<T>) {
            if value.is_some() {
                option.clone_from(value);
            }
        }
        over(&mut config.crl_file, &self.crl_file);
        set(
            &mut config.method,
            self.min_version.map(Into::into).as_ref(),
        );
        over(&mut config.max_version, &self.max_version);
        over(&mut config.cipher, &self.cipher);
        over(&mut config.ciphersuites, &self.ciphersuites);
        over(&mut config.groups, &self.groups);
        over(&mut config.signature_algorithms, &self.signature_algorithms);
        over(&mut config.security_level, &self.security_level);
        set(&mut config.verify_server, self.verify_server.as_ref());
        set(&mut config.verify_client, self.verify_client.as_ref());
        set(
            &mut config.require_client_cert,
            self.require_client_cert.as_ref(),
        );
        set(
            &mut config.allow_wildcard_certs,
            self.allow_wildcard_certs.as_ref(),
        );
        set(&mut config.any_eku, self.any_eku.as_ref());
        set(&mut config.sni, self.sni.as_ref());
        config.verify_names.clone_from(&self.verify_names);
        config.pins.clone_from(&self.pins);
        config
    }

    /// The lines of the section, for a list: option and value. Neither a password nor the PIN of a token is among them.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.lines.iter();
        lines.map(|(option, value)| (option.as_str(), value.as_str()))
    }

    /// A selector that another profile has too, and the option with it.
    pub(super) fn shared(&self, other: &Self) -> Option<(&'static str, &Destination)> {
        let both = |mine: &'_ [Destination], theirs: &[Destination]| {
            mine.iter().position(|it| theirs.contains(it))
        };
        let (mine, theirs) = (&self.selectors, &other.selectors);
        if let Some(at) = both(&mine.destinations, &theirs.destinations) {
            return Some(("match", &mine.destinations[at]));
        }
        let at = both(&mine.server_names, &theirs.server_names)?;
        Some(("server_name", &mine.server_names[at]))
    }
}

/// Adds every word that is one, whatever is wrong with others: those peers are the profile's.
fn destinations(value: &str, all: &mut Vec<Destination>) -> Result<(), String> {
    let mut result = Ok(());
    for word in names(value) {
        match Destination::parse(&word) {
            Ok(destination) => all.push(destination),
            Err(reason) => result = result.and(Err(format!("'{word}' {reason}"))),
        }
    }
    result
}

fn server_names(value: &str, all: &mut Vec<Destination>) -> Result<(), String> {
    let mut words = Vec::new();
    let mut result = destinations(value, &mut words);
    for word in words {
        match word {
            Destination::Net(address) => {
                result = result.and(Err(format!(
                    "'{address}' is an address, which no client sends as a server name; match has addresses"
                )));
            }
            name => all.push(name),
        }
    }
    result
}

fn version(value: &str) -> Result<Version, String> {
    Version::from_word(value).ok_or_else(|| {
        let known = Version::ALL.map(|(word, _)| word).join(", ");
        format!("'{value}': there are {known}")
    })
}

fn pins(value: &str) -> Result<Vec<Pin>, String> {
    let words = names(value).into_iter();
    words
        .map(|word| {
            Pin::parse(&word).ok_or_else(|| {
                format!("'{word}' is not SHA256: and the 64 hexadecimal digits of a certificate or a public key")
            })
        })
        .collect()
}

fn sni(value: &str) -> Result<Sni, String> {
    if boolean(value) == Ok(false) {
        return Ok(Sni::Off);
    }
    match Destination::parse(value) {
        Ok(Destination::Host(name)) => Ok(Sni::Name(name)),
        _ => Err(format!("'{value}' is neither a host's name nor off")),
    }
}
