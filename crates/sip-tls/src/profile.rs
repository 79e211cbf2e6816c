//! A transport's TLS options, and the OpenSSL contexts made of them.

use std::ffi::{CString, c_long};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslMode, SslOptions, SslRef,
    SslSessionCacheMode, SslVerifyMode, SslVersion,
};
use openssl::stack::Stack;
use openssl::x509::X509;
use openssl::x509::store::X509Lookup;
use zeroize::Zeroizing;

use crate::cert_info::CertInfo;
use crate::chain::{self, OwnCertificate};
use crate::cipher::CipherLists;
use crate::error::{ConfigOption, Fault, ProfileError, Warning};
use crate::key_uri;
use crate::method::{Method, Version};
use crate::named::{self, Named, NotLoaded};
use crate::ossl_ext::{set_automatic_dh, set_groups, set_max_cert_list};
use crate::ossl_tickets::set_ticket_keys;
use crate::own::{self, KeyPair, Own};
use crate::pem;
use crate::questions::{about_old_tls, questions};
use crate::reason::Code;
use crate::rules::{Pin, Rules};
use crate::sessions::{self, Sessions};
use crate::tickets::TicketKeys;
use crate::token::TokenKeys;
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

/// Options that have been read, checked and loaded. Shared by the connections that were made under it; they keep it when a reload
/// brings another.
pub struct Profile {
    server: Option<SslContext>,
    client: SslContext,
    server_mode: SslVerifyMode,
    /// What is asked of clients, and of servers.
    rules: [Arc<Rules>; 2],
    sni: Sni,
    logs_keys: bool,
    method: Method,
    trust: [u8; 32],
    sessions: Arc<Sessions>,
    limits: Limits,
    own: Vec<Arc<CertInfo>>,
    has_token_keys: bool,
    chains: Vec<OwnCertificate>,
    named: named::All,
}

