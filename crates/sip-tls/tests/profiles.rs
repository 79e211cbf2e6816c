//! Profiles for some of a transport's peers: which one a connection gets, and that each option does what it says. Each row has a twin
//! that differs in that option alone and is refused.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use common::tool::s_server;
use common::*;
use openssl::hash::{MessageDigest, hash};
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslSession, SslStream, SslVersion,
};
use openssl::x509::X509;
use sip_tls::select::{Destination, Selectors};
use sip_tls::verify::PeerName;
use sip_tls::*;

const NAME: &str = "sip.example.com";

fn words(words: &[&str]) -> Vec<Destination> {
    let parsed = words.iter().map(|word| Destination::parse(word).unwrap());
    parsed.collect()
}

/// A profile that is chosen by these words.
fn named(name: &str, by: Selectors, config: &ProfileConfig) -> Named {
    let config = ProfileConfig {
        name: Some(name.into()),
        ..config.clone()
    };
    Named {
        name: name.into(),
        selectors: by,
        profile: Ok(load(&config)),
    }
}

fn by_destination(by: &[&str]) -> Selectors {
    Selectors {
        destinations: words(by),
        ..Selectors::default()
    }
}

fn by_server_name(by: &[&str]) -> Selectors {
    Selectors {
        server_names: words(by),
        ..Selectors::default()
    }
}

fn with(config: &ProfileConfig, named: Vec<Named>) -> Arc<Profile> {
    Arc::new(Profile::load_with(config, named).unwrap().0)
}

fn listen(engine: &Engine, profile: Arc<Profile>) -> Listener<()> {
    let config = ListenerConfig {
        address: "0.0.0.0:0".parse().unwrap(),
        profile,
        options: SocketOptions::default(),
    };
    engine.pool.listen(config, ()).unwrap()
}

fn call(engine: &Engine, port: u16, name: &str, profile: &Arc<Profile>) -> Conn {
    let name = PeerName::parse(name);
    let target = Target {
        remote: SocketAddr::from(([127, 0, 0, 1], port)),
        local: None,
        profile: profile.to(&name).unwrap(),
        name,
        options: SocketOptions::default(),
    };
    engine.pool.connect(target, Clone::clone).unwrap()
}

/// One server, and two profiles that differ in one option.
struct Row<'a> {
    option: &'static str,
    own: ProfileConfig,
    server: &'a [&'a str],
    asked: &'static str,
    good: ProfileConfig,
    twin: ProfileConfig,
    refused: &'a [Code],
}

