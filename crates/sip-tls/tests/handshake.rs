//! Versions, ciphers, and the facts of a handshake.

mod common;

use common::*;
use openssl::ssl::SslVersion;
use sip_tls::*;

const NAME: &str = "sip.example.com";

#[test]
fn a_good_server_is_accepted_with_its_facts() {
    let pki = Pki::new();
    let (server, client) = meet(&pki.server(&Spec::default()), &pki.client(), NAME);
    let (server, client) = (server.unwrap(), client.unwrap());
    assert_eq!((client.version, server.version), ("TLSv1.3", "TLSv1.3"));
    assert_eq!(client.cipher, server.cipher);
    assert_eq!(client.cipher_id >> 8, 0x13);
    assert_eq!(server.sni.as_deref(), Some(NAME));
    assert_eq!(server.group, client.group);
    let known: &[Option<&str>] = match is_openssl_3() {
        true => &[Some("X25519"), Some("X25519MLKEM768")],
        false => &[None],
    };
    assert!(
        known.contains(&client.group.as_deref()),
        "{:?}",
        client.group
    );
    assert_eq!(client.wanted, Some(verify::PeerName::Dns(NAME.to_owned())));
    assert_eq!(server.wanted, None);
    assert_eq!((client.local, client.remote), (server.remote, server.local));
    assert!(!client.resumed && client.faults.is_empty());
    let peer = client.peer.unwrap();
    assert_eq!(peer.subject.cn, NAME);
    assert_eq!(peer.subject.info, "/O=Test/CN=sip.example.com");
    assert_eq!(peer.issuer.info, "/O=Test/CN=Test CA");
    assert_eq!((peer.version, peer.alt_names.len()), (3, 1));
    assert_eq!(server.own.unwrap().sha256, peer.sha256);
    assert!(peer.pem.starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(peer.not_after - peer.not_before, 31 * 86_400);
    assert_eq!(server.peer, None);
}

#[test]
fn sni_has_names_only() {
    let pki = Pki::new();
    let spec = Spec {
        ip: &["127.0.0.1"],
        ..Spec::default()
    };
    let (server, client) = meet(&pki.server(&spec), &pki.client(), "127.0.0.1");
    assert_eq!(server.unwrap().sni, None);
    client.unwrap();
}

#[test]
fn method_is_a_floor() {
    let pki = Pki::new();
    let with = |method, config: ProfileConfig| ProfileConfig { method, ..config };
    let server = |method| with(method, pki.server(&Spec::default()));
    let versions = |method, max: SslVersion| {
        let ours = Engine::new();
        let listener = ours.listen(&server(method));
        let mut connector =
            openssl::ssl::SslConnector::builder(openssl::ssl::SslMethod::tls()).unwrap();
        connector.set_verify(openssl::ssl::SslVerifyMode::NONE);
        connector.set_max_proto_version(Some(max)).unwrap();
        connector.set_min_proto_version(None).unwrap();
        connector.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
        let tcp = std::net::TcpStream::connect(listener.address()).unwrap();
        let _ = connector.build().connect(NAME, tcp);
        ours.until(|event| match event {
            Event::Accepted(_, info) => Some(Ok(info.version)),
            Event::Refused(_, reason) => Some(Err(reason.code)),
            _ => None,
        })
    };
    assert_eq!(versions(Method::Tls12, SslVersion::TLS1_3), Ok("TLSv1.3"));
    assert_eq!(versions(Method::Tls12, SslVersion::TLS1_2), Ok("TLSv1.2"));
    assert_eq!(
        versions(Method::Tls12, SslVersion::TLS1_1),
        Err(Code::Version)
    );
    assert_eq!(versions(Method::Tls13, SslVersion::TLS1_3), Ok("TLSv1.3"));
    assert_eq!(
        versions(Method::Tls13, SslVersion::TLS1_2),
        Err(Code::Version)
    );
    // TLS 1.1 needs method and security level.
    let old = ProfileConfig {
        cipher: Some("ALL:@SECLEVEL=0".into()),
        ..server(Method::Tls11)
    };
    let client = with(Method::Tls13, pki.client());
    meet(&old, &client, NAME).0.unwrap();
    let (server_side, client_side) = meet(&server(Method::Tls13), &pki.client(), NAME);
    assert_eq!(
        (server_side.unwrap().version, client_side.unwrap().version),
        ("TLSv1.3", "TLSv1.3")
    );
}

#[test]
fn tls_1_1_by_name_only() {
    let pki = Pki::new();
    let try_11 = |method, cipher: Option<&str>| {
        let ours = Engine::new();
        let config = ProfileConfig {
            method,
            cipher: cipher.map(Into::into),
            ..pki.server(&Spec::default())
        };
        let listener = ours.listen(&config);
        let mut connector =
            openssl::ssl::SslConnector::builder(openssl::ssl::SslMethod::tls()).unwrap();
        connector.set_verify(openssl::ssl::SslVerifyMode::NONE);
        connector
            .set_min_proto_version(Some(SslVersion::TLS1_1))
            .unwrap();
        connector
            .set_max_proto_version(Some(SslVersion::TLS1_1))
            .unwrap();
        connector.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
        let tcp = std::net::TcpStream::connect(listener.address()).unwrap();
        let _ = connector.build().connect(NAME, tcp);
        ours.until(|event| match event {
            Event::Accepted(_, info) => Some(Ok(info.version)),
            Event::Refused(_, reason) => Some(Err(reason.code)),
            _ => None,
        })
    };
    assert_eq!(
        try_11(Method::Tls11, Some("ALL:@SECLEVEL=0")),
        Ok("TLSv1.1")
    );
    assert!(try_11(Method::Tls12, Some("ALL:@SECLEVEL=0")).is_err());
    assert_eq!(try_11(Method::Tls11, None), Ok("TLSv1.1"));
    assert!(try_11(Method::Tls12, None).is_err());
}

#[test]
fn ciphers() {
    let pki = Pki::new();
    let rsa = Spec {
        rsa: true,
        ..Spec::default()
    };
    let with = |cipher: &str, config: ProfileConfig| ProfileConfig {
        cipher: Some(cipher.into()),
        ..config
    };
    // TLS 1.2 with CBC and SHA-1.
    let (cert, ca) = (pki.server(&rsa), pki.client());
    let old_client = |cipher: &str| {
        let ours = Engine::new();
        let listener = ours.listen(&with(cipher, cert.clone()));
        let mut connector =
            openssl::ssl::SslConnector::builder(openssl::ssl::SslMethod::tls()).unwrap();
        connector.set_verify(openssl::ssl::SslVerifyMode::NONE);
        connector
            .set_max_proto_version(Some(SslVersion::TLS1_2))
            .unwrap();
        connector.set_cipher_list("AES128-SHA").unwrap();
        let _ = connector.build().connect(
            NAME,
            std::net::TcpStream::connect(listener.address()).unwrap(),
        );
        ours.until(|event| match event {
            Event::Accepted(_, info) => Some(Ok((info.version, info.cipher))),
            Event::Refused(_, reason) => Some(Err(reason.code)),
            _ => None,
        })
    };
    assert_eq!(old_client("AES128-SHA"), Ok(("TLSv1.2", "AES128-SHA")));
    assert_eq!(
        old_client("ECDHE-RSA-AES256-SHA,AES128-SHA"),
        Ok(("TLSv1.2", "AES128-SHA"))
    );
    assert_eq!(old_client("AES256-SHA"), Err(Code::NoSharedCipher));
    // A TLS 1.3 suite by name is the one used; only such names mean TLS 1.3 only.
    let info = meet(
        &with("TLS_CHACHA20_POLY1305_SHA256", cert.clone()),
        &ca,
        NAME,
    )
    .0
    .unwrap();
    assert_eq!(info.cipher, "TLS_CHACHA20_POLY1305_SHA256");
    assert_eq!(
        old_client("TLS_CHACHA20_POLY1305_SHA256"),
        Err(Code::Version)
    );
    // And as client.
    let reason = meet(
        &with("TLS_AES_128_GCM_SHA256", cert.clone()),
        &with("TLS_AES_256_GCM_SHA384", ca),
        NAME,
    );
    assert_eq!(reason.0.unwrap_err().code, Code::NoSharedCipher);
    assert_eq!(reason.1.unwrap_err().code, Code::PeerHandshakeFailure);
}

#[test]
fn key_log_gets_the_secrets_only_if_asked() {
    let pki = Pki::new();
    let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::<(KeyOwner, String)>::new()));
    let sink = std::sync::Arc::clone(&lines);
    let logged = ProfileConfig {
        key_log: Some(std::sync::Arc::new(move |owner, line| {
            sink.lock().unwrap().push((owner.clone(), line.to_owned()))
        })),
        ..pki.server(&Spec::default())
    };
    meet(&pki.server(&Spec::default()), &pki.client(), NAME)
        .0
        .unwrap();
    assert!(lines.lock().unwrap().is_empty());
    let info = meet(&logged, &pki.client(), NAME).0.unwrap();
    let seen = std::mem::take(&mut *lines.lock().unwrap());
    assert!(
        seen.iter()
            .any(|(_, line)| line.starts_with("SERVER_TRAFFIC_SECRET_0 ")),
        "{seen:?}"
    );
    let accepted = KeyOwner {
        remote: info.remote,
        wanted: None,
    };
    assert!(seen.iter().all(|(owner, _)| *owner == accepted), "{seen:?}");
    // The client's lines say whom it asked for.
    let client = ProfileConfig {
        key_log: logged.key_log.clone(),
        ..pki.client()
    };
    let info = meet(&pki.server(&Spec::default()), &client, NAME)
        .1
        .unwrap();
    let seen = std::mem::take(&mut *lines.lock().unwrap());
    let asked = KeyOwner {
        remote: info.remote,
        wanted: Some(sip_tls::verify::PeerName::parse(NAME)),
    };
    assert!(
        !seen.is_empty() && seen.iter().all(|(owner, _)| *owner == asked),
        "{seen:?}"
    );
}
