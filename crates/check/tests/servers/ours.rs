//! What is wrong on our side; and the time that there is.

use std::time::Duration;

use ciphertrunk_check::{Method, Outcome, Verdict, check};
use openssl::ssl::{SslVerifyMode, SslVersion};

use crate::broken::{Table, only, options, today};
use crate::case::{PATIENCE, run};
use crate::pki::{Cert, Pki, Spec};
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
