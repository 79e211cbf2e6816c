//! The engine: limits, fairness, closing, and what a peer can do to others.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use common::*;
use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};
use sip_tls::*;
use socket2::SockRef;

const NAME: &str = "sip.example.com";

fn client(address: SocketAddr) -> SslStream<TcpStream> {
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    let tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    connector.build().connect(NAME, tcp).unwrap()
}

fn hear(client: &mut SslStream<TcpStream>, expected: &[u8]) {
    let mut got = vec![0; expected.len()];
    client.read_exact(&mut got).unwrap();
    assert_eq!(got, expected);
}

#[test]
fn keepalives_are_answered() {
    let pki = Pki::new();
    let engine = Engine::new();
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut phone = client(listener.address());
    phone.write_all(b"\r\n\r\n").unwrap();
    hear(&mut phone, b"\r\n");
    // Split, and a single CRLF before a message is nothing.
    phone.write_all(b"\r\n\r").unwrap();
    phone.write_all(b"\n\r\n").unwrap();
    phone.write_all(OPTIONS).unwrap();
    hear(&mut phone, b"\r\n");
    assert_eq!(engine.message(), OPTIONS);
    let counts = engine.pool.counts();
    assert_eq!(
        (counts.pings, counts.messages_in, counts.bytes_in),
        (2, 1, 10 + OPTIONS.len() as u64)
    );
}

#[test]
fn what_is_not_sip_is_closed_with_a_reason() {
    let pki = Pki::new();
    let engine = Engine::new();
    let listener = engine.listen(&pki.server(&Spec::default()));
    for (bytes, code) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], Code::NotSip),
        (b"OPTIONS sip:a SIP/2.0\r\n\r\n", Code::NoContentLength),
        (
            b"OPTIONS sip:a SIP/2.0\r\nl: x\r\n\r\n",
            Code::BadContentLength,
        ),
        (
            b"OPTIONS sip:a SIP/2.0\r\nl: 70000\r\n\r\n",
            Code::MessageTooLong,
        ),
    ] {
        let mut phone = client(listener.address());
        phone.write_all(&[OPTIONS, bytes].concat()).unwrap();
        assert_eq!(engine.message(), OPTIONS, "what came before is good");
        let reason = engine.closed();
        assert_eq!((reason.code, reason.stage), (code, Stage::Message));
        assert_eq!(
            phone.read(&mut [0; 1]).unwrap(),
            0,
            "it is told by close_notify"
        );
    }
}

#[test]
fn a_slow_reader_is_closed_and_nobody_else_notices() {
    let pki = Pki::new();
    let config = PoolConfig {
        loops: 1,
        write_queue: 100_000,
        ..PoolConfig::default()
    };
    let engine = Engine::with(config, |_| {});
    let listener = engine.listen(&pki.server(&Spec::default()));
    let deaf = client(listener.address());
    let (deaf_conn, _) = engine.accepted();
    let mut good = client(listener.address());
    let (good_conn, _) = engine.accepted();

    let big = vec![b'x'; 10_000];
    let mut taken = 0;
    let start = Instant::now();
    let refused = loop {
        match deaf_conn.send(&big, taken) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        assert!(start.elapsed() < PATIENCE);
        // The other is served all the while.
        good_conn.send(OPTIONS, 1_000_000).unwrap();
        hear(&mut good, OPTIONS);
    };
    assert_eq!(refused, SendError::QueueFull);
    assert_eq!(deaf_conn.send(OPTIONS, 0), Err(SendError::Closed));
    // Each message that was taken is accounted for, in order, before `closed`.
    let (mut next, mut failed) = (0, 0);
    let reason = engine.until(|event| match event {
        Event::WriteDone(1_000_000, _) => None,
        Event::WriteDone(token, result) => {
            assert_eq!(token, next);
            next += 1;
            match result {
                Ok(()) => assert_eq!(failed, 0),
                Err(reason) => {
                    assert_eq!(reason.code, Code::WriteQueueFull);
                    failed += 1;
                }
            }
            None
        }
        Event::Closed(conn, reason) => Some((conn, reason)),
        other => panic!("{other:?}"),
    });
    assert_eq!(
        (reason.0, reason.1.code, next),
        (deaf_conn, Code::WriteQueueFull, taken)
    );
    // What waited was no more than the limit.
    assert!((9..=10).contains(&failed), "{failed}");
    good.write_all(OPTIONS).unwrap();
    assert_eq!(engine.message(), OPTIONS);
    drop(deaf);
}

#[test]
fn a_pinger_that_does_not_read_is_closed() {
    let pki = Pki::new();
    let engine = Engine::with(
        PoolConfig {
            write_queue: 1000,
            ..PoolConfig::default()
        },
        |_| {},
    );
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut phone = client(listener.address());
    let pings = b"\r\n\r\n".repeat(4000);
    while phone.write_all(&pings).is_ok() {}
    assert_eq!(engine.closed().code, Code::WriteQueueFull);
}