fn judge(row: &Row<'_>) {
    let own = |file: &Option<PathBuf>| file.clone().unwrap();
    let (cert, key) = (own(&row.own.cert_file), own(&row.own.priv_key_file));
    let (_tool, address) = s_server(&cert, &key, row.server);
    for (config, good) in [(&row.good, true), (&row.twin, false)] {
        let engine = Engine::new();
        let profile = with(
            &ProfileConfig::default(),
            vec![named("carrier", by_destination(&[row.asked]), config)],
        );
        let conn = call(&engine, address.port(), row.asked, &profile);
        let outcome = engine.until(|event| match event {
            Event::Connected(info) => Some(Ok(*info)),
            Event::Closed(_, reason) => Some(Err(reason)),
            _ => None,
        });
        match (good, outcome) {
            (true, Ok(info)) => assert_eq!(info.profile.as_deref(), Some("carrier")),
            (false, Err(reason)) => assert!(
                row.refused.contains(&reason.code),
                "{}: {reason:?} {reason}",
                row.option
            ),
            (_, outcome) => panic!("{} = {good}: {outcome:?}", row.option),
        }
        conn.close(Close::Now);
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = hash(MessageDigest::sha256(), bytes).unwrap();
    let digits: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("SHA256:{digits}")
}

fn x509(config: &ProfileConfig) -> X509 {
    let pem = std::fs::read(config.cert_file.as_ref().unwrap()).unwrap();
    X509::from_pem(&pem).unwrap()
}

/// Trust, identity and revocation.
#[test]
fn whom_a_profile_trusts() {
    let pki = Pki::new();
    let dir = Dir::new();
    let ca = Cert::ca("Another CA");
    let (ca_file, _) = ca.write(&dir, "ca");
    let other = Pki { dir, ca, ca_file };
    let default = Spec::default();
    let ours = pki.server(&default);
    let stranger = other.server(&default);
    let pins = |text: String| vec![Pin::parse(&text).unwrap()];
    let certificate = x509(&ours);
    let whole = sha256(&certificate.to_der().unwrap());
    let key = certificate.public_key().unwrap();
    let key = sha256(&key.public_key_to_der().unwrap());
    let of_another = sha256(&x509(&stranger).to_der().unwrap());
    let unverified = ProfileConfig::default();
    let pinned = |text: &str| ProfileConfig {
        pins: pins(text.to_owned()),
        ..unverified.clone()
    };
    let row = |option, good, twin, refused| Row {
        option,
        own: ours.clone(),
        server: &[],
        asked: NAME,
        good,
        twin,
        refused,
    };
    let untrusted = &[Code::CertUntrusted, Code::CertSelfSigned];
    let rows = [
        row("ca_list_file", pki.client(), other.client(), untrusted),
        row(
            "verify_server",
            ProfileConfig {
                verify_server: false,
                ..other.client()
            },
            other.client(),
            untrusted,
        ),
        row(
            "pin of the certificate",
            pinned(&whole),
            pinned(&of_another),
            &[Code::CertPin],
        ),
        row(
            "pin of the key",
            pinned(&key),
            pinned(&of_another),
            &[Code::CertPin],
        ),
        row(
            "pin, verified",
            ProfileConfig {
                pins: pins(key.clone()),
                ..pki.client()
            },
            ProfileConfig {
                pins: pins(of_another.clone()),
                ..pki.client()
            },
            &[Code::CertPin],
        ),
        row(
            "crl_file",
            ProfileConfig {
                crl_file: Some(revocation_list(&pki, "good", None)),
                ..pki.client()
            },
            ProfileConfig {
                crl_file: Some(revocation_list(&pki, "revoked", Some(&certificate))),
                ..pki.client()
            },
            &[Code::CertRevoked],
        ),
        Row {
            asked: "trunk.example.net",
            ..row(
                "verify_name",
                ProfileConfig {
                    verify_names: vec![PeerName::parse(NAME)],
                    ..pki.client()
                },
                pki.client(),
                &[Code::CertName],
            )
        },
        Row {
            own: pki.server(&Spec {
                cn: "*.example.com",
                dns: &["*.example.com"],
                ..default.clone()
            }),
            ..row(
                "allow_wildcard_certs",
                ProfileConfig {
                    allow_wildcard_certs: true,
                    ..pki.client()
                },
                pki.client(),
                &[Code::CertName],
            )
        },
        Row {
            own: pki.server(&Spec {
                client_only: true,
                ..default.clone()
            }),
            ..row(
                "eku",
                ProfileConfig {
                    any_eku: true,
                    ..pki.client()
                },
                pki.client(),
                &[Code::CertPurpose],
            )
        },
        Row {
            own: pki.server(&Spec {
                rsa: true,
                bits: 1024,
                ..default.clone()
            }),
            server: &["-cipher", "DEFAULT:@SECLEVEL=0"],
            ..row(
                "security_level",
                ProfileConfig {
                    security_level: Some(0),
                    ..pki.client()
                },
                ProfileConfig {
                    security_level: Some(2),
                    ..pki.client()
                },
                &[Code::CertWeak],
            )
        },
    ];
    for row in &rows {
        judge(row);
    }
}

/// What is negotiated, and what we show of ourselves.
#[test]
fn what_a_profile_speaks() {
    let pki = Pki::new();
    let default = Spec::default();
    let ec = pki.server(&default);
    let rsa = pki.server(&Spec {
        rsa: true,
        ..default.clone()
    });
    let ours = pki.server(&default);
    let base = pki.client();
    let text = |text: &str| Some(text.to_owned());
    let ca = pki.ca_file.display().to_string();
    let demanding = [
        "-tls1_2",
        "-Verify",
        "1",
        "-verify_return_error",
        "-CAfile",
        &ca,
    ];
    let row = |option, own: &ProfileConfig, server, good, twin| Row {
        option,
        own: own.clone(),
        server,
        asked: NAME,
        good,
        twin,
        refused: &[
            Code::PeerHandshakeFailure,
            Code::PeerVersion,
            Code::Version,
            Code::NoSharedAlgorithm,
            Code::PeerWantsCertificate,
            Code::PeerUnknownName,
        ],
    };
    let set = |change: &dyn Fn(&mut ProfileConfig)| {
        let mut config = base.clone();
        change(&mut config);
        config
    };
    let rows = [
        row(
            "min_version",
            &ec,
            &["-tls1_2"],
            base.clone(),
            set(&|it| it.method = Version::Tls13.into()),
        ),
        row(
            "max_version",
            &ec,
            &["-tls1_3"],
            base.clone(),
            set(&|it| it.max_version = Some(Version::Tls12)),
        ),
        // The carrier that knows TLS_RSA_WITH_AES_128_CBC_SHA alone.
        row(
            "cipher",
            &rsa,
            &["-tls1_2", "-cipher", "AES128-SHA"],
            set(&|it| it.cipher = text("TLS_RSA_WITH_AES_128_CBC_SHA")),
            base.clone(),
        ),
        row(
            "cipher of SHA-1",
            &rsa,
            &["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"],
            set(&|it| it.cipher = text("ECDHE-RSA-AES128-SHA")),
            base.clone(),
        ),
        row(
            "ciphersuites",
            &ec,
            &["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"],
            set(&|it| it.ciphersuites = text("TLS_AES_128_GCM_SHA256")),
            set(&|it| it.ciphersuites = text("TLS_AES_256_GCM_SHA384")),
        ),
        row(
            "groups",
            &ec,
            &["-groups", "P-384"],
            set(&|it| it.groups = text("P-384")),
            set(&|it| it.groups = text("P-256:X25519")),
        ),
        row(
            "signature_algorithms",
            &ec,
            &[],
            set(&|it| it.signature_algorithms = text("ecdsa_secp256r1_sha256")),
            set(&|it| it.signature_algorithms = text("rsa_pss_rsae_sha256")),
        ),
        row(
            "client_cert_file",
            &ec,
            &demanding,
            set(&|it| {
                it.client_certificate = Some(KeyPair {
                    cert_file: ours.cert_file.clone().unwrap(),
                    priv_key_file: ours.priv_key_file.clone(),
                });
            }),
            base.clone(),
        ),
    ];
    for row in &rows {
        judge(row);
    }
    let files = |config: &ProfileConfig| {
        let text = |file: &Option<PathBuf>| file.as_ref().unwrap().display().to_string();
        (text(&config.cert_file), text(&config.priv_key_file))
    };
    let (cert, key) = files(&rsa);
    let server = [
        "-servername",
        "inside.example",
        "-servername_fatal",
        "-cert2",
        &cert,
        "-key2",
        &key,
    ];
    for (good, twin) in [
        ("inside.example", Sni::Asked),
        ("inside.example", Sni::Name("x.example".to_owned())),
    ] {
        judge(&row(
            "sni",
            &ec,
            &server,
            set(&|it| it.sni = Sni::Name(good.to_owned())),
            set(&|it| it.sni = twin.clone()),
        ));
    }
}

/// What a client of TLS sees, or that it is refused.
fn visit(
    from: [u8; 4],
    to: SocketAddr,
    server_name: Option<&str>,
    tune: impl FnOnce(&mut SslContextBuilder),
) -> Option<SslStream<TcpStream>> {
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    tune(&mut context);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    let to = SocketAddr::from(([127, 0, 0, 1], to.port()));
    socket.connect(&to.into()).unwrap();
    let mut ssl = Ssl::new(&context.build()).unwrap();
    if let Some(name) = server_name {
        ssl.set_hostname(name).unwrap();
    }
    let mut stream = SslStream::new(ssl, TcpStream::from(socket)).unwrap();
    stream.connect().ok()?;
    Some(stream)
}

const HERE: [u8; 4] = [127, 0, 0, 1];
const PHONE: [u8; 4] = [127, 0, 0, 2];

fn cn(stream: &SslStream<TcpStream>) -> String {
    let peer = stream.ssl().peer_certificate().unwrap();
    CertInfo::of(&peer).unwrap().subject.cn
}

#[test]
fn certificates_by_server_name_and_by_type_of_key() {
    let pki = Pki::new();
    let spec = |cn, rsa| Spec {
        cn,
        dns: &[],
        rsa,
        ..Spec::default()
    };
    let a = pki.server(&spec("a.example", false));
    let b = pki.server(&spec("b.example", false));
    let rsa = pki.server(&spec("b with RSA", true));
    let both = ProfileConfig {
        more_certificates: vec![KeyPair {
            cert_file: rsa.cert_file.clone().unwrap(),
            priv_key_file: rsa.priv_key_file.clone(),
        }],
        ..b.clone()
    };
    let twice = ProfileConfig {
        more_certificates: vec![KeyPair {
            cert_file: a.cert_file.clone().unwrap(),
            priv_key_file: a.priv_key_file.clone(),
        }],
        ..b.clone()
    };
    let error = Profile::load(&twice).unwrap_err();
    assert!(matches!(error.fault, Fault::SameKeyType), "{error}");

    let profile = with(
        &pki.server(&spec("own.example", false)),
        vec![
            named("a", by_server_name(&["a.example"]), &a),
            named("b", by_server_name(&["b.example", ".b.example"]), &both),
        ],
    );
    let engine = Engine::new();
    let listener = listen(&engine, profile);
    for (asked, shown, profile) in [
        (None, "own.example", None),
        (Some("unknown.example"), "own.example", None),
        (Some("a.example"), "a.example", Some("a")),
        (Some("A.Example"), "a.example", Some("a")),
        (Some("b.example"), "b.example", Some("b")),
        (Some("x.b.example"), "b.example", Some("b")),
    ] {
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            let stream = visit(HERE, listener.address(), asked, |context| {
                context.set_max_proto_version(Some(version)).unwrap();
            });
            assert_eq!(cn(&stream.unwrap()), shown, "{asked:?}");
            let (_, info) = engine.accepted();
            assert_eq!(info.profile.as_deref(), profile);
            assert_eq!(info.own.unwrap().subject.cn, shown);
            assert_eq!(info.sni.as_deref(), asked);
        }
    }
    // A client that cannot use the one gets the other.
    let stream = visit(HERE, listener.address(), Some("b.example"), |context| {
        context.set_sigalgs_list("rsa_pss_rsae_sha256").unwrap();
    });
    assert_eq!(cn(&stream.unwrap()), "b with RSA");
    assert_eq!(engine.accepted().1.own.unwrap().subject.cn, "b with RSA");
}

