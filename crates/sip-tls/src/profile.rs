//! A transport's TLS options, and the OpenSSL contexts made of them.

use std::ffi::c_long;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::hash::{MessageDigest, hash};
use openssl::nid::Nid;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslMode, SslOptions,
    SslSessionCacheMode, SslVerifyMode, SslVersion,
};
use openssl::stack::Stack;
use openssl::x509::store::X509Lookup;
use openssl::x509::{X509, X509Ref};
use zeroize::Zeroizing;

use crate::cert_info::CertInfo;
use crate::cipher::CipherLists;
use crate::error::{ConfigOption, Fault, ProfileError, Warning};
use crate::method::Method;
use crate::ossl_ext::{is_too_weak, set_max_cert_list};
use crate::own::{self, OwnCertificate};
use crate::pem;
use crate::unreadable::Unreadable;
use crate::verify::{PeerName, Verifier};

/// Takes lines in the format of `SSLKEYLOGFILE`, without the line's end, on the connection's I/O thread. Whoever has them can read the traffic.
pub type KeyLog = Arc<dyn Fn(&KeyOwner, &str) + Send + Sync>;

/// The connection that a line of a [`KeyLog`] is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOwner {
    /// The peer's end.
    pub remote: SocketAddr,
    /// The name that was asked for; `None`: the peer has connected to us.
    pub wanted: Option<PeerName>,
}

/// Where a connection keeps its [`KeyOwner`]. `None`: OpenSSL has no room for it, and no keys are written.
static OWNER: LazyLock<Option<Index<Ssl, KeyOwner>>> = LazyLock::new(|| Ssl::new_ex_index().ok());

/// The longest certificate chain, in octets, that is taken from a peer. OpenSSL keeps a peer's chain as long as its connection lives,
/// so this is what a client can make us hold per connection. OpenSSL's own limit is 100 KiB. Four certificates with RSA 4096 have about
/// 8 KiB, four with ML-DSA-87 (FIPS 204) about 30.
pub const MAX_CERTIFICATES: usize = 32 * 1024;

/// A transport's TLS options, by PJSIP's words.
#[derive(Clone, Default)]
pub struct ProfileConfig {
    /// Our certificate in PEM form, followed by its chain.
    pub cert_file: Option<PathBuf>,
    /// Its key; without it the key is looked for in `cert_file`.
    pub priv_key_file: Option<PathBuf>,
    /// Opens the key.
    pub password: Option<Zeroizing<String>>,
    /// Trusted CAs in one file.
    pub ca_list_file: Option<PathBuf>,
    /// Trusted CAs in a directory prepared by `openssl rehash`; read during handshakes, so a CA can be added at any time.
    pub ca_list_path: Option<PathBuf>,
    /// The lowest version.
    pub method: Method,
    /// Cipher names; none means the system's default.
    pub cipher: Option<String>,
    /// A server whose certificate or name is not good is refused.
    pub verify_server: bool,
    /// A client's certificate is asked for, and refused if it is not good.
    pub verify_client: bool,
    /// A client without a certificate is refused.
    pub require_client_cert: bool,
    /// `*.example.com` in a server's certificate stands for `sip.example.com`.
    pub allow_wildcard_certs: bool,
    /// Where the sessions' keys go. Off unless set.
    pub key_log: Option<KeyLog>,
}

impl fmt::Debug for ProfileConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileConfig")
            .field("cert_file", &self.cert_file)
            .field("priv_key_file", &self.priv_key_file)
            .field("password", &self.password.as_ref().map(|_| "..."))
            .field("ca_list_file", &self.ca_list_file)
            .field("ca_list_path", &self.ca_list_path)
            .field("method", &self.method)
            .field("cipher", &self.cipher)
            .field("verify_server", &self.verify_server)
            .field("verify_client", &self.verify_client)
            .field("require_client_cert", &self.require_client_cert)
            .field("allow_wildcard_certs", &self.allow_wildcard_certs)
            .field("key_log", &self.key_log.is_some())
            .finish()
    }
}

/// Options that have been read, checked and loaded. Shared by the connections that were made under it; they keep it when a reload
/// brings another.
pub struct Profile {
    server: Option<SslContext>,
    client: SslContext,
    server_mode: SslVerifyMode,
    verify_server: bool,
    verify_client: bool,
    wildcards: bool,
    logs_keys: bool,
    method: Method,
    own: Vec<OwnCertificate>,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("own", &self.own)
            .finish_non_exhaustive()
    }
}

