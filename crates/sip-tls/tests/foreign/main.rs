//! Each reason with which a connection fails or ends, with an end that is not ours: Python's ssl, OpenSSL's and GnuTLS's tools.
//! Which reason is produced by which test is in tests/produced.rs.

#[path = "../common/mod.rs"]
mod common;
mod program;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::*;
use openssl::x509::X509;
use program::{Python, Tool};
use sip_tls::*;

const NAME: &str = "sip.example.com";

fn patient() -> PoolConfig {
    PoolConfig {
        handshake_timeout: PATIENCE,
        ..PoolConfig::default()
    }
}

fn quick() -> PoolConfig {
    PoolConfig {
        handshake_timeout: Duration::from_millis(300),
        ..PoolConfig::default()
    }
}

/// Certificate and key of a profile.
fn files(profile: &ProfileConfig) -> [&Path; 2] {
    [
        profile.cert_file.as_deref().expect("a certificate"),
        profile.priv_key_file.as_deref().expect("a key"),
    ]
}

/// Clients whose handshake does not end.
#[test]
fn clients_without_a_handshake() {
    let pki = Pki::new();
    let mut python = Python::start();
    let engine = Engine::with(patient(), |_| {});
    let listener = engine.listen(&pki.server(&Spec::default()));
    for (act, code) in [
        ("nothing", Code::NothingSent),
        ("sip", Code::PlainSip),
        ("http", Code::PlainHttp),
        ("text", Code::NotTls),
        ("half-closed", Code::ClosedInHandshake),
        ("half-reset", Code::ResetInHandshake),
        ("damaged", Code::Protocol),
        ("old", Code::Version),
        ("cipher", Code::NoSharedCipher),
    ] {
        python.client(act, listener.address(), &[]);
        assert_eq!(engine.refused().code, code, "{act}");
    }
    let impatient = Engine::with(quick(), |_| {});
    let hasty = impatient.listen(&pki.server(&Spec::default()));
    for (act, code) in [("silent", Code::Silent), ("half", Code::HandshakeTimeout)] {
        python.client(act, hasty.address(), &[]);
        assert_eq!(impatient.refused().code, code, "{act}");
    }
    // The twin.
    python.client("hello", listener.address(), &[]);
    engine.accepted();
}

/// Clients whose certificate is not good enough, and those to whom ours is not.
#[test]
fn certificates_and_clients() {
    let pki = Pki::new();
    let mut python = Python::start();
    let engine = Engine::new();
    let other = Cert::ca("Other CA");
    let demanding = ProfileConfig {
        ca_list_file: Some(pki.ca_file.clone()),
        verify_client: true,
        require_client_cert: true,
        ..pki.server(&Spec::default())
    };
    let phone = Spec {
        cn: "phone",
        dns: &[],
        ..Spec::default()
    };
    let listener = engine.listen(&demanding);
    python.client("hello", listener.address(), &[]);
    assert_eq!(engine.refused().code, Code::NoClientCertificate);
    for (own, code) in [
        (
            pki.own(&Cert::make(&phone, Some(&other))),
            Code::CertUntrusted,
        ),
        (
            pki.server(&Spec {
                to_days: -1,
                from_days: -9,
                ..phone.clone()
            }),
            Code::CertExpired,
        ),
    ] {
        python.client("own", listener.address(), &files(&own));
        assert_eq!(engine.refused().code, code);
    }
    let good = pki.server(&phone);
    python.client("own", listener.address(), &files(&good));
    engine.accepted();

    // The client's verdict, by its alert.
    let stranger = dir_of(&pki, &other, "other");
    for (spec, ca, code) in [
        (Spec::default(), &stranger, Code::PeerUnknownCa),
        (
            Spec {
                to_days: -1,
                from_days: -9,
                ..Spec::default()
            },
            &pki.ca_file,
            Code::PeerCertExpired,
        ),
        (
            Spec {
                dns: &["other.example.com"],
                ..Spec::default()
            },
            &pki.ca_file,
            Code::PeerBadCertificate,
        ),
    ] {
        let engine = Engine::new();
        let listener = engine.listen(&pki.server(&spec));
        python.client("trusts", listener.address(), &[ca]);
        assert_eq!(engine.refused().code, code);
    }
    let listener = engine.listen(&pki.server(&Spec::default()));
    python.client("trusts", listener.address(), &[&pki.ca_file]);
    engine.accepted();

    // There is none here any more.
    listener.set_profile(load(&pki.client()));
    python.client("hello", listener.address(), &[]);
    assert_eq!(engine.refused().code, Code::NoCertificateHere);
}