#[test]
fn a_server_name_brings_everything_of_its_profile() {
    let pki = Pki::new();
    let own = pki.server(&Spec {
        rsa: true,
        ..Spec::default()
    });
    let phone = Cert::make(&Spec::default(), Some(&pki.ca));
    let set = |change: &dyn Fn(&mut ProfileConfig)| {
        let mut config = ProfileConfig {
            ca_list_file: Some(pki.ca_file.clone()),
            ..own.clone()
        };
        change(&mut config);
        config
    };
    let new = set(&|it| it.method = Version::Tls13.into());
    let low = set(&|it| it.max_version = Some(Version::Tls12));
    let old = set(&|it| it.cipher = Some("AES128-SHA".to_owned()));
    // With OpenSSL's security level 0, without which there is no TLS 1.0.
    let oldest = set(&|it| it.method = Version::Tls10.into());
    let group = set(&|it| it.groups = Some("P-384".to_owned()));
    let mutual = set(&|it| {
        it.verify_client = true;
        it.require_client_cert = true;
    });
    let pinned = set(&|it| {
        it.pins = vec![Pin::parse(&sha256(&phone.x509.to_der().unwrap())).unwrap()];
    });
    let all = [
        ("new", &new),
        ("low", &low),
        ("old", &old),
        ("oldest", &oldest),
        ("group", &group),
        ("mutual", &mutual),
        ("pinned", &pinned),
    ];
    let all = all
        .map(|(name, config)| named(name, by_server_name(&[&format!("{name}.example")]), config));
    let engine = Engine::new();
    let listener = listen(&engine, with(&own, all.into()));
    let at = listener.address();
    let taken = |asked: &str, tune: &dyn Fn(&mut SslContextBuilder)| {
        let stream = visit(HERE, at, Some(asked), tune);
        let heard = engine.until(|event| match event {
            Event::Accepted(_, info) => Some(Ok(*info)),
            Event::Refused(_, reason) => Some(Err(reason.code)),
            _ => None,
        });
        drop(stream);
        heard.map(|info| (info.version, info.cipher, info.group))
    };
    let highest = |version| {
        move |context: &mut SslContextBuilder| {
            context.set_max_proto_version(Some(version)).unwrap();
        }
    };
    let tls12 = highest(SslVersion::TLS1_2);
    let none = |_: &mut SslContextBuilder| {};
    assert_eq!(taken("new.example", &tls12), Err(Code::Version));
    assert!(taken("new.example", &none).is_ok());
    assert!(taken("x.example", &tls12).is_ok());
    assert_eq!(taken("low.example", &none).unwrap().0, "TLSv1.2");
    assert_eq!(taken("x.example", &none).unwrap().0, "TLSv1.3");
    let static_rsa = |context: &mut SslContextBuilder| {
        tls12(context);
        context.set_cipher_list("AES128-SHA").unwrap();
    };
    assert_eq!(taken("old.example", &static_rsa).unwrap().1, "AES128-SHA");
    assert_eq!(taken("x.example", &static_rsa), Err(Code::NoSharedCipher));
    let tls10 = |context: &mut SslContextBuilder| {
        context.set_security_level(0);
        context
            .set_min_proto_version(Some(SslVersion::TLS1))
            .unwrap();
        context
            .set_max_proto_version(Some(SslVersion::TLS1))
            .unwrap();
    };
    assert_eq!(taken("oldest.example", &tls10).unwrap().0, "TLSv1");
    assert_eq!(taken("x.example", &tls10), Err(Code::Version));
    let p256 = |context: &mut SslContextBuilder| context.set_groups_list("P-256").unwrap();
    assert_eq!(taken("group.example", &p256), Err(Code::NoSharedAlgorithm));
    assert!(taken("x.example", &p256).is_ok());
    let group = taken("group.example", &none).unwrap().2;
    assert_eq!(group.as_deref(), Some("secp384r1"));
    let shows = |certificate: &Cert| {
        let (certificate, key) = (certificate.x509.clone(), certificate.key.clone());
        move |context: &mut SslContextBuilder| {
            context.set_certificate(&certificate).unwrap();
            context.set_private_key(&key).unwrap();
        }
    };
    let stranger = Cert::make(&Spec::default(), None);
    assert_eq!(
        taken("mutual.example", &none),
        Err(Code::NoClientCertificate)
    );
    assert_eq!(
        taken("mutual.example", &shows(&stranger)),
        Err(Code::CertSelfSigned)
    );
    assert!(taken("mutual.example", &shows(&phone)).is_ok());
    assert_eq!(
        taken("pinned.example", &none),
        Err(Code::NoClientCertificate)
    );
    assert_eq!(
        taken("pinned.example", &shows(&stranger)),
        Err(Code::CertPin)
    );
    assert!(taken("pinned.example", &shows(&phone)).is_ok());
    assert!(taken("x.example", &shows(&stranger)).is_ok());
}

