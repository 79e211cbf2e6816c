//! Which sessions are resumed, of clients and with servers, and which are not. The other end is OpenSSL's own.

mod common;

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::tool::{Tool, s_server};
use common::*;
use openssl::ssl::{Ssl, SslContext, SslFiletype, SslMethod, SslSessionRef, SslStream, SslVersion};
use openssl::x509::X509;
use sip_tls::verify::PeerName;
use sip_tls::*;

/// Connects with `openssl s_client`, asks something and keeps the session. `true`: it was resumed.
fn resumes(address: SocketAddr, version: &str, session: &Path, is_first: bool) -> bool {
    let (address, session) = (address.to_string(), session.to_str().unwrap());
    let mut args = vec![
        "s_client",
        "-connect",
        &address,
        version,
        "-sess_out",
        session,
    ];
    if !is_first {
        args.extend(["-sess_in", session]);
    }
    let mut client = Tool::run(&args);
    let how = client.hear(", TLSv1");
    client.say(OPTIONS);
    // The session is written when the ticket has come, which is before that.
    client.hear("SIP/2.0 200");
    how.contains("Reused, TLSv1")
}

fn answering() -> Engine {
    Engine::with(PoolConfig::default(), |recorder| recorder.answer = true)
}

fn key(number: u8) -> String {
    format!("{number:02x}").repeat(80) + "\n"
}

/// Two nodes with the same keys resume each other's sessions; each thing that is another at the second one makes the handshake whole.
#[test]
fn another_node() {
    let pki = Pki::new();
    let keys = pki.dir.write("keys", (key(2) + &key(1)).as_bytes());
    let other_ca = Cert::ca("Another CA").write(&pki.dir, "other").0;
    let base = ProfileConfig {
        transport: "tls".to_owned(),
        ticket_keys: Some(keys),
        ca_list_file: Some(pki.ca_file.clone()),
        ..pki.server(&Spec::default())
    };
    // A node has its own certificate, of the same authority.
    let node = ProfileConfig {
        cert_file: pki.server(&Spec::default()).cert_file,
        ..base.clone()
    };
    let of_other = pki.server(&Spec::default());
    let node = ProfileConfig {
        cert_file: of_other.cert_file,
        priv_key_file: of_other.priv_key_file,
        ..node
    };
    let file = |name: &str, text: String| Some(pki.dir.write(name, text.as_bytes()));
    let rows: [(&str, bool, ProfileConfig); 8] = [
        ("the same", true, node.clone()),
        (
            "a new key signs",
            true,
            ProfileConfig {
                ticket_keys: file("newer", key(3) + &key(2)),
                ..node.clone()
            },
        ),
        (
            "the key is gone",
            false,
            ProfileConfig {
                ticket_keys: file("gone", key(3)),
                ..node.clone()
            },
        ),
        (
            "keys of its own",
            false,
            ProfileConfig {
                ticket_keys: None,
                ..node.clone()
            },
        ),
        (
            "another profile",
            false,
            ProfileConfig {
                transport: "other".to_owned(),
                ..node.clone()
            },
        ),
        (
            "another authority",
            false,
            ProfileConfig {
                ca_list_file: Some(other_ca),
                ..node.clone()
            },
        ),
        (
            "clients are verified",
            false,
            ProfileConfig {
                verify_client: true,
                ..node.clone()
            },
        ),
        (
            "another cipher",
            false,
            ProfileConfig {
                cipher: Some("ECDHE-ECDSA-AES256-GCM-SHA384".to_owned()),
                ..node.clone()
            },
        ),
    ];
    let engine = answering();
    let first = engine.listen(&base);
    let versions = ["-tls1_2", "-tls1_3"];
    for version in versions.iter().take(if is_openssl_3() { 2 } else { 1 }) {
        let session = pki.dir.path().join(format!("session{version}"));
        assert!(!resumes(first.address(), version, &session, true));
        assert!(
            resumes(first.address(), version, &session, false),
            "{version}"
        );
        for (what, resumed, config) in &rows {
            let copy = session.with_extension("copy");
            fs::copy(&session, &copy).unwrap();
            let second = engine.listen(config);
            let found = resumes(second.address(), version, &copy, false);
            assert_eq!(found, *resumed, "{what}, {version}");
        }
    }
}

