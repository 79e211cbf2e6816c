//! Certificates and names: everything that is accepted has a twin that differs in one property and is refused, by both sides' reasons.

mod common;

use common::certs::hashed_dir;
use common::*;
use openssl::ssl::SslVersion;
use sip_tls::verify::CertFault;
use sip_tls::*;

const NAME: &str = "sip.example.com";

/// The client's verdict on a server certificate.
fn verdict(pki: &Pki, spec: &Spec, name: &str, wildcards: bool) -> Result<TlsInfo, Reason> {
    let client = ProfileConfig {
        allow_wildcard_certs: wildcards,
        ..pki.client()
    };
    meet(&pki.server(spec), &client, name).1
}

#[test]
fn validity_period() {
    let pki = Pki::new();
    for (spec, code) in [
        (
            Spec {
                from_days: -20,
                to_days: -1,
                ..Spec::default()
            },
            Code::CertExpired,
        ),
        (
            Spec {
                from_days: 2,
                ..Spec::default()
            },
            Code::CertNotYetValid,
        ),
    ] {
        let (server, client) = meet(&pki.server(&spec), &pki.client(), NAME);
        let reason = client.unwrap_err();
        assert_eq!(
            (reason.code, reason.stage),
            (code, Stage::Verify),
            "{reason}"
        );
        // The server hears of it by an alert.
        drop(server);
    }
    verdict(&pki, &Spec::default(), NAME, false).unwrap();
}

/// Names that cannot be read are none, and the common name does not stand in for them.
#[test]
fn names_that_cannot_be_read() {
    let with = |alt_names_der| Spec {
        dns: &[],
        alt_names_der,
        ..Spec::default()
    };
    let name = verify::PeerName::parse(NAME);
    for (alt_names, has, fits) in [
        (&b""[..], false, true),
        // [2] "sip.example.com", and the same with a length that is too long.
        (b"\x30\x11\x82\x0fsip.example.com", true, true),
        (b"\x30\x12\x82\x0fsip.example.com", true, false),
    ] {
        let certificate = Cert::make(&with(alt_names), None);
        let info = CertInfo::of(&certificate.x509).unwrap();
        assert_eq!(info.has_alt_names, has, "{alt_names:?}");
        assert_eq!(verify::matches(&name, &info, false), fits, "{alt_names:?}");
        assert!(!has || fits || info.names().is_empty());
        let left = openssl::error::ErrorStack::get();
        assert!(left.errors().is_empty(), "{left}");
    }
}

#[test]
fn untrusted_and_self_signed() {
    let pki = Pki::new();
    let other = Cert::ca("Other CA");
    let stranger = pki.own(&Cert::make(&Spec::default(), Some(&other)));
    let reason = meet(&stranger, &pki.client(), NAME).1.unwrap_err();
    assert_eq!(
        (reason.code, reason.fault),
        (Code::CertUntrusted, Some(CertFault::IssuerNotFound))
    );
    // Without verify_server it is let in, and the fault is told.
    let lax = ProfileConfig {
        verify_server: false,
        ..pki.client()
    };
    let info = meet(&stranger, &lax, NAME).1.unwrap();
    assert!(
        info.faults.contains(&CertFault::IssuerNotFound),
        "{:?}",
        info.faults
    );

    let alone = pki.own(&Cert::make(&Spec::default(), None));
    assert_eq!(
        meet(&alone, &pki.client(), NAME).1.unwrap_err().code,
        Code::CertSelfSigned
    );
    // Trusted by name, it is good.
    let trusting = ProfileConfig {
        ca_list_file: alone.cert_file.clone(),
        ..pki.client()
    };
    meet(&alone, &trusting, NAME).1.unwrap();
}