/// A ticket opens a session of the profile that it is of alone, though all profiles of a port share the port's keys for tickets.
#[test]
fn no_session_is_resumed_in_another_profile() {
    let pki = Pki::new();
    let own = pki.server(&Spec::default());
    let engine = Engine::with(PoolConfig::default(), |recorder| recorder.answer = true);
    let all = ["a", "b"].map(|name| {
        let name_of = format!("{name}.example");
        named(name, by_server_name(&[&name_of]), &own)
    });
    let listener = listen(&engine, with(&own, all.into()));
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
        context.set_max_proto_version(Some(version)).unwrap();
        let context = context.build();
        let visit = |name: &str, session: Option<&SslSession>| {
            let mut ssl = Ssl::new(&context).unwrap();
            ssl.set_hostname(name).unwrap();
            if let Some(session) = session {
                // SAFETY: it is of the same context.
                unsafe { ssl.set_session(session) }.unwrap();
            }
            let at = SocketAddr::from((HERE, listener.address().port()));
            let tcp = TcpStream::connect(at).unwrap();
            let mut stream = SslStream::new(ssl, tcp).unwrap();
            stream.connect().unwrap();
            // The ticket of TLS 1.3 comes with the first message.
            stream.write_all(OPTIONS).unwrap();
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            let session = stream.ssl().session().unwrap().to_owned();
            // OpenSSL does not resume one of a connection that ended otherwise.
            let _ = stream.shutdown();
            (stream.ssl().session_reused(), session)
        };
        let (_, session) = visit("a.example", None);
        assert!(visit("a.example", Some(&session)).0, "{version:?}");
        for other in ["b.example", "x.example"] {
            let (_, session) = visit("a.example", None);
            assert!(!visit(other, Some(&session)).0, "{version:?} {other}");
        }
    }
}