/// A client that showed a certificate is resumed as that one while it is valid.
#[test]
fn a_clients_certificate_that_has_expired() {
    let pki = Pki::new();
    let server = ProfileConfig {
        // Any certificate is taken, also an expired one: it is not verified.
        require_client_cert: true,
        ca_list_file: Some(pki.ca_file.clone()),
        ..pki.server(&Spec::default())
    };
    let engine = answering();
    let listener = engine.listen(&server);
    let expired = Spec {
        to_days: -1,
        from_days: -9,
        ..Spec::default()
    };
    for (spec, resumed) in [(Spec::default(), true), (expired, false)] {
        let own = pki.server(&spec);
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
            context.set_max_proto_version(Some(version)).unwrap();
            context
                .set_certificate_chain_file(own.cert_file.as_ref().unwrap())
                .unwrap();
            context
                .set_private_key_file(own.priv_key_file.as_ref().unwrap(), SslFiletype::PEM)
                .unwrap();
            let context = context.build();
            let mut earlier: Option<SslStream<std::net::TcpStream>> = None;
            for is_first in [true, false] {
                let mut ssl = Ssl::new(&context).unwrap();
                if let Some(session) = earlier.as_ref().and_then(|it| it.ssl().session()) {
                    // SAFETY: the session is of a connection of the same context.
                    unsafe { ssl.set_session(session) }.unwrap();
                }
                let tcp = std::net::TcpStream::connect(listener.address()).unwrap();
                let mut phone = SslStream::new(ssl, tcp).unwrap();
                phone.connect().unwrap();
                phone.write_all(OPTIONS).unwrap();
                hear(&mut phone, OK);
                let has_ticket = version == SslVersion::TLS1_2 || is_openssl_3();
                let wanted = resumed && !is_first && has_ticket;
                assert_eq!(phone.ssl().session_reused(), wanted, "{version:?}");
                let (_, info) = engine.accepted();
                assert_eq!((info.resumed, info.peer.is_some()), (wanted, true));
                earlier = Some(phone);
            }
        }
    }
}

/// A client whose certificate was revoked since is not resumed.
#[test]
fn a_client_that_was_revoked() {
    let pki = Pki::new();
    let own = pki.server(&Spec::default());
    let pem = fs::read(own.cert_file.as_ref().unwrap()).unwrap();
    let certificate = X509::from_pem(&pem).unwrap();
    let good = ProfileConfig {
        verify_client: true,
        require_client_cert: true,
        ca_list_file: Some(pki.ca_file.clone()),
        crl_file: Some(revocation_list(&pki, "good", None)),
        ticket_keys: Some(pki.dir.write("keys", key(1).as_bytes())),
        ..pki.server(&Spec::default())
    };
    let revoking = ProfileConfig {
        crl_file: Some(revocation_list(&pki, "revoking", Some(&certificate))),
        ..good.clone()
    };
    let engine = answering();
    let (good, revoking) = (engine.listen(&good), engine.listen(&revoking));
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    context
        .set_max_proto_version(Some(SslVersion::TLS1_2))
        .unwrap();
    context
        .set_certificate_chain_file(own.cert_file.unwrap())
        .unwrap();
    context
        .set_private_key_file(own.priv_key_file.unwrap(), SslFiletype::PEM)
        .unwrap();
    let context = context.build();
    let connect = |at: SocketAddr, session: Option<&SslSessionRef>| {
        let mut ssl = Ssl::new(&context).unwrap();
        if let Some(session) = session {
            // SAFETY: the session is of a connection of the same context.
            unsafe { ssl.set_session(session) }.unwrap();
        }
        let tcp = std::net::TcpStream::connect(at).unwrap();
        let mut phone = SslStream::new(ssl, tcp).unwrap();
        phone.connect().map(|()| phone)
    };
    let first = connect(good.address(), None).unwrap();
    let session = first.ssl().session().unwrap();
    let again = connect(good.address(), Some(session)).unwrap();
    assert!(again.ssl().session_reused());
    assert!(connect(revoking.address(), Some(session)).is_err());
    let fault = engine
        .until(|event| match event {
            Event::Refused(_, reason) => Some(reason),
            _ => None,
        })
        .fault;
    assert_eq!(fault, Some(verify::CertFault::Revoked));
}