#[test]
fn names() {
    let pki = Pki::new();
    let bare = Spec {
        dns: &[],
        ..Spec::default()
    };
    // (certificate, name asked for, wildcards allowed, good)
    for (spec, name, wildcards, good) in [
        (Spec::default(), "SIP.Example.COM", false, true),
        (Spec::default(), "sip.example.com.", false, true),
        (Spec::default(), "sip.example.org", false, false),
        (Spec::default(), "example.com", false, false),
        // CN only when there is no SAN.
        (bare.clone(), NAME, false, true),
        (bare.clone(), "other.example.com", false, false),
        (
            Spec {
                dns: &["other.example.com"],
                ..Spec::default()
            },
            NAME,
            false,
            false,
        ),
        // X.509 v1.
        (
            Spec {
                v1: true,
                ..bare.clone()
            },
            NAME,
            false,
            true,
        ),
        (
            Spec {
                v1: true,
                ..bare.clone()
            },
            "other.example.com",
            false,
            false,
        ),
        // Wildcards.
        (
            Spec {
                dns: &["*.example.com"],
                ..Spec::default()
            },
            NAME,
            true,
            true,
        ),
        (
            Spec {
                dns: &["*.example.com"],
                ..Spec::default()
            },
            NAME,
            false,
            false,
        ),
        (
            Spec {
                dns: &["*.example.com"],
                ..Spec::default()
            },
            "a.sip.example.com",
            true,
            false,
        ),
        (
            Spec {
                dns: &["*.example.com"],
                ..Spec::default()
            },
            "example.com",
            true,
            false,
        ),
        (
            Spec {
                cn: "*.example.com",
                dns: &[],
                ..Spec::default()
            },
            NAME,
            true,
            true,
        ),
        (
            Spec {
                cn: "*.example.com",
                dns: &[],
                ..Spec::default()
            },
            NAME,
            false,
            false,
        ),
        (
            Spec {
                dns: &["sip*.example.com"],
                ..Spec::default()
            },
            "sip1.example.com",
            true,
            false,
        ),
        // URI.
        (
            Spec {
                dns: &[],
                uri: &["sip:sip.example.com"],
                ..Spec::default()
            },
            NAME,
            false,
            true,
        ),
        (
            Spec {
                dns: &[],
                uri: &["sip:a@sip.example.com"],
                ..Spec::default()
            },
            NAME,
            false,
            false,
        ),
        (
            Spec {
                dns: &[],
                uri: &["https://sip.example.com"],
                ..Spec::default()
            },
            NAME,
            false,
            false,
        ),
        (
            Spec {
                dns: &[],
                uri: &["sip:*.example.com"],
                ..Spec::default()
            },
            NAME,
            true,
            false,
        ),
        // Addresses.
        (
            Spec {
                ip: &["127.0.0.1"],
                ..Spec::default()
            },
            "127.0.0.1",
            false,
            true,
        ),
        (
            Spec {
                ip: &["127.0.0.2"],
                ..Spec::default()
            },
            "127.0.0.1",
            false,
            false,
        ),
        (
            Spec {
                ip: &["2001:db8::1"],
                ..Spec::default()
            },
            "[2001:DB8:0::1]",
            false,
            true,
        ),
        (
            Spec {
                dns: &["*.0.0.1"],
                ..Spec::default()
            },
            "127.0.0.1",
            true,
            false,
        ),
    ] {
        match verdict(&pki, &spec, name, wildcards) {
            Ok(_) => assert!(
                good,
                "{name} accepted for cn {} dns {:?} uri {:?}",
                spec.cn, spec.dns, spec.uri
            ),
            Err(reason) => {
                assert!(
                    !good,
                    "{name} refused for cn {} dns {:?} uri {:?}: {reason}",
                    spec.cn, spec.dns, spec.uri
                );
                assert_eq!(
                    (reason.code, reason.stage),
                    (Code::CertName, Stage::Name),
                    "{reason}"
                );
            }
        }
    }
}

#[test]
fn a_wrong_name_is_only_told_when_not_verifying() {
    let pki = Pki::new();
    let lax = ProfileConfig {
        verify_server: false,
        ..pki.client()
    };
    let info = meet(&pki.server(&Spec::default()), &lax, "other.example.com")
        .1
        .unwrap();
    assert_eq!(info.faults, [CertFault::NameMismatch]);
    let info = meet(&pki.server(&Spec::default()), &lax, NAME).1.unwrap();
    assert_eq!(info.faults, []);
}

#[test]
fn purpose() {
    let pki = Pki::new();
    let spec = Spec {
        client_only: true,
        ..Spec::default()
    };
    assert_eq!(
        verdict(&pki, &spec, NAME, false).unwrap_err().code,
        Code::CertPurpose
    );
}

#[test]
fn hashed_ca_directory() {
    let pki = Pki::new();
    let (good, bad) = (hashed_dir(&pki.ca), hashed_dir(&Cert::ca("Other CA")));
    let client = |dir: &Dir| ProfileConfig {
        ca_list_file: None,
        ca_list_path: Some(dir.path().to_owned()),
        ..pki.client()
    };
    let server = pki.server(&Spec::default());
    meet(&server, &client(&good), NAME).1.unwrap();
    assert_eq!(
        meet(&server, &client(&bad), NAME).1.unwrap_err().code,
        Code::CertUntrusted
    );
}

