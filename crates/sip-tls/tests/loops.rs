//! I/O loops that fail: what was theirs ends or goes on elsewhere, and they start again.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use common::*;
use openssl::ssl::SslStream;
use sip_tls::*;

/// Faults belong to the process, and so does this lock.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn answering(loops: usize) -> Engine {
    let config = PoolConfig {
        loops,
        ..PoolConfig::default()
    };
    Engine::with(config, |recorder| recorder.answer = true)
}

fn ask(phone: &mut SslStream<TcpStream>) {
    phone.write_all(OPTIONS).unwrap();
    hear(phone, OK);
}

/// How many connections were closed because their loop failed, and how it failed. The order is that of a loop that ends.
fn end_of_loop(engine: &Engine, connections: usize) -> Failed {
    let mut closed = Vec::new();
    let failed = engine.until(|event| match event {
        Event::Closed(conn, reason) => {
            assert_eq!((reason.code, reason.side), (Code::LoopFailed, Side::Ours));
            assert!(!closed.contains(&conn), "closed twice");
            closed.push(conn);
            None
        }
        Event::LoopFailed(failed) => Some(failed),
        _ => None,
    });
    assert_eq!(
        (failed.connections, closed.len()),
        (connections, connections)
    );
    for conn in closed {
        assert_eq!(conn.send(OPTIONS, 0), Err(SendError::Closed));
    }
    failed
}

/// Waits until every loop has a connection again; that takes more than one, for the others serve all until then.
fn wait_for_all_loops(engine: &Engine, address: SocketAddr) -> Vec<SslStream<TcpStream>> {
    let mut phones = Vec::new();
    while engine.pool.loads().contains(&0) {
        assert!(phones.len() < 1000, "{:?}", engine.pool.loads());
        let mut phone = client(address);
        ask(&mut phone);
        phones.push(phone);
        std::thread::sleep(Duration::from_millis(20));
    }
    phones
}

#[test]
fn a_panic_in_the_framer_ends_one_loop_and_the_others_notice_nothing() {
    let _alone = alone();
    let pki = Pki::new();
    let engine = answering(2);
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut phones: Vec<_> = (0..4).map(|_| client(listener.address())).collect();
    phones.iter_mut().for_each(ask);
    assert_eq!(engine.pool.loads(), [2, 2]);

    fault::arm("tls-framer");
    phones[0].write_all(OPTIONS).unwrap();
    let failed = end_of_loop(&engine, 2);
    assert!(failed.error.starts_with("it panicked: "), "{failed:?}");
    assert_eq!(failed.pause, Duration::from_millis(100));
    // Two are told so by TLS, two go on as if nothing had happened.
    let (gone, here): (Vec<_>, Vec<_>) = phones.into_iter().partition_map(|mut phone| match phone
        .write_all(OPTIONS)
        .and_then(|()| phone.read(&mut [0; OK.len()]))
    {
        Ok(OK_LENGTH) => Ok(phone),
        _ => Err(phone),
    });
    assert_eq!((gone.len(), here.len()), (2, 2));
    // The listener was not lost, whoever had it, and the loop comes back.
    ask(&mut client(listener.address()));
    wait_for_all_loops(&engine, listener.address());
    let counts = engine.pool.counts();
    assert_eq!((counts.loop_restarts, counts.of(Code::LoopFailed)), (1, 2));
    for mut phone in here {
        ask(&mut phone);
    }
    engine.finish();
}

const OK_LENGTH: usize = OK.len();

/// `Iterator::partition`, of what a function makes of each.
trait PartitionMap: Iterator + Sized {
    fn partition_map<T>(self, mut map: impl FnMut(Self::Item) -> Result<T, T>) -> (Vec<T>, Vec<T>) {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for item in self {
            match map(item) {
                Ok(item) => right.push(item),
                Err(item) => left.push(item),
            }
        }
        (left, right)
    }
}

impl<I: Iterator> PartitionMap for I {}

#[test]
fn a_panic_in_a_callback_leaves_no_message_unanswered() {
    let _alone = alone();
    let pki = Pki::new();
    let engine = answering(1);
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut phone = client(listener.address());
    ask(&mut phone);
    // The host queues three messages and panics.
    phone.write_all(PANIC).unwrap();
    let mut tokens = Vec::new();
    let reason = engine.until(|event| match event {
        Event::WriteDone(token, Err(reason)) => {
            assert_eq!(reason.code, Code::LoopFailed);
            tokens.push(token);
            None
        }
        Event::Closed(_, reason) => Some(reason),
        _ => None,
    });
    assert_eq!((reason.code, tokens), (Code::LoopFailed, vec![1, 2, 3]));
    assert_eq!(
        engine.loop_failed().error,
        "it panicked: the host was told to"
    );
    // The only loop: its listener waits for it to come back, and clients wait in the backlog.
    let mut phone = client(listener.address());
    ask(&mut phone);
    assert_eq!(engine.pool.counts().open, 1);
    engine.finish();
}

