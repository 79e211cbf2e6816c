//! One handshake: what we say in it, and what came of it.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::ssl::{
    self, ErrorCode, Ssl, SslContext, SslOptions, SslSession, SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use sip_tls::explain::{Evidence, Progress, explain};
use sip_tls::{Code, MAX_CERTIFICATES, Profile, ProfileConfig, Reason};

use super::ciphers::SUITES;
use super::ossl::{Trace, Traced, lengthen, limit_chain, set_session};
use super::{Peer, Sock};
use crate::tcp;

/// `SSL_OP_LEGACY_SERVER_CONNECT` of `openssl/ssl.h`: servers without RFC 5746 are connected to.
const LEGACY_SERVER_CONNECT: u64 = 1 << 2;

/// The longest chain, in octets, that is looked at where the module would not take it.
const LONGEST: usize = 4 * 1024 * 1024;

/// Whom we trust, what we are ourselves, and what our transport allows.
#[derive(Clone, Default)]
pub(crate) struct Trust {
    /// As a transport has it. Where it names no CAs, those of the system are trusted.
    pub(crate) config: ProfileConfig,
}

impl Trust {
    /// Whether we have a certificate.
    pub(crate) fn has_own(&self) -> bool {
        self.config.cert_file.is_some() || self.config.client_certificate.is_some()
    }
}

/// What our hello has.
#[derive(Clone, Default)]
pub(crate) struct Hello {
    /// The server name.
    pub(crate) name: Option<String>,
    pub(crate) min: Option<SslVersion>,
    pub(crate) max: Option<SslVersion>,
    /// TLS 1.2 and older; OpenSSL's default without it.
    pub(crate) ciphers: Option<String>,
    /// TLS 1.3.
    pub(crate) suites: Option<String>,
    pub(crate) groups: Option<String>,
    /// Security level 0, servers without RFC 5746, and long chains.
    pub(crate) lenient: bool,
    /// Longer than a TCP segment.
    pub(crate) long: bool,
    /// Without a certificate of ours.
    pub(crate) anonymous: bool,
    /// Nobody looks at the certificates: the system's CAs, which are many, are not loaded.
    pub(crate) unverified: bool,
    /// With the system's ciphers in place of those of `cipher`.
    pub(crate) usual_ciphers: bool,
}

impl Hello {
    /// As the module says it.
    pub(crate) fn of_module(name: Option<&str>) -> Hello {
        Hello {
            name: name.map(str::to_owned),
            ..Hello::default()
        }
    }

    /// Whatever OpenSSL can do, for the same name, and as short as this one.
    pub(crate) fn leniently(&self) -> Hello {
        Hello {
            groups: self.groups.clone(),
            unverified: true,
            ..Hello::lenient(self.name.as_deref())
        }
    }

    /// Whatever OpenSSL can do.
    pub(crate) fn lenient(name: Option<&str>) -> Hello {
        Hello {
            min: Some(SslVersion::TLS1),
            ciphers: Some("ALL:COMPLEMENTOFDEFAULT:eNULL".to_owned()),
            lenient: true,
            ..Hello::of_module(name)
        }
    }
}

/// A connection that is up.
pub(crate) struct Up {
    pub(crate) link: Traced,
    context: SslContext,
}

/// One that is not.
pub(crate) struct Failed {
    pub(crate) reason: Reason,
    pub(crate) trace: Arc<Trace>,
    /// The certificates that it had sent.
    pub(crate) chain: Vec<X509>,
    /// What the peer sent first.
    pub(crate) first: Vec<u8>,
    /// The TCP connection was there.
    pub(crate) connected: bool,
}

impl From<ErrorStack> for Box<Failed> {
    fn from(_: ErrorStack) -> Box<Failed> {
        Failed::here(Code::Internal.into())
    }
}

impl Failed {
    fn here(reason: Reason) -> Box<Failed> {
        Box::new(Failed {
            reason,
            trace: Arc::default(),
            chain: Vec::new(),
            first: Vec::new(),
            connected: false,
        })
    }

    /// Whether nothing at all came from the peer.
    pub(crate) fn is_mute(&self) -> bool {
        self.connected && self.first.is_empty()
    }
}

/// Makes a connection and a handshake. A certificate that is not good does not end it: what is wrong is in the trace.
pub(crate) fn handshake(peer: Peer, hello: &Hello, trust: &Trust) -> Result<Up, Box<Failed>> {
    let context = context(hello, trust)?;
    connect(peer, &context, hello, None)
}

impl Up {
    /// The certificates as they were sent.
    pub(crate) fn chain(&self) -> Vec<X509> {
        chain(&self.link)
    }

    /// One that a client has made to us.
    pub(crate) fn of_client(link: Traced, context: SslContext) -> Up {
        Up { link, context }
    }

    /// Takes the session up again on a new connection.
    pub(crate) fn again(
        &self,
        peer: Peer,
        hello: &Hello,
        session: &SslSession,
    ) -> Result<Up, Box<Failed>> {
        connect(peer, &self.context, hello, Some(session))
    }

    /// Why a read or a write failed.
    pub(crate) fn reason(&self, error: &openssl::ssl::Error, heard: bool) -> Reason {
        let sock = self.link.stream().get_ref();
        let progress = if !heard && self.link.ssl().version2() == Some(SslVersion::TLS1_3) {
            Progress::Unconfirmed
        } else {
            Progress::Open
        };
        explain(
            error,
            &Evidence {
                progress,
                refused: false,
                incoming: self.link.ssl().is_server(),
                first: sock.head(),
                faults: &[],
                offending: None,
                socket: sock.errno(),
            },
        )
    }
}