#[test]
fn client_certificates() {
    let pki = Pki::new();
    let other = Cert::ca("Other CA");
    let with = |own: ProfileConfig| ProfileConfig {
        ca_list_file: Some(pki.ca_file.clone()),
        ..own
    };
    let good = with(pki.server(&Spec {
        cn: "phone",
        dns: &[],
        ..Spec::default()
    }));
    let stranger = with(pki.own(&Cert::make(
        &Spec {
            cn: "phone",
            dns: &[],
            ..Spec::default()
        },
        Some(&other),
    )));
    let expired = with(pki.server(&Spec {
        cn: "phone",
        dns: &[],
        from_days: -9,
        to_days: -1,
        ..Spec::default()
    }));
    let none = pki.client();

    let server = |verify_client, require_client_cert| ProfileConfig {
        ca_list_file: Some(pki.ca_file.clone()),
        verify_client,
        require_client_cert,
        ..pki.server(&Spec::default())
    };
    let seen = |server: &ProfileConfig, client: &ProfileConfig| meet(server, client, NAME).0;

    // Not asked for: none is seen.
    assert_eq!(seen(&server(false, false), &good).unwrap().peer, None);
    // Verified if there is one.
    assert_eq!(
        seen(&server(true, false), &good)
            .unwrap()
            .peer
            .unwrap()
            .subject
            .cn,
        "phone"
    );
    assert_eq!(seen(&server(true, false), &none).unwrap().peer, None);
    assert_eq!(
        seen(&server(true, false), &stranger).unwrap_err().code,
        Code::CertUntrusted
    );
    assert_eq!(
        seen(&server(true, false), &expired).unwrap_err().code,
        Code::CertExpired
    );
    // Demanded.
    assert!(seen(&server(true, true), &good).unwrap().peer.is_some());
    let reason = seen(&server(true, true), &none).unwrap_err();
    assert_eq!(
        (reason.code, reason.stage, reason.side),
        (Code::NoClientCertificate, Stage::Certificate, Side::Theirs)
    );
    // Demanded but not verified: anything will do, and its fault is told.
    let info = seen(&server(false, true), &stranger).unwrap();
    assert!(info.faults.contains(&CertFault::IssuerNotFound));
    assert_eq!(
        seen(&server(false, true), &none).unwrap_err().code,
        Code::NoClientCertificate
    );
}

#[test]
fn the_client_learns_that_its_certificate_is_missing_or_unwanted() {
    let pki = Pki::new();
    let server = ProfileConfig {
        ca_list_file: Some(pki.ca_file.clone()),
        verify_client: true,
        require_client_cert: true,
        ..pki.server(&Spec::default())
    };
    let stranger = ProfileConfig {
        ca_list_file: Some(pki.ca_file.clone()),
        ..pki.own(&Cert::make(
            &Spec {
                cn: "x",
                ..Spec::default()
            },
            Some(&Cert::ca("Other")),
        ))
    };
    for (client, code, alert) in [
        (pki.client(), Code::PeerWantsCertificate, 116),
        (stranger, Code::PeerUnknownCa, 48),
    ] {
        let ours = Engine::new();
        let theirs = Engine::new();
        let listener = ours.listen(&server);
        theirs.connect(listener.address(), NAME, &client);
        // TLS 1.3: the client believes itself connected until the alert comes.
        let reason = theirs.closed();
        assert_eq!(
            (reason.code, reason.alert, reason.stage),
            (code, Some(alert), Stage::Certificate),
            "{reason}"
        );
    }
}

#[test]
fn the_server_learns_why_the_client_left() {
    let pki = Pki::new();
    for (spec, alert, code) in [
        (
            Spec {
                from_days: -20,
                to_days: -1,
                ..Spec::default()
            },
            45,
            Code::PeerCertExpired,
        ),
        (
            Spec {
                cn: "x",
                dns: &["x"],
                ..Spec::default()
            },
            42,
            Code::PeerBadCertificate,
        ),
    ] {
        let reason = meet(&pki.server(&spec), &pki.client(), NAME).0.unwrap_err();
        assert_eq!((reason.code, reason.alert), (code, Some(alert)), "{reason}");
        assert!(
            reason
                .to_string()
                .starts_with(&format!("the peer closed with alert {alert} ")),
            "{reason}"
        );
    }
    let stranger = pki.own(&Cert::make(&Spec::default(), Some(&Cert::ca("Other CA"))));
    let reason = meet(&stranger, &pki.client(), NAME).0.unwrap_err();
    assert_eq!((reason.code, reason.alert), (Code::PeerUnknownCa, Some(48)));
    assert!(
        reason
            .to_string()
            .starts_with("the peer closed with alert 48 unknown_ca: it does not trust our"),
        "{reason}"
    );
}

#[test]
fn a_server_without_any_certificate_is_nobody() {
    let pki = Pki::new();
    let call = |verify_server| {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let mut context =
                openssl::ssl::SslContext::builder(openssl::ssl::SslMethod::tls_server()).unwrap();
            context
                .set_max_proto_version(Some(SslVersion::TLS1_2))
                .unwrap();
            context
                .set_cipher_list("AECDH-AES128-SHA:@SECLEVEL=0")
                .unwrap();
            let ssl = openssl::ssl::Ssl::new(&context.build()).unwrap();
            let _ = ssl.accept(socket.accept().unwrap().0);
        });
        let engine = Engine::new();
        let config = ProfileConfig {
            cipher: Some("AECDH-AES128-SHA:@SECLEVEL=0".into()),
            verify_server,
            ..pki.client()
        };
        engine.connect(address, NAME, &config);
        let result = engine.until(|event| match event {
            Event::Connected(info) => Some(Ok((info.cipher, info.faults.clone()))),
            Event::Closed(_, reason) => Some(Err(reason.code)),
            _ => None,
        });
        thread.join().unwrap();
        result
    };
    assert_eq!(
        call(false),
        Ok(("AECDH-AES128-SHA", vec![CertFault::NameMismatch]))
    );
    assert_eq!(call(true), Err(Code::CertName));
}
