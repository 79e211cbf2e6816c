//! A transport's TLS options, loaded: what its connections are made with.

use std::ffi::CString;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslRef, SslVerifyMode, SslVersion,
};
use openssl::stack::Stack;

use crate::cert_info::CertInfo;
use crate::chain::{self, OwnCertificate};
use crate::cipher::CipherLists;
use crate::code::Code;
use crate::context::{context, text, trusted};
use crate::error::{ConfigOption, Fault, ProfileError, Warning};
use crate::key_log::{KeyOwner, set_key_owner};
use crate::method::Method;
use crate::named::{self, Named, NotLoaded};
use crate::ossl_ext::{set_automatic_dh, set_groups};
use crate::ossl_tickets::set_ticket_keys;
use crate::own::{self, Own};
use crate::profile_config::{ProfileConfig, Sni};
use crate::questions::{about_old_tls, questions};
use crate::rules::Rules;
use crate::sessions::{self, Sessions};
use crate::tickets::TicketKeys;
use crate::verify::{PeerName, Verifier};

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

pub(crate) fn set_verifier(ssl: &mut SslRef, mode: SslVerifyMode, verifier: Arc<Verifier>) {
    ssl.set_verify_callback(mode, move |ok, store| verifier.step(ok, store));
}