impl Profile {
    /// Reads the files and makes the contexts. It reads disks and may take milliseconds: not for an I/O thread.
    ///
    /// # Errors
    /// [`ProfileError`] names the option to change.
    pub fn load(config: &ProfileConfig) -> Result<(Profile, Vec<Warning>), ProfileError> {
        openssl::init();
        let mut warnings = Vec::new();
        let ciphers = CipherLists::parse(config.cipher.as_deref().unwrap_or_default())?;
        warnings.extend(ciphers.warning());
        let level = ciphers.security_level();
        warnings.extend(about_old_tls(config.method, level));
        let chain = match &config.cert_file {
            Some(file) => pem::certificates(ConfigOption::CertFile, file)?,
            None => {
                warnings.push(Warning::CannotListen);
                Vec::new()
            }
        };
        let trusted = match &config.ca_list_file {
            Some(file) => pem::certificates(ConfigOption::CaListFile, file)?,
            None => Vec::new(),
        };

        let mut client = SslContext::builder(SslMethod::tls_client())?;
        let mut server = SslContext::builder(SslMethod::tls_server())?;
        for context in [&mut client, &mut server] {
            common(context, config, level)?;
            ciphers.apply(context)?;
            trust(context, config, &trusted)?;
            if let Some(certificate) = chain.first() {
                present(context, config, certificate, &chain[1..])?;
            }
        }

        // No client may renegotiate: it costs us more than the client, and TLS 1.3 has done away with it. A server of TLS 1.2 may, if it is
        // a carrier's wish; who it is is looked at again.
        server.set_options(SslOptions::NO_RENEGOTIATION);
        // Not at the end of a TLS 1.3 handshake: with the first message (`Link::flush`).
        server.set_num_tickets(0)?;
        let mut mode = SslVerifyMode::NONE;
        if config.verify_client || config.require_client_cert {
            mode |= SslVerifyMode::PEER;
            let mut names = Stack::new()?;
            for certificate in &trusted {
                names.push(certificate.subject_name().to_owned()?)?;
            }
            server.set_client_ca_list(names);
        }
        if config.require_client_cert {
            mode |= SslVerifyMode::FAIL_IF_NO_PEER_CERT;
        }
        // A session must not be resumed under another profile. Each profile has its own ticket keys already.
        let context_id = hash(MessageDigest::sha256(), format!("{config:?}").as_bytes())?;
        server.set_session_id_context(&context_id)?;

        warnings.extend(questions(config, chain.first(), &trusted)?);
        let own = own::read(config.cert_file.as_ref(), &chain);
        let profile = Profile {
            server: (!chain.is_empty()).then(|| server.build()),
            client: client.build(),
            server_mode: mode,
            verify_server: config.verify_server,
            verify_client: config.verify_client,
            wildcards: config.allow_wildcard_certs,
            logs_keys: config.key_log.is_some(),
            method: config.method,
            own,
        };
        Ok((profile, warnings))
    }

    /// Our certificate.
    #[must_use]
    pub fn own_certificate(&self) -> Option<&Arc<CertInfo>> {
        let first = self.own.first().filter(|own| own.position == 1)?;
        Some(&first.info)
    }

    /// Our certificate and its chain, in the order in which they are presented.
    #[must_use]
    pub fn own_chain(&self) -> &[OwnCertificate] {
        &self.own
    }

    /// Whether it can accept connections: that takes a certificate.
    #[must_use]
    pub fn can_listen(&self) -> bool {
        self.server.is_some()
    }

    /// The lowest version that a connection can get.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// Whether a server whose certificate or name is not good is refused.
    #[must_use]
    pub fn verifies_servers(&self) -> bool {
        self.verify_server
    }

    /// The TLS side of a connection accepted from `remote`; `None` without a certificate.
    pub(crate) fn accept(
        &self,
        remote: SocketAddr,
    ) -> Option<Result<(Ssl, Arc<Verifier>), ErrorStack>> {
        let context = self.server.as_ref()?;
        let verifier = Arc::new(Verifier::new(self.verify_client, None, false));
        Some(Ssl::new(context).map(|mut ssl| {
            set_verifier(&mut ssl, self.server_mode, Arc::clone(&verifier));
            self.own_keys(&mut ssl, remote, None);
            ssl.set_accept_state();
            (ssl, verifier)
        }))
    }

