//! What ciphertrunk.conf lets clients take reaches the engine: each option, and its twin without it. What each limit counts is
//! `crates/sip-tls/tests/limits.rs`.

use std::net::TcpStream;

use host_harness::asterisk::Asterisk;
use host_harness::sip::{self, Connection, Server};
use host_harness::wait::SOON;

use crate::tls_limits::ended;
use crate::tls_world::{PEER, World, address, assert_serves, carrier, unload, wait_until_idle};
use crate::world::{CARRIER, PHONE};

/// Handshakes that do not begin are held all the time.
const PATIENT: &str = "[tls]\nhandshake_timeout = 300\n";
/// Who has to be let in whatever the others do.
const NEIGHBOUR: &str = "127.0.0.99";
/// How many connect at once, and how many of them a limit lets in.
const MANY: u64 = 5;
const FEW: u64 = 2;

/// A limit of [`FEW`], and the reason of those that it refuses.
struct Limit {
    option: &'static str,
    code: &'static str,
    /// It is one of each source.
    is_of_source: bool,
}

const LIMITS: [Limit; 4] = [
    Limit {
        option: "max_connections",
        code: "too-many-connections",
        is_of_source: false,
    },
    Limit {
        option: "max_connections_per_source",
        code: "too-many-of-source",
        is_of_source: true,
    },
    Limit {
        option: "max_handshakes",
        code: "too-many-handshakes",
        is_of_source: false,
    },
    Limit {
        option: "max_handshakes_per_source",
        code: "too-many-handshakes-of-source",
        is_of_source: true,
    },
];

/// [`MANY`] connections that say nothing, of one source or of one each; how many are let in.
fn come(world: &World, ours: &Asterisk<'_>, code: &str, is_one: bool) -> (Vec<TcpStream>, u64) {
    let before = ended(ours, code);
    let connections: Vec<_> = (0..MANY)
        .filter_map(|number| {
            let source = if is_one { 0 } else { number };
            // One that is refused may be gone by now.
            let from = format!("127.0.0.{}", 60 + source);
            world.lab.tcp_from(&from, &address()).ok()
        })
        .collect();
    let let_in = ours.wait_until("all of them to be judged", |ours| {
        let let_in = ours.count("TLS handshakes of peers going on");
        (let_in + ended(ours, code) - before == MANY).then_some(let_in)
    });
    (connections, let_in)
}

fn reload(ours: &Asterisk<'_>, lines: &str) {
    ours.configure("ciphertrunk.conf", &format!("{PATIENT}{lines}"));
    ours.cli("module reload res_ciphertrunk.so");
}

#[test]
fn each_limit_of_the_file_is_in_force() {
    let world = World::new("clients");
    let setup = world.setup("").file("ciphertrunk.conf", PATIENT);
    let ours = Asterisk::start(&world.lab, &setup);
    for limit in &LIMITS {
        for most in [FEW, MANY] {
            reload(&ours, &format!("{} = {most}\n", limit.option));
            let (connections, let_in) = come(&world, &ours, limit.code, limit.is_of_source);
            assert_eq!(let_in, most, "{} = {most}", limit.option);
            if limit.is_of_source {
                let tcp = world.lab.tcp_from(NEIGHBOUR, &address());
                let neighbour =
                    Connection::new(&sip::Client::new().build(), tcp.expect("it listens"));
                assert_serves(&ours, &mut neighbour.expect("another source"));
            }
            drop(connections);
            wait_until_idle(&ours);
            ours.wait_until("the end of all handshakes", |ours| {
                (ours.count("TLS handshakes of peers going on") == 0).then_some(())
            });
        }
    }
    // Whom the file trusts has no limit as a source.
    reload(
        &ours,
        &format!("max_connections_per_source = {FEW}\ntrusted_sources = 127.0.0.60\n"),
    );
    let (connections, let_in) = come(&world, &ours, "too-many-of-source", true);
    assert_eq!(let_in, MANY);
    drop(connections);

    // Ten times as many as in a second may come at once.
    const TRIES: usize = 300;
    const AT_ONCE: usize = 10;
    for (rate, is_refused) in [(0, false), (1, true)] {
        reload(&ours, &format!("connection_rate_per_source = {rate}\n"));
        let before = ended(&ours, "connection-rate");
        let mut connections = Vec::new();
        for _ in 0..TRIES {
            if ended(&ours, "connection-rate") > before {
                break;
            }
            connections.extend(world.lab.tcp_from("127.0.0.70", &address()).ok());
        }
        let came = connections.len();
        if is_refused {
            assert!(
                (AT_ONCE..TRIES).contains(&came),
                "refused after {came} connections"
            );
        } else {
            assert_eq!(came, TRIES);
        }
    }
    assert_eq!(ours.count("Panics caught"), 0);
}