fn dir_of(pki: &Pki, ca: &Cert, name: &str) -> PathBuf {
    pki.dir.write(&format!("{name}.pem"), &ca.pem())
}

/// How connections of clients end.
#[test]
fn ends_of_connections() {
    let pki = Pki::new();
    let mut python = Python::start();
    let engine = Engine::with(PoolConfig::default(), |recorder| recorder.answer = true);
    let listener = engine.listen(&pki.server(&Spec::default()));
    for (act, code) in [
        ("close-notify", Code::PeerClosed),
        ("eof", Code::PeerEof),
        ("reset", Code::PeerReset),
        ("midway", Code::PeerResetMidway),
        ("damaged-record", Code::Protocol),
        ("alert", Code::PeerAborted),
        ("not-sip", Code::NotSip),
        ("too-long", Code::MessageTooLong),
        ("filler", Code::Filler),
        ("no-length", Code::NoContentLength),
        ("bad-length", Code::BadContentLength),
    ] {
        python.client(act, listener.address(), &[]);
        let reason = engine.closed();
        assert_eq!(reason.code, code, "{act}: {reason}");
    }
    python.client("hello", listener.address(), &[]);
    engine.accepted().0.close(Close::Graceful);
    assert_eq!(engine.closed().code, Code::ClosedHere);
    python.client("hello", listener.address(), &[]);
    engine.accepted();
    let events = engine.finish();
    let is_shutdown =
        |event: &Event| matches!(event, Event::Closed(_, reason) if reason.code == Code::Shutdown);
    assert!(events.iter().any(is_shutdown), "{events:?}");
}

/// One that answers no packet any more.
#[test]
fn peers_that_are_gone() {
    let pki = Pki::new();
    let mut python = Python::start();
    let engine = Engine::with(
        PoolConfig {
            // Keepalive alone.
            user_timeout: None,
            ..PoolConfig::default()
        },
        |recorder| recorder.answer = true,
    );
    let options = SocketOptions {
        keepalive: Some(Keepalive {
            idle: Some(Duration::from_secs(1)),
            interval: Some(Duration::from_secs(1)),
            probes: Some(1),
        }),
        ..SocketOptions::default()
    };
    let listener = engine.listen_at("127.0.0.1:0", &pki.server(&Spec::default()), options);
    python.client("gone", listener.address(), &[]);
    let reason = engine.closed();
    assert_eq!(
        (reason.code, reason.errno),
        (Code::PeerGone, Some(libc::ETIMEDOUT))
    );
    // The twin: the same silence, from one whose kernel answers. It outlives one that came after it and is gone.
    python.client("hello", listener.address(), &[]);
    let (there, _) = engine.accepted();
    python.client("gone", listener.address(), &[]);
    let (gone, _) = engine.accepted();
    let ended = engine.until(|event| match event {
        Event::Closed(conn, reason) => Some((conn, reason.code)),
        _ => None,
    });
    assert_eq!((ended.0 == gone, ended.1), (true, Code::PeerGone));
    assert!(ended.0 != there);
}

/// A handshake that ends when its listener is closed.
#[test]
fn a_listener_that_is_closed_meanwhile() {
    let pki = Pki::new();
    let engine = Engine::new();
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut python = Python::start();
    python.client("waits", listener.address(), &[]);
    engine.wait_for("its connection", |counts| counts.open == 1);
    listener.close();
    python.go_on();
    assert_eq!(engine.refused().code, Code::ListenerClosed);
}

/// Servers whose handshake does not end.
#[test]
fn servers_without_a_handshake() {
    let pki = Pki::new();
    let mut python = Python::start();
    let engine = Engine::with(patient(), |_| {});
    let impatient = Engine::with(quick(), |_| {});
    let own = pki.server(&Spec {
        rsa: true,
        ..Spec::default()
    });
    let good = files(&own);
    impatient.connect(python.server("mute", &[]), NAME, &pki.client());
    assert_eq!(impatient.failed().code, Code::NoTlsAnswer);
    for (act, code) in [
        ("close", Code::ClosedAtHello),
        ("sip", Code::PlainSip),
        ("http", Code::PlainHttp),
        ("unknown-name", Code::PeerUnknownName),
        ("denied", Code::PeerDenied),
        ("internal", Code::PeerAlert),
        ("cipher", Code::PeerHandshakeFailure),
        ("old", Code::PeerVersion),
    ] {
        engine.connect(python.server(act, &good), NAME, &pki.client());
        let reason = engine.failed();
        assert_eq!(reason.code, code, "{act}: {reason}");
    }
    engine.connect(python.server("shake", &good), NAME, &pki.client());
    engine.connected();
    // It ends the connection before it has said anything.
    engine.connect(python.server("leaves", &good), NAME, &pki.client());
    assert_eq!(engine.closed().code, Code::ClosedUnheard);
}

