//! Carriers that close their connection behind an answer, or without one.

use host_harness::asterisk::Asterisk;
use host_harness::sip::{self, Connection, Server};

use crate::tls_world::{self, World, wait_until_idle};
use crate::world::{CARRIER, OURS};

/// Other contacts of the carrier's AoR, which is asked in one task of PJSIP's: the answer waits behind it, and the end of the connection
/// does not. With one contact it is so in 1 of 40 cases.
const OTHERS: usize = 100;
const ROUNDS: usize = 5;
const UNREACHABLE: &str = "Contact carrier/sip:127.0.0.20;transport=tls is now Unreachable";

/// The request of a qualify, on a new connection.
fn asked(ours: &Asterisk<'_>, server: &Server) -> (Connection, String) {
    ours.cli("pjsip qualify carrier");
    let mut connection = server.accept().expect("a handshake");
    let request = connection.receive().expect("a request");
    assert!(request.starts_with("OPTIONS "), "{request}");
    (connection, request)
}

/// What is closed behind its answer has answered, although the end is read before PJSIP has handled the answer. What is closed without
/// one has not, nor has one that gave a provisional answer alone; and a request afterwards goes by a new connection.
#[test]
fn a_carrier_that_closes_behind_its_answer_is_reachable() {
    let world = World::new("closing");
    let certificate = world
        .authority()
        .issue("carrier", "carrier.example", CARRIER);
    let server = Server::new(&world.lab, &format!("{CARRIER}:5061"), &certificate, |_| {});
    // We ourselves answer for the others.
    let others: String = (0..OTHERS)
        .map(|number| format!("contact = sip:{number}@{OURS}\n"))
        .collect();
    let carrier = tls_world::carrier("carrier", "tls", CARRIER).replace(
        "type = aor\n",
        &format!("type = aor\nqualify_frequency = 3600\n{others}"),
    );
    let udp = format!("[udp]\ntype = transport\nprotocol = udp\nbind = {OURS}:5060\n\n");
    let ours = Asterisk::start(
        &world.lab,
        &world
            .setup("")
            .pjsip(&udp)
            .pjsip(&carrier.replace("transport = tls\n", "")),
    );
    let answered = || {
        let (mut connection, request) = asked(&ours, &server);
        connection.accept_request(&request).expect("it is up");
        let _ = connection.stream.shutdown();
        drop(connection);
        wait_until_idle(&ours);
    };
    for _ in 0..ROUNDS {
        answered();
    }
    assert_eq!(
        ours.all_log_lines(UNREACHABLE).len(),
        0,
        "of {ROUNDS} answers"
    );

    for (round, provisional) in [(1, false), (2, true)] {
        let (mut connection, request) = asked(&ours, &server);
        if provisional {
            let trying = sip::response(&request, "100 Trying");
            connection.send(trying.as_bytes()).expect("it is up");
        }
        let _ = connection.stream.shutdown();
        drop(connection);
        // Before the request itself is given up, which is told otherwise.
        ours.wait_until("the carrier to be unreachable", |ours| {
            (ours.log_lines(UNREACHABLE).len() == round).then_some(())
        });
        wait_until_idle(&ours);
        answered();
        let reachable = UNREACHABLE.replace("Unreachable", "Reachable");
        ours.wait_until("the carrier to be reachable again", |ours| {
            (ours.log_lines(&reachable).len() == round + 1).then_some(())
        });
    }
    assert_eq!(ours.count("Panics caught"), 0);
}
