//! The engine: limits, fairness, and what a peer can do to others.

mod common;

use std::io::{Read, Write};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use std::net::TcpStream;

use common::*;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use sip_tls::*;
use socket2::SockRef;

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
fn what_ends_the_stream_ends_it_with_a_reason() {
    let pki = Pki::new();
    let engine = Engine::new();
    let listener = engine.listen(&pki.server(&Spec::default()));
    // Before anything good.
    let mut scanner = client(listener.address());
    scanner.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let reason = engine.closed();
    assert_eq!((reason.code, reason.stage), (Code::NotSip, Stage::Message));
    assert!(
        reason
            .to_string()
            .contains("(octet 0x47 'G', before any message)"),
        "{reason}"
    );
    assert_eq!(scanner.read(&mut [0; 1]).unwrap(), 0, "close_notify");

    let junk = b"\x07unk\r\n".repeat(20_000);
    let header = [
        b"OPTIONS sip:a SIP/2.0\r\n",
        &b"X: y\r\n".repeat(20_000)[..],
    ]
    .concat();
    for (bytes, code, end) in [
        (
            &junk[..],
            Code::NotSip,
            " (octet 0x07, after its OPTIONS, Call-ID none)",
        ),
        (
            &header,
            Code::MessageTooLong,
            " (after its OPTIONS, Call-ID none)",
        ),
        (
            b"OPTIONS sip:a SIP/2.0\r\nl: 99999999999\r\n\r\n",
            Code::MessageTooLong,
            " (after its OPTIONS, Call-ID none)",
        ),
    ] {
        let mut phone = client(listener.address());
        phone.write_all(&[OPTIONS, bytes].concat()).unwrap();
        // What came before is good, and is answered though nothing is read any more.
        let conn = engine.until(|event| match event {
            Event::Message(conn, message) => Some((conn, message)),
            _ => None,
        });
        assert_eq!(conn.1, OPTIONS);
        conn.0.send(OK, 1).unwrap();
        hear(&mut phone, OK);
        let reason = engine.closed();
        assert_eq!((reason.code, reason.stage), (code, Stage::Message));
        assert!(reason.to_string().contains(end), "{reason}");
        assert_eq!(
            phone.read(&mut [0; 1]).unwrap(),
            0,
            "it is told by close_notify"
        );
    }
}

