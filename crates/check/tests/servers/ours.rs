//! What is wrong on our side; and the time that there is.

use std::time::Duration;

use ciphertrunk_check::{Method, Outcome, Verdict, check};
use openssl::hash::MessageDigest;
use openssl::ssl::{SslContextBuilder, SslVerifyMode, SslVersion};
use sip_tls::verify::PeerName;
use sip_tls::{Pin, Version};

use crate::broken::{Table, only, options, today};
use crate::case::{PATIENCE, run};
use crate::pki::{Cert, NAME, Pki, Spec};
use crate::server::{swallow, tcp, tls};
use crate::sip;

#[test]
fn our_own_files() {
    let pki = Pki::new();
    let good = tls(&[&pki.leaf(&Spec::default())], today, sip::sound);
    let ours = |spec: Spec| pki.leaf(&Spec { cn: "pbx", ..spec });
    let (cert, key) = pki.files("ours", &[&ours(Spec::default())]);
    let (_, other_key) = pki.files("other", &[&ours(Spec::default())]);
    let (expired, expired_key) = pki.files(
        "expired",
        &[&ours(Spec {
            to_days: -1,
            ..Spec::default()
        })],
    );
    let (coming, coming_key) = pki.files(
        "coming",
        &[&ours(Spec {
            from_days: 1,
            ..Spec::default()
        })],
    );
    let empty = pki.dir.write("empty.pem", b"");
    let text = pki.dir.write("text.pem", b"this is no certificate\n");
    let folder = pki.dir.path().to_owned();
    let missing = folder.join("missing.pem");
    for (name, ca, own) in [
        ("CAs: an empty file", Some(&empty), None),
        ("CAs: no PEM", Some(&text), None),
        ("CAs: a folder", Some(&folder), None),
        ("CAs: no file", Some(&missing), None),
        ("CAs: a key", Some(&key), None),
        ("the key of another", None, Some((&cert, Some(&other_key)))),
        ("no key", None, Some((&cert, None))),
        ("a certificate for a key", None, Some((&cert, Some(&cert)))),
        ("expired", None, Some((&expired, Some(&expired_key)))),
        ("not valid yet", None, Some((&coming, Some(&coming_key)))),
    ] {
        let mut table = options(&pki, good, PATIENCE);
        if let Some(ca) = ca {
            table.tls.ca_list_file = Some(ca.clone());
        }
        if let Some((cert, key)) = own {
            table.tls.cert_file = Some(cert.clone());
            table.tls.priv_key_file = key.cloned();
        }
        let report = check(&table);
        let found: Vec<String> = report
            .faults()
            .map(|(_, fault)| fault.code.word())
            .collect();
        assert_eq!(found, ["own-files"], "{name}");
        assert_eq!(report.outcome(), Outcome::Ours, "{name}");
    }
}

#[test]
fn what_our_transport_has() {
    let pki = Pki::new();
    let mut table = Table::new(&pki);
    let leaf = pki.leaf(&Spec::default());
    let good = tls(&[&leaf], today, sip::sound);
    table.add("calls that do not look", good, &[], &["own-not-verifying"]);
    table.last().tls.verify_server = false;
    table.add(
        "a transport without CAs",
        good,
        &["own-files", "chain-untrusted"],
        &[],
    );
    table.last().tls.ca_list_file = None;
    table.last().system_cas = false;
    table.add(
        "CAs in a folder without hashes",
        good,
        &["chain-untrusted"],
        &["own-files-doubt"],
    );
    table.last().tls.ca_list_file = None;
    table.last().tls.ca_list_path = Some(pki.dir.path().to_owned());
    // TLS 1.2 against TLS 1.3, and ciphers that have nothing in common.
    let old = tls(&[&leaf], only(SslVersion::TLS1_2), sip::sound);
    table.add(
        "method = tlsv1_3, and it has none",
        old,
        &["peer-version"],
        &[],
    );
    table.last().tls.method = Method::Tls13;
    table.add(
        "cipher, and it has none of them",
        old,
        &["own-cipher"],
        &["own-files-doubt"],
    );
    table.last().tls.cipher = Some("ECDHE-RSA-AES128-GCM-SHA256".to_owned());
    let first = tls(&[&leaf], only(SslVersion::TLS1), sip::sound);
    table.add("method = tlsv1", first, &[], &["own-files-doubt"]);
    table.last().tls.method = Method::Tls10;
    // A certificate for servers alone, as public CAs make them now.
    let root = pki.root.x509.clone();
    let demanding = tls(
        &[&leaf],
        |builder| {
            only(SslVersion::TLS1_3)(builder);
            builder.cert_store_mut().add_cert(root).expect("a CA");
            builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        },
        sip::sound,
    );
    let (cert, key) = pki.files(
        "server-only",
        &[&Cert::make(
            &Spec {
                client: false,
                ..Spec::default()
            },
            Some(&pki.root),
        )],
    );
    table.add(
        "our certificate is not for clients",
        demanding,
        &["own-certificate-refused"],
        &[],
    );
    table.last().tls.cert_file = Some(cert);
    table.last().tls.priv_key_file = Some(key);
    run("our transport", table.cases);
}