/// `openssl s_server` with this certificate.
fn server(own: &ProfileConfig, version: &str) -> (Tool, SocketAddr) {
    let (cert, key) = (
        own.cert_file.as_ref().unwrap(),
        own.priv_key_file.as_ref().unwrap(),
    );
    s_server(cert, key, &[version, "-rev"])
}

/// Connects to `remote`, says something and hears it backwards, behind whatever tickets there are. `true`: a session was resumed.
fn resumes_with(engine: &Engine, profile: &Arc<Profile>, remote: SocketAddr, name: &str) -> bool {
    let target = Target {
        remote,
        local: None,
        name: PeerName::parse(name),
        profile: Arc::clone(profile),
        options: SocketOptions::default(),
    };
    let conn = engine.pool.connect(target, Clone::clone).unwrap();
    let info = engine.connected();
    conn.send(OPTIONS, 1).unwrap();
    // It is not SIP.
    engine.closed();
    info.resumed
}

#[test]
fn with_servers() {
    let pki = Pki::new();
    let good = pki.server(&Spec {
        dns: &["sip.example.com", "sip2.example.com"],
        ..Spec::default()
    });
    let engine = Engine::new();
    for version in ["-tls1_2", "-tls1_3"] {
        let (_server, at) = server(&good, version);
        let profile = load(&pki.client());
        let name = "sip.example.com";
        assert!(!resumes_with(&engine, &profile, at, name), "{version}");
        assert!(resumes_with(&engine, &profile, at, name), "{version}");
        // Another name, another profile, another server.
        assert!(!resumes_with(&engine, &profile, at, "sip2.example.com"));
        assert!(!resumes_with(&engine, &load(&pki.client()), at, name));
        let (_other, elsewhere) = server(&good, version);
        assert!(!resumes_with(&engine, &profile, elsewhere, name));
    }
    // A server whose certificate has expired, which nobody minds, is not resumed.
    let expired = Spec {
        to_days: -1,
        from_days: -9,
        ..Spec::default()
    };
    let profile = load(&ProfileConfig {
        verify_server: false,
        ..pki.client()
    });
    for (spec, resumed) in [(Spec::default(), true), (expired, false)] {
        let (_server, at) = server(&pki.server(&spec), "-tls1_2");
        for wanted in [false, resumed, resumed] {
            let found = resumes_with(&engine, &profile, at, "sip.example.com");
            assert_eq!(found, wanted);
        }
    }
}

/// A session outlives a connection that was lost, which is when it is needed.
#[test]
fn after_a_connection_that_was_lost() {
    let pki = Pki::new();
    let own = pki.server(&Spec::default());
    let mut context = SslContext::builder(SslMethod::tls_server()).unwrap();
    context
        .set_certificate_chain_file(own.cert_file.unwrap())
        .unwrap();
    context
        .set_private_key_file(own.priv_key_file.unwrap(), SslFiletype::PEM)
        .unwrap();
    context.set_session_id_context(b"a server").unwrap();
    let context = context.build();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, heard) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        [false, true, true].map(|_| {
            let (tcp, _) = listener.accept().unwrap();
            let mut stream = SslStream::new(Ssl::new(&context).unwrap(), tcp).unwrap();
            stream.accept().unwrap();
            // The ticket goes before it. When it has been read the connection is reset.
            stream.write_all(OK).unwrap();
            heard.recv().unwrap();
            let socket = socket2::SockRef::from(stream.get_ref());
            socket.set_linger(Some(Duration::ZERO)).unwrap();
            stream.ssl().session_reused()
        })
    });
    let engine = Engine::new();
    let profile = load(&pki.client());
    for _ in 0..3 {
        let target = Target {
            remote: address,
            local: None,
            name: PeerName::parse("sip.example.com"),
            profile: Arc::clone(&profile),
            options: SocketOptions::default(),
        };
        engine.pool.connect(target, Clone::clone).unwrap();
        engine.message();
        tell.send(()).unwrap();
        assert_eq!(engine.closed().code, Code::PeerReset);
    }
    assert_eq!(server.join().unwrap(), [false, true, true]);
}