/// OpenSSL has read no more than it needed to refuse it: a line's rest is there, or comes now.
fn listen_on(link: &mut Traced) {
    const LINE: usize = 60;
    let sock = link.sock();
    sock.give(Duration::from_millis(200));
    while sock.first().len() < LINE && sock.read(&mut [0; LINE]).is_ok_and(|count| count > 0) {}
}

/// ContentType change_cipher_spec to application_data (RFC 8446 5.1): what a server's first octet can be.
const RECORD_TYPES: std::ops::RangeInclusive<u8> = 20..=23;

/// Why a handshake did not come to its end.
pub(crate) fn failed(link: &Traced, error: &ssl::Error, incoming: bool) -> Reason {
    let reason = because(link, error, incoming);
    let first = link.stream().get_ref().first();
    let is_no_record = first
        .first()
        .is_some_and(|octet| !RECORD_TYPES.contains(octet));
    if !incoming && is_no_record && !matches!(reason.code, Code::PlainSip | Code::PlainHttp) {
        return Code::NotTls.into();
    }
    reason
}

fn because(link: &Traced, error: &ssl::Error, incoming: bool) -> Reason {
    let sock = link.stream().get_ref();
    if [ErrorCode::WANT_READ, ErrorCode::WANT_WRITE].contains(&error.code()) {
        let code = if sock.first().is_empty() {
            Code::Silent
        } else {
            Code::HandshakeTimeout
        };
        return code.into();
    }
    explain(
        error,
        &Evidence {
            progress: Progress::Handshaking,
            refused: false,
            incoming,
            first: sock.head(),
            faults: &link.trace().faults(),
            offending: None,
            socket: sock.errno(),
        },
    )
}

fn chain(link: &Traced) -> Vec<X509> {
    let sent = link.ssl().peer_cert_chain();
    sent.map(|sent| sent.iter().map(ToOwned::to_owned).collect())
        .unwrap_or_default()
}

fn context(hello: &Hello, trust: &Trust) -> Result<SslContext, Box<Failed>> {
    let mut config = trust.config.clone();
    if hello.anonymous {
        config.cert_file = None;
        config.client_certificate = None;
        config.more_certificates.clear();
    }
    if hello.usual_ciphers {
        config.cipher = None;
    }
    let names_suites = config.cipher.is_some();
    if hello.lenient {
        // What a profile has beside the words of a transport.
        config.max_version = None;
        config.ciphersuites = None;
        config.groups = None;
        config.signature_algorithms = None;
        config.security_level = None;
    }
    // `own` has loaded the same, so nothing is wrong with the files unless they change meanwhile.
    let mut context =
        Profile::client_context(&config).map_err(|_| Failed::here(Code::Internal.into()))?;
    let names_cas = config.ca_list_file.is_some() || config.ca_list_path.is_some();
    if !names_cas && !hello.unverified {
        context.set_default_verify_paths()?;
    }
    if let Some(min) = hello.min {
        context.set_min_proto_version(Some(min))?;
    }
    if hello.max.is_some() {
        context.set_max_proto_version(hello.max)?;
    }
    if hello.lenient {
        context.set_security_level(0);
        context.set_options(SslOptions::from_bits_retain(LEGACY_SERVER_CONNECT as _));
        if names_suites {
            context.set_ciphersuites(&SUITES.join(":"))?;
        }
    }
    if let Some(ciphers) = &hello.ciphers {
        context.set_cipher_list(ciphers)?;
    }
    if let Some(suites) = &hello.suites {
        context.set_ciphersuites(suites)?;
    }
    if let Some(groups) = &hello.groups {
        context.set_groups_list(groups)?;
    }
    if hello.long {
        lengthen(&mut context)?;
    }
    Ok(context.build())
}

fn connect(
    peer: Peer,
    context: &SslContext,
    hello: &Hello,
    session: Option<&SslSession>,
) -> Result<Up, Box<Failed>> {
    let tcp = tcp::connect(peer.address, peer.local, peer.wait()).map_err(Failed::here)?;
    let mut ssl = Ssl::new(context)?;
    if let Some(name) = &hello.name {
        // A name that cannot be sent is not: the certificate decides.
        let _ = ssl.set_hostname(name);
    }
    limit_chain(
        &mut ssl,
        if hello.lenient {
            LONGEST
        } else {
            MAX_CERTIFICATES
        },
    );
    if let Some(session) = session {
        set_session(&mut ssl, session)?;
    }
    let mut link = Traced::new(ssl, Sock::new(tcp, peer.wait()), SslVerifyMode::PEER)?;
    match link.fresh().connect() {
        Ok(()) => Ok(Up {
            link,
            context: context.clone(),
        }),
        Err(error) => {
            let reason = failed(&link, &error, false);
            if matches!(reason.code, Code::PlainSip | Code::PlainHttp | Code::NotTls) {
                listen_on(&mut link);
            }
            Err(Box::new(Failed {
                reason,
                trace: Arc::clone(link.trace()),
                chain: chain(&link),
                first: link.stream().get_ref().first().to_vec(),
                connected: true,
            }))
        }
    }
}