/// The phone of long ago, and one of today, on one port.
#[test]
fn an_address_brings_its_profile_whatever_the_client_asks_for() {
    let pki = Pki::new();
    let own = pki.server(&Spec::default());
    let old = ProfileConfig {
        method: Version::Tls10.into(),
        ..own.clone()
    };
    let new = ProfileConfig {
        method: Version::Tls13.into(),
        ..own.clone()
    };
    let engine = Engine::new();
    let listener = listen(
        &engine,
        with(
            &own,
            vec![
                named("old phones", by_destination(&["127.0.0.2"]), &old),
                named("new", by_server_name(&["new.example"]), &new),
            ],
        ),
    );
    let tls10 = |context: &mut SslContextBuilder| {
        context.set_security_level(0);
        context
            .set_min_proto_version(Some(SslVersion::TLS1))
            .unwrap();
        context
            .set_max_proto_version(Some(SslVersion::TLS1))
            .unwrap();
    };
    for asked in [None, Some("new.example")] {
        let stream = visit(PHONE, listener.address(), asked, tls10).unwrap();
        assert_eq!(stream.ssl().version_str(), "TLSv1");
        let (_, info) = engine.accepted();
        assert_eq!(info.profile.as_deref(), Some("old phones"));
    }
    assert!(visit(HERE, listener.address(), None, tls10).is_none());
    let reason = engine.refused();
    assert_eq!(reason.code, Code::Version);
    assert!(
        reason.to_string().contains("min_version = tls1.0"),
        "{reason}"
    );
    let stream = visit(HERE, listener.address(), None, |_| {}).unwrap();
    assert_eq!(stream.ssl().version_str(), "TLSv1.3");
    assert_eq!(engine.accepted().1.profile, None);
}