    /// The TLS side of a connection to `name` at `remote`. SNI has DNS names only (RFC 6066 3).
    pub(crate) fn connect(
        &self,
        name: PeerName,
        remote: SocketAddr,
    ) -> Result<(Ssl, Arc<Verifier>), ErrorStack> {
        let mut ssl = Ssl::new(&self.client)?;
        self.own_keys(&mut ssl, remote, Some(&name));
        if let PeerName::Dns(host) = &name {
            // A name that cannot be sent (over 255 bytes) is not: the certificate decides.
            let _ = ssl.set_hostname(host);
        }
        let verifier = Arc::new(Verifier::new(
            self.verify_server,
            Some(name),
            self.wildcards,
        ));
        set_verifier(&mut ssl, SslVerifyMode::PEER, Arc::clone(&verifier));
        ssl.set_connect_state();
        Ok((ssl, verifier))
    }

    /// Has the connection's keys be known as its, if they are asked for.
    fn own_keys(&self, ssl: &mut Ssl, remote: SocketAddr, wanted: Option<&PeerName>) {
        if self.logs_keys {
            let wanted = wanted.cloned();
            set_key_owner(ssl, KeyOwner { remote, wanted });
        }
    }
}

/// What an operator should know about the versions.
fn about_old_tls(method: Method, level: Option<u32>) -> Option<Warning> {
    match level {
        Some(level) if level > 0 && method.is_old() => Some(Warning::OldTlsBarred(level)),
        _ if method.is_old() => Some(Warning::OldTls),
        Some(0) if method == Method::Any => Some(Warning::OldTls),
        Some(0) => Some(Warning::LevelZero),
        _ => None,
    }
}

/// What both directions share.
fn common(
    context: &mut SslContextBuilder,
    config: &ProfileConfig,
    level: Option<u32>,
) -> Result<(), ProfileError> {
    // A stricter system policy (openssl.cnf) stands, unless an older version was asked for by name.
    let floor = config.method.floor(level);
    if floor != SslVersion::TLS1_2 || context.min_proto_version() != Some(SslVersion::TLS1_3) {
        context.set_min_proto_version(Some(floor))?;
    }
    if config.method.is_old() && level.is_none() {
        context.set_security_level(0);
    }
    // Idle connections hold no record buffers; a write may go out in parts and from a moved buffer.
    context.set_mode(
        SslMode::RELEASE_BUFFERS
            | SslMode::ENABLE_PARTIAL_WRITE
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER,
    );
    // Sessions are resumed by tickets, which the client keeps. OpenSSL's cache would keep a session of each connection that is gone, with
    // the peer's whole chain in it, 20,480 of them for each profile.
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    set_max_cert_list(context, MAX_CERTIFICATES as c_long);
    context.set_options(SslOptions::CIPHER_SERVER_PREFERENCE | SslOptions::NO_COMPRESSION);
    if let Some(sink) = &config.key_log {
        set_key_log(context, Arc::clone(sink));
    }
    Ok(())
}

fn trust(
    context: &mut SslContextBuilder,
    config: &ProfileConfig,
    trusted: &[X509],
) -> Result<(), ProfileError> {
    for certificate in trusted {
        context.cert_store_mut().add_cert(certificate.clone())?;
    }
    if let Some(path) = &config.ca_list_path {
        let fault = |fault| ProfileError::new(ConfigOption::CaListPath, Some(path.clone()), fault);
        std::fs::read_dir(path)
            .map_err(|error| fault(Fault::Unreadable(Unreadable::new(path, error))))?;
        let text = path
            .to_str()
            .ok_or_else(|| fault(Fault::UnknownWord(path.display().to_string())))?;
        context
            .cert_store_mut()
            .add_lookup(X509Lookup::hash_dir())?
            .add_dir(text, SslFiletype::PEM)
            .map_err(|stack| fault(Fault::Setup).because(stack))?;
    }
    Ok(())
}