#[test]
fn a_busy_connection_does_not_starve_another() {
    let pki = Pki::new();
    let engine = Engine::with(
        PoolConfig {
            loops: 1,
            ..PoolConfig::default()
        },
        |recorder| {
            recorder.quiet = true;
            recorder.answer = true;
        },
    );
    let listener = engine.listen(&pki.server(&Spec::default()));
    let address = listener.address();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let ordering = std::sync::atomic::Ordering::Relaxed;
    // Keeps the loop's socket full of keepalives with CRLF alone, which are not answered.
    let flag = std::sync::Arc::clone(&stop);
    let busy = std::thread::spawn(move || {
        let mut noise = client(address);
        let message = [
            b"OPTIONS sip:a SIP/2.0\r\nl: 60000\r\n\r\n",
            &[b'x'; 60_000][..],
        ]
        .concat();
        while !flag.load(ordering) && noise.write_all(&message).is_ok() {
            // Its answers must be read, or it would be closed for that.
            noise.read_exact(&mut [0; OK.len()]).unwrap();
        }
    });
    let mut phone = client(address);
    let mut worst = Duration::ZERO;
    // One that starves is never answered. How long an answer takes is the machine's affair too, and only printed.
    for _ in 0..200 {
        let asked = Instant::now();
        phone.write_all(OPTIONS).unwrap();
        hear(&mut phone, OK);
        worst = worst.max(asked.elapsed());
    }
    // The other one talks all the while.
    let before = engine.pool.counts().messages_in;
    engine.wait_for("the busy one's next messages", |counts| {
        counts.messages_in > before + 10
    });
    stop.store(true, ordering);
    busy.join().unwrap();
    println!("200 answers beside a busy connection, the slowest after {worst:?}");
}