/// What is cut off by the limit is no fault of anybody's.
#[test]
fn a_limit_for_everything() {
    let pki = Pki::new();
    let mute = tcp(swallow);
    let mut options = options(&pki, mute, PATIENCE);
    options.limit = Some(Duration::from_millis(300));
    let report = check(&options);
    assert_eq!(report.outcome(), Outcome::NotJudged);
    assert_eq!(report.faults().count(), 0);
    assert_eq!(report.steps.len(), 14);
    let tls = report.steps.iter().find(|step| step.stage.word() == "tls");
    let verdict = tls.expect("a step").verdict();
    assert!(
        matches!(&verdict, Verdict::NotTried(why) if why.contains("time")),
        "{verdict:?}"
    );
}

/// What a profile of `ciphertrunk.conf` asks beside a transport's words.
#[test]
fn what_a_profile_has() {
    let pki = Pki::new();
    let mut table = Table::new(&pki);
    let leaf = pki.leaf(&Spec::default());
    let good = tls(&[&leaf], today, sip::sound);
    let pin = |cert: &Cert| {
        let digest = cert.x509.digest(MessageDigest::sha256()).expect("a digest");
        let digits: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
        Pin::parse(&format!("SHA256:{digits}")).expect("a pin")
    };
    table.add("the one that is pinned", good, &[], &[]);
    table.last().tls.pins = vec![pin(&leaf)];
    table.add("another is pinned", good, &["cert-pin"], &[]);
    table.last().tls.pins = vec![pin(&pki.root)];
    table.add("called by its address", good, &[], &[]);
    table.last().name = None;
    table.last().tls.verify_names = vec![PeerName::parse("other.example"), PeerName::parse(NAME)];
    table.add("verify_name of others", good, &["cert-name"], &[]);
    table.last().tls.verify_names = vec![PeerName::parse("other.example")];
    let newest = tls(&[&leaf], only(SslVersion::TLS1_3), sip::sound);
    table.add(
        "max_version, and it has none",
        newest,
        &["peer-version"],
        &[],
    );
    table.last().tls.max_version = Some(Version::Tls12);
    run("a profile", table.cases);
}

/// What one peer alone needs is suggested as its profile, and is enough.
#[test]
fn a_profile_is_suggested() {
    let pki = Pki::new();
    let rsa = pki.leaf(&Spec {
        rsa: 2048,
        ..Spec::default()
    });
    let old = |builder: &mut SslContextBuilder| {
        only(SslVersion::TLS1_2)(builder);
        let list = builder.set_cipher_list("AES128-SHA");
        list.expect("a cipher");
    };
    let mut asked = options(&pki, tls(&[&rsa], old, sip::sound), PATIENCE);
    let report = check(&asked);
    let suggested = [
        "type = tls",
        "match = sip.example.com",
        "cipher = AES128-SHA",
    ];
    assert_eq!(report.lines.profile[0], "[sip.example.com-tls]");
    assert_eq!(report.lines.profile[1..], suggested);
    let all = report.lines.of_ciphertrunk();
    assert_eq!(all[4..6], ["", "[sip.example.com]"]);
    let loosened = |line: &String| line.starts_with("cipher");
    assert!(!report.lines.pjsip.iter().any(loosened));

    asked.tls.name = Some("carrier-tls".into());
    let lines = check(&asked).lines.profile;
    assert_eq!(lines[1..], ["[carrier-tls]", "cipher = AES128-SHA"]);
    asked.tls.cipher = Some("AES128-SHA".to_owned());
    let report = check(&asked);
    assert_eq!(report.outcome(), Outcome::Sound);
    assert_eq!(report.lines.profile, [] as [&str; 0]);
}
