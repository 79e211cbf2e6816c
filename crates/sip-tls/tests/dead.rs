//! Connections that are up and carry nothing any more, and peers that send what carries nothing.

mod common;

use std::ffi::c_int;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use common::*;
use foreign_types::ForeignTypeRef;
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod, SslStream, SslVersion};
use openssl_sys as ffi;
use sip_tls::*;
use socket2::SockRef;

const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";

fn engine(config: PoolConfig) -> (Pki, Engine, Listener<()>) {
    let pki = Pki::new();
    let engine = Engine::with(config, |_| {});
    let listener = engine.listen(&pki.server(&Spec::default()));
    (pki, engine, listener)
}

/// A peer that has answered a keepalive and answers none any more is dead. One that never answered may have no answers.
#[test]
fn keepalives_without_an_answer() {
    let (_pki, engine, listener) = engine(PoolConfig {
        pong: Duration::from_secs(3),
        ..PoolConfig::default()
    });
    let mut mute = client(listener.address());
    let (mute_conn, _) = engine.accepted();
    mute_conn.send(PING, 1).unwrap();
    hear(&mut mute, PING);
    let mut answering = client(listener.address());
    let (conn, _) = engine.accepted();
    for token in 1..4 {
        conn.send(PING, token).unwrap();
        hear(&mut answering, PING);
        answering.write_all(PONG).unwrap();
        // It is heard before the next one is sent.
        answering.write_all(OPTIONS).unwrap();
        assert_eq!(engine.message(), OPTIONS);
    }
    conn.send(PING, 5).unwrap();
    let begun = Instant::now();
    let (closed, reason) = engine.until(|event| match event {
        Event::Closed(conn, reason) => Some((conn, reason)),
        _ => None,
    });
    assert_eq!((closed, reason.code), (conn, Code::PongMissing));
    assert!(begun.elapsed() >= Duration::from_secs(3));
    // The other has been without an answer for longer.
    mute.write_all(OPTIONS).unwrap();
    assert_eq!(engine.message(), OPTIONS);
}

/// Whatever comes after a keepalive shows that the peer lives.
#[test]
fn a_request_is_an_answer_too() {
    let (_pki, engine, listener) = engine(PoolConfig {
        pong: Duration::from_secs(3),
        ..PoolConfig::default()
    });
    let mut phone = client(listener.address());
    let (conn, _) = engine.accepted();
    conn.send(PING, 1).unwrap();
    hear(&mut phone, PING);
    phone.write_all(PONG).unwrap();
    phone.write_all(OPTIONS).unwrap();
    engine.message();
    conn.send(PING, 2).unwrap();
    hear(&mut phone, PING);
    phone.write_all(OPTIONS).unwrap();
    engine.message();
    // Longer than the answer may take: nothing is waited for.
    std::thread::sleep(Duration::from_secs(4));
    phone.write_all(OPTIONS).unwrap();
    assert_eq!(engine.message(), OPTIONS);
    assert_eq!(engine.pool.counts().of(Code::PongMissing), 0);
}

#[test]
fn who_sends_nothing_for_long_is_idle() {
    let (_pki, engine, listener) = engine(PoolConfig {
        idle: Some(Duration::from_secs(5)),
        ..PoolConfig::default()
    });
    let mut phone = client(listener.address());
    engine.accepted();
    let begun = Instant::now();
    std::thread::sleep(Duration::from_secs(1));
    phone.write_all(OPTIONS).unwrap();
    let reason = engine.closed();
    assert_eq!((reason.code, reason.side), (Code::Idle, Side::Nobody));
    // From the last that came.
    assert!(begun.elapsed() >= Duration::from_secs(6));
}

#[test]
fn a_message_whose_rest_does_not_come() {
    let (_pki, engine, listener) = engine(PoolConfig {
        skip: Duration::from_millis(200),
        ..PoolConfig::default()
    });
    let mut slow = client(listener.address());
    engine.accepted();
    slow.write_all(OPTIONS).unwrap();
    slow.write_all(&OPTIONS[..30]).unwrap();
    assert_eq!(engine.message(), OPTIONS);
    let reason = engine.closed();
    assert_eq!(
        (reason.code, reason.stage),
        (Code::MessageTimeout, Stage::Message)
    );
}

/// One that always has a part of the next message on its way and goes on is not late.
#[test]
fn messages_that_follow_each_other_without_a_pause() {
    let (_pki, engine, listener) = engine(PoolConfig {
        skip: Duration::from_secs(3),
        ..PoolConfig::default()
    });
    let mut phone = client(listener.address());
    engine.accepted();
    phone.write_all(&OPTIONS[..30]).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        phone.write_all(&OPTIONS[30..]).unwrap();
        phone.write_all(&OPTIONS[..30]).unwrap();
        assert_eq!(engine.message(), OPTIONS);
    }
}

