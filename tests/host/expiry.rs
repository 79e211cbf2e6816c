//! A certificate that is about to expire is told of, once for each number of days: ours, one of our chain, a peer's.

use host_harness::asterisk::Asterisk;
use host_harness::certificates::Certificate;
use host_harness::pjsip;
use host_harness::sip::{Connection, Server};

use crate::tls_world::{PEER, World, carrier, is_ours, ours};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Our certificates: name, seconds to their end, and the words of its end; `None`: nothing is told.
const OWN: [(&str, i64, Option<&str>); 7] = [
    ("d31", 31 * DAY, None),
    ("d29", 29 * DAY + HOUR, Some("expires in 29 days, at 2")),
    ("d13", 13 * DAY + HOUR, Some("expires in 13 days, at 2")),
    ("d6", 6 * DAY + HOUR, Some("expires in 6 days, at 2")),
    ("d2", 2 * DAY + 12 * HOUR, Some("expires in 2 days, at 2")),
    (
        "d0",
        12 * HOUR - HOUR / 2,
        Some("expires in 11 hours, at 2"),
    ),
    ("gone", -HOUR, Some("has expired, at 2")),
];

/// A profile with something doubtful. Each transport has it.
const OLD_PHONES: &str = "[old-phones]\ntype = tls\nmatch = 192.0.2.0/24\nmin_version = tls1.0\n";
/// What is doubtful.
const OLD_TLS: &str = "method: old TLS";

/// A transport called as its certificate, at a port of its own.
fn transport(world: &World, name: &str, number: u16, certificate: &Certificate) -> String {
    pjsip::tls(certificate, &world.authority)
        .replace("[tls]", &format!("[{name}]"))
        .replace(":5061\n", &format!(":{}\n", 5061 + number))
}

/// A peer that is called, and shows this certificate.
struct Peer {
    name: &'static str,
    server: Server,
}

impl Peer {
    fn address(number: u8) -> String {
        format!("127.0.0.{}:5061", 20 + number)
    }

    fn new(world: &World, name: &'static str, number: u8, seconds: i64) -> Self {
        let host = format!("{name}.example");
        let certificate = world.authority().issue_until(name, &host, seconds);
        let server = Server::new(&world.lab, &Self::address(number), &certificate, |_| {});
        Self { name, server }
    }

    fn call(&self, ours: &Asterisk<'_>) -> Connection {
        ours.cli(&format!("pjsip qualify {}", self.name));
        let mut connection = self.server.accept().expect("we connect");
        let request = connection.receive().expect("a request");
        connection.accept_request(&request).expect("it is up");
        connection
    }
}

/// What was told of certificates.
fn told(ours: &Asterisk<'_>) -> Vec<String> {
    let mut told = ours.all_log_lines(" expires in ");
    told.extend(ours.all_log_lines(" has expired, at "));
    told.sort();
    told
}

