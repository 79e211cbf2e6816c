//! What outlives what: a dialog its connection and the module, a connection's timer the connection; and what is begun and
//! does not come to be.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use host_harness::asterisk::Asterisk;
use host_harness::host;
use host_harness::lab::Lab;
use host_harness::sip::{Client, Connection, header, status};
use openssl::ssl::SslContext;

use crate::tls_world::{
    World, address, assert_serves, carrier, is_ours, ours, unload, wait_until_idle,
};

/// What pjproject logs (at its level 3) of a request through a factory that it does not have in its list.
const NOT_LISTED: &str = "Specified factory for creating transport is not found";

/// The endpoint of whoever comes from this machine. It names its transport, so a dialog's requests are bound to the factory.
const SUBSCRIBER: &str = "[peer]\ntype = endpoint\ntransport = tls\ncontext = default\ndisallow = all\nallow = ulaw\n\n\
     [peer]\ntype = identify\nendpoint = peer\nmatch = 127.0.0.0/8\n";

/// Subscribes to the state of the extension `line`; the connection has had its 200 and answered the first NOTIFY.
fn subscribe(connection: &mut Connection, call: &str) {
    let local = connection.local();
    let request = format!(
        "SUBSCRIBE sip:line@server SIP/2.0\r\nVia: SIP/2.0/TLS {local};rport;branch=z9hG4bK{call}\r\nMax-Forwards: 70\r\n\
         From: <sip:probe@{local}>;tag={call}\r\nTo: <sip:line@server>\r\nCall-ID: {call}@probe\r\nCSeq: 1 SUBSCRIBE\r\n\
         Contact: <sip:probe@{local};transport=tls>\r\nEvent: presence\r\nAccept: application/pidf+xml\r\nExpires: 600\r\n\
         Content-Length: 0\r\n\r\n"
    );
    connection.send(request.as_bytes()).expect("it is up");
    let (mut accepted, mut notified) = (false, false);
    while !accepted || !notified {
        let message = connection.receive().expect("an answer and a NOTIFY");
        if message.starts_with("NOTIFY ") {
            connection.accept_request(&message).expect("it is up");
            notified = true;
        } else {
            assert_eq!(header(&message, "CSeq"), Some("1 SUBSCRIBE"), "{message}");
            assert_eq!(status(&message), 200, "{message}");
            accepted = true;
        }
    }
}

#[test]
fn a_subscription_outlives_its_connection_and_the_module() {
    let world = World::new("subscription");
    if !world.lab.host().has_module("res_pjsip_pidf_body_generator") {
        return host::skip(
            "tls_lifetimes::a_subscription_outlives_its_connection_and_the_module",
            "this Asterisk was built without res_pjsip_pidf_body_generator",
        );
    }
    let setup = ours()
        .pjsip(&world.transport(""))
        .pjsip(SUBSCRIBER)
        .also_modules(&[
            "func_devstate",
            "res_pjsip_exten_state",
            "res_pjsip_outbound_publish",
            "res_pjsip_pidf_body_generator",
        ])
        // What is freed is overwritten: a factory that is read after it was freed has another type, and pjsip says so.
        .environment("MALLOC_PERTURB_", "165")
        .file(
            "pjproject.conf",
            "[log_mappings]\ntype = log_mappings\nasterisk_error = 0,1\nasterisk_warning = 2\nasterisk_notice = 3\n",
        )
        .dialplan("exten => line,hint,Custom:line\n");
    let mut ours = Asterisk::start(&world.lab, &setup);
    ours.cli("pjproject set log level 3");
    for round in ["first", "second"] {
        assert!(is_ours(&ours, "tls"), "{}", ours.log());
        let mut connection = world.connect();
        assert_serves(&ours, &mut connection);
        subscribe(&mut connection, round);
        // The twin: while the connection is up, a change comes by it.
        ours.cli("devstate change Custom:line INUSE");
        let notify = connection.receive().expect("a NOTIFY");
        assert!(notify.starts_with("NOTIFY "), "{notify}");
        connection.accept_request(&notify).expect("it is up");
        drop(connection);
        wait_until_idle(&ours);

        let subscriptions = ours.cli("pjsip show subscriptions inbound");
        assert!(
            subscriptions.contains(&format!("{round}@probe")),
            "{subscriptions}"
        );
        let known = ours.log_lines(NOT_LISTED).len();
        unload(&ours);
        ours.cli("devstate change Custom:line NOT_INUSE");
        ours.wait_until("a NOTIFY through the factory that was left", |ours| {
            (ours.log_lines(NOT_LISTED).len() > known).then_some(())
        });
        assert!(ours.is_up());
        ours.cli("module load res_ciphertrunk.so");
    }
    assert!(is_ours(&ours, "tls"), "{}", ours.log());
    assert_serves(&ours, &mut world.connect());
    assert!(ours.stop().success());
}

/// Arms a fault that ends a new connection's transport, makes one, and sees that nothing is left of it.
fn fails(ours: &Asterisk<'_>, world: &World, fault: &str) {
    ours.cli(&format!("ciphertrunk test fault {fault}"));
    // The handshake is done before the transport is made; the client may learn of the end in it or after it.
    if let Ok(mut connection) = world.dial(Client::new()) {
        let answer = connection.options();
        assert!(answer.is_err(), "{fault}: it was answered: {answer:?}");
    }
    wait_until_idle(ours);
    // Spent: the next one is served.
    let mut connection = world.connect();
    assert_eq!(connection.options().expect("an answer"), 200);
    drop(connection);
}

