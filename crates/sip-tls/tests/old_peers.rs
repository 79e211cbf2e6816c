//! Phones and certificates of long ago: what lets them in, what is said about it, and what keeps them out.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use common::*;
use openssl::ssl::{Ssl, SslContext, SslFiletype, SslMethod, SslStream, SslVersion};
use sip_tls::*;

/// The version that a client of this version alone gets, which accepts everything that OpenSSL can do.
fn offer(address: std::net::SocketAddr, version: SslVersion) -> Option<&'static str> {
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    context.set_security_level(0);
    context.set_min_proto_version(Some(version)).unwrap();
    context.set_max_proto_version(Some(version)).unwrap();
    let tcp = TcpStream::connect(address).unwrap();
    let mut stream = SslStream::new(Ssl::new(&context.build()).unwrap(), tcp).unwrap();
    stream.connect().ok()?;
    Some(stream.ssl().version_str())
}

#[test]
fn versions_that_method_and_cipher_allow() {
    let pki = Pki::new();
    let good = pki.server(&Spec::default());
    // TLS 1.0, 1.1, 1.2, 1.3
    for (word, cipher, allowed, warned) in [
        ("", None, [false, false, true, true], None),
        ("tlsv1_2", None, [false, false, true, true], None),
        ("tlsv1_3", None, [false, false, false, true], None),
        ("tlsv1", None, [true; 4], Some(Warning::OldTls)),
        (
            "tlsv1_1",
            None,
            [false, true, true, true],
            Some(Warning::OldTls),
        ),
        (
            "tlsv1",
            Some("@SECLEVEL=0"),
            [true; 4],
            Some(Warning::OldTls),
        ),
        (
            "tlsv1",
            Some("ECDHE-ECDSA-AES128-SHA, @SECLEVEL=0, TLS_AES_128_GCM_SHA256"),
            [true; 4],
            Some(Warning::OldTls),
        ),
        (
            "tlsv1",
            Some("@SECLEVEL=1"),
            [false, false, true, true],
            Some(Warning::OldTlsBarred(1)),
        ),
        ("sslv23", None, [false, false, true, true], None),
        (
            "sslv23",
            Some("@SECLEVEL=0"),
            [true; 4],
            Some(Warning::OldTls),
        ),
        (
            "",
            Some("@SECLEVEL=0"),
            [false, false, true, true],
            Some(Warning::LevelZero),
        ),
        (
            "sslv3",
            None,
            [false, false, true, true],
            Some(Warning::SslIsGone),
        ),
    ] {
        let (method, warning) = Method::from_word(word).unwrap();
        let config = ProfileConfig {
            method,
            cipher: cipher.map(str::to_owned),
            ..good.clone()
        };
        let (_, warnings) = Profile::load(&config).unwrap();
        let told: Vec<_> = warning.into_iter().chain(warnings).collect();
        assert_eq!(
            told,
            warned.into_iter().collect::<Vec<_>>(),
            "{word} {cipher:?}"
        );
        let engine = Engine::new();
        let listener = engine.listen(&config);
        let versions = [
            (SslVersion::TLS1, "TLSv1"),
            (SslVersion::TLS1_1, "TLSv1.1"),
            (SslVersion::TLS1_2, "TLSv1.2"),
            (SslVersion::TLS1_3, "TLSv1.3"),
        ];
        for ((version, name), allowed) in versions.into_iter().zip(allowed) {
            let got = offer(listener.address(), version);
            assert_eq!(got, allowed.then_some(name), "{word} {cipher:?} {name}");
            if !allowed {
                let reason = engine.refused();
                assert_eq!(
                    (reason.code, reason.stage),
                    (Code::Version, Stage::Hello),
                    "{reason}"
                );
            }
        }
    }
}

