//! A transport's TLS options, as they are written.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::key_log::KeyLog;
use crate::key_uri;
use crate::method::{Method, Version};
use crate::own::KeyPair;
use crate::rules::Pin;
use crate::token::TokenKeys;
use crate::verify::PeerName;

/// What is sent to a server as the name that we want (SNI, RFC 6066 3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sni {
    /// The name that was asked for, if it is one and no address.
    #[default]
    Asked,
    /// Nothing.
    Off,
    /// This name.
    Name(String),
}

/// A transport's TLS options, by PJSIP's words, and what a profile of `ciphertrunk.conf` has beside them.
#[derive(Clone, Default)]
pub struct ProfileConfig {
    /// The profile's name; `None`: it is the transport's own.
    pub name: Option<Arc<str>>,
    /// Whose it is. Sessions of transports with different names are not resumed in each other, also where they have the same ticket keys.
    pub transport: String,
    /// The keys of session tickets; without it they are made, and change by themselves.
    pub ticket_keys: Option<PathBuf>,
    /// Our certificate in PEM form, followed by its chain.
    pub cert_file: Option<PathBuf>,
    /// Its key, a file or a [`KeyUri`](crate::KeyUri); without it the key is looked for in `cert_file`.
    pub priv_key_file: Option<PathBuf>,
    /// Further ones, of other types of key: a client gets the one that it can use.
    pub more_certificates: Vec<KeyPair>,
    /// What we present to servers, if it is not the same.
    pub client_certificate: Option<KeyPair>,
    /// Opens the keys that are encrypted, and tokens whose URI has no PIN.
    pub password: Option<Zeroizing<String>>,
    /// Asks tokens. Profiles with the same one ask each token once.
    pub token_keys: TokenKeys,
    /// Trusted CAs in one file.
    pub ca_list_file: Option<PathBuf>,
    /// Trusted CAs in a directory prepared by `openssl rehash`; read during handshakes, so a CA can be added at any time.
    pub ca_list_path: Option<PathBuf>,
    /// Revocation lists in PEM form. With it the peer's own certificate must be of a CA that has one there, and not be revoked.
    pub crl_file: Option<PathBuf>,
    /// The lowest version.
    pub method: Method,
    /// The highest version; `None` is the newest.
    pub max_version: Option<Version>,
    /// Cipher names; none means the system's default, without static RSA and CBC with SHA-1.
    pub cipher: Option<String>,
    /// The suites of TLS 1.3, in the place of those in `cipher`.
    pub ciphersuites: Option<String>,
    /// Groups for the key exchange, by OpenSSL's names, with colons between; none means its default.
    pub groups: Option<String>,
    /// Algorithms of signatures, by OpenSSL's names, with colons between; none means its default.
    pub signature_algorithms: Option<String>,
    /// OpenSSL's, in the place of one in `cipher`.
    pub security_level: Option<u32>,
    /// A server whose certificate or name is not good is refused.
    pub verify_server: bool,
    /// A client's certificate is asked for, and refused if it is not good.
    pub verify_client: bool,
    /// A client without a certificate is refused.
    pub require_client_cert: bool,
    /// `*.example.com` in a server's certificate stands for `sip.example.com`.
    pub allow_wildcard_certs: bool,
    /// A server's certificate is to be for one of these, in the place of the name that was asked for.
    pub verify_names: Vec<PeerName>,
    /// A certificate for TLS clients will do for a server and the other way round (extended key usage).
    pub any_eku: bool,
    /// The peer's certificate or key is one of these, whatever is verified of it.
    pub pins: Vec<Pin>,
    /// What we send to a server as its name.
    pub sni: Sni,
    /// Where the sessions' keys go. Off unless set.
    pub key_log: Option<KeyLog>,
}

impl fmt::Debug for ProfileConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileConfig")
            .field("name", &self.name)
            .field("cert_file", &self.cert_file)
            .field(
                "priv_key_file",
                &self.priv_key_file.as_deref().map(key_uri::shown),
            )
            .field("more_certificates", &self.more_certificates)
            .field("client_certificate", &self.client_certificate)
            .field("password", &self.password.as_ref().map(|_| "..."))
            .field("ca_list_file", &self.ca_list_file)
            .field("ca_list_path", &self.ca_list_path)
            .field("crl_file", &self.crl_file)
            .field("method", &self.method)
            .field("max_version", &self.max_version)
            .field("cipher", &self.cipher)
            .field("ciphersuites", &self.ciphersuites)
            .field("groups", &self.groups)
            .field("signature_algorithms", &self.signature_algorithms)
            .field("security_level", &self.security_level)
            .field("verify_server", &self.verify_server)
            .field("verify_client", &self.verify_client)
            .field("require_client_cert", &self.require_client_cert)
            .field("allow_wildcard_certs", &self.allow_wildcard_certs)
            .field("verify_names", &self.verify_names)
            .field("any_eku", &self.any_eku)
            .field("pins", &self.pins)
            .field("sni", &self.sni)
            .field("transport", &self.transport)
            .field("ticket_keys", &self.ticket_keys)
            .field("key_log", &self.key_log.is_some())
            .finish()
    }
}
