//! Certificates that are renewed under calls and connections, in all the ways of ACME clients: nobody notices, and nothing is left over.
//! `make soak-reload` has 200 renewals under 50 calls and 500 connections.

use std::env;

use host_harness::asterisk::Asterisk;
use host_harness::certificates::Certificate;
use host_harness::pjsip::{self, Encryption};
use host_harness::process;
use host_harness::setup::Setup;
use host_harness::sip::{Client, Connection};

use crate::tls_world::{PEER, World, address, ours, wait_until_idle};
use crate::world::{CARRIER, CARRIER_TONE, OUR_TONE, OURS};

/// How a certificate and its key get to where the transport looks: the arguments are two files, the names are two links or files.
const WAYS: [(&str, &str); 3] = [
    // certbot: a link that points to another file.
    (
        "links",
        "cp $1 c.$$ && cp $2 k.$$ && ln -sfn c.$$ cert.new && mv -T cert.new cert.pem; ln -sfn k.$$ key.new && mv -T key.new key.pem",
    ),
    // acme.sh: into the same file.
    ("in place", "cat $2 > key.pem; cat $1 > cert.pem"),
    // lego: a new file over the old one.
    (
        "renames",
        "cp $1 .c && mv -f .c cert.pem; cp $2 .k && mv -f .k key.pem",
    ),
];

#[test]
fn under_calls_and_connections() {
    let [swaps, calls, connections] = match env::var_os("SOAK_RELOAD") {
        Some(_) => [200, 50, 500],
        None => [3, 2, 30],
    };
    process::raise_file_limit(4096);
    let world = World::new("swaps");
    let lab = &world.lab;
    let certificates: Vec<Certificate> = (0..4)
        .map(|number| {
            world
                .authority()
                .issue(&format!("swap{number}"), "ours.example", OURS)
        })
        .collect();
    let swap = |way: &str, to: &Certificate| {
        let script = format!("mkdir -p /srv/live && cd /srv/live && {way}");
        lab.must_run("sh", &["-c", &script, "sh", &to.certificate, &to.key]);
    };
    swap(WAYS[2].1, &certificates[3]);
    let own = Certificate {
        certificate: "/srv/live/cert.pem".to_owned(),
        key: "/srv/live/key.pem".to_owned(),
    };
    let known = PEER.replace("match = 127.0.0.0/8", "match = 127.0.0.1");
    let setup = ours()
        .pjsip(&pjsip::tls(&own, &world.authority))
        .pjsip(&pjsip::tls_trunk("carrier", CARRIER, Encryption::Sdes))
        .pjsip(&known)
        .dialplan(&pjsip::say(OUR_TONE));
    let stock = Setup::stock("carrier", CARRIER)
        .pjsip(&pjsip::tls(&world.certificate, &world.authority))
        .pjsip(&pjsip::tls_trunk("ours", OURS, Encryption::Sdes))
        .dialplan(&pjsip::say(CARRIER_TONE));
    let (ours, carrier) = (Asterisk::start(lab, &setup), Asterisk::start(lab, &stock));
    let context = Client::new().build();
    let connect = || {
        let tcp = lab.tcp(&address()).expect("it listens");
        let mut connection = Connection::new(&context, tcp).expect("a handshake");
        assert_eq!(connection.options().expect("an answer"), 200);
        connection
    };
    for _ in 0..calls {
        ours.cli("channel originate PJSIP/say@carrier extension say@default");
    }
    ours.wait_for_channels(calls);
    let mut up: Vec<Connection> = (0..connections).map(|_| connect()).collect();
    let files = process::open_files(ours.pid());
    let mut warm = process::resident(ours.pid());
    for round in 0..swaps {
        let (name, way) = WAYS[round % WAYS.len()];
        let before = connect().server_sha256();
        swap(way, &certificates[round % certificates.len()]);
        ours.wait_until(&format!("round {round}, {name}"), |_| {
            (connect().server_sha256() != before).then_some(())
        });
        for number in 0..10 {
            let one = &mut up[(round * 10 + number) % connections];
            assert_eq!(one.options().expect("it stays"), 200, "round {round}");
        }
        if round == swaps / 4 {
            warm = process::resident(ours.pid());
        }
    }
    let grown = process::resident(ours.pid()).saturating_sub(warm);
    eprintln!(
        "{swaps} renewals, {calls} calls, {connections} connections: {grown} octets more than after a quarter of them"
    );
    assert!(grown < 4 << 20, "{grown} octets more");
    for connection in &mut up {
        assert_eq!(connection.options().expect("it stays"), 200);
    }
    ours.wait_for_channels(calls);
    carrier.wait_for_channels(calls);
    ours.wait_for_tone(CARRIER_TONE, 50);
    carrier.wait_for_tone(OUR_TONE, 50);
    ours.wait_until("no more descriptors than before", |ours| {
        (process::open_files(ours.pid()) <= files).then_some(())
    });
    ours.cli("channel request hangup all");
    carrier.wait_for_channels(0);
    ours.wait_for_channels(0);
    drop(up);
    assert!(carrier.stop().success());
    wait_until_idle(&ours);
    let answer = ours.cli("module unload res_ciphertrunk.so");
    assert!(answer.contains("Unloaded"), "{answer}\n{}", ours.log());
    assert!(!ours.maps().contains("res_ciphertrunk"));
    assert!(ours.stop().success());
}