/// What a connection does not take from the context that it changes to.
#[derive(Debug)]
struct Limits {
    lowest: Option<SslVersion>,
    highest: Option<SslVersion>,
    groups: Option<CString>,
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
        Profile::load_with(config, Vec::new())
    }

    /// The same of a transport some of whose peers have profiles of their own.
    ///
    /// # Errors
    /// [`ProfileError`] names the option to change.
    pub fn load_with(
        config: &ProfileConfig,
        named: Vec<Named>,
    ) -> Result<(Profile, Vec<Warning>), ProfileError> {
        openssl::init();
        let mut warnings = Vec::new();
        let ciphers = CipherLists::of(config)?;
        warnings.extend(ciphers.warning(config.max_version));
        let level = config.security_level.or(ciphers.security_level());
        warnings.extend(about_old_tls(config.method, level));
        if config
            .max_version
            .is_some_and(|highest| Method::from(highest) < config.method)
        {
            return Err(ProfileError::new(
                ConfigOption::MaxVersion,
                None,
                Fault::NoVersionLeft,
            ));
        }
        let presented = own::of_server(config)?;
        if presented.is_empty() {
            warnings.push(Warning::CannotListen);
        }
        let own_client = own::of_client(config)?;
        let to_servers = match &own_client {
            Some(own) => std::slice::from_ref(own),
            None => &presented,
        };
        let trusted = trusted(config)?;

        let groups = text(ConfigOption::Groups, config.groups.as_deref())?;
        text(
            ConfigOption::SignatureAlgorithms,
            config.signature_algorithms.as_deref(),
        )?;

        let mut client = context(
            SslMethod::tls_client(),
            config,
            &ciphers,
            &trusted,
            to_servers,
        )?;
        let mut server = context(
            SslMethod::tls_server(),
            config,
            &ciphers,
            &trusted,
            &presented,
        )?;

        // No client may renegotiate: it costs us more than the client, and TLS 1.3 has done away with it. A server of TLS 1.2 may, if it is
        // a carrier's wish; who it is is looked at again.
        server.set_options(SslOptions::NO_RENEGOTIATION);
        set_automatic_dh(&mut server);
        // Not at the end of a TLS 1.3 handshake: with the first message (`Link::flush`).
        server.set_num_tickets(0)?;
        let mut mode = SslVerifyMode::NONE;
        let demands_one = config.require_client_cert || !config.pins.is_empty();
        if config.verify_client || demands_one {
            mode |= SslVerifyMode::PEER;
            let mut names = Stack::new()?;
            for certificate in &trusted {
                names.push(certificate.subject_name().to_owned()?)?;
            }
            server.set_client_ca_list(names);
        }
        if demands_one {
            mode |= SslVerifyMode::FAIL_IF_NO_PEER_CERT;
        }
        // A session must not be resumed under another profile, nor where others are trusted.
        let trust = config.trust();
        server.set_session_id_context(&trust)?;
        set_ticket_keys(
            &mut server,
            TicketKeys::load(config.ticket_keys.as_deref())?,
        )?;
        sessions::keep_of(&mut client);
        let named = Arc::new(named);
        if named.iter().any(|it| !it.selectors.server_names.is_empty()) {
            named::choose_by_server_name(&mut server, Arc::clone(&named));
        }

        warnings.extend(questions(
            config,
            &presented,
            own_client.as_ref(),
            &trusted,
        )?);
        let limits = Limits {
            lowest: server.min_proto_version(),
            highest: server.max_proto_version(),
            groups,
        };
        let rules = Rules {
            profile: config.name.clone(),
            any_eku: config.any_eku,
            pins: config.pins.clone(),
            own: presented.iter().map(Own::told).collect(),
            ..Rules::default()
        };
        let of_servers = Rules {
            enforce: config.verify_server,
            wildcards: config.allow_wildcard_certs,
            names: config.verify_names.clone(),
            own: to_servers.iter().map(Own::told).collect(),
            ..rules.clone()
        };
        let of_clients = Rules {
            enforce: config.verify_client,
            ..rules
        };
        let profile = Profile {
            server: (!presented.is_empty()).then(|| server.build()),
            client: client.build(),
            server_mode: mode,
            rules: [Arc::new(of_clients), Arc::new(of_servers)],
            sni: config.sni.clone(),
            logs_keys: config.key_log.is_some(),
            method: config.method,
            trust,
            sessions: Arc::default(),
            limits,
            own: presented.iter().map(|own| Arc::clone(&own.info)).collect(),
            has_token_keys: presented
                .iter()
                .chain(&own_client)
                .any(|own| own.is_in_token),
            chains: presented
                .iter()
                .chain(&own_client)
                .flat_map(chain::of)
                .collect(),
            named,
        };
        Ok((profile, warnings))
    }

    /// What is wrong with its `ticket_keys`, if something is.
    #[must_use]
    pub fn bad_ticket_keys(config: &ProfileConfig) -> Option<ProfileError> {
        TicketKeys::load(config.ticket_keys.as_deref()).err()
    }

    /// The context that connections to a server are made with under these options, before it is finished: for a program that makes
    /// single connections as the module would.
    ///
    /// # Errors
    /// [`ProfileError`] names the option to change.
    pub fn client_context(config: &ProfileConfig) -> Result<SslContextBuilder, ProfileError> {
        let ciphers = CipherLists::of(config)?;
        let own = match own::of_client(config)? {
            Some(own) => vec![own],
            None => own::of_server(config)?,
        };
        context(
            SslMethod::tls_client(),
            config,
            &ciphers,
            &trusted(config)?,
            &own,
        )
    }

    /// Our certificate, the first of them where there are several.
    #[must_use]
    pub fn own_certificate(&self) -> Option<&Arc<CertInfo>> {
        self.own.first()
    }

    /// Our certificates, of different types of key.
    #[must_use]
    pub fn own_certificates(&self) -> &[Arc<CertInfo>] {
        &self.own
    }

    /// Every certificate that it presents, to clients and to servers, each with its chain behind it.
    #[must_use]
    pub fn own_chains(&self) -> &[OwnCertificate] {
        &self.chains
    }

    /// Its name, if it is not a transport's own.
    #[must_use]
    pub fn name(&self) -> Option<&Arc<str>> {
        self.rules[0].profile.as_ref()
    }

    /// The profiles of some of its peers.
    #[must_use]
    pub fn named(&self) -> &[Named] {
        &self.named
    }

    /// What a connection to `name` gets: this one, or the one that its peer has.
    ///
    /// # Errors
    /// That one could not be loaded.
    pub fn to(self: &Arc<Self>, name: &PeerName) -> Result<Arc<Profile>, NotLoaded> {
        match named::outgoing(&self.named, name) {
            Some(named) => named.profile.clone(),
            None => Ok(Arc::clone(self)),
        }
    }

    /// Whether it can accept connections: that takes a certificate.
    #[must_use]
    pub fn can_listen(&self) -> bool {
        self.server.is_some()
    }

    /// Whether a key of it, or of those of some peers, is in a token or TPM. What was opened there may have gone since, though nothing that
    /// the profile is made of has changed.
    #[must_use]
    pub fn has_token_keys(&self) -> bool {
        let mut named = self.named.iter().flat_map(|it| &it.profile);
        self.has_token_keys || named.any(|it| it.has_token_keys)
    }

    /// The lowest version that a connection can get.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// A digest of what decides which peers are trusted and how they are spoken with: its options, its name and its CAs. Our own certificates
    /// are no part of it.
    #[must_use]
    pub fn trust(&self) -> [u8; 32] {
        self.trust
    }

    /// Whether a server whose certificate or name is not good is refused.
    #[must_use]
    pub fn verifies_servers(&self) -> bool {
        self.rules[1].enforce
    }

    /// The TLS side of a connection accepted from `remote`.
    ///
    /// # Errors
    /// It has no certificate, the peer's profile is not loaded, or OpenSSL failed.
    pub(crate) fn accept(&self, remote: SocketAddr) -> Result<(Ssl, Arc<Verifier>), Code> {
        match named::incoming(&self.named, remote.ip()) {
            Some(named) => match &named.profile {
                Ok(profile) => profile.accept_own(remote),
                Err(_) => Err(Code::NoProfile),
            },
            None => self.accept_own(remote),
        }
    }

    fn accept_own(&self, remote: SocketAddr) -> Result<(Ssl, Arc<Verifier>), Code> {
        let context = self.server.as_ref().ok_or(Code::NoCertificateHere)?;
        let verifier = Arc::new(Verifier::new(Arc::clone(&self.rules[0]), None));
        let mut ssl = Ssl::new(context).map_err(|_| Code::Internal)?;
        set_verifier(&mut ssl, self.server_mode, Arc::clone(&verifier));
        if !self.named.is_empty() {
            named::set_verifier_of(&mut ssl, Arc::clone(&verifier));
        }
        self.own_keys(&mut ssl, remote, None);
        ssl.set_accept_state();
        Ok((ssl, verifier))
    }

    /// A connection of another profile, whose ClientHello has been read and nothing else, becomes one of this.
    pub(crate) fn take_over(
        &self,
        ssl: &mut SslRef,
        verifier: &Arc<Verifier>,
    ) -> Result<(), ErrorStack> {
        let Some(context) = &self.server else {
            verifier.set_unusable();
            return Err(ErrorStack::get());
        };
        // Certificates, trust, ciphers, level and algorithms of signatures come with the context; these do not.
        ssl.set_ssl_context(context)?;
        ssl.set_min_proto_version(self.limits.lowest)?;
        ssl.set_max_proto_version(self.limits.highest)?;
        if let Some(groups) = &self.limits.groups {
            set_groups(ssl, groups)?;
        }
        verifier.set_rules(Arc::clone(&self.rules[0]));
        set_verifier(ssl, self.server_mode, Arc::clone(verifier));
        Ok(())
    }

    /// The TLS side of a connection to `name` at `remote`. SNI has DNS names only (RFC 6066 3).
    pub(crate) fn connect(
        &self,
        name: PeerName,
        remote: SocketAddr,
    ) -> Result<(Ssl, Arc<Verifier>), ErrorStack> {
        let mut ssl = Ssl::new(&self.client)?;
        self.own_keys(&mut ssl, remote, Some(&name));
        let server_name = match (&self.sni, &name) {
            (Sni::Name(name), _) | (Sni::Asked, PeerName::Dns(name)) => Some(name),
            _ => None,
        };
        if let Some(server_name) = server_name {
            // A name that cannot be sent (over 255 bytes) is not: the certificate decides.
            let _ = ssl.set_hostname(server_name);
        }
        self.sessions.offer(&mut ssl, remote, &name);
        let verifier = Arc::new(Verifier::new(Arc::clone(&self.rules[1]), Some(name)));
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

/// A text as OpenSSL takes it.
fn text(option: ConfigOption, text: Option<&str>) -> Result<Option<CString>, ProfileError> {
    let text = text.map(CString::new).transpose();
    text.map_err(|_| ProfileError::new(option, None, Fault::UnknownWord("a NUL".to_owned())))
}

/// The certificates of `ca_list_file`.
fn trusted(config: &ProfileConfig) -> Result<Vec<X509>, ProfileError> {
    match &config.ca_list_file {
        Some(file) => pem::certificates(ConfigOption::CaListFile, file),
        None => Ok(Vec::new()),
    }
}

/// A context with these options, before it is finished, that presents `own`.
fn context(
    method: SslMethod,
    config: &ProfileConfig,
    ciphers: &CipherLists,
    trusted: &[X509],
    own: &[Own],
) -> Result<SslContextBuilder, ProfileError> {
    let level = config.security_level.or(ciphers.security_level());
    let mut context = SslContext::builder(method)?;
    common(&mut context, config, level)?;
    ciphers.apply(&mut context)?;
    ciphers.leave_out_old(&mut context, config.method.floor(level))?;
    trust(&mut context, config, trusted)?;
    for own in own {
        own.present(&mut context)?;
    }
    Ok(context)
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
    if let Some(highest) = config.max_version {
        context.set_max_proto_version(Some(highest.openssl()))?;
    }
    match config.security_level {
        Some(level) => context.set_security_level(level),
        None if config.method.is_old() && level.is_none() => context.set_security_level(0),
        None => {}
    }
    let unknown = |option, text: &str, stack| {
        Err(ProfileError::new(option, None, Fault::UnknownWord(text.to_owned())).because(stack))
    };
    if let Some(groups) = &config.groups
        && let Err(stack) = context.set_groups_list(groups)
    {
        return unknown(ConfigOption::Groups, groups, stack);
    }
    if let Some(algorithms) = &config.signature_algorithms
        && let Err(stack) = context.set_sigalgs_list(algorithms)
    {
        return unknown(ConfigOption::SignatureAlgorithms, algorithms, stack);
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
    if let Some(file) = &config.crl_file {
        pem::revocation_lists(file, context.cert_store_mut())?;
    }
    Ok(())
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

pub(crate) fn set_verifier(ssl: &mut SslRef, mode: SslVerifyMode, verifier: Arc<Verifier>) {
    ssl.set_verify_callback(mode, move |ok, store| verifier.step(ok, store));
}