/// Octets of a message.
const BODY: usize = 28_000;
/// Contacts that get one each: more than the system's buffers and every queue hold.
const CONTACTS: usize = 200;
/// Octets.
const QUEUE: usize = 100_000;
const TRUNK_QUEUE: usize = 300_000;

/// How much waited already when the first message was refused for that.
fn waited(ours: &Asterisk<'_>, peer: &str) -> usize {
    let what = format!("to {peer}: it reads too slowly, ");
    let line = ours.wait_until("a message that is refused", |ours| {
        ours.log_lines(&what).first().cloned()
    });
    let (_, rest) = line.split_once(&what).expect("it was found by it");
    let number = rest.split(' ').next().expect("a word");
    number.parse().expect("a number")
}

/// The queue of a connection that a peer made is as long as the file says, and so is that of one that we made; a connection on which nothing
/// comes ends after the file's time, and by default never.
#[test]
fn queues_and_idle_time_are_those_of_the_file() {
    let world = World::new("clients-loaded");
    if world.lab.host().lacks(
        "tls_clients::queues_and_idle_time_are_those_of_the_file",
        &["res_pjsip_notify"],
    ) {
        return;
    }
    let certificate = world
        .authority()
        .issue("carrier", "carrier.example", CARRIER);
    let server = Server::new(&world.lab, &format!("{CARRIER}:5061"), &certificate, |_| {});
    let contacts: String = (0..CONTACTS)
        .map(|number| format!("contact = sip:{number}@{CARRIER}\\;transport=tls\n"))
        .collect();
    let trunk = carrier("carrier", "tls", CARRIER)
        .replace("type = aor\n", &format!("type = aor\n{contacts}"));
    let phone = PEER.replacen(
        "context = default\n",
        "context = default\naors = phone\n",
        1,
    );
    let aor = format!("[phone]\ntype = aor\nmax_contacts = {CONTACTS}\n\n");
    // As many lines as the file's reader takes.
    let body = format!("Content=>{}\n", "x".repeat(4000)).repeat(BODY / 4000);
    let notify =
        format!("[big]\nEvent=>message-summary\nContent-type=>application/octet-stream\n{body}");
    let conf = format!("[tls]\nwrite_queue = {QUEUE}\ntrunk_write_queue = {TRUNK_QUEUE}\n");
    let setup = crate::tls_world::ours()
        .also_modules(&["res_pjsip_notify"])
        .pjsip(&world.transport(""))
        .pjsip(&format!("{phone}{aor}{trunk}"))
        .file("pjsip_notify.conf", &notify)
        .file("ciphertrunk.conf", &conf);
    let ours = Asterisk::start(&world.lab, &setup);

    ours.cli("pjsip send notify big endpoint carrier");
    let deaf = server.accept().expect("a handshake");
    let waited_for_carrier = waited(&ours, &format!("{CARRIER}:5061"));
    // Nobody takes what would go by another connection.
    drop((deaf, server));

    let tcp = world.lab.tcp_from(PHONE, &address()).expect("it listens");
    let mut phone = Connection::new(&sip::Client::new().build(), tcp).expect("TLS");
    let local = phone.local();
    let contacts: Vec<_> = (0..CONTACTS)
        .map(|number| format!("<sip:{number}@{local};transport=tls>"))
        .collect();
    let register = format!(
        "REGISTER sip:server SIP/2.0\r\nVia: SIP/2.0/TLS {local};rport;branch=z9hG4bKregister\r\nMax-Forwards: 70\r\n\
         From: <sip:phone@server>;tag=1\r\nTo: <sip:phone@server>\r\nCall-ID: register@phone\r\nCSeq: 1 REGISTER\r\n\
         Contact: {}\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n",
        contacts.join(", ")
    );
    phone.send(register.as_bytes()).expect("it is up");
    let answer = phone.receive().expect("an answer");
    assert_eq!(sip::status(&answer), 200, "{answer}");
    ours.cli("pjsip send notify big endpoint peer");
    let waited_for_phone = waited(&ours, &local.to_string());
    drop(phone);
    println!("{waited_for_carrier} octets wait for the carrier, {waited_for_phone} for the phone");
    // The next message, with its header, does not fit. Some of what waited may have left before the line was written.
    for (waited, queue) in [(waited_for_carrier, TRUNK_QUEUE), (waited_for_phone, QUEUE)] {
        assert!((BODY..=queue).contains(&waited), "{waited} of {queue}");
    }
    assert!(waited_for_carrier > QUEUE, "{waited_for_carrier}");

    wait_until_idle(&ours);
    unload(&ours);
    ours.configure("ciphertrunk.conf", "[tls]\nidle_timeout = 2\n");
    ours.cli("module load res_ciphertrunk.so");
    let mut idle = world.connect();
    assert_serves(&ours, &mut idle);
    ours.wait_until("the end of what is idle", |ours| {
        (ended(ours, "idle") == 1).then_some(())
    });
    assert!(idle.ends(SOON));
    assert_eq!(ours.count("Panics caught"), 0);
}
