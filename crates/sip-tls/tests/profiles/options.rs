//! Each option does what it says.

use std::path::PathBuf;

use crate::common::tool::s_server;
use crate::*;

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