unsafe extern "C" {
    fn SSL_key_update(ssl: *mut ffi::SSL, kind: c_int) -> c_int;
}

/// Sends a key update, and asks for one of the peer's. `false`: the connection is gone.
fn update_keys(stream: &mut SslStream<TcpStream>) -> bool {
    const REQUESTED: c_int = 1;
    // SAFETY: the stream's own connection, which is up.
    let set = unsafe { SSL_key_update(stream.ssl().as_ptr(), REQUESTED) };
    set == 1 && stream.do_handshake().is_ok()
}

/// Key updates are TLS without a message in it: so many are an attack, for each costs us more than it costs the peer.
#[test]
fn endless_key_updates() {
    let (_pki, engine, listener) = engine(PoolConfig::default());
    let mut phone = client(listener.address());
    assert_eq!(phone.ssl().version2(), Some(SslVersion::TLS1_3));
    engine.accepted();
    // A few, as a long call has, with messages between: many times the limit in all.
    for _ in 0..20 {
        for _ in 0..200 {
            assert!(update_keys(&mut phone));
        }
        phone.write_all(OPTIONS).unwrap();
        assert_eq!(engine.message(), OPTIONS);
    }
    phone.get_ref().set_write_timeout(Some(PATIENCE)).unwrap();
    while update_keys(&mut phone) {}
    assert_eq!(engine.closed().code, Code::EmptyTls);
}

/// The socket of this process between these two ends.
fn user_timeout(local: SocketAddr, remote: SocketAddr) -> Option<Duration> {
    for fd in 3..1000 {
        // SAFETY: The engine may close the handle meanwhile; then the calls fail, or look at another socket whose ends do not match.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        let socket = SockRef::from(&borrowed);
        let ends = (socket.local_addr(), socket.peer_addr());
        if let (Ok(one), Ok(other)) = ends
            && one.as_socket() == Some(local)
            && other.as_socket() == Some(remote)
        {
            return socket.tcp_user_timeout().unwrap();
        }
    }
    panic!("no such socket")
}

#[test]
fn unacknowledged_data_has_a_time() {
    let probes = Keepalive {
        idle: Some(Duration::from_secs(41)),
        interval: Some(Duration::from_secs(7)),
        probes: Some(3),
    };
    for (set, keepalive, expected) in [
        (Some(32), None, Some(Duration::from_secs(32))),
        (None, None, None),
        // Not before the probes had their time.
        (Some(32), Some(probes), Some(Duration::from_secs(62))),
        (Some(100), Some(probes), Some(Duration::from_secs(100))),
    ] {
        let pki = Pki::new();
        let engine = Engine::with(
            PoolConfig {
                user_timeout: set.map(Duration::from_secs),
                ..PoolConfig::default()
            },
            |_| {},
        );
        let options = SocketOptions {
            keepalive,
            ..SocketOptions::default()
        };
        let listener = engine.listen_at("127.0.0.1:0", &pki.server(&Spec::default()), options);
        let phone = client(listener.address());
        let (conn, info) = engine.accepted();
        assert_eq!(user_timeout(info.local, conn.remote()), expected);
        drop(phone);
    }
}

/// A trunk's burst waits until its peer reads. What a phone's queue does when it is full is `engine.rs`'.
#[test]
fn a_burst_of_500_notifies_to_a_trunk() {
    let pki = Pki::new();
    let engine = Engine::new();
    let server = pki.server(&Spec::default());
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor
        .set_certificate_chain_file(server.cert_file.unwrap())
        .unwrap();
    acceptor
        .set_private_key_file(server.priv_key_file.unwrap(), SslFiletype::PEM)
        .unwrap();
    let acceptor = acceptor.build();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let conn = engine.connect(
        tcp.local_addr().unwrap(),
        "sip.example.com",
        &ProfileConfig::default(),
    );
    let mut carrier = acceptor.accept(tcp.accept().unwrap().0).unwrap();
    engine.connected();
    let notify = [
        &b"NOTIFY sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/TLS x\r\nContent-Length: 6000\r\n\r\n"
            [..],
        &[b'x'; 6000],
    ]
    .concat();
    for number in 0..500 {
        conn.send(&notify, number).unwrap();
    }
    let mut all = vec![0; notify.len() * 500];
    carrier.read_exact(&mut all).unwrap();
    assert!(all.chunks(notify.len()).all(|one| one == notify));
    assert_eq!(engine.pool.counts().refused, 0);
    conn.close(Close::Now);
    engine.closed();
}
