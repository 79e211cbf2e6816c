//! Listeners, their profiles and their sockets.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use common::*;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use sip_tls::*;
use socket2::SockRef;

const NAME: &str = "sip.example.com";

#[test]
fn a_closed_listener_frees_its_port_and_keeps_its_connections() {
    let pki = Pki::new();
    let engine = Engine::new();
    let config = pki.server(&Spec::default());
    let listener = engine.listen(&config);
    let address = listener.address();
    let mut phone = client(address);
    engine.accepted();
    let mut half = TcpStream::connect(address).unwrap();
    half.write_all(&[22, 3, 1]).unwrap();
    while engine.pool.counts().open < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    listener.close();
    assert!(
        TcpStream::connect(address).is_err(),
        "closed when close returns"
    );
    let again = engine.listen_at(&address.to_string(), &config, SocketOptions::default());
    phone.write_all(OPTIONS).unwrap();
    assert_eq!(engine.message(), OPTIONS);
    let _other = client(again.address());
    engine.accepted();
}

#[test]
fn a_new_profile_is_for_new_connections() {
    let pki = Pki::new();
    let engine = Engine::new();
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut old = client(listener.address());
    engine.accepted();
    listener.set_profile(load(&pki.server(&Spec {
        cn: "new",
        dns: &["new"],
        ..Spec::default()
    })));
    let _new = client(listener.address());
    assert_eq!(engine.accepted().1.own.unwrap().subject.cn, "new");
    old.write_all(OPTIONS).unwrap();
    assert_eq!(engine.message(), OPTIONS);
    // A profile without certificate cannot listen.
    let config = ListenerConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        profile: load(&pki.client()),
        options: SocketOptions::default(),
    };
    assert!(engine.pool.listen(config, ()).is_err());
    listener.set_profile(load(&pki.client()));
    let tcp = TcpStream::connect(listener.address()).unwrap();
    assert_eq!(engine.refused().code, Code::NoCertificateHere);
    drop(tcp);
}

#[test]
fn ipv6_beside_ipv4() {
    let pki = Pki::new();
    let engine = Engine::new();
    let config = pki.server(&Spec {
        ip: &["::1"],
        ..Spec::default()
    });
    let four = engine.listen_at("0.0.0.0:0", &config, SocketOptions::default());
    // The same port, which a socket for both families would not get.
    let at = format!("[::]:{}", four.address().port());
    let six = engine.listen_at(&at, &config, SocketOptions::default());
    engine.connect(
        format!("[::1]:{}", six.address().port()).parse().unwrap(),
        "[::1]",
        &pki.client(),
    );
    let (_, info) = engine.accepted();
    assert!(info.remote.is_ipv6() && info.local.is_ipv6());
}

/// The socket of this process between these two ends.
fn with_socket<T>(local: SocketAddr, remote: SocketAddr, look: impl FnOnce(SockRef<'_>) -> T) -> T {
    for fd in 3..1000 {
        // SAFETY: The engine may close the handle meanwhile; then the calls fail, or look at another socket whose ends do not match.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        let socket = SockRef::from(&borrowed);
        let ends = (socket.local_addr(), socket.peer_addr());
        if let (Ok(one), Ok(other)) = ends
            && one.as_socket() == Some(local)
            && other.as_socket() == Some(remote)
        {
            return look(socket);
        }
    }
    panic!("no such socket")
}

#[test]
fn socket_options() {
    let pki = Pki::new();
    let keepalive = Keepalive {
        idle: Some(Duration::from_secs(41)),
        interval: Some(Duration::from_secs(7)),
        probes: Some(3),
    };
    let set = SocketOptions {
        tos: Some(0x60),
        cos: Some(3),
        keepalive: Some(keepalive),
    };
    let (server, caller) = (pki.server(&Spec::default()), pki.client());
    for (options, on) in [(set, true), (SocketOptions::default(), false)] {
        let engine = Engine::new();
        let listener = engine.listen_at("127.0.0.1:0", &server, options);
        let target = Target {
            remote: listener.address(),
            local: None,
            name: verify::PeerName::parse(NAME),
            profile: load(&caller),
            options,
        };
        engine.pool.connect(target, Clone::clone).unwrap();
        let (_, info) = engine.accepted();
        for (local, remote) in [(info.local, info.remote), (info.remote, info.local)] {
            with_socket(local, remote, |socket| {
                assert!(socket.tcp_nodelay().unwrap());
                assert_eq!(socket.tos_v4().unwrap() == 0x60, on);
                assert_eq!(socket.priority().unwrap() == 3, on);
                assert_eq!(socket.keepalive().unwrap(), on);
                assert_eq!(
                    socket.tcp_keepalive_time().unwrap() == Duration::from_secs(41),
                    on
                );
                assert_eq!(
                    socket.tcp_keepalive_interval().unwrap() == Duration::from_secs(7),
                    on
                );
                assert_eq!(socket.tcp_keepalive_retries().unwrap() == 3, on);
            });
        }
    }
    // IPv6 has its own call for the traffic class.
    let engine = Engine::new();
    let listener = engine.listen_at("[::1]:0", &server, set);
    let _phone = client(listener.address());
    let (_, info) = engine.accepted();
    with_socket(info.local, info.remote, |socket| {
        assert_eq!(socket.tclass_v6().unwrap(), 0x60)
    });
}

#[test]
fn a_handshake_that_ends_after_its_listener_is_refused() {
    let pki = Pki::new();
    let engine = Engine::new();
    let listener = engine.listen(&pki.server(&Spec::default()));
    let tcp = TcpStream::connect(listener.address()).unwrap();
    while engine.pool.counts().open < 1 {
        std::thread::sleep(Duration::from_millis(1));
    }
    listener.close();
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    let mut phone = connector.build().connect(NAME, tcp).unwrap();
    assert_eq!(engine.refused().code, Code::ListenerClosed);
    assert_eq!(phone.read(&mut [0; 1]).unwrap(), 0);
}

/// A client of TLS 1.3 may wait with its first request until its Finished is acknowledged: it is before anything is sent to it.
#[test]
fn the_end_of_a_handshake_is_acknowledged_at_once() {
    let pki = Pki::new();
    let engine = Engine::new();
    let listener = engine.listen(&pki.server(&Spec::default()));
    let phone = client(listener.address());
    assert_eq!(phone.ssl().version_str(), "TLSv1.3");
    let (_, info) = engine.accepted();
    with_socket(info.local, info.remote, |socket| {
        assert!(socket.tcp_quickack().unwrap());
    });
}