/// Behind a balancer the client's address counts, and not the balancer's.
#[test]
fn a_balancers_client_gets_the_profile_of_its_address() {
    let pki = Pki::new();
    let own = pki.server(&Spec::default());
    let engine = Engine::with(
        PoolConfig {
            limits: sip_tls::Limits {
                balancers: vec![Network::new(HERE.into(), 32)],
                ..sip_tls::Limits::default()
            },
            ..PoolConfig::default()
        },
        |_| {},
    );
    let profile = with(
        &own,
        vec![
            named("client", by_destination(&["192.0.2.1"]), &own),
            named("balancer", by_destination(&["127.0.0.1"]), &own),
        ],
    );
    let listener = listen(&engine, profile);
    for (client, expected) in [("192.0.2.1", Some("client")), ("192.0.2.2", None)] {
        let at = SocketAddr::from((HERE, listener.address().port()));
        let mut tcp = TcpStream::connect(at).unwrap();
        write!(tcp, "PROXY TCP4 {client} 198.51.100.7 51000 5061\r\n").unwrap();
        let context = SslContext::builder(SslMethod::tls_client())
            .unwrap()
            .build();
        let mut stream = SslStream::new(Ssl::new(&context).unwrap(), tcp).unwrap();
        stream.connect().unwrap();
        assert_eq!(engine.accepted().1.profile.as_deref(), expected, "{client}");
    }
}

