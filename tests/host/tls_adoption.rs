//! Adoption of `protocol=tls` transports: at start, by load and unload, and what is to be left alone.

use std::io::{ErrorKind, Read as _, Write as _};

use host_harness::asterisk::Asterisk;
use host_harness::sip::Client;
use host_harness::wait::SOON;

use crate::tls_world::{PEER, World, address, assert_serves, carrier, is_ours, listening, unload};
use crate::world::OURS;

#[test]
fn at_start_over_ipv4_and_ipv6() {
    let world = World::new("at_start");
    let v6 = world
        .transport("")
        .replace("[tls]", "[tls6]")
        .replace("{address}", "[::1]");
    let ours = Asterisk::start(&world.lab, &world.setup("").pjsip(&v6));
    for (transport, address) in [("tls", address()), ("tls6", "[::1]:5061".to_owned())] {
        assert!(
            listening(&ours, transport)
                .expect("adopted")
                .contains(&format!("Address: {address} "))
        );
        let mut connection = Client::new()
            .connect(&world.lab, &address)
            .expect("a connection");
        assert_serves(&ours, &mut connection);
    }
    assert!(ours.stop().success());
}

#[test]
fn unload_gives_stock_its_listener_back_and_load_takes_it_again() {
    let world = World::new("unload");
    let ours = Asterisk::start(&world.lab, &world.setup(""));
    for _ in 0..3 {
        let mut connection = world.connect();
        assert_serves(&ours, &mut connection);
        drop(connection);
        unload(&ours);
        // Stock's.
        let mut connection = world.connect();
        assert_eq!(connection.options().expect("stock answers"), 200);
        drop(connection);
        ours.cli("module load res_ciphertrunk.so");
        assert!(is_ours(&ours, "tls"), "{}", ours.log());
    }
    let mut connection = world.connect();
    assert_serves(&ours, &mut connection);
    assert!(ours.stop().success());
}

#[test]
fn a_connection_keeps_the_module() {
    let world = World::new("keeps");
    let ours = Asterisk::start(&world.lab, &world.setup(""));
    let mut connection = world.connect();
    assert_serves(&ours, &mut connection);
    for command in [
        "module unload res_ciphertrunk.so",
        "module unload -f res_ciphertrunk.so",
    ] {
        let answer = ours.cli(command);
        assert!(!answer.contains("Unloaded"), "{command}: {answer}");
        assert_serves(&ours, &mut connection);
    }
    // Those that are connected do not hinder an orderly end.
    assert!(ours.stop().success());
}

#[test]
fn what_is_left_alone_is_stocks() {
    let world = World::new("leave_alone");
    let second = world
        .transport("")
        .replace("[tls]", "[other]")
        .replace("5061", "5071");
    let setup = world
        .setup("")
        .pjsip(&second)
        .file("ciphertrunk.conf", "[tls]\nleave_alone = other\n");
    let ours = Asterisk::start(&world.lab, &setup);
    let other = format!("{OURS}:5071");
    assert!(is_ours(&ours, "tls"));
    assert!(!is_ours(&ours, "other"));
    let stock_answers = || {
        let before = ours.count("TLS handshakes in");
        let mut connection = Client::new()
            .connect(&world.lab, &other)
            .expect("a connection");
        assert_eq!(connection.options().expect("an answer"), 200);
        assert_eq!(
            ours.count("TLS handshakes in"),
            before,
            "the transport is ours"
        );
    };
    stock_answers();

    ours.configure("ciphertrunk.conf", "");
    ours.cli("module reload res_ciphertrunk.so");
    assert!(is_ours(&ours, "other"));
    let mut connection = Client::new()
        .connect(&world.lab, &other)
        .expect("a connection");
    assert_serves(&ours, &mut connection);

    ours.configure("ciphertrunk.conf", "[tls]\nleave_alone = nothing, other\n");
    ours.cli("module reload res_ciphertrunk.so");
    assert!(!is_ours(&ours, "other"));
    stock_answers();
    // Who was connected stays so.
    assert_serves(&ours, &mut connection);
}

#[test]
fn what_is_on_its_way_when_transports_change_hands() {
    let world = World::new("on_its_way");
    let silent = world.lab.listen("127.0.0.23:6000");
    let setup = world
        .setup("allow_reload = yes\n")
        .pjsip(&carrier("silent", "tls", "127.0.0.23:6000"))
        .file("ciphertrunk.conf", "[tls]\nhandshake_timeout = 300\n");
    let ours = Asterisk::start(&world.lab, &setup);

    // We are connecting, and the transport is torn down and put up again.
    ours.cli("pjsip qualify silent");
    let (tcp, _) = silent.accept().expect("we connect");
    let moved = ["5071", "5061"].map(|port| {
        let text = world
            .transport("allow_reload = yes\n")
            .replace("5061", port)
            + &carrier("silent", "tls", "127.0.0.23:6000")
            + PEER;
        text.replace("{address}", OURS)
    });
    for text in moved {
        ours.configure("pjsip.conf", &text);
        assert!(
            ours.cli("module reload res_pjsip.so")
                .contains("reloaded successfully")
        );
    }
    // While it is not known how it ends, the module is needed.
    assert!(
        !ours
            .cli("module unload res_ciphertrunk.so")
            .contains("Unloaded")
    );
    drop(tcp);
    ours.wait_for_log("TLS to 127.0.0.23 (127.0.0.23:6000) failed at the first TLS message");

    // A client that has not shaken hands yet does not hinder an unload, and is closed by it.
    let mut half = world.lab.tcp(&address()).expect("it listens");
    half.write_all(b"\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03")
        .expect("it listens");
    unload(&ours);
    half.set_read_timeout(Some(SOON)).expect("a socket");
    let mut rest = Vec::new();
    if let Err(error) = half.read_to_end(&mut rest) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }

    // Who is connected with stock stays with stock when we come.
    let mut stocks = world.connect();
    assert_eq!(stocks.options().expect("stock answers"), 200);
    ours.cli("module load res_ciphertrunk.so");
    assert!(is_ours(&ours, "tls"));
    let before = ours.count("SIP messages in");
    assert_eq!(stocks.options().expect("stock still answers"), 200);
    assert_eq!(ours.count("SIP messages in"), before);
    assert_serves(&ours, &mut world.connect());
    drop(stocks);
    unload(&ours);
    assert!(ours.stop().success());
}
