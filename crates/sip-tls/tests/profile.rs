//! Profiles: every mistake is named by option, file and reason; nothing asks for a password.

mod common;

use common::*;
use sip_tls::*;
use zeroize::Zeroizing;

fn fault(config: &ProfileConfig) -> ProfileError {
    Profile::load(config).expect_err("the mistake should be seen")
}

fn warnings(config: &ProfileConfig) -> Vec<Warning> {
    Profile::load(config).unwrap().1
}

#[test]
fn files() {
    let pki = Pki::new();
    let good = pki.server(&Spec::default());
    assert_eq!(warnings(&good), []);
    let garbage = pki.dir.write("garbage.pem", b"nothing to see");
    let broken = pki.dir.write(
        "broken.pem",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let broken_key = pki.dir.write(
        "broken.key",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    let missing = pki.dir.path().join("missing.pem");
    let locked = pki.dir.write(
        "locked.pem",
        b"-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let with_cert = |file: &std::path::Path| ProfileConfig {
        cert_file: Some(file.to_owned()),
        ..good.clone()
    };
    let with_key = |file: &std::path::Path| ProfileConfig {
        priv_key_file: Some(file.to_owned()),
        ..good.clone()
    };
    let with_ca = |file: &std::path::Path| ProfileConfig {
        ca_list_file: Some(file.to_owned()),
        ..good.clone()
    };

    for (config, option, text) in [
        (
            with_cert(&missing),
            ConfigOption::CertFile,
            "cannot be read: No such file",
        ),
        (
            with_cert(&garbage),
            ConfigOption::CertFile,
            "holds no certificate in PEM form",
        ),
        (
            with_cert(&broken),
            ConfigOption::CertFile,
            "cannot be decoded (OpenSSL: ",
        ),
        (with_cert(&locked), ConfigOption::CertFile, "is encrypted"),
        (
            with_key(&missing),
            ConfigOption::PrivKeyFile,
            "cannot be read: No such file",
        ),
        (
            with_key(&garbage),
            ConfigOption::PrivKeyFile,
            "holds no private key in PEM form",
        ),
        (
            with_key(&broken_key),
            ConfigOption::PrivKeyFile,
            "cannot be decoded (OpenSSL: ",
        ),
        (
            with_key(&pki.dir.path().join("ca.key")),
            ConfigOption::PrivKeyFile,
            "does not belong to the certificate",
        ),
        (
            with_ca(&missing),
            ConfigOption::CaListFile,
            "cannot be read: No such file",
        ),
        (
            with_ca(&garbage),
            ConfigOption::CaListFile,
            "holds no certificate in PEM form",
        ),
    ] {
        let error = fault(&config);
        assert_eq!(error.option, Some(option), "{error}");
        let shown = error.to_string();
        let file = error.file.as_ref().unwrap().display().to_string();
        assert!(
            shown.starts_with(&format!("{} '{file}': ", option.word())),
            "{shown}"
        );
        assert!(shown.contains(text), "{shown}");
    }
    let lost = ProfileConfig {
        ca_list_path: Some(missing),
        ..good.clone()
    };
    assert_eq!(fault(&lost).option, Some(ConfigOption::CaListPath));
}

#[test]
fn passwords() {
    let pki = Pki::new();
    let cert = Cert::make(&Spec::default(), Some(&pki.ca));
    let plain = pki.own(&cert);
    let pkcs8 = pki
        .dir
        .write("pkcs8.key", &cert.encrypted_key_pem("secret"));
    let traditional = cert.key.ec_key().unwrap();
    let traditional = traditional
        .private_key_to_pem_passphrase(openssl::symm::Cipher::aes_128_cbc(), b"secret")
        .unwrap();
    let traditional = pki.dir.write("traditional.key", &traditional);
    for file in [pkcs8, traditional] {
        let with = |password: Option<&str>| ProfileConfig {
            priv_key_file: Some(file.clone()),
            password: password.map(|password| Zeroizing::new(password.to_owned())),
            ..plain.clone()
        };
        assert_eq!(warnings(&with(Some("secret"))), []);
        let error = fault(&with(Some("Secret")));
        assert!(matches!(error.fault, Fault::WrongPassword), "{error}");
        let error = fault(&with(None));
        assert!(matches!(error.fault, Fault::PasswordNeeded), "{error}");
    }
    let shown = format!(
        "{:?}",
        ProfileConfig {
            password: Some(Zeroizing::new("hush".into())),
            ..plain
        }
    );
    assert!(!shown.contains("hush"), "{shown}");
}

/// No provider has them here (with one: the host tests): the line says which one is missing. What cannot be meant is told before that, and
/// a file with something else is no such key. No PIN is shown.
#[test]
fn keys_of_providers() {
    let pki = Pki::new();
    let good = pki.server(&Spec::default());
    let pem = |name: &str, label: &str, content: &[u8]| {
        let content = openssl::base64::encode_block(content);
        let text = format!("-----BEGIN {label}-----\n{content}\n-----END {label}-----\n");
        let file = pki.dir.write(name, text.as_bytes());
        file.display().to_string()
    };
    let uri = "pkcs11:token=x?pin-value=1234";
    let mut der = vec![
        0x30,
        u8::try_from(uri.len() + 6).unwrap(),
        0x1a,
        2,
        b'v',
        b'1',
        0x0c,
        u8::try_from(uri.len()).unwrap(),
    ];
    der.extend(uri.as_bytes());
    let pkcs11 = "install pkcs11-provider";
    let tpm = "install tpm2-openssl";
    for (key, text) in [
        (uri.to_owned(), pkcs11),
        (pem("uri.key", "PKCS#11 PROVIDER URI", &der), pkcs11),
        ("handle:0x81000001".to_owned(), tpm),
        (pem("tpm.key", "TSS2 PRIVATE KEY", b"a TPM's"), tpm),
        (
            "pkcs11:object=x?pin-value=1234".to_owned(),
            "it names no token",
        ),
        (
            "pkcs11:token=x?pin-source=file:/nowhere/pin".to_owned(),
            "its PIN, in '/nowhere/pin', cannot be read: No such file",
        ),
        (
            pem("bad.key", "PKCS#11 PROVIDER URI", &der[1..]),
            "the private key in it cannot be decoded",
        ),
    ] {
        let error = fault(&ProfileConfig {
            priv_key_file: Some(key.clone().into()),
            ..good.clone()
        });
        assert_eq!(error.option, Some(ConfigOption::PrivKeyFile), "{error}");
        let shown = error.to_string();
        let name = key.replace("1234", "...");
        assert!(
            shown.starts_with(&format!("priv_key_file '{name}': ")),
            "{shown}"
        );
        assert!(shown.contains(text), "{shown}");
        assert!(!format!("{error:?}").contains("1234"), "{error:?}");
    }
}

#[test]
fn the_key_may_be_in_cert_file() {
    let pki = Pki::new();
    let cert = Cert::make(&Spec::default(), Some(&pki.ca));
    let both = pki.dir.write(
        "both.pem",
        &[cert.key_pem(), cert.pem(), pki.ca.pem()].concat(),
    );
    let config = ProfileConfig {
        cert_file: Some(both),
        ..ProfileConfig::default()
    };
    assert_eq!(warnings(&config), []);
    let only = ProfileConfig {
        cert_file: Some(pki.dir.write("only.pem", &cert.pem())),
        ..ProfileConfig::default()
    };
    assert!(matches!(fault(&only).fault, Fault::NoPrivateKey));
}

#[test]
fn questionable() {
    let pki = Pki::new();
    let good = pki.server(&Spec::default());
    let with = |change: fn(&mut ProfileConfig)| {
        let mut config = good.clone();
        change(&mut config);
        warnings(&config)
    };
    assert_eq!(
        with(|config| config.verify_server = true),
        [Warning::NothingTrusted]
    );
    assert_eq!(
        with(|config| config.require_client_cert = true),
        [Warning::AnyClientCertificate]
    );
    assert_eq!(
        with(|config| config.cipher = Some("AES128-SHA".into())),
        [Warning::Tls13Unrestricted]
    );
    assert_eq!(
        with(|config| {
            config.cipher = Some("AES128-SHA".into());
            config.max_version = Some(Version::Tls12);
        }),
        []
    );
    assert_eq!(
        with(|config| config.cert_file = None),
        [Warning::CannotListen]
    );
    let expired = pki.server(&Spec {
        from_days: -9,
        to_days: -1,
        ..Spec::default()
    });
    assert_eq!(warnings(&expired), [Warning::Expired]);
    let early = pki.server(&Spec {
        from_days: 1,
        ..Spec::default()
    });
    assert_eq!(warnings(&early), [Warning::NotYetValid]);
    let unhashed = ProfileConfig {
        ca_list_path: Some(pki.dir.path().to_owned()),
        ..good.clone()
    };
    assert_eq!(warnings(&unhashed), [Warning::NotHashed]);
    let hashed = common::certs::hashed_dir(&pki.ca);
    let hashed = ProfileConfig {
        ca_list_path: Some(hashed.path().to_owned()),
        verify_server: true,
        ..good
    };
    assert_eq!(warnings(&hashed), []);
}

#[test]
fn too_weak_a_key_is_refused_by_its_file() {
    let pki = Pki::new();
    let key = openssl::pkey::PKey::from_rsa(openssl::rsa::Rsa::generate(512).unwrap()).unwrap();
    let mut cert = Cert::make(&Spec::default(), None);
    let mut builder = openssl::x509::X509::builder().unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(cert.x509.not_before()).unwrap();
    builder.set_not_after(cert.x509.not_after()).unwrap();
    builder
        .sign(&key, openssl::hash::MessageDigest::sha256())
        .unwrap();
    cert = Cert {
        x509: builder.build(),
        key,
    };
    let error = fault(&pki.own(&cert));
    assert!(matches!(error.fault, Fault::TooWeak), "{error}");
    let error = error.to_string();
    assert!(
        error.contains("key too small") && error.contains("method = tlsv1"),
        "{error}"
    );
}