/// A message of which it is known where it ends is answered and skipped; its connection stays.
#[test]
fn a_bad_message_is_answered_and_skipped() {
    let pki = Pki::new();
    let engine = Engine::new();
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut phone = client(listener.address());
    let head = "MESSAGE sip:a SIP/2.0\r\nVia: v\r\nFrom: f\r\nTo: t;tag=1\r\nCall-ID: c\r\nCSeq: 1 MESSAGE\r\n";
    for (field, length, status) in [
        ("l: 70000", 70_000, "513 Message Too Large"),
        ("l: 7 x", 7, "400 Bad Content-Length"),
    ] {
        let body = "x".repeat(length);
        phone
            .write_all(format!("{head}{field}\r\n\r\n{body}").as_bytes())
            .unwrap();
        phone.write_all(OPTIONS).unwrap();
        let answer = format!(
            "SIP/2.0 {status}\r\nVia: v\r\nFrom: f\r\nTo: t;tag=1\r\nCall-ID: c\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n"
        );
        hear(&mut phone, answer.as_bytes());
        assert_eq!(engine.message(), OPTIONS);
    }
    assert_eq!(engine.pool.counts().faults, 2);
    // Whose end does not come in time.
    let engine = Engine::with(
        PoolConfig {
            skip: Duration::from_millis(200),
            ..PoolConfig::default()
        },
        |_| {},
    );
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut phone = client(listener.address());
    phone
        .write_all(format!("{head}l: 70000\r\n\r\nnot all").as_bytes())
        .unwrap();
    hear(&mut phone, b"SIP/2.0 513 ");
    let end = Instant::now() + PATIENCE;
    while engine.pool.counts().messages_in == 0 {
        assert!(Instant::now() < end, "no message is read any more");
        phone.write_all(OPTIONS).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A peer that closes its side behind a request gets the answer, by close_notify and by a bare FIN.
#[test]
fn half_closed_peers_get_their_answers() {
    let pki = Pki::new();
    let engine = Engine::new();
    let listener = engine.listen(&pki.server(&Spec::default()));
    for (is_clean, code) in [(true, Code::PeerClosed), (false, Code::PeerEof)] {
        let mut phone = client(listener.address());
        phone.write_all(OPTIONS).unwrap();
        if is_clean {
            phone.shutdown().unwrap();
        } else {
            phone.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
        }
        let conn = engine.until(|event| match event {
            Event::Message(conn, _) => Some(conn),
            _ => None,
        });
        // It is known to be half closed once no request is taken any more.
        let end = Instant::now() + PATIENCE;
        let request = b"NOTIFY sip:a SIP/2.0\r\n\r\n";
        while conn.send(request, 1) != Err(SendError::Closed) {
            assert!(Instant::now() < end, "the half-close was not seen");
            std::thread::sleep(Duration::from_millis(5));
        }
        // Provisional ones do not end the wait.
        conn.send(b"SIP/2.0 100 Trying\r\nCSeq: 1 OPTIONS\r\n\r\n", 2)
            .unwrap();
        let answer = b"SIP/2.0 200 OK\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
        conn.send(answer, 3).unwrap();
        let mut heard = Vec::new();
        let _ = phone.read_to_end(&mut heard);
        let heard = String::from_utf8_lossy(&heard).into_owned();
        assert!(
            heard.ends_with(std::str::from_utf8(answer).unwrap()),
            "{heard:?}"
        );
        assert_eq!(engine.closed().code, code);
    }
    // An answer that does not come is not waited for, for ever.
    let engine = Engine::with(
        PoolConfig {
            drain: Duration::from_millis(200),
            ..PoolConfig::default()
        },
        |_| {},
    );
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut phone = client(listener.address());
    phone.write_all(OPTIONS).unwrap();
    phone.shutdown().unwrap();
    assert_eq!(engine.closed().code, Code::PeerClosed);
}

/// However much a client asks for, it is not read while it does not read; then it gets every answer.
#[test]
fn a_peer_that_pauses_gets_every_answer() {
    const COUNT: usize = 20_000;
    let pki = Pki::new();
    let config = PoolConfig {
        loops: 1,
        ..PoolConfig::default()
    };
    let engine = Engine::with(config, |recorder| {
        recorder.quiet = true;
        recorder.answer = true;
    });
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut phone = client(listener.address());
    let (conn, _) = engine.accepted();
    phone.get_ref().set_nonblocking(true).unwrap();
    // As much as fits while nobody reads.
    let requests = OPTIONS.repeat(COUNT);
    let mut sent = 0;
    let end = Instant::now() + PATIENCE;
    while sent < requests.len() && engine.pool.counts().pauses == 0 {
        assert!(Instant::now() < end, "it is neither read nor paused");
        let piece = requests.len().min(sent + 8192);
        sent += phone.ssl_write(&requests[sent..piece]).unwrap_or(0);
    }
    assert!(conn.queued() <= 1024 * 1024);
    // And the rest, reading.
    let mut heard = 0;
    let mut buffer = [0; 16_384];
    let end = Instant::now() + PATIENCE;
    while heard < OK.len() * COUNT {
        assert!(Instant::now() < end, "{heard} bytes of the answers came");
        if sent < requests.len() {
            let piece = requests.len().min(sent + 8192);
            sent += phone.ssl_write(&requests[sent..piece]).unwrap_or(0);
        }
        heard += phone.ssl_read(&mut buffer).unwrap_or(0);
    }
    assert_eq!(engine.pool.counts().refused, 0);
    assert_eq!(engine.pool.counts().of(Code::WriteQueueFull), 0);
}

#[test]
fn a_slow_reader_is_closed_and_nobody_else_notices() {
    let pki = Pki::new();
    let config = PoolConfig {
        loops: 1,
        write_queue: 100_000,
        stall: Duration::from_millis(500),
        ..PoolConfig::default()
    };
    let engine = Engine::with(config, |_| {});
    let listener = engine.listen(&pki.server(&Spec::default()));
    let deaf = client(listener.address());
    let (deaf_conn, _) = engine.accepted();
    let mut good = client(listener.address());
    let (good_conn, _) = engine.accepted();

    let big = vec![b'x'; 10_000];
    let (mut taken, mut refused) = (0, 0);
    let start = Instant::now();
    loop {
        match deaf_conn.send(&big, taken) {
            Ok(()) => taken += 1,
            // It is the message alone that is refused; a peer that reads nothing for longer is closed.
            Err(SendError::QueueFull) => refused += 1,
            Err(SendError::Closed) => break,
        }
        assert!(start.elapsed() < PATIENCE);
        // The other is served all the while.
        good_conn.send(OPTIONS, 1_000_000).unwrap();
        hear(&mut good, OPTIONS);
    }
    assert!(refused > 0);
    assert_eq!(engine.pool.counts().refused, refused);
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
            stall: Duration::from_millis(500),
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
    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicUsize::new(0));
    // Keeps the loop's socket full of a message of the largest kind.
    let (flag, count) = (Arc::clone(&stop), Arc::clone(&served));
    let busy = std::thread::spawn(move || {
        let mut noise = client(address);
        let message = [
            b"OPTIONS sip:a SIP/2.0\r\nl: 60000\r\n\r\n",
            &[b'x'; 60_000][..],
        ]
        .concat();
        while !flag.load(Relaxed) && noise.write_all(&message).is_ok() {
            // Its answers must be read, or it would be closed for that.
            hear(&mut noise, OK);
            count.fetch_add(1, Relaxed);
        }
    });
    // Both are served all the while.
    let mut phone = client(address);
    for round in 1..=20 {
        while served.load(Relaxed) < round * 10 {
            phone.write_all(OPTIONS).unwrap();
            hear(&mut phone, OK);
        }
    }
    stop.store(true, Relaxed);
    busy.join().unwrap();
}

/// Waits until the peer's system has all that was written.
fn arrived(stream: &TcpStream) {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut queued: libc::c_int = 0;
        // SAFETY: an open socket, and room for the number.
        let asked = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut queued) };
        assert_eq!(asked, 0);
        if queued == 0 {
            return;
        }
        assert!(Instant::now() < end, "{queued} octets are not taken");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Records full of messages: the next connection has its turn after each of them.