#[test]
fn each_is_told_once() {
    let world = World::new("expiry");
    let (lab, authority) = (&world.lab, world.authority());
    let issue =
        |name: &str, seconds| authority.issue_until(name, &format!("{name}.example"), seconds);
    let mut configured = String::new();
    for ((name, seconds, _), number) in OWN.into_iter().zip(0..) {
        configured += &transport(&world, name, number, &issue(name, seconds));
    }
    // Good itself, with one behind it in its file that is not for long.
    let chain = issue("chain", 50 * DAY);
    let second = issue("second", 6 * DAY + HOUR);
    let (file, other) = (&chain.certificate, &second.certificate);
    lab.must_run("sh", &["-c", &format!("cat {other} >> {file}")]);
    configured += &transport(&world, "chain", 7, &chain);
    // A threshold that is reached while nobody does anything.
    let soon = issue("soon", DAY + 12);
    configured += &transport(&world, "soon", 8, &soon);

    let near = Peer::new(&world, "near", 0, 6 * DAY + HOUR);
    let far = Peer::new(&world, "far", 1, 40 * DAY);
    let last = Peer::new(&world, "last", 2, 2 * DAY + HOUR);
    for (peer, number) in [(&near, 0), (&far, 1), (&last, 2)] {
        configured += &carrier(peer.name, "d31", &Peer::address(number));
    }
    let ours = Asterisk::start(
        lab,
        &ours()
            .pjsip(&configured)
            .pjsip(PEER)
            .file("ciphertrunk.conf", OLD_PHONES),
    );

    for (name, _, words) in OWN {
        assert!(
            is_ours(&ours, name),
            "{}",
            ours.cli("ciphertrunk show transports")
        );
        let lines = ours.all_log_lines(&format!("transport '{name}': certificate "));
        let Some(words) = words else {
            assert_eq!(lines, [] as [&str; 0]);
            continue;
        };
        let [line] = &lines[..] else {
            panic!("{name}: {lines:?}")
        };
        for part in [
            "certificate 1 of 1 in ",
            &format!("/tls/{name}.pem {words}"),
            &format!("(names: {name}.example; issuer: /CN=authority)"),
            "(to change here)",
        ] {
            assert!(line.contains(part), "{part:?} is not in {line}");
        }
        let is_error = line.contains("ERROR");
        assert_eq!(is_error, name == "gone", "{line}");
    }
    // A profile's doubts are said once for all transports, and shown with each.
    let lines = ours.all_log_lines(OLD_TLS);
    assert!(
        lines.len() == 1
            && lines[0].contains("WARNING")
            && lines[0].contains("profile 'old-phones' of ciphertrunk.conf: "),
        "{lines:?}"
    );
    let transports = ours.cli("ciphertrunk show transports");
    assert_eq!(transports.matches(OLD_TLS).count(), 9, "{transports}");
    // The certificate that has expired has its line above, and no other.
    const EXPIRED: &str = "cert_file: the certificate has expired";
    assert_eq!(transports.matches(EXPIRED).count(), 1, "{transports}");
    assert_eq!(ours.all_log_lines(EXPIRED), [] as [&str; 0]);
    let lines = ours.all_log_lines("transport 'chain': certificate ");
    assert!(
        lines.len() == 1
            && lines[0].contains("certificate 2 of 2 in ")
            && lines[0].contains("/tls/chain.pem expires in 6 days")
            && lines[0].contains("names: second.example;"),
        "{lines:?}"
    );

    // A peer's, and not one of a peer whose is good for longer: the same look saw both.
    let up = (far.call(&ours), near.call(&ours));
    ours.wait_for_log("the other side must renew it");
    let line = ours.all_log_lines("the other side must renew it");
    assert!(
        line.len() == 1
            && line[0].contains("WARNING")
            && line[0].contains("transport 'd31': the certificate of the peer 127.0.0.20, 127.0.0.20:5061 expires in 6 days, at 2")
            && line[0].contains("(names: near.example; issuer: /CN=authority)"),
        "{line:?}"
    );

    // Nothing is told again: not by a reload, not for another connection of that peer's.
    let before = told(&ours);
    for _ in 0..2 {
        assert!(ours.cli("ciphertrunk reload").contains("Reloaded"));
    }
    drop(up.1);
    ours.wait_until("the end of the connection", |ours| {
        (ours.count("TLS connections") == 1).then_some(())
    });
    let again = near.call(&ours);
    // Whatever the last one's line came from has looked at those before it.
    let last = last.call(&ours);
    ours.wait_for_log("names: last.example");
    let after: Vec<String> = told(&ours)
        .into_iter()
        .filter(|line| !line.contains("last.example") && !line.contains("soon.example"))
        .collect();
    let before: Vec<String> = before
        .into_iter()
        .filter(|line| !line.contains("soon.example"))
        .collect();
    assert_eq!(after, before);

    // Console and metrics are of the same source.
    let certificates = ours.cli("ciphertrunk show certificates");
    for part in [
        "Transport: d6 File: /lab/tls/d6.pem (1 of 1) Names: d6.example Issuer: /CN=authority Valid: 2",
        "/tls/chain.pem (2 of 2) Names: second.example Issuer: ",
        "(EXPIRED)",
        "Peer: 127.0.0.20 (127.0.0.20:5061) Names: near.example Issuer: /CN=authority Valid: ",
        "10 certificates of ours\n",
        "3 certificates of connected peers\n",
    ] {
        let part = part.replace("/lab", host_harness::lab::FOLDER);
        assert!(
            certificates.contains(&part),
            "{part:?} is not in {certificates}"
        );
    }
    let peers = ours.cli("ciphertrunk show peers");
    for (peer, name, days) in [("127.0.0.20", "near", 6), ("127.0.0.21", "far", 39)] {
        let line = peers
            .lines()
            .find(|line| line.starts_with(&format!("Peer: {peer} ")));
        assert!(
            line.is_some_and(|line| line.contains(&format!(
                " Names: {name}.example Issuer: /CN=authority Valid: 2"
            )) && line.ends_with(&format!(" ({days} days left)"))),
            "{peers}"
        );
    }

    // One that is renewed begins anew: with one that is near its end itself, and with one that is not.
    let renew = |name: &str, seconds| {
        let new = issue(&format!("{name}-new"), seconds);
        for ending in ["pem", "key"] {
            let file = |certificate: &Certificate| match ending {
                "pem" => certificate.certificate.clone(),
                _ => certificate.key.clone(),
            };
            let old = file(&new).replace("-new.", ".");
            lab.must_run("cp", &[&file(&new), &old]);
        }
    };
    renew("d6", 13 * DAY + HOUR);
    renew("d2", 50 * DAY);
    assert!(ours.cli("ciphertrunk reload").contains("Reloaded"));
    let lines = ours.all_log_lines("transport 'd6': certificate ");
    assert!(
        lines.len() == 2 && lines[1].contains("/tls/d6.pem expires in 13 days"),
        "{lines:?}"
    );
    assert_eq!(ours.all_log_lines("transport 'd2': certificate ").len(), 1);
    // By nobody's doing: at load, and 12 seconds later. Once, if Asterisk took longer than that to start.
    ours.wait_until("a threshold that is reached by itself", |ours| {
        let lines = ours.log_lines("transport 'soon': certificate ");
        (lines.len() == 2 || lines.iter().any(|line| line.contains("in 23 hours"))).then_some(())
    });
    assert_eq!(ours.count("Panics caught"), 0);
    drop((up.0, again, last));
}