#[test]
fn a_transport_that_cannot_be_made_leaves_nothing() {
    let world = World::new("no_memory");
    let ours = Asterisk::start(&world.lab, &world.setup(""));
    fails(&ours, &world, "pj_grp_lock_add_handler");
    assert_eq!(
        ours.all_log_lines("pjsip took no connection").len(),
        1,
        "{}",
        ours.log()
    );
    unload(&ours);
    assert!(ours.stop().success());
}

#[test]
fn a_panic_while_a_transport_is_made_leaves_nothing() {
    let world = World::new("panic");
    let silent = world.lab.listen("127.0.0.23:6000");
    let setup = world
        .setup("")
        .pjsip(&carrier("silent", "tls", "127.0.0.23:6000"));
    let ours = Asterisk::start(&world.lab, &setup);
    fails(&ours, &world, "connected");
    assert_eq!(ours.count("Panics caught"), 1);

    // The other way round: we were to connect.
    ours.cli("ciphertrunk test fault outgoing");
    ours.cli("pjsip qualify silent");
    ours.wait_until("the panic", |ours| {
        (ours.count("Panics caught") == 2).then_some(())
    });
    wait_until_idle(&ours);
    // The twin: the fault is spent, and we connect.
    ours.cli("pjsip qualify silent");
    drop(silent.accept().expect("we connect"));
    unload(&ours);
    assert!(ours.stop().success());
}

/// What Asterisk logs when its timer cuts a connection.
const CUT: &str = "no request was received in";

/// Connects, asks after `pause`, and closes.
fn ask_once(lab: &Lab, context: &SslContext, pause: Duration) -> Result<(), String> {
    let tcp = lab.tcp(&address()).map_err(|error| error.to_string())?;
    let mut connection = Connection::new(context, tcp)?;
    // It is this client's way, and waits for nothing: a dead connection's timer is to find this one before it has asked.
    thread::sleep(pause);
    match connection.options() {
        Ok(200) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// The names under which PJSIP knew the connections so far, in the order in which they came (Asterisk's debug log).
fn names(ours: &Asterisk<'_>) -> Vec<String> {
    let lines = ours.all_log_lines("MONITOR_CREATED");
    let name = |line: &String| Some(line.split_once("(tls")?.1.split_once(',')?.0.to_owned());
    lines.iter().filter_map(name).collect()
}

/// Asterisk's timer for a connection that asks nothing knows it by name, and is not stopped when the connection ends. So a
/// name must not come again; where an address was the name, a dead one's timer cut 37 of 902 connections.
#[test]
fn a_dead_connections_timer_cuts_no_other() {
    const CLIENTS: usize = 3;
    /// What a client does between connecting and asking.
    const PAUSE: Duration = Duration::from_millis(300);
    /// Connections before the module is loaded again, and after the first timer has run.
    const BEFORE: usize = 300;
    const AFTER: usize = 100;
    let world = World::new("idle_timer");
    let setup = world.setup("").file(
        "logger.conf",
        "[general]\n[logfiles]\nfull.log => notice,warning,error,verbose,debug\n",
    );
    let ours = Asterisk::start(&world.lab, &setup);
    ours.cli("core set debug 3 res_pjsip");
    let context = Client::new().build();
    for _ in 0..BEFORE {
        ask_once(&world.lab, &context, Duration::ZERO).expect("an answer");
    }
    unload(&ours);
    ours.cli("module load res_ciphertrunk.so");

    let (asked, end) = (AtomicUsize::new(0), AtomicBool::new(false));
    // The twin: a client that asks nothing is cut by its own timer, after 32 s. By then those of the others run, too.
    let mut silent = world.connect();
    let failed: Vec<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut failed = Vec::new();
                    while !end.load(Ordering::Relaxed) {
                        failed.extend(ask_once(&world.lab, &context, PAUSE).err());
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                    failed
                })
            })
            .collect();
        let cut = silent.ends(Duration::from_secs(120));
        let enough = asked.load(Ordering::Relaxed) + AFTER;
        while cut && asked.load(Ordering::Relaxed) < enough {
            thread::sleep(Duration::from_millis(50));
        }
        end.store(true, Ordering::Relaxed);
        let failed = clients
            .into_iter()
            .flat_map(|client| client.join().expect("a client does not panic"))
            .collect();
        assert!(cut, "the silent client was not cut");
        failed
    });
    let asked = asked.into_inner();
    assert!(failed.is_empty(), "{} of {asked}: {failed:?}", failed.len());
    assert_eq!(
        ours.all_log_lines(CUT).len(),
        1,
        "of {asked}: {}",
        ours.log()
    );
    assert!(ours.count("SIP messages in") >= asked as u64);

    let names = names(&ours);
    assert!(names.len() > BEFORE + asked, "{} names", names.len());
    let distinct: BTreeSet<&String> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "names that came again");
    assert!(ours.stop().success());
}
