//! What clients may take: each limit refuses at accept, says why, and lets in again.

mod common;

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use common::*;
use sip_tls::*;

fn engine(limits: Limits) -> Engine {
    Engine::with(
        PoolConfig {
            limits,
            ..PoolConfig::default()
        },
        |_| {},
    )
}

/// A TCP connection from this address of the loopback network.
fn tcp_from(source: &str, to: SocketAddr) -> TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let source: SocketAddr = format!("{source}:0").parse().unwrap();
    socket.bind(&source.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

/// Waits for the end that the engine makes of it: a reset.
fn assert_turned_away(mut tcp: TcpStream) {
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    let error = tcp.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
}

fn tls(tcp: TcpStream) -> openssl::ssl::SslStream<TcpStream> {
    let mut connector =
        openssl::ssl::SslConnector::builder(openssl::ssl::SslMethod::tls()).unwrap();
    connector.set_verify(openssl::ssl::SslVerifyMode::NONE);
    connector.build().connect("sip.example.com", tcp).unwrap()
}

#[test]
fn handshakes_of_a_source_that_hang_keep_no_other_out() {
    let pki = Pki::new();
    let engine = engine(Limits {
        handshakes_per_source: Some(3),
        ..Limits::default()
    });
    let listener = engine.listen(&pki.server(&Spec::default()));
    let hanging: Vec<_> = (0..3)
        .map(|_| tcp_from("127.0.0.2", listener.address()))
        .collect();
    engine.wait_for("three handshakes", |counts| counts.open == 3);
    assert_turned_away(tcp_from("127.0.0.2", listener.address()));
    let reason = engine.refused();
    assert_eq!(reason.code, Code::TooManyHandshakesOfSource);
    assert_eq!((reason.stage, reason.side), (Stage::Accept, Side::Either));
    let other = tls(tcp_from("127.0.0.3", listener.address()));
    engine.accepted();
    assert_eq!(engine.pool.counts().of(Code::TooManyHandshakesOfSource), 1);
    assert_eq!(
        engine.pool.usage(),
        Usage {
            connections: 4,
            handshakes: 3,
            sources: 2
        }
    );
    drop((hanging, other));
    engine.wait_for("the end of all", |counts| counts.open == 0);
    // What is counted is given back when the socket is closed, which is a moment later.
    while engine.pool.usage() != Usage::default() {
        std::thread::yield_now();
    }
    drop(tls(tcp_from("127.0.0.2", listener.address())));
}

#[test]
fn connections_of_a_source_and_in_all() {
    let pki = Pki::new();
    let engine = engine(Limits {
        connections: Some(4),
        connections_per_source: Some(2),
        ..Limits::default()
    });
    let listener = engine.listen(&pki.server(&Spec::default()));
    let connect = |source: &str| {
        let stream = tls(tcp_from(source, listener.address()));
        engine.accepted();
        stream
    };
    let _first = (connect("127.0.0.2"), connect("127.0.0.2"));
    assert_turned_away(tcp_from("127.0.0.2", listener.address()));
    assert_eq!(engine.refused().code, Code::TooManyOfSource);
    let second = connect("127.0.0.3");
    let _third = connect("127.0.0.4");
    assert_turned_away(tcp_from("127.0.0.5", listener.address()));
    assert_eq!(engine.refused().code, Code::TooManyConnections);
    // Those that are there are not touched, and one that goes makes room.
    drop(second);
    engine.closed();
    while engine.pool.usage().connections == 4 {
        std::thread::yield_now();
    }
    let _fourth = connect("127.0.0.5");
}

#[test]
fn new_limits_hold_at_once() {
    let pki = Pki::new();
    let engine = Engine::new();
    let listener = engine.listen(&pki.server(&Spec::default()));
    let _there = tls(tcp_from("127.0.0.2", listener.address()));
    engine.accepted();
    let limits = Limits {
        connections_per_source: Some(2),
        ..Limits::default()
    };
    engine.pool.set_limits(limits.clone());
    let _second = tls(tcp_from("127.0.0.2", listener.address()));
    engine.accepted();
    assert_turned_away(tcp_from("127.0.0.2", listener.address()));
    assert_eq!(engine.refused().code, Code::TooManyOfSource);
    engine.pool.set_limits(Limits {
        trusted: vec![Network::new([127, 0, 0, 2].into(), 32)],
        ..limits
    });
    for _ in 0..3 {
        let _trusted = tls(tcp_from("127.0.0.2", listener.address()));
        engine.accepted();
    }
}

/// The rate by the clock is the unit tests' (src/limits.rs): here is what its refusal looks like.
#[test]
fn a_source_that_comes_too_often() {
    let pki = Pki::new();
    let engine = engine(Limits {
        rate_per_source: Some(Rate {
            per_second: 1,
            burst: 2,
        }),
        ..Limits::default()
    });
    let listener = engine.listen(&pki.server(&Spec::default()));
    // More than the burst and what a slow machine's seconds add.
    let refused = (0..).find(|_| {
        let mut tcp = tcp_from("127.0.0.2", listener.address());
        tcp.set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        let _ = tcp.read(&mut [0]);
        engine.pool.counts().of(Code::ConnectionRate) > 0
    });
    assert!(refused.unwrap() >= 2);
    drop(tls(tcp_from("127.0.0.3", listener.address())));
    engine.until(|event| matches!(event, Event::Accepted(..)).then_some(()));
}