/// Servers whose certificate is not good.
#[test]
fn certificates_of_servers() {
    let pki = Pki::new();
    let mut python = Python::start();
    let engine = Engine::new();
    let spec = Spec::default;
    let made = |spec: &Spec| Cert::make(spec, Some(&pki.ca));
    let damaged = {
        let good = made(&spec());
        let mut der = good.x509.to_der().unwrap();
        // Its last octet is of the signature.
        *der.last_mut().unwrap() ^= 1;
        Cert {
            x509: X509::from_der(&der).unwrap(),
            key: good.key,
        }
    };
    for (cert, code) in [
        (
            made(&Spec {
                to_days: -1,
                from_days: -9,
                ..spec()
            }),
            Some(Code::CertExpired),
        ),
        (
            made(&Spec {
                from_days: 2,
                ..spec()
            }),
            Some(Code::CertNotYetValid),
        ),
        (Cert::make(&spec(), None), Some(Code::CertSelfSigned)),
        (
            Cert::make(&spec(), Some(&Cert::ca("Other CA"))),
            Some(Code::CertUntrusted),
        ),
        (
            made(&Spec {
                rsa: true,
                bits: 1024,
                ..spec()
            }),
            Some(Code::CertWeak),
        ),
        (
            made(&Spec {
                client_only: true,
                ..spec()
            }),
            Some(Code::CertPurpose),
        ),
        (damaged, Some(Code::CertInvalid)),
        (
            made(&Spec {
                dns: &["other.example.com"],
                ..spec()
            }),
            Some(Code::CertName),
        ),
        (
            made(&Spec {
                ballast: 60_000,
                ..spec()
            }),
            Some(Code::HandshakeTooLong),
        ),
        (made(&spec()), None),
    ] {
        let server = pki.own(&cert);
        engine.connect(python.server("shake", &files(&server)), NAME, &pki.client());
        let found = engine.until(|event| match event {
            Event::Connected(_) => Some(None),
            Event::Closed(_, reason) => Some(Some(reason)),
            _ => None,
        });
        let found = found.map(|reason| reason.code);
        assert_eq!(found, code);
    }
}

/// Servers that demand a certificate: ours is missing, of another CA, revoked, or good.
#[test]
fn servers_that_demand_a_certificate() {
    let pki = Pki::new();
    let mut python = Python::start();
    let server = pki.server(&Spec::default());
    let own = |cert: &Cert| ProfileConfig {
        ca_list_file: Some(pki.ca_file.clone()),
        ..pki.own(cert)
    };
    let phone = Spec {
        cn: "phone",
        ..Spec::default()
    };
    let revoked = Cert::make(&phone, Some(&pki.ca));
    let crl = program::revocation_list(&pki, &revoked);
    let [cert, key] = files(&server);
    for (profile, code) in [
        (pki.client(), Some(Code::PeerWantsCertificate)),
        (
            own(&Cert::make(&phone, Some(&Cert::ca("Other CA")))),
            Some(Code::PeerUnknownCa),
        ),
        (own(&revoked), Some(Code::PeerCertRevoked)),
        (own(&Cert::make(&phone, Some(&pki.ca))), None),
    ] {
        let files = [cert, key, pki.ca_file.as_path(), crl.as_path()];
        let engine = Engine::new();
        let address = python.server("demands-unrevoked", &files);
        let conn = engine.connect(address, NAME, &profile);
        // TLS 1.3: we are connected before it judges.
        match code {
            Some(code) => assert_eq!(engine.closed().code, code),
            None => {
                engine.connected();
                conn.close(Close::Graceful);
                assert_eq!(engine.closed().code, Code::ClosedHere);
            }
        }
    }
}

