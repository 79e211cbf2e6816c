//! I/O loops that fail (test build): their connections end and their transports with them, the listener lives, they start again, it
//! is one ERROR and a counter, and an unload works afterwards.

use host_harness::asterisk::Asterisk;
use host_harness::sip::{Connection, Server};
use host_harness::wait;

use crate::tls_world::{World, address, assert_serves, carrier, wait_until_idle};
use crate::world::CARRIER;

const RESTARTS: &str = "I/O loop restarts";

fn arm(asterisk: &Asterisk<'_>, fault: &str) {
    asterisk.cli(&format!("ciphertrunk test fault {fault}"));
}

/// The ERROR lines about loops that failed.
fn errors(asterisk: &Asterisk<'_>) -> Vec<String> {
    asterisk.log_lines("of SIP over TLS failed")
}

/// Waits until so many failures are counted, each of which is one line.
fn wait_for_failures(asterisk: &Asterisk<'_>, count: u64) -> String {
    asterisk.wait_until(&format!("failure {count} of a loop"), |asterisk| {
        (asterisk.count(RESTARTS) >= count).then_some(())
    });
    // The counter comes before the line.
    let lines = asterisk.wait_until(&format!("line {count} about a loop"), |asterisk| {
        let lines = errors(asterisk);
        (lines.len() as u64 >= count).then_some(lines)
    });
    assert_eq!(asterisk.count(RESTARTS), count);
    assert_eq!(lines.len() as u64, count, "{lines:?}");
    let last = lines.last().expect("one").clone();
    assert!(last.contains("ERROR"), "{last}");
    last
}

/// Sends a request, which nobody answers any more.
fn poke(connection: &mut Connection) {
    let request = connection.request("", "");
    connection.send(request.as_bytes()).expect("it is up");
    assert!(connection.receive().is_err(), "it was answered");
}

/// Unloads, and looks whether the library is gone.
fn assert_unloads(asterisk: &Asterisk<'_>) {
    wait_until_idle(asterisk);
    asterisk.wait_until("the unloading", |asterisk| {
        asterisk
            .cli("module unload res_ciphertrunk.so")
            .contains("Unloaded")
            .then_some(())
    });
    assert!(!asterisk.maps().contains("res_ciphertrunk"));
}

#[test]
fn a_loop_that_fails_takes_its_connections_and_no_others() {
    let world = World::new("loops");
    let setup = world
        .setup("")
        .file("ciphertrunk.conf", "[tls]\nio_threads = 2\n");
    let ours = Asterisk::start(&world.lab, &setup);
    let mut here: Vec<_> = (0..4).map(|_| world.connect()).collect();
    for connection in &mut here {
        assert_serves(&ours, connection);
    }
    assert_eq!(ours.count(RESTARTS), 0);

    let mut failed = 0;
    let faults = [
        ("tls-framer", "it panicked"),
        ("tls-epoll-wait", "epoll failed"),
    ];
    for (round, (fault, reason)) in (1..).zip(faults) {
        let open = ours.count("TLS connections");
        arm(&ours, fault);
        poke(&mut here[0]);
        let line = wait_for_failures(&ours, round);
        assert!(line.contains(reason), "{line}");
        let mut gone = 0;
        for mut connection in std::mem::take(&mut here) {
            match connection.options() {
                Ok(200) => here.push(connection),
                _ => gone += 1,
            }
        }
        assert!(
            line.contains(&format!("Its {gone} connections are closed")),
            "{gone} of {open} ended: {line}"
        );
        assert!(gone > 0 && !here.is_empty(), "{gone} of {open} ended");
        // PJSIP has let go of those that ended.
        ours.wait_until("the end of their transports", |ours| {
            (ours.count("TLS transports") == here.len() as u64).then_some(())
        });
        failed += gone;
        assert_eq!(ours.count("Ended loop-failed"), failed);
        // Whoever listened: the next ones are served, by this loop too when it is back.
        while here.len() < 4 {
            let mut new = world.connect();
            assert_serves(&ours, &mut new);
            here.push(new);
        }
        wait_for_both_loops(&world, &ours, &mut here);
    }
    drop(here);
    assert_unloads(&ours);
}

/// Connects until the loop that failed must have a connection again: until then the other one gets all.
fn wait_for_both_loops(world: &World, ours: &Asterisk<'_>, here: &mut Vec<Connection>) {
    ours.wait_until("a connection on each loop", |ours| {
        let mut new = world.connect();
        assert_serves(ours, &mut new);
        here.push(new);
        let status = ours.status("TLS connections of each loop");
        (!status.split(' ').any(|load| load == "0")).then_some(())
    });
}

#[test]
fn the_only_loop_comes_back() {
    let world = World::new("loop");
    let lab = &world.lab;
    let certificate = world
        .authority()
        .issue("carrier", "carrier.example", CARRIER);
    let setup = world
        .setup("")
        .pjsip(&carrier("carrier", "tls", CARRIER))
        .file("ciphertrunk.conf", "[tls]\nio_threads = 1\n");
    let mut ours = Asterisk::start(lab, &setup);
    let server = Server::new(lab, &format!("{CARRIER}:5061"), &certificate, |_| {});
    let call_out = |ours: &Asterisk<'_>| {
        ours.cli("pjsip qualify carrier");
        let mut connection = server.accept().expect("a connection");
        let request = connection.receive().expect("a request");
        connection.accept_request(&request).expect("it is up");
        connection
    };
    let mut phone = world.connect();
    assert_serves(&ours, &mut phone);
    let mut called = call_out(&ours);

    // It fails, and then finds no memory twice and panics once when it starts.
    for fault in [
        "tls-epoll-wait",
        "tls-rx-buffer",
        "tls-rx-buffer",
        "tls-loop-start",
    ] {
        arm(&ours, fault);
    }
    poke(&mut phone);
    wait_for_failures(&ours, 4);
    let reasons = [
        "epoll failed: ",
        "it panicked: ",
        "it could not start: ",
        "it could not start: ",
    ];
    for (line, reason) in errors(&ours).iter().zip(reasons) {
        assert!(line.contains(reason), "{line}");
    }
    assert!(called.ends(wait::SOON), "the carrier was not told");
    wait_until_idle(&ours);

    // In and out again.
    let mut phone = world.connect();
    assert_serves(&ours, &mut phone);
    let called = call_out(&ours);

    // A panic in a callback ends one connection, not the loop.
    let mut other = world.connect();
    assert_serves(&ours, &mut other);
    arm(&ours, "tls-message");
    poke(&mut other);
    ours.wait_until("the panic", |ours| {
        (ours.count("Panics caught") == 1).then_some(())
    });
    assert_eq!(phone.options().expect("it is up"), 200);
    assert_eq!(ours.count(RESTARTS), 4);
    assert!(ours.is_up());
    assert!(lab.tcp(&address()).is_ok());
    drop((phone, called, other));
    assert_unloads(&ours);
}
