//! What is said when a profile is loaded.

use std::path::{Path, PathBuf};
use std::process::Command;

use openssl::ssl::{SslContextBuilder, SslVersion};

use crate::*;

/// A certificate that says where its issuer is to be had, signed by the CA.
fn of_public_ca(pki: &Pki) -> PathBuf {
    let dir = pki.dir.path();
    let out = dir.join("public.pem");
    let conf = pki.dir.write(
        "public.cnf",
        b"[req]\ndistinguished_name=d\nx509_extensions=e\n[d]\n[e]\nauthorityInfoAccess=caIssuers;URI:http://ca.example/i.der\n",
    );
    make(
        Command::new("openssl")
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
            .arg(&out),
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
