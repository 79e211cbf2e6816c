//! Reloads without end under a call and 300 connections: nobody notices, and nothing of ours is left over.

use std::fmt::Write as _;

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::pjsip::{self, Encryption};
use host_harness::process;
use host_harness::sip::{Client, Connection};

use crate::tls_world::{PEER, World, address, assert_serves, listening, ours, wait_until_idle};
use crate::world::{CARRIER, CARRIER_TONE, OUR_TONE, OURS};

const ROUNDS: usize = 50;
const CONNECTIONS: usize = 300;
/// The transport that is torn down and put up again; the calls and connections are on the other one.
const OTHER: [&str; 2] = ["127.0.0.11:5071", "127.0.0.11:5072"];

/// `pjsip.conf` of a round. Every kind of reload comes in turn.
fn configuration(world: &World, round: usize) -> String {
    let mut text = world.transport("");
    if round % 2 == 1 {
        // Asterisk makes a new state for the transport, with the old factory.
        text += &format!("external_signaling_address = 192.0.2.{round}\nlocal_net = 127.0.0.0/8\n");
    }
    let other = world
        .transport("allow_reload = yes\n")
        .replace("[tls]", "[other]");
    text += &other.replace("{address}:5061", OTHER[round / 3 % 2]);
    text += &pjsip::tls_trunk("carrier", CARRIER, Encryption::Plain);
    write!(text, "{PEER}").expect("a String takes it");
    // The carrier is known before everybody else is.
    text.replace("match = 127.0.0.0/8", "match = 127.0.0.1")
        .replace("{address}", OURS)
}

#[test]
fn fifty_rounds() {
    process::raise_file_limit(4096);
    let world = World::new("soak");
    let setup = ours()
        .pjsip(&configuration(&world, 0))
        .dialplan(&pjsip::say(OUR_TONE));
    let stock = Setup::stock("carrier", CARRIER)
        .pjsip(&pjsip::tls(&world.certificate, &world.authority))
        .pjsip(&pjsip::tls_trunk("ours", OURS, Encryption::Plain))
        .dialplan(&pjsip::say(CARRIER_TONE));
    let ours = Asterisk::start(&world.lab, &setup);
    let carrier = Asterisk::start(&world.lab, &stock);
    let context = Client::new().build();
    let connect = |address: &str| {
        let tcp = world
            .lab
            .tcp(address)
            .unwrap_or_else(|error| panic!("{address}: {error}"));
        let mut connection =
            Connection::new(&context, tcp).unwrap_or_else(|error| panic!("{address}: {error}"));
        // At once: Asterisk closes who asks for nothing in 32 seconds.
        assert_eq!(connection.options().expect("an answer"), 200);
        connection
    };
    drop(connect(&address()));
    wait_until_idle(&ours);
    let files = process::open_files(ours.pid());

    // A call in each direction.
    ours.cli("channel originate PJSIP/say@carrier extension say@default");
    carrier.cli("channel originate PJSIP/say@ours extension say@default");
    ours.wait_for_channels(2);
    let mut connections: Vec<Connection> = (0..CONNECTIONS).map(|_| connect(&address())).collect();
    let mut warm = 0;
    let mut most = 0;
    for round in 0..ROUNDS {
        ours.configure("pjsip.conf", &configuration(&world, round));
        if round % 5 == 0 {
            let other = world
                .authority()
                .issue(&format!("round{round}"), "ours.example", OURS);
            world.replace_certificate(&other);
        }
        let answer = ours.cli("module reload res_pjsip.so");
        assert!(answer.contains("reloaded successfully"), "{answer}");
        if round % 10 == 0 {
            ours.cli("module reload res_ciphertrunk.so");
        }
        let other = OTHER[round / 3 % 2];
        assert!(
            listening(&ours, "other").is_some_and(|line| line.contains(other)),
            "round {round}: {}",
            ours.log()
        );
        let mut one = connect(other);
        assert_serves(&ours, &mut one);
        // Some come and go.
        for slot in 0..10 {
            let slot = (round * 10 + slot) % CONNECTIONS;
            assert_eq!(
                connections[slot]
                    .options()
                    .unwrap_or_else(|error| panic!("round {round}: {error}")),
                200
            );
            connections[slot] = connect(&address());
        }
        most = most.max(ours.count("TLS factories"));
        if round == 9 {
            warm = process::resident(ours.pid());
        }
    }
    let grown = process::resident(ours.pid()).saturating_sub(warm);
    eprintln!("{grown} octets more after {ROUNDS} rounds, at most {most} factories");
    assert!(grown < 4 << 20, "{grown} octets more after {ROUNDS} rounds");
    assert!(most <= 6, "{most} factories");

    // Everybody is still there, and the calls end in order from either side.
    for connection in &mut connections {
        assert_eq!(connection.options().expect("it stayed"), 200);
    }
    ours.wait_for_channels(2);
    ours.wait_for_tone(CARRIER_TONE, 50);
    carrier.wait_for_tone(OUR_TONE, 50);
    let channels = ours.cli("core show channels concise");
    let first = channels.split('!').next().expect("a channel");
    ours.cli(&format!("channel request hangup {first}"));
    carrier.wait_for_channels(1);
    carrier.cli("channel request hangup all");
    ours.wait_for_channels(0);

    drop(connections);
    assert!(carrier.stop().success());
    wait_until_idle(&ours);
    assert_eq!(ours.count("Panics caught"), 0);
    ours.wait_until("the files to be closed", |ours| {
        (process::open_files(ours.pid()) <= files).then_some(())
    });
    assert!(
        ours.cli("module unload res_ciphertrunk.so")
            .contains("Unloaded"),
        "{}",
        ours.log()
    );
    assert!(!ours.maps().contains("res_ciphertrunk"));
    assert!(ours.stop().success());
}