/// What Python's ssl has no setting for.
#[test]
fn clients_of_other_programs() {
    let pki = Pki::new();
    let engine = Engine::with(PoolConfig::default(), |recorder| recorder.answer = true);
    let listener = engine.listen(&pki.server(&Spec::default()));
    let port = listener.address().port().to_string();
    let at = format!("127.0.0.1:{port}");
    let openssl = ["s_client", "-connect", &at];
    let none = Tool::run(
        "openssl",
        &[&openssl[..], &["-sigalgs", "RSA+SHA256"]].concat(),
    );
    assert_eq!(engine.refused().code, Code::NoSharedAlgorithm);
    drop(none);
    // `R` has it renegotiate.
    let mut again = Tool::run("openssl", &[&openssl[..], &["-tls1_2"]].concat());
    engine.accepted();
    again.say(b"R\n");
    assert_eq!(engine.closed().code, Code::RenegotiationRefused);
    // GnuTLS.
    let gnutls = ["--insecure", "-p", &port, "127.0.0.1"];
    let old = ["--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT"];
    let tool = Tool::run("gnutls-cli", &[&gnutls[..], &old].concat());
    assert_eq!(engine.refused().code, Code::Version);
    drop(tool);
    let rsa = ["--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA"];
    let tool = Tool::run("gnutls-cli", &[&gnutls[..], &rsa].concat());
    assert_eq!(engine.refused().code, Code::NoSharedCipher);
    drop(tool);
    let _good = Tool::run("gnutls-cli", &gnutls);
    engine.accepted();
}

/// What is refused before TLS: limits, and whose connection a balancer says it is.
#[test]
fn what_is_refused_at_accept() {
    let pki = Pki::new();
    let mut python = Python::start();
    let here = Network::new([127, 0, 0, 0].into(), 8);
    let none = Limits::default;
    for (limits, first, then, code) in [
        (
            Limits {
                connections: Some(1),
                ..none()
            },
            Some("hello"),
            "hello",
            Code::TooManyConnections,
        ),
        (
            Limits {
                connections_per_source: Some(1),
                ..none()
            },
            Some("hello"),
            "hello",
            Code::TooManyOfSource,
        ),
        (
            Limits {
                handshakes: Some(1),
                ..none()
            },
            Some("silent"),
            "hello",
            Code::TooManyHandshakes,
        ),
        (
            Limits {
                handshakes_per_source: Some(1),
                ..none()
            },
            Some("silent"),
            "hello",
            Code::TooManyHandshakesOfSource,
        ),
        (
            Limits {
                rate_per_source: Some(Rate {
                    per_second: 1,
                    burst: 1,
                }),
                ..none()
            },
            None,
            "storm",
            Code::ConnectionRate,
        ),
        (
            Limits {
                descriptors: Some(0),
                ..none()
            },
            None,
            "hello",
            Code::DescriptorsReserved,
        ),
        (
            Limits {
                balancers: vec![here],
                ..none()
            },
            None,
            "hello",
            Code::ProxyHeader,
        ),
        (none(), None, "proxy", Code::ProxyHeaderRefused),
    ] {
        let config = PoolConfig {
            limits,
            ..patient()
        };
        let engine = Engine::with(config, |_| {});
        let listener = engine.listen(&pki.server(&Spec::default()));
        if let Some(first) = first {
            python.client(first, listener.address(), &[]);
            match first {
                "hello" => drop(engine.accepted()),
                _ => engine.wait_for("the first", |counts| counts.open == 1),
            }
        }
        python.client(then, listener.address(), &[]);
        let reason = engine.until(|event| match event {
            Event::Refused(_, reason) => Some(reason),
            _ => None,
        });
        assert_eq!(reason.code, code, "{reason}");
    }
}

/// A server whose certificate is on the list of those that are revoked.
#[test]
fn certificates_that_a_profile_refuses() {
    let pki = Pki::new();
    let mut python = Python::start();
    let engine = Engine::new();
    let good = Cert::make(&Spec::default(), Some(&pki.ca));
    let revoked = Cert::make(&Spec::default(), Some(&pki.ca));
    let client = ProfileConfig {
        crl_file: Some(program::revocation_list(&pki, &revoked)),
        ..pki.client()
    };
    for (cert, code) in [(&revoked, Some(Code::CertRevoked)), (&good, None)] {
        let server = pki.own(cert);
        engine.connect(python.server("shake", &files(&server)), NAME, &client);
        let found = engine.until(|event| match event {
            Event::Connected(_) => Some(None),
            Event::Closed(_, reason) => Some(Some(reason.code)),
            _ => None,
        });
        assert_eq!(found, code);
    }
}

/// What the kernel says, with nobody at the other end.
#[test]
fn nobody_there() {
    let pki = Pki::new();
    let engine = Engine::new();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for (address, code) in [
        (free, Code::ConnectRefused),
        // No route leads to a multicast group by TCP.
        ("224.0.0.1:5061".parse().unwrap(), Code::Unreachable),
    ] {
        engine.connect(address, NAME, &pki.client());
        assert_eq!(engine.failed().code, code);
    }
}
