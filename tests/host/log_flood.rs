//! Peers that fail as often as they like: some lines with counts, not a line each.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;

use host_harness::asterisk::Asterisk;

use crate::tls_world::{World, address, assert_serves};

/// Connections that fail. The module's own limit is in lines, not in connections: more would only take longer.
const CONNECTIONS: u64 = 5_000;

/// One that says `hello` in clear, and waits until it is thrown out.
fn fail(world: &World, hello: &[u8]) {
    let mut tcp = world.lab.tcp(&address()).expect("it listens");
    tcp.write_all(hello).expect("it listens");
    let _ = tcp.read_to_end(&mut Vec::new());
}

fn told(ours: &Asterisk<'_>, reason: &str) -> usize {
    ours.log_lines("TLS from ")
        .iter()
        .filter(|line| line.contains(reason))
        .count()
}

const HTTP: &str = "it speaks HTTP without TLS";
const SIP: &str = "it speaks SIP without TLS";

#[test]
fn a_flood_is_counted() {
    let world = World::new("flood");
    // What is told of them is what this is about, not how many may come.
    let setup = world.setup("").file(
        "ciphertrunk.conf",
        "[tls]\nconnection_rate_per_source = 0\n",
    );
    let ours = Asterisk::start(&world.lab, &setup);
    let mut bystander = world.connect();

    // The first is told at once: the twin of a single failing connection.
    fail(&world, b"GET / HTTP/1.1\r\n\r\n");
    ours.wait_for_log(HTTP);
    assert_eq!(ours.count("Log lines suppressed"), 0);

    for _ in 1..CONNECTIONS {
        fail(&world, b"GET / HTTP/1.1\r\n\r\n");
    }
    // In the middle of it, the first of another kind.
    fail(&world, b"OPTIONS sip:a SIP/2.0\r\n\r\n");
    ours.wait_until("the other reason", |ours| {
        (told(ours, SIP) == 1).then_some(())
    });

    let written = told(&ours, HTTP);
    assert!(written <= 12, "{written} lines");
    let suppressed = ours.wait_until("all of them", |ours| {
        let suppressed = ours.count("Log lines suppressed");
        let summaries = ours.log_lines("log lines suppressed: ").len() as u64;
        (suppressed + told(ours, HTTP) as u64 == CONNECTIONS && summaries > 0).then_some(suppressed)
    });
    assert!(suppressed > CONNECTIONS - 20);
    let summaries = ours.all_log_lines("log lines suppressed: ");
    assert!(summaries.len() <= 12, "{summaries:#?}");
    for part in [" more of the kind 'TLS refused, ", " from 127.0.0."] {
        assert!(summaries[0].contains(part), "{}", summaries[0]);
    }
    let lines = ours.all_log_lines("Ciphertrunk: ").len();
    assert!(lines < 40, "{lines} lines");
    assert_serves(&ours, &mut bystander);
}

/// A health check connects and closes without an octet.
#[test]
fn a_health_check_is_no_warning() {
    let world = World::new("health_check");
    let ours = Asterisk::start(&world.lab, &world.setup(""));
    for _ in 0..20 {
        let mut tcp = world.lab.tcp(&address()).expect("it listens");
        tcp.shutdown(Shutdown::Write).expect("a socket");
        // Our end closes too: it has been seen.
        let _ = tcp.read_to_end(&mut Vec::new());
    }
    // The twin: who sends something else is told, behind whatever was said before.
    fail(&world, b"GET / HTTP/1.1\r\n\r\n");
    ours.wait_for_log(HTTP);
    let lines = ours.all_log_lines("TLS from ");
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(ours.count("Log lines suppressed"), 0);
}