#[test]
fn a_panic_in_closed_does_not_keep_the_others_from_hearing() {
    let _alone = alone();
    let pki = Pki::new();
    let mut panics = None;
    let config = PoolConfig {
        loops: 1,
        ..PoolConfig::default()
    };
    let engine = Engine::with(config, |recorder| {
        recorder.answer = true;
        panics = Some(Arc::clone(&recorder.panic_when_closed));
    });
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut phones: Vec<_> = (0..3).map(|_| client(listener.address())).collect();
    phones.iter_mut().for_each(ask);
    panics.unwrap().store(true, SeqCst);
    phones.pop().unwrap().shutdown().unwrap();
    assert_eq!(engine.closed().code, Code::PeerClosed);
    end_of_loop(&engine, 2);
    ask(&mut client(listener.address()));
    engine.finish();
}

#[test]
fn epoll_that_fails_is_made_anew() {
    let _alone = alone();
    let pki = Pki::new();
    let engine = answering(1);
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut phone = client(listener.address());
    ask(&mut phone);
    for round in 1..=3 {
        fault::arm("tls-epoll-wait");
        phone.write_all(OPTIONS).unwrap();
        let failed = end_of_loop(&engine, 1);
        assert!(failed.error.starts_with("epoll failed: "), "{failed:?}");
        phone = client(listener.address());
        ask(&mut phone);
        assert_eq!(engine.pool.counts().loop_restarts, round);
    }
    // Calling out works on the new epoll too.
    engine.connect(listener.address(), "sip.example.com", &pki.client());
    engine.connected();
    engine.finish();
}

#[test]
fn a_start_that_fails_or_panics_is_tried_again_with_longer_and_longer_pauses() {
    let _alone = alone();
    fault::arm("tls-loop-start");
    let pki = Pki::new();
    let config = PoolConfig {
        loops: 1,
        ..PoolConfig::default()
    };
    let engine = Engine::with(config, |recorder| {
        recorder.answer = true;
        recorder.failing_starts = 3.into();
    });
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut pauses = Vec::new();
    for error in [
        "it panicked: ",
        "it could not",
        "it could not",
        "it could not",
    ] {
        let failed = engine.loop_failed();
        assert!(failed.error.starts_with(error), "{failed:?}");
        assert_eq!(failed.connections, 0);
        pauses.push(failed.pause.as_millis());
    }
    assert_eq!(pauses, [100, 200, 400, 800]);
    ask(&mut client(listener.address()));
    engine.finish();
}

fn target(pki: &Pki, remote: SocketAddr) -> Target {
    Target {
        remote,
        local: None,
        name: verify::PeerName::parse("sip.example.com"),
        profile: load(&pki.client()),
        options: SocketOptions::default(),
    }
}

#[test]
fn without_any_loop_nothing_is_begun_and_the_end_does_not_wait() {
    let _alone = alone();
    let pki = Pki::new();
    let config = PoolConfig {
        loops: 2,
        ..PoolConfig::default()
    };
    let engine = Engine::with(config, |recorder| {
        recorder.failing_starts = usize::MAX.into()
    });
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut failed = [false; 2];
    while failed != [true; 2] {
        failed[engine.loop_failed().index] = true;
    }
    let address = listener.address();
    assert!(
        engine
            .pool
            .connect(target(&pki, address), Clone::clone)
            .is_err()
    );
    // A new listener waits for a loop as the first does, and both are gone at the end.
    let other = engine.listen(&pki.server(&Spec::default()));
    let other_address = other.address();
    std::mem::forget((listener, other));
    engine.finish();
    assert!(TcpStream::connect(address).is_err());
    assert!(TcpStream::connect(other_address).is_err());
}

#[test]
fn a_loop_that_never_ran_gives_away_what_it_was_asked() {
    let _alone = alone();
    let pki = Pki::new();
    let server = answering(1);
    let there = server.listen(&pki.server(&Spec::default()));
    for run_second in [true, false] {
        let (engine, mut loops) = Engine::unstarted(PoolConfig {
            loops: 2,
            ..PoolConfig::default()
        });
        let here = engine.listen(&pki.server(&Spec::default()));
        let also_here = engine.listen(&pki.server(&Spec::default()));
        for _ in 0..2 {
            engine
                .pool
                .connect(target(&pki, there.address()), Clone::clone)
                .unwrap();
        }
        drop(loops.remove(0));
        let second = loops.remove(0);
        if run_second {
            let thread = std::thread::spawn(move || second.run());
            engine.connected();
            engine.connected();
            client(here.address());
            engine.accepted();
            client(also_here.address());
            engine.accepted();
            engine.pool.shutdown();
            thread.join().unwrap();
        } else {
            drop(second);
            assert_eq!(engine.failed().code, Code::LoopFailed);
            assert_eq!(engine.failed().code, Code::LoopFailed);
            assert_eq!(engine.pool.loads(), [0, 0]);
            assert_eq!(engine.pool.counts().open, 0);
        }
    }
}

#[test]
fn a_shutdown_after_failures_tells_every_connection_once() {
    let _alone = alone();
    let pki = Pki::new();
    let engine = answering(2);
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut phones: Vec<_> = (0..4).map(|_| client(listener.address())).collect();
    phones.iter_mut().for_each(ask);
    fault::arm("tls-framer");
    phones[0].write_all(OPTIONS).unwrap();
    end_of_loop(&engine, 2);
    let left = engine.finish();
    let ended = |wanted: Code| {
        left.iter()
            .filter(|event| matches!(event, Event::Closed(_, reason) if reason.code == wanted))
            .count()
    };
    assert_eq!((ended(Code::Shutdown), ended(Code::LoopFailed)), (2, 0));
}
