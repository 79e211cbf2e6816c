//! The PROXY protocol from a balancer. The headers are octets written here, as the specification has them.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use common::*;
use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};
use sip_tls::*;

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.7 51000 5061\r\n";

/// Version 2, TCP over IPv6, with a TLV (PP2_TYPE_UNIQUE_ID).
fn v2() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x2a".to_vec();
    header.extend(
        "2001:db8::1"
            .parse::<std::net::Ipv6Addr>()
            .unwrap()
            .octets(),
    );
    header.extend(
        "2001:db8::2"
            .parse::<std::net::Ipv6Addr>()
            .unwrap()
            .octets(),
    );
    header.extend(51000_u16.to_be_bytes());
    header.extend(5061_u16.to_be_bytes());
    header.extend(b"\x05\0\x03abc");
    header
}

const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

fn engine(limits: Limits) -> (Pki, Engine, Listener<()>) {
    let pki = Pki::new();
    let config = PoolConfig {
        limits,
        ..PoolConfig::default()
    };
    let engine = Engine::with(config, |_| {});
    let listener = engine.listen(&pki.server(&Spec::default()));
    (pki, engine, listener)
}

fn balancers() -> Limits {
    Limits {
        balancers: vec![Network::new([127, 0, 0, 1].into(), 32)],
        ..Limits::default()
    }
}

fn tls(tcp: TcpStream) -> SslStream<TcpStream> {
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    connector.build().connect("sip.example.com", tcp).unwrap()
}

fn with_header(to: SocketAddr, header: &[u8]) -> SslStream<TcpStream> {
    let mut tcp = TcpStream::connect(to).unwrap();
    tcp.write_all(header).unwrap();
    tls(tcp)
}

#[test]
fn a_balancers_connection_is_its_clients() {
    let (_pki, engine, listener) = engine(balancers());
    for (header, client) in [
        (V1.to_vec(), "192.0.2.1:51000"),
        (v2(), "[2001:db8::1]:51000"),
    ] {
        let client: SocketAddr = client.parse().unwrap();
        let mut stream = with_header(listener.address(), &header);
        let (conn, info) = engine.accepted();
        assert_eq!((conn.remote(), info.remote), (client, client));
        assert_eq!(info.local, listener.address());
        stream.write_all(OPTIONS).unwrap();
        assert_eq!(engine.message(), OPTIONS);
    }
    // A balancer's own connection has the balancer's address.
    let stream = with_header(listener.address(), LOCAL);
    let (conn, _) = engine.accepted();
    assert_eq!(conn.remote(), stream.get_ref().local_addr().unwrap());
}

#[test]
fn a_header_may_come_octet_by_octet_and_with_tls_behind_it() {
    let (_pki, engine, listener) = engine(balancers());
    let mut tcp = TcpStream::connect(listener.address()).unwrap();
    tcp.set_nodelay(true).unwrap();
    for octet in v2() {
        tcp.write_all(&[octet]).unwrap();
        std::thread::sleep(Duration::from_micros(200));
    }
    let _stream = tls(tcp);
    assert_eq!(engine.accepted().0.remote().port(), 51000);

    // Header and ClientHello in one segment: from a client whose first write is held back until the header is before it.
    #[derive(Debug)]
    struct Glued(TcpStream, Vec<u8>);
    impl Read for Glued {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(buffer)
        }
    }
    impl Write for Glued {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let mut all = std::mem::take(&mut self.1);
            all.extend(bytes);
            self.0.write_all(&all)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    let glued = Glued(TcpStream::connect(listener.address()).unwrap(), V1.to_vec());
    let _stream = connector.build().connect("sip.example.com", glued).unwrap();
    assert_eq!(engine.accepted().0.remote().port(), 51000);
}

#[test]
fn a_balancer_that_says_nothing_is_refused() {
    let (_pki, engine, listener) = engine(balancers());
    // TLS at once: it could be anybody's.
    let mut tcp = TcpStream::connect(listener.address()).unwrap();
    tcp.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    let reason = engine.refused();
    assert_eq!(
        (reason.code, reason.side),
        (Code::ProxyHeader, Side::Theirs)
    );
    assert!(matches!(tcp.read(&mut [0]), Ok(0) | Err(_)));
    // A health check of TCP alone is nothing to tell of.
    drop(TcpStream::connect(listener.address()).unwrap());
    let reason = engine.refused();
    assert_eq!(
        (reason.code, reason.side),
        (Code::NothingSent, Side::Nobody)
    );
}

#[test]
fn a_header_that_does_not_come() {
    let pki = Pki::new();
    let config = PoolConfig {
        limits: balancers(),
        handshake_timeout: Duration::from_millis(100),
        ..PoolConfig::default()
    };
    let engine = Engine::with(config, |_| {});
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut tcp = TcpStream::connect(listener.address()).unwrap();
    tcp.write_all(&V1[..20]).unwrap();
    assert_eq!(engine.refused().code, Code::ProxyHeader);
    assert_eq!(tcp.read(&mut [0]).unwrap_or(0), 0);
    while engine.pool.usage() != Usage::default() {
        std::thread::yield_now();
    }
}

#[test]
fn a_header_of_anybody_else_is_refused() {
    let other = Limits {
        balancers: vec![Network::new([192, 0, 2, 10].into(), 32)],
        ..Limits::default()
    };
    for limits in [Limits::default(), other] {
        let (_pki, engine, listener) = engine(limits);
        for header in [V1.to_vec(), v2(), LOCAL.to_vec()] {
            let mut tcp = TcpStream::connect(listener.address()).unwrap();
            tcp.write_all(&header).unwrap();
            let reason = engine.refused();
            assert_eq!(reason.code, Code::ProxyHeaderRefused, "{reason}");
            drop(tcp);
        }
    }
}

#[test]
fn limits_are_the_clients() {
    let (_pki, engine, listener) = engine(Limits {
        connections_per_source: Some(2),
        ..balancers()
    });
    let of = |last: u8| format!("PROXY TCP4 192.0.2.{last} 198.51.100.7 51000 5061\r\n");
    let connect = |last: u8| {
        let stream = with_header(listener.address(), of(last).as_bytes());
        engine.accepted();
        stream
    };
    let _up: Vec<_> = [1, 1, 2, 2, 3].map(connect).into();
    let mut tcp = TcpStream::connect(listener.address()).unwrap();
    tcp.write_all(of(1).as_bytes()).unwrap();
    let (remote, code) = engine.until(|event| match event {
        Event::Refused(remote, reason) => Some((remote, reason.code)),
        _ => None,
    });
    assert_eq!(
        (remote.to_string().as_str(), code),
        ("192.0.2.1:51000", Code::TooManyOfSource)
    );
    assert_eq!(engine.pool.usage().sources, 3);
}
