//! The messages of RFC 4475 and RFC 5118 (tests/peers/torture) on a connection to our Asterisk and to stock: the same answers, or
//! a reason why not.

use std::collections::BTreeMap;
use std::fs;

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::host;
use host_harness::lab::repository;
use host_harness::pjsip::{self, TLS_PORT};
use host_harness::sip::{self, Client};
use host_harness::wait;

use crate::tls_world::{PEER, World};
use crate::world::{CARRIER, OURS};

/// Where we answer other than stock, and with what. docs/sip-over-tls.md has the reasons.
const OTHER: [(&str, &[u16]); 4] = [
    // SIP/7.0: RFC 4475 asks for 505; stock is silent.
    ("badvers", &[505]),
    // Two different Content-Lengths, a negative one, none: RFC 4475 asks for 400.
    ("mcl01", &[400]),
    ("ncl", &[400]),
    ("inv2543", &[400]),
];

fn messages() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for rfc in ["rfc4475", "rfc5118"] {
        let folder = repository().join("tests/peers/torture").join(rfc);
        for entry in fs::read_dir(folder).expect("the messages") {
            let path = entry.expect("a file").path();
            let name = path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            all.push((name, fs::read(&path).expect("a file")));
        }
    }
    all.sort();
    all
}

/// The final answers to a message, before that to an OPTIONS behind it. `None`: that is not answered.
fn answers(world: &World, address: &str, message: &[u8]) -> Option<Vec<u16>> {
    let mut connection = Client::new()
        .connect(&world.lab, &format!("{address}:{TLS_PORT}"))
        .expect("a TLS connection");
    assert_eq!(connection.options().expect("an answer"), 200);
    connection.send(message).expect("it is up");
    let mut statuses = Vec::new();
    // Twice: what it began is done by then, for each has the same way through Asterisk.
    for _ in 0..2 {
        let probe = connection.request("", "");
        let id = sip::header(&probe, "Call-ID").expect("one").to_owned();
        connection.send(probe.as_bytes()).expect("it is up");
        let _ = connection
            .stream
            .get_ref()
            .set_read_timeout(Some(wait::TRY * 5));
        loop {
            let answer = connection.try_receive()?;
            if sip::header(&answer, "Call-ID") == Some(&id) {
                break;
            }
            if sip::status(&answer) >= 200 {
                statuses.push(sip::status(&answer));
            }
        }
    }
    statuses.sort_unstable();
    Some(statuses)
}

fn start<'lab>(world: &'lab World) -> (Asterisk<'lab>, Asterisk<'lab>) {
    let stock = Setup::stock("stock", CARRIER)
        .pjsip(&pjsip::tls(&world.certificate, &world.authority))
        .pjsip(PEER);
    (
        Asterisk::start(&world.lab, &world.setup("")),
        Asterisk::start(&world.lab, &stock),
    )
}

#[test]
fn answered_as_by_stock() {
    let world = World::new("torture");
    let (ours, _stock) = start(&world);
    let mut differing = BTreeMap::new();
    for (name, message) in messages() {
        if name == "dblreq" && host::pjproject().is_some_and(|version| version < (2, 15)) {
            host::skip(
                "tls_torture::answered_as_by_stock (dblreq)",
                "stock of this pjproject gives no answer",
            );
            continue;
        }
        // An answer may come behind those to the probes, for each dialog has its thread: then it is tried again.
        for _ in 0..5 {
            let stock = answers(&world, CARRIER, &message);
            let own = answers(&world, OURS, &message);
            println!("{name}: ours {own:?}, stock {stock:?}");
            let expected = OTHER.iter().find(|(other, _)| *other == name);
            let expected = expected.map_or(stock.clone(), |(_, statuses)| Some(statuses.to_vec()));
            if own == expected {
                differing.remove(&name);
                break;
            }
            differing.insert(name.clone(), (own, stock));
        }
    }
    assert_eq!(differing, BTreeMap::new());
    assert_eq!(ours.count("Panics caught"), 0);
}
