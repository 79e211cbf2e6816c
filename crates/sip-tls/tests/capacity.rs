//! 1,500 connections at once, and what happens when the file handles are used up. In a file of its own, for it changes the process's limit.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::*;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use sip_tls::*;

/// Both tests want the file handles for themselves.
static ALONE: Mutex<()> = Mutex::new(());

fn limit_handles(soft: u64) -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: Both calls only read or write the structure that is passed, which lives here.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        let before = limit.rlim_cur;
        limit.rlim_cur = soft.min(limit.rlim_max);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
        before
    }
}

#[test]
fn fifteen_hundred_connections_are_held_and_answer() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    const COUNT: usize = 1500;
    limit_handles(8192);
    let pki = Pki::new();
    let engine = Engine::with(
        PoolConfig {
            loops: 2,
            ..PoolConfig::default()
        },
        |recorder| recorder.answer = true,
    );
    let listener = engine.listen(&pki.server(&Spec::default()));
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    let connector = connector.build();
    let mut phones: Vec<_> = (0..COUNT)
        .map(|_| {
            connector
                .connect(
                    "sip.example.com",
                    TcpStream::connect(listener.address()).unwrap(),
                )
                .unwrap()
        })
        .collect();
    assert_eq!(engine.pool.counts().open, COUNT as u64);
    let loads = engine.pool.loads();
    assert!(
        loads.iter().all(|load| load.abs_diff(COUNT / 2) <= 1),
        "{loads:?}"
    );
    for _ in 0..2 {
        for phone in &mut phones {
            phone.write_all(OPTIONS).unwrap();
        }
        for phone in &mut phones {
            let mut answer = [0; OK.len()];
            phone.read_exact(&mut answer).unwrap();
            assert_eq!(answer, OK);
        }
    }
    let counts = engine.pool.counts();
    assert_eq!(
        (counts.established_in, counts.messages_in),
        (COUNT as u64, 2 * COUNT as u64)
    );
    drop(phones);
    engine.wait_for("the end of all connections", |counts| {
        counts.open == 0 && engine.pool.loads() == [0, 0]
    });
}

fn cpu_time() -> Duration {
    let mut usage = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: The call writes the structure that is passed, which lives here.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut usage) };
    assert_eq!(result, 0);
    Duration::new(
        usage.tv_sec.try_into().unwrap(),
        usage.tv_nsec.try_into().unwrap(),
    )
}

#[test]
fn without_file_handles_it_waits_and_says_so_once() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let pki = Pki::new();
    let engine = Engine::with(
        PoolConfig {
            loops: 1,
            ..PoolConfig::default()
        },
        |_| {},
    );
    let listener = engine.listen(&pki.server(&Spec::default()));
    let before = limit_handles(8192);
    let tcp = TcpStream::connect(listener.address()).unwrap();
    engine.wait_for("the first connection", |counts| counts.accepted == 1);
    // The client's socket takes the last handle.
    let mut held = Vec::new();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let used = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    limit_handles(used + 3);
    while let Ok(file) = std::fs::File::open("/dev/null") {
        held.push(file);
    }
    socket.connect(&listener.address().into()).unwrap();
    let event = engine.until(|event| match event {
        Event::Listener(event) => Some(event),
        _ => None,
    });
    assert_eq!(event, ListenerEvent::OutOfResources(libc::EMFILE));
    // Time itself: what is spent in it. A busy machine leaves less to spend.
    let (start, cpu) = (Instant::now(), cpu_time());
    std::thread::sleep(Duration::from_millis(700));
    let spent = cpu_time() - cpu;
    assert!(
        spent < start.elapsed() / 5,
        "it spins: {spent:?} of {:?}",
        start.elapsed()
    );
    assert!(engine.events.try_recv().is_err(), "said once");
    held.clear();
    limit_handles(before);
    let event = engine.until(|event| match event {
        Event::Listener(event) => Some(event),
        _ => None,
    });
    assert_eq!(event, ListenerEvent::Recovered);
    // The loop tells first and counts then.
    engine.wait_for("the second connection", |counts| counts.accepted == 2);
    drop((tcp, socket));
}
