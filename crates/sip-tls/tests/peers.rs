//! Against OpenSSL's own tools and raw sockets.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use common::tool::{Tool, s_server};
use common::*;
use sip_tls::*;

const NAME: &str = "sip.example.com";

fn s_client(engine_port: u16, more: &[&str]) -> Tool {
    let at = format!("127.0.0.1:{engine_port}");
    let args = [
        &[
            "s_client",
            "-quiet",
            "-verify_quiet",
            "-connect",
            &at,
            "-servername",
            NAME,
        ],
        more,
    ]
    .concat();
    Tool::run(&args)
}

#[test]
fn s_client_sends_and_is_answered() {
    let pki = Pki::new();
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let engine = Engine::with(PoolConfig::default(), |recorder| recorder.answer = true);
        let listener = engine.listen(&pki.server(&Spec::default()));
        let mut tool = s_client(listener.address().port(), &[version]);
        let (_, info) = engine.accepted();
        assert_eq!((info.version, info.sni.as_deref()), (name, Some(NAME)));
        tool.say(&OPTIONS[..20]);
        std::thread::sleep(Duration::from_millis(50));
        tool.say(&[&OPTIONS[20..], OPTIONS].concat());
        assert_eq!(engine.message(), OPTIONS);
        assert_eq!(engine.message(), OPTIONS);
        tool.hear("SIP/2.0 200 OK");
        drop(tool);
        let reason = engine.closed();
        assert!(
            matches!(reason.code, Code::PeerEof | Code::PeerReset),
            "{reason:?}"
        );
    }
}

#[test]
fn s_server_is_called() {
    let pki = Pki::new();
    let server = pki.server(&Spec {
        rsa: true,
        ..Spec::default()
    });
    let (cert, key) = (server.cert_file.unwrap(), server.priv_key_file.unwrap());
    for (more, version, cipher) in [
        (&["-tls1_3"][..], "TLSv1.3", None),
        (
            &["-tls1_2", "-cipher", "AES256-SHA"][..],
            "TLSv1.2",
            Some("AES256-SHA"),
        ),
    ] {
        let (mut tool, address) = s_server(&cert, &key, more);
        let engine = Engine::new();
        let client = ProfileConfig {
            cipher: cipher.map(str::to_owned),
            ..pki.client()
        };
        let conn = engine.connect(address, NAME, &client);
        // Before it is connected.
        conn.send(OPTIONS, 7).unwrap();
        let info = engine.connected();
        assert_eq!(info.version, version);
        assert!(
            cipher.is_none_or(|cipher| cipher == info.cipher),
            "{}",
            info.cipher
        );
        engine.until(|event| matches!(event, Event::WriteDone(7, Ok(()))).then_some(()));
        tool.hear("OPTIONS sip:a@example.com");
        tool.say(OK);
        assert_eq!(engine.message(), OK);
        conn.close(Close::Graceful);
        assert_eq!(engine.closed().code, Code::ClosedHere);
        // s_server says DONE on close_notify, ERROR otherwise.
        tool.hear("DONE");
    }
}

#[test]
fn s_client_without_the_certificate_that_is_demanded() {
    let pki = Pki::new();
    let engine = Engine::new();
    let config = ProfileConfig {
        ca_list_file: Some(pki.ca_file.clone()),
        verify_client: true,
        require_client_cert: true,
        ..pki.server(&Spec::default())
    };
    let listener = engine.listen(&config);
    let tool = s_client(listener.address().port(), &[]);
    assert_eq!(engine.refused().code, Code::NoClientCertificate);
    drop(tool);
    let phone = pki.server(&Spec {
        cn: "phone",
        ..Spec::default()
    });
    let (cert, key) = (phone.cert_file.unwrap(), phone.priv_key_file.unwrap());
    let _tool = s_client(
        listener.address().port(),
        &[
            "-cert",
            cert.to_str().unwrap(),
            "-key",
            key.to_str().unwrap(),
        ],
    );
    assert_eq!(engine.accepted().1.peer.unwrap().subject.cn, "phone");
}