#[test]
fn two_profiles_towards_one_address() {
    let pki = Pki::new();
    let with_cn = |cn| {
        let own = pki.server(&Spec {
            cn,
            dns: &[],
            ..Spec::default()
        });
        ProfileConfig {
            client_certificate: Some(KeyPair {
                cert_file: own.cert_file.unwrap(),
                priv_key_file: own.priv_key_file,
            }),
            ..ProfileConfig::default()
        }
    };
    let profile = with(
        &ProfileConfig::default(),
        vec![
            named("a", by_destination(&["a.example"]), &with_cn("for a")),
            named("b", by_destination(&[".example"]), &with_cn("for b")),
        ],
    );
    let server = Engine::new();
    let listener = server.listen(&ProfileConfig {
        require_client_cert: true,
        ..pki.server(&Spec::default())
    });
    let engine = Engine::new();
    for (name, cn) in [
        ("a.example", Some("for a")),
        ("b.example", Some("for b")),
        ("a.example.", Some("for a")),
        ("other.net", None),
    ] {
        let _conn = call(&engine, listener.address().port(), name, &profile);
        match cn {
            Some(cn) => assert_eq!(server.accepted().1.peer.unwrap().subject.cn, cn),
            None => assert_eq!(server.refused().code, Code::NoClientCertificate),
        }
    }
}

#[test]
fn the_peers_of_a_profile_that_is_not_loaded_get_no_other() {
    let pki = Pki::new();
    let own = pki.server(&Spec::default());
    let broken = |selectors| Named {
        name: "carrier".into(),
        selectors,
        profile: Err(NotLoaded("ca_list_file".to_owned())),
    };
    let profile = with(
        &own,
        vec![
            broken(by_destination(&["127.0.0.2", "carrier.example"])),
            broken(by_server_name(&["a.example"])),
        ],
    );
    for (name, good) in [
        ("carrier.example", false),
        ("127.0.0.2", false),
        ("x.example", true),
    ] {
        assert_eq!(profile.to(&PeerName::parse(name)).is_ok(), good, "{name}");
    }
    let engine = Engine::new();
    let listener = listen(&engine, profile);
    for (from, asked) in [(PHONE, None), (HERE, Some("a.example"))] {
        assert!(visit(from, listener.address(), asked, |_| {}).is_none());
        assert_eq!(engine.refused().code, Code::NoProfile);
    }
    assert!(visit(HERE, listener.address(), None, |_| {}).is_some());
}

