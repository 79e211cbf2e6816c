//! Who closes when, and what is said of it.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use common::*;
use sip_tls::*;

const NAME: &str = "sip.example.com";

#[test]
fn graceful_close_writes_what_is_queued_and_now_does_not_wait() {
    let pki = Pki::new();
    let engine = Engine::with(
        PoolConfig {
            linger: Duration::from_millis(300),
            write_queue: 128 << 20,
            ..PoolConfig::default()
        },
        |_| {},
    );
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
    let phone = client(listener.address());
    let (conn, _) = engine.accepted();
    // More than the kernel takes of what nobody reads.
    for token in 0..64 {
        conn.send(&vec![b'a'; 1 << 20], token).unwrap();
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
        type Local = ();
        fn local(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn accepted(&self, (): &(), conn: &Conn, _: TlsInfo) -> Option<Conn> {
            Some(conn.clone())
        }
        fn refused(&self, (): &(), _: SocketAddr, _: Reason) {}
        fn connected(&self, _: &Conn, _: TlsInfo) {}
        fn message(&self, (): &mut (), conn: &Conn, _: &[u8]) {
            self.0.send("message").unwrap();
            conn.close(Close::Graceful);
        }
        fn malformed(&self, _: &Conn, _: &sip_tls::frame::Fault<'_>) {}
        fn write_done(&self, _: &Conn, _: u64, _: Result<(), Reason>) {}
        fn closed(&self, _: &Conn, _: Reason) {
            self.0.send("closed").unwrap();
        }
        fn listener_event(&self, (): &(), _: ListenerEvent) {}
        fn loop_failed(&self, _: &LoopFailure) {
            self.0.send("failed").unwrap();
        }
    }
    let pki = Pki::new();
    let (sender, heard) = std::sync::mpsc::channel();
    let config = PoolConfig {
        loops: 1,
        ..PoolConfig::default()
    };
    let (pool, mut loops) = Pool::new(std::sync::Arc::new(OneOnly(sender)), config).unwrap();
    let io = loops.remove(0);
    let thread = std::thread::spawn(move || io.run());
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
    thread.join().unwrap();
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
    while engine.pool.counts().open < 11 {
        std::thread::sleep(Duration::from_millis(5));
    }
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