/// Our certificate, its chain and its key.
fn present(
    context: &mut SslContextBuilder,
    config: &ProfileConfig,
    certificate: &X509,
    chain: &[X509],
) -> Result<(), ProfileError> {
    let cert_fault =
        |fault| ProfileError::new(ConfigOption::CertFile, config.cert_file.clone(), fault);
    let (option, file) = match (&config.priv_key_file, &config.cert_file) {
        (Some(file), _) => (ConfigOption::PrivKeyFile, file),
        (None, Some(file)) => (ConfigOption::CertFile, file),
        (None, None) => return Ok(()),
    };
    let key = pem::private_key(
        option,
        file,
        config.password.as_ref().map(|password| password.as_str()),
    )?;
    let public = certificate
        .public_key()
        .map_err(|stack| cert_fault(Fault::BadCertificate).because(stack))?;
    if !key.public_eq(&public) {
        return Err(ProfileError::new(
            option,
            Some(file.clone()),
            Fault::KeyMismatch,
        ));
    }
    let refused = |stack| {
        let fault = if is_too_weak(&stack) {
            Fault::TooWeak
        } else {
            Fault::Refused
        };
        cert_fault(fault).because(stack)
    };
    context.set_certificate(certificate).map_err(refused)?;
    for certificate in chain {
        context
            .add_extra_chain_cert(certificate.clone())
            .map_err(refused)?;
    }
    context.set_private_key(&key).map_err(|stack| {
        ProfileError::new(option, Some(file.clone()), Fault::Refused).because(stack)
    })
}

/// What works but is probably not meant.
fn questions(
    config: &ProfileConfig,
    own: Option<&X509>,
    trusted: &[X509],
) -> Result<Vec<Warning>, ProfileError> {
    let mut warnings = Vec::new();
    if let Some(certificate) = own {
        warnings.extend(validity(certificate)?);
        warnings.extend(weakness(certificate)?.map(Warning::WeakCertificate));
    }
    if (config.verify_server || config.verify_client)
        && trusted.is_empty()
        && config.ca_list_path.is_none()
    {
        warnings.push(Warning::NothingTrusted);
    }
    if config.require_client_cert && !config.verify_client {
        warnings.push(Warning::AnyClientCertificate);
    }
    if let Some(path) = &config.ca_list_path {
        let hashed = std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| {
                let name = entry.file_name();
                let bytes = name.as_encoded_bytes();
                bytes.len() >= 10
                    && bytes[8] == b'.'
                    && bytes[..8].iter().all(u8::is_ascii_hexdigit)
            });
        if !hashed {
            warnings.push(Warning::NotHashed);
        }
    }
    Ok(warnings)
}

/// A certificate's key and signature, if either is weaker than 112 bits, the level that OpenSSL's distributors set (NIST SP 800-131A).
fn weakness(certificate: &X509Ref) -> Result<Option<String>, ProfileError> {
    const ENOUGH: u32 = 112;
    let key = certificate.public_key()?;
    let mut what = Vec::new();
    if key.security_bits() < ENOUGH {
        what.push(format!("a key of {} bits", key.bits()));
    }
    let signature = certificate.signature_algorithm().object().nid();
    let digest = signature.signature_algorithms().map(|pair| pair.digest);
    if let Some(digest @ (Nid::MD5 | Nid::SHA1)) = digest {
        what.push(format!("signed with {}", digest.short_name()?));
    }
    Ok((!what.is_empty()).then(|| what.join(", ")))
}

fn validity(certificate: &X509Ref) -> Result<Option<Warning>, ProfileError> {
    let now = Asn1Time::days_from_now(0)?;
    Ok(if certificate.not_after() < now {
        Some(Warning::Expired)
    } else if certificate.not_before() > now {
        Some(Warning::NotYetValid)
    } else {
        None
    })
}

pub(crate) fn set_key_log(context: &mut SslContextBuilder, sink: KeyLog) {
    context.set_keylog_callback(move |ssl, line| {
        if let Some(owner) = OWNER.and_then(|index| ssl.ex_data(index)) {
            sink(owner, line);
        }
    });
}

pub(crate) fn set_key_owner(ssl: &mut Ssl, owner: KeyOwner) {
    if let Some(index) = *OWNER {
        ssl.set_ex_data(index, owner);
    }
}

pub(crate) fn set_verifier(ssl: &mut Ssl, mode: SslVerifyMode, verifier: Arc<Verifier>) {
    ssl.set_verify_callback(mode, move |ok, store| verifier.step(ok, store));
}