#[test]
fn sessions_are_resumed_but_not_under_another_profile() {
    let pki = Pki::new();
    let engine = Engine::new();
    // Client certificates are asked for, so that what the session remembers of them shows too.
    let config = ProfileConfig {
        ca_list_file: Some(pki.ca_file.clone()),
        verify_client: true,
        ..pki.server(&Spec::default())
    };
    let phone = pki.server(&Spec {
        cn: "phone",
        ..Spec::default()
    });
    let (cert, key) = (phone.cert_file.unwrap(), phone.priv_key_file.unwrap());
    let own = [
        "-cert",
        cert.to_str().unwrap(),
        "-key",
        key.to_str().unwrap(),
    ];
    let listener = engine.listen(&config);
    let port = listener.address().port();
    let (old, new) = (pki.dir.path().join("old"), pki.dir.path().join("new"));
    for version in ["-tls1_2", "-tls1_3"] {
        let resumed = |option: &str| {
            let at = format!("127.0.0.1:{port}");
            let _ = std::fs::remove_file(&new);
            let old = old.to_str().unwrap();
            let more = if option == "-sess_in" {
                vec![option, old]
            } else {
                vec![]
            };
            let args = [
                "s_client",
                "-connect",
                &at,
                version,
                "-sess_out",
                new.to_str().unwrap(),
            ];
            let _tool = Tool::run(&[&args[..], &own, &more].concat());
            let (conn, info) = engine.accepted();
            // The ticket of a new session comes at the end of the handshake, or with the first message.
            conn.send(OK, 1).unwrap();
            if !info.resumed {
                let end = std::time::Instant::now() + PATIENCE;
                let is_whole = || {
                    std::fs::read_to_string(&new).is_ok_and(|text| text.contains("-----END SSL"))
                };
                while !is_whole() {
                    assert!(std::time::Instant::now() < end, "no ticket came");
                    std::thread::sleep(Duration::from_millis(20));
                }
                std::fs::copy(&new, old).unwrap();
            }
            assert_eq!(info.peer.unwrap().subject.cn, "phone");
            assert_eq!(info.faults, []);
            info.resumed
        };
        assert!(!resumed("-sess_out"));
        assert!(resumed("-sess_in"), "{version}");
        listener.set_profile(load(&config));
        assert!(!resumed("-sess_in"), "{version}");
    }
}

/// A server that accepts one connection and does as told.
fn strange_server(act: impl FnOnce(TcpStream) + Send + 'static) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || act(listener.accept().unwrap().0));
    address
}

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

#[test]
fn strange_clients() {
    let pki = Pki::new();
    let engine = Engine::with(patient(), |_| {});
    let listener = engine.listen(&pki.server(&Spec::default()));
    let tcp = || TcpStream::connect(listener.address()).unwrap();
    let say = |bytes: &[u8]| {
        let mut tcp = tcp();
        tcp.write_all(bytes).unwrap();
        let reason = engine.refused();
        drop(tcp);
        (reason.code, reason.side)
    };
    assert_eq!(say(OPTIONS), (Code::PlainSip, Side::Theirs));
    assert_eq!(say(b"\r\n\r\n\r\n\r\n"), (Code::PlainSip, Side::Theirs));
    assert_eq!(
        say(b"GET / HTTP/1.1\r\n\r\n"),
        (Code::PlainHttp, Side::Theirs)
    );
    assert_eq!(
        say(b"hello, is there anybody?"),
        (Code::NotTls, Side::Theirs)
    );
    // A health check: it connects and closes, or resets. Nobody has to change anything.
    drop(tcp());
    let reason = engine.refused();
    assert_eq!(
        (reason.code, reason.side),
        (Code::NothingSent, Side::Nobody)
    );
    let socket = socket2::Socket::from(tcp());
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    drop(socket);
    assert_eq!(engine.refused().code, Code::NothingSent);
    // Its twin, which has begun a handshake.
    let mut begun = tcp();
    begun.write_all(&[22, 3, 1, 0, 200]).unwrap();
    drop(begun);
    let reason = engine.refused();
    assert_eq!(
        (reason.code, reason.side),
        (Code::ClosedInHandshake, Side::Theirs)
    );
    let socket = socket2::Socket::from(tcp());
    (&socket).write_all(&[22, 3, 1, 0, 200]).unwrap();
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    drop(socket);
    assert_eq!(engine.refused().code, Code::ResetInHandshake);
    // The others are not harmed.
    let _tool = s_client(listener.address().port(), &[]);
    engine.accepted();
    assert_eq!(engine.pool.counts().of(Code::PlainSip), 2);

    // A hello that stops in the middle, and nothing at all.
    let engine = Engine::with(quick(), |_| {});
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut half = TcpStream::connect(listener.address()).unwrap();
    half.write_all(&[22, 3, 1, 0, 200, 1, 0, 0]).unwrap();
    assert_eq!(engine.refused().code, Code::HandshakeTimeout);
    let start = std::time::Instant::now();
    let mut silent = TcpStream::connect(listener.address()).unwrap();
    assert_eq!(engine.refused().code, Code::Silent);
    assert!(start.elapsed() >= Duration::from_millis(290));
    assert_eq!(silent.read(&mut [0; 1]).unwrap(), 0, "it is thrown out");
}