/// The line says how old the client is, and what would let it in.
#[test]
fn what_is_said_to_a_phone_that_is_too_old() {
    let pki = Pki::new();
    for (method, version, newest, advice) in [
        (
            Method::Tls12,
            SslVersion::TLS1,
            "TLS 1.0",
            "min_version = tls1.0",
        ),
        (
            Method::Tls12,
            SslVersion::TLS1_1,
            "TLS 1.1",
            "min_version = tls1.1",
        ),
        (
            Method::Tls13,
            SslVersion::TLS1_2,
            "TLS 1.2",
            "min_version = tls1.2",
        ),
    ] {
        let engine = Engine::new();
        let listener = engine.listen(&ProfileConfig {
            method,
            ..pki.server(&Spec::default())
        });
        assert_eq!(offer(listener.address(), version), None);
        let said = engine.refused().to_string();
        assert!(said.contains(newest) && said.contains(advice), "{said}");
    }
}

#[test]
fn certificates_that_are_too_weak_for_today() {
    let pki = Pki::new();
    for (spec, what) in [
        (
            Spec {
                rsa: true,
                bits: 1024,
                ..Spec::default()
            },
            "a key of 1024 bits",
        ),
        (
            Spec {
                sha1: true,
                ..Spec::default()
            },
            "signed with SHA1",
        ),
    ] {
        let today = pki.server(&spec);
        let error = Profile::load(&today).expect_err("too weak");
        assert!(matches!(error.fault, Fault::TooWeak), "{error}");
        assert_eq!(error.option, Some(ConfigOption::CertFile));
        let old = ProfileConfig {
            method: Method::Tls10,
            ..today.clone()
        };
        let (_, warnings) = Profile::load(&old).unwrap();
        assert_eq!(
            warnings,
            [Warning::OldTls, Warning::WeakCertificate(what.to_owned())]
        );
        let engine = Engine::new();
        let listener = engine.listen(&old);
        for version in [SslVersion::TLS1, SslVersion::TLS1_2, SslVersion::TLS1_3] {
            // RSA 1024 has room for what TLS 1.3 signs with (RSA-PSS, SHA-256).
            assert!(
                offer(listener.address(), version).is_some(),
                "{what} {version:?}"
            );
        }
    }
}

/// A server that speaks TLS 1.0 alone, whose client we are: it says so by an alert, or answers in its version. `method` by name lets us in.
#[test]
fn a_server_that_is_too_old() {
    let pki = Pki::new();
    let own = pki.server(&Spec::default());
    let mut context = SslContext::builder(SslMethod::tls_server()).unwrap();
    context.set_security_level(0);
    context
        .set_max_proto_version(Some(SslVersion::TLS1))
        .unwrap();
    context
        .set_certificate_file(own.cert_file.unwrap(), SslFiletype::PEM)
        .unwrap();
    context
        .set_private_key_file(own.priv_key_file.unwrap(), SslFiletype::PEM)
        .unwrap();
    let context = context.build();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let engine = Engine::new();
    let accept = || {
        let (tcp, _) = listener.accept().unwrap();
        let mut stream = SslStream::new(Ssl::new(&context).unwrap(), tcp).unwrap();
        stream.accept().map(|()| stream)
    };

    let _conn = engine.connect(address, "sip.example.com", &pki.client());
    assert!(accept().is_err());
    let reason = engine.failed();
    assert_eq!(reason.code, Code::PeerVersion, "{reason}");
    assert!(
        reason.to_string().contains("min_version = tls1.0"),
        "{reason}"
    );

    let _conn = engine.connect(address, "sip.example.com", &pki.client());
    let (mut tcp, _) = listener.accept().unwrap();
    assert!(tcp.read(&mut [0; 2048]).unwrap() > 0);
    // ServerHello of TLS 1.0, TLS_RSA_WITH_AES_128_CBC_SHA.
    let mut hello = vec![22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2F, 0]);
    tcp.write_all(&hello).unwrap();
    let reason = engine.failed();
    assert_eq!(reason.code, Code::Version, "{reason}");
    let said = reason.to_string();
    assert!(
        said.contains("the TLS version that it chose is TLS 1.0")
            && said.contains("min_version = tls1.0"),
        "{said}"
    );

    let old = ProfileConfig {
        method: Method::Tls10,
        ..pki.client()
    };
    let _conn = engine.connect(address, "sip.example.com", &old);
    let _stream = accept().expect("it is let in");
    assert_eq!(engine.connected().version, "TLSv1");
}