#[test]
fn a_record_full_of_messages_is_a_turn() {
    const IN_RECORD: usize = 100;
    const RECORDS: usize = 8;
    let pki = Pki::new();
    let held = Arc::new(Mutex::new(()));
    let engine = Engine::with(
        PoolConfig {
            loops: 1,
            ..PoolConfig::default()
        },
        |recorder| {
            recorder.answer = true;
            recorder.held = Arc::clone(&held);
        },
    );
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut busy = client(listener.address());
    engine.accepted();
    let mut other = client(listener.address());
    let (others, _) = engine.accepted();
    let loop_waits = held.lock().unwrap();
    busy.write_all(HOLD).unwrap();
    assert_eq!(engine.message(), HOLD);
    for _ in 0..RECORDS {
        busy.write_all(&OPTIONS.repeat(IN_RECORD)).unwrap();
    }
    other.write_all(OPTIONS).unwrap();
    arrived(other.get_ref());
    drop(loop_waits);
    let mut before = 0;
    engine.until(|event| match event {
        Event::Message(conn, _) if conn == others => Some(()),
        Event::Message(..) => {
            before += 1;
            None
        }
        _ => None,
    });
    // The turn in which the loop waited, and one that was due by then.
    assert!(before <= 2 * IN_RECORD, "{before} messages were before it");
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
        drop(client(listener.address()));
        engine.accepted();
        let reason = engine.closed();
        assert!(
            matches!(
                reason.code,
                Code::PeerEof | Code::PeerReset | Code::PeerClosed
            ),
            "{reason:?}"
        );
        // It did nothing that would have to change.
        assert_eq!(reason.side, Side::Nobody, "{reason}");
    }
}

/// A look-up in a directory of CAs leaves errors about files in OpenSSL's queue. They are not why a connection ended.
#[test]
fn a_client_with_a_certificate_that_leaves_at_once_was_there() {
    let pki = Pki::new();
    let engine = Engine::with(
        PoolConfig {
            loops: 1,
            ..PoolConfig::default()
        },
        |_| {},
    );
    let cas = certs::hashed_dir(&pki.ca);
    let config = ProfileConfig {
        ca_list_path: Some(cas.path().to_owned()),
        verify_client: true,
        require_client_cert: true,
        ..pki.server(&Spec::default())
    };
    let listener = engine.listen(&config);
    let own = Cert::make(
        &Spec {
            cn: "phone",
            ..Spec::default()
        },
        Some(&pki.ca),
    );
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    connector.set_certificate(&own.x509).unwrap();
    connector.set_private_key(&own.key).unwrap();
    let connector = connector.build();
    for abruptly in [false, true].repeat(25) {
        let tcp = TcpStream::connect(listener.address()).unwrap();
        let phone = connector.connect("sip.example.com", tcp).unwrap();
        if abruptly {
            SockRef::from(phone.get_ref())
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        }
        drop(phone);
        assert_eq!(engine.accepted().1.peer.unwrap().subject.cn, "phone");
        let reason = engine.closed();
        assert_eq!(reason.side, Side::Nobody, "{reason:?} {reason}");
    }
}

#[test]
fn an_error_that_the_host_left_in_openssls_queue_is_not_the_connections() {
    let pki = Pki::new();
    let engine = Engine::new();
    let listener = engine.listen(&pki.server(&Spec::default()));
    for (linger, code) in [
        (Some(Duration::ZERO), Code::PeerReset),
        (None, Code::PeerEof),
    ] {
        let mut phone = client(listener.address());
        let (conn, _) = engine.accepted();
        phone.write_all(LITTER).unwrap();
        assert_eq!(engine.message(), LITTER);
        conn.send(OK, 1).unwrap();
        hear(&mut phone, OK);
        SockRef::from(phone.get_ref()).set_linger(linger).unwrap();
        drop(phone);
        let reason = engine.closed();
        assert_eq!((reason.code, reason.openssl), (code, None), "{reason}");
    }
}
