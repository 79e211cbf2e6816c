//! Descriptors that are kept back. A process of its own: the numbers are those of all its threads.

mod common;

use std::io::Write;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Duration;

use common::*;
use sip_tls::*;

/// The numbers of descriptors from the limit on are left for others, whoever floods.
#[test]
fn descriptors_are_kept_back() {
    let pki = Pki::new();
    let engine = Engine::new();
    let listener = engine.listen(&pki.server(&Spec::default()));
    let lowest = std::fs::File::open("/dev/null").unwrap().as_raw_fd();
    let end = usize::try_from(lowest).unwrap() + 40;
    engine.pool.set_limits(Limits {
        descriptors: Some(end),
        ..Limits::default()
    });
    let mut stays = client(listener.address());
    engine.accepted();
    let mut flood = Vec::new();
    for _ in 0..60 {
        let mut tcp = TcpStream::connect(listener.address()).unwrap();
        let _ = tcp.write_all(&[22]);
        flood.push(tcp);
    }
    assert_eq!(engine.refused().code, Code::DescriptorsReserved);
    engine.wait_for("all to be judged", |counts| counts.accepted == 61);
    let usage = engine.pool.usage();
    assert!((1..40).contains(&usage.connections), "{usage:?}");
    // The clients' own are of the same process: the number is what is looked at, and not how many connections there are.
    stays.write_all(OPTIONS).unwrap();
    engine.until(|event| matches!(event, Event::Message(..)).then_some(()));
    drop(flood);
    engine.wait_for("the end of the flood", |counts| counts.open == 1);
    while engine.pool.usage().connections != 1 {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(client(listener.address()));
    engine.until(|event| matches!(event, Event::Accepted(..)).then_some(()));
}