/// A certificate that says where its issuer is to be had, signed by the CA.
fn of_public_ca(pki: &Pki) -> PathBuf {
    let dir = pki.dir.path();
    let out = dir.join("public.pem");
    let conf = pki.dir.write(
        "public.cnf",
        b"[req]\ndistinguished_name=d\nx509_extensions=e\n[d]\n[e]\nauthorityInfoAccess=caIssuers;URI:http://ca.example/i.der\n",
    );
    let made = Command::new("openssl")
        .args(["req", "-x509", "-subj", "/CN=x", "-newkey", "ec", "-nodes"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-days", "2"])
        .arg("-config")
        .arg(conf)
        .arg("-CA")
        .arg(dir.join("ca.pem"))
        .arg("-CAkey")
        .arg(dir.join("ca.key"))
        .arg("-keyout")
        .arg(dir.join("public.key"))
        .arg("-out")
        .arg(&out)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    out
}

/// A chain with a gap is told of, and one that is whole, or a private CA's, is not.
#[test]
fn chains_with_a_gap() {
    let pki = Pki::new();
    let alone = of_public_ca(&pki);
    let own = std::fs::read(&alone).unwrap();
    let stranger = Cert::ca("Stranger");
    let file = |name: &str, more: &[u8]| pki.dir.write(name, &[&own[..], more].concat());
    let whole = file("whole.pem", &pki.ca.pem());
    let broken = file("broken-chain.pem", &stranger.pem());
    let told = |cert_file: &Path, trusted: bool| {
        let config = ProfileConfig {
            cert_file: Some(cert_file.to_owned()),
            priv_key_file: Some(pki.dir.path().join("public.key")),
            ca_list_file: trusted.then(|| pki.ca_file.clone()),
            ..ProfileConfig::default()
        };
        Profile::load(&config).unwrap().1
    };
    let name = |file: &Path| file.display().to_string();
    assert_eq!(told(&whole, false), []);
    assert_eq!(told(&alone, true), []);
    assert_eq!(told(&alone, false), [Warning::ChainAlone(name(&alone))]);
    assert_eq!(told(&broken, false), [Warning::ChainBroken(name(&broken))]);
    // A private CA's, which says nothing of where it is.
    assert_eq!(Profile::load(&pki.server(&Spec::default())).unwrap().1, []);
}

/// One that knows no elliptic curves gets a group that fits our key, and one whose only suite is not there gets none.
#[test]
fn a_client_that_knows_diffie_hellman_alone() {
    let pki = Pki::new();
    let own = pki.server(&Spec {
        rsa: true,
        ..Spec::default()
    });
    let engine = Engine::new();
    let listener = listen(&engine, with(&own, Vec::new()));
    let with_cipher = |cipher: &'static str| {
        move |context: &mut SslContextBuilder| {
            context
                .set_max_proto_version(Some(SslVersion::TLS1_2))
                .unwrap();
            context.set_cipher_list(cipher).unwrap();
        }
    };
    let dhe = with_cipher("DHE-RSA-AES128-GCM-SHA256");
    assert!(visit(HERE, listener.address(), None, dhe).is_some());
    assert_eq!(engine.accepted().1.cipher, "DHE-RSA-AES128-GCM-SHA256");
    let sha1 = with_cipher("DHE-RSA-AES128-SHA");
    assert!(visit(HERE, listener.address(), None, sha1).is_none());
    assert_eq!(engine.refused().code, Code::NoSharedCipher);
}

/// Each mistake by its option.
#[test]
fn mistakes() {
    let pki = Pki::new();
    let good = ProfileConfig {
        ca_list_file: Some(pki.ca_file.clone()),
        ..pki.server(&Spec::default())
    };
    let missing = Path::new("/nowhere.pem").to_owned();
    let text = |text: &str| Some(text.to_owned());
    type Change<'a> = &'a dyn Fn(&mut ProfileConfig);
    let cases: [(&str, Change<'_>); 9] = [
        ("client_cert_file '/nowhere.pem': cannot be read", &|it| {
            it.client_certificate = Some(KeyPair {
                cert_file: missing.clone(),
                priv_key_file: None,
            });
        }),
        ("client_priv_key_file '", &|it| {
            it.client_certificate = Some(KeyPair {
                cert_file: it.cert_file.clone().unwrap(),
                priv_key_file: Some(pki.dir.path().join("ca.key")),
            });
        }),
        ("crl_file '/nowhere.pem': cannot be read", &|it| {
            it.crl_file = Some(missing.clone())
        }),
        ("holds no certificate revocation list", &|it| {
            it.crl_file = Some(pki.ca_file.clone())
        }),
        ("max_version: it is below", &|it| {
            it.max_version = Some(Version::Tls11)
        }),
        (
            "ciphersuites: OpenSSL knows no cipher 'AES128-SHA'",
            &|it| it.ciphersuites = text("AES128-SHA"),
        ),
        ("ciphersuites: OpenSSL knows no cipher 'x'", &|it| {
            it.ciphersuites = text("x")
        }),
        ("groups: 'P-255' is not", &|it| it.groups = text("P-255")),
        ("signature_algorithms: 'rot13' is not", &|it| {
            it.signature_algorithms = text("rot13")
        }),
    ];
    assert!(Profile::load(&good).is_ok());
    for (told, change) in cases {
        let mut config = good.clone();
        change(&mut config);
        let error = Profile::load(&config).expect_err(told).to_string();
        assert!(error.contains(told), "{error}");
    }
}