#[test]
fn reset_in_the_middle_of_a_record() {
    let pki = Pki::new();
    let engine = Engine::new();
    let listener = engine.listen(&pki.server(&Spec::default()));
    let phone = client(listener.address());
    let (conn, _) = engine.accepted();
    // A record header that promises 100 bytes, 10 of them, and RST.
    let mut tcp = phone.get_ref();
    tcp.write_all(&[23, 3, 3, 0, 100, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
        .unwrap();
    // Makes it likely that they are read before. When they are not, the reset is all that comes, and the same.
    std::thread::sleep(Duration::from_millis(50));
    SockRef::from(tcp).set_linger(Some(Duration::ZERO)).unwrap();
    drop(phone);
    let reason = engine.closed();
    assert_eq!(
        (reason.code, reason.errno),
        (Code::PeerReset, Some(libc::ECONNRESET))
    );
    assert_eq!(conn.send(OPTIONS, 1), Err(SendError::Closed));
    // A damaged record.
    let phone = client(listener.address());
    phone
        .get_ref()
        .write_all(&[
            23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
        ])
        .unwrap();
    assert_eq!(engine.closed().code, Code::Protocol);
    drop(phone);
    // TCP closed without close_notify.
    let phone = client(listener.address());
    engine.accepted();
    phone.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(engine.closed().code, Code::PeerEof);
    // And with it.
    let mut phone = client(listener.address());
    engine.accepted();
    phone.shutdown().unwrap();
    assert_eq!(engine.closed().code, Code::PeerClosed);
}

#[test]
fn graceful_close_writes_what_is_queued_and_now_does_not_wait() {
    let pki = Pki::new();
    let with_linger = |linger| {
        let config = PoolConfig {
            linger,
            ..PoolConfig::default()
        };
        Engine::with(config, |_| {})
    };
    let engine = with_linger(PATIENCE);
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut phone = client(listener.address());
    let (conn, _) = engine.accepted();
    for token in 0..20 {
        conn.send(&[b'a'; 10_000], token).unwrap();
    }
    conn.close(Close::Graceful);
    assert_eq!(conn.send(OPTIONS, 99), Err(SendError::Closed));
    let mut all = Vec::new();
    phone.read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), 200_000);
    for token in 0..20 {
        assert!(matches!(engine.next(), Event::WriteDone(done, Ok(())) if done == token));
    }
    assert!(matches!(engine.next(), Event::Closed(_, reason) if reason.code == Code::ClosedHere));

    // A peer that does not read delays it by `linger` only.
    let engine = with_linger(Duration::from_millis(300));
    let listener = engine.listen(&pki.server(&Spec::default()));
    let phone = client(listener.address());
    let (conn, _) = engine.accepted();
    // Until the kernel's buffers are full and nothing moves any more.
    let mut still = 0;
    while still < 30 {
        let before = conn.queued();
        if before < 200_000 {
            conn.send(&[b'a'; 50_000], 0).unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
        still = if before >= 200_000 && conn.queued() == before {
            still + 1
        } else {
            0
        };
    }
    conn.close(Close::Graceful);
    assert_eq!(engine.closed().code, Code::WriteQueueFull);
    drop(phone);

    let mut phone = client(listener.address());
    let (conn, _) = engine.accepted();
    conn.close(Close::Now);
    assert_eq!(engine.closed().code, Code::ClosedHere);
    assert_eq!(phone.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn the_host_may_refuse_and_may_close_inside_a_callback() {
    let pki = Pki::new();
    let engine = Engine::with(PoolConfig::default(), |recorder| recorder.refuse = true);
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut phone = client(listener.address());
    engine.accepted();
    assert_eq!(phone.read(&mut [0; 1]).unwrap(), 0);
    let left = engine.finish();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn messages_stop_when_the_host_closes() {
    struct OneOnly(std::sync::mpsc::Sender<&'static str>);
    impl Host for OneOnly {
        type Listener = ();
        type Conn = Conn;
        type Local = u32;
        fn accepted(&self, _: &mut u32, (): &(), conn: &Conn, _: TlsInfo) -> Option<Conn> {
            Some(conn.clone())
        }
        fn refused(&self, _: &mut u32, (): &(), _: SocketAddr, _: Reason) {}
        fn connected(&self, _: &mut u32, _: &Conn, _: TlsInfo) {}
        fn message(&self, count: &mut u32, conn: &Conn, _: &[u8]) {
            *count += 1;
            self.0.send("message").unwrap();
            conn.close(Close::Graceful);
        }
        fn write_done(&self, _: &mut u32, _: &Conn, _: u64, _: Result<(), Reason>) {}
        fn closed(&self, _: &mut u32, _: &Conn, _: Reason) {
            self.0.send("closed").unwrap();
        }
        fn listener_event(&self, _: &mut u32, (): &(), _: ListenerEvent) {}
    }
    let pki = Pki::new();
    let (sender, heard) = std::sync::mpsc::channel();
    let config = PoolConfig {
        loops: 1,
        ..PoolConfig::default()
    };
    let (pool, mut loops) = Pool::new(std::sync::Arc::new(OneOnly(sender)), config).unwrap();
    let io = loops.remove(0);
    let thread = std::thread::spawn(move || {
        let mut count = 0;
        io.run(&mut count).unwrap();
        count
    });
    let config = ListenerConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        profile: load(&pki.server(&Spec::default())),
        options: SocketOptions::default(),
    };
    let listener = pool.listen(config, ()).unwrap();
    let mut phone = client(listener.address());
    phone.write_all(&OPTIONS.repeat(3)).unwrap();
    assert_eq!(heard.recv_timeout(PATIENCE), Ok("message"));
    assert_eq!(heard.recv_timeout(PATIENCE), Ok("closed"));
    pool.shutdown();
    assert_eq!(thread.join().unwrap(), 1);
    assert!(heard.try_recv().is_err());
}

#[test]
fn shutdown_closes_everything_once() {
    let pki = Pki::new();
    let engine = Engine::new();
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut phones: Vec<_> = (0..10).map(|_| client(listener.address())).collect();
    for _ in 0..10 {
        engine.accepted();
    }
    let silent = TcpStream::connect(listener.address()).unwrap();
    engine.wait_for("11 connections", |counts| counts.open == 11);
    let address = listener.address();
    let left = engine.finish();
    let count = |pick: fn(&Event) -> bool| left.iter().filter(|event| pick(event)).count();
    assert_eq!(
        count(|event| matches!(event, Event::Closed(_, reason) if reason.code == Code::Shutdown)),
        10
    );
    assert_eq!(
        count(|event| matches!(event, Event::Refused(_, reason) if reason.code == Code::Shutdown)),
        1
    );
    assert_eq!(left.len(), 11);
    for phone in &mut phones {
        assert_eq!(phone.read(&mut [0; 1]).unwrap(), 0);
    }
    assert!(TcpStream::connect(address).is_err());
    drop((silent, listener));
}

#[test]
fn nothing_works_after_shutdown() {
    let pki = Pki::new();
    let engine = Engine::new();
    engine.pool.shutdown();
    let target = Target {
        remote: "127.0.0.1:9".parse().unwrap(),
        local: None,
        name: verify::PeerName::parse(NAME),
        profile: load(&pki.client()),
        options: SocketOptions::default(),
    };
    assert!(engine.pool.connect(target, Clone::clone).is_err());
}

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
    engine.wait_for("two connections", |counts| counts.open == 2);
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
fn a_client_that_leaves_at_once_was_there() {
    let pki = Pki::new();
    let engine = Engine::with(
        PoolConfig {
            loops: 1,
            ..PoolConfig::default()
        },
        |_| {},
    );
    let listener = engine.listen(&pki.server(&Spec::default()));
    for _ in 0..50 {
        // It leaves TLS 1.3's tickets unread: the kernel resets the connection.
        drop(client(listener.address()));
        engine.accepted();
        assert!(matches!(
            engine.closed().code,
            Code::PeerEof | Code::PeerReset | Code::PeerClosed
        ));
    }
}

#[test]
fn a_handshake_that_ends_after_its_listener_is_refused() {
    let pki = Pki::new();
    let engine = Engine::new();
    let listener = engine.listen(&pki.server(&Spec::default()));
    let tcp = TcpStream::connect(listener.address()).unwrap();
    engine.wait_for("the connection", |counts| counts.open == 1);
    listener.close();
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    let mut phone = connector.build().connect(NAME, tcp).unwrap();
    assert_eq!(engine.refused().code, Code::ListenerClosed);
    assert_eq!(phone.read(&mut [0; 1]).unwrap(), 0);
}