#[test]
fn strange_servers() {
    let pki = Pki::new();
    let engine = Engine::with(patient(), |_| {});
    let call = |address| {
        engine.connect(address, NAME, &pki.client());
        engine.failed()
    };
    let closed_port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let reason = call(closed_port);
    assert_eq!(
        (reason.code, reason.stage, reason.side),
        (Code::ConnectRefused, Stage::TcpConnect, Side::Theirs)
    );
    assert_eq!(reason.errno, Some(libc::ECONNREFUSED));
    let wait = |tcp: TcpStream| drop((&tcp).read_to_end(&mut Vec::new()));
    let impatient = Engine::with(quick(), |_| {});
    impatient.connect(strange_server(wait), NAME, &pki.client());
    assert_eq!(impatient.failed().code, Code::NoTlsAnswer);
    assert_eq!(call(strange_server(drop)).code, Code::ClosedAtHello);
    let plain = |bytes: &'static [u8]| {
        move |mut tcp: TcpStream| {
            tcp.read_exact(&mut [0; 5]).unwrap();
            tcp.write_all(bytes).unwrap();
            let _ = tcp.read_to_end(&mut Vec::new());
        }
    };
    assert_eq!(
        call(strange_server(plain(b"SIP/2.0 400 Bad Request\r\n\r\n"))).code,
        Code::PlainSip
    );
    assert_eq!(
        call(strange_server(plain(b"HTTP/1.1 400 Bad Request\r\n\r\n"))).code,
        Code::PlainHttp
    );
    // Alerts: fatal, handshake_failure and protocol_version.
    let reason = call(strange_server(plain(&[21, 3, 3, 0, 2, 2, 40])));
    assert_eq!(
        (reason.code, reason.alert),
        (Code::PeerHandshakeFailure, Some(40))
    );
    let reason = call(strange_server(plain(&[21, 3, 3, 0, 2, 2, 70])));
    assert_eq!((reason.code, reason.alert), (Code::PeerVersion, Some(70)));
    assert_eq!(
        call(strange_server(plain(&[22, 3, 3, 0, 4, 99, 0, 0, 0]))).code,
        Code::Protocol
    );
    // No address to call from.
    let target = Target {
        remote: closed_port,
        local: Some("192.0.2.1:0".parse().unwrap()),
        name: verify::PeerName::parse(NAME),
        profile: load(&pki.client()),
        options: SocketOptions::default(),
    };
    engine.pool.connect(target, Clone::clone).unwrap();
    assert_eq!(engine.failed().code, Code::ConnectFailed);
    assert_eq!(engine.pool.counts().open, 0);
}

#[test]
fn a_full_backlog_means_connect_timeout() {
    // A listener whose queue is full drops the handshake's first packet.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(
            &"127.0.0.1:0"
                .parse::<std::net::SocketAddr>()
                .unwrap()
                .into(),
        )
        .unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let _full = TcpStream::connect(address).unwrap();
    let engine = Engine::with(quick(), |_| {});
    let pki = Pki::new();
    engine.connect(address, NAME, &pki.client());
    assert_eq!(engine.failed().code, Code::ConnectTimeout);
}
