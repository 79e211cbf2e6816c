//! Which profile a connection gets, and that it gets no other.

use openssl::ssl::{SslSession, SslVersion};

use crate::*;

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
