//! The console: what the commands show of a call between baresip and Asterisk, over TLS with SDES, and that they complete.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::baresip::{Baresip, Media, Phone};
use host_harness::certificates::Authority;
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption, TLS_PORT};

use crate::tls_world::World;
use crate::world::{OUR_TONE, OURS, PHONE, PHONE_TONE, assert_served_by_us};

const PASSWORD: &str = "correct-horse";

pub fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

/// The words that the console completes `line` to.
pub fn completed(asterisk: &Asterisk<'_>, line: &str) -> Vec<String> {
    // The console hands over the word that is being typed as well.
    let word = line.rsplit(' ').next().unwrap_or_default();
    let text = asterisk.cli(&format!("_command matchesarray \"{line}\" \"{word}\""));
    // The first is what all of them begin with.
    let words = text.split_whitespace().filter(|word| *word != "_EOF_");
    words.skip(1).map(str::to_owned).collect()
}

#[test]
fn a_call_and_its_connection() {
    let lab = Lab::new("console");
    let authority = Authority::new(&lab, "authority");
    let certificate = authority.issue("ours", "ours.example", OURS);
    let setup = Setup::ours("ours", OURS)
        .pjsip(&pjsip::tls(&certificate, &authority.file()))
        .pjsip(&pjsip::phone("alice", PASSWORD, "tls", Encryption::Sdes))
        .dialplan(&pjsip::say(OUR_TONE))
        .file(
            "ciphertrunk.conf",
            "[srtp]\nmki = yes\n[alice]\ntype = endpoint\noffer = AEAD_AES_256_GCM\nrequire_signaling = yes\n",
        );
    let ours = Asterisk::start(&lab, &setup);
    let mut phone = Baresip::start(
        &lab,
        &Phone {
            name: "alice".to_owned(),
            address: PHONE.to_owned(),
            server: (format!("{OURS}:{TLS_PORT}"), "tls".to_owned()),
            password: Some(PASSWORD.to_owned()),
            media: Media::Sdes,
            tone: PHONE_TONE,
            authority: Some(authority.file()),
        },
    );
    let none = ours.cli("ciphertrunk show calls");
    assert_has(&none, &["0 calls\n"]);

    phone.call(&format!("sip:say@{OURS}:{TLS_PORT};transport=tls"));
    phone.wait_for_tone(OUR_TONE, 10);
    ours.wait_for_tone(PHONE_TONE, 10);
    assert_served_by_us(&ours);

    let calls = ours.cli("ciphertrunk show calls");
    assert_has(
        &calls,
        &[
            "Channel: PJSIP/alice-",
            " Endpoint: alice ",
            " Direction: in ",
            " Encrypted: encrypted ",
            " Signaling: TLS TLSv1.3 ",
            " Call-ID: ",
            "\n1 calls\n",
        ],
    );
    let call_id = calls
        .lines()
        .find_map(|line| line.split_once("Call-ID: "))
        .expect("a call")
        .1
        .trim()
        .to_owned();
    let channel = calls
        .split_whitespace()
        .find(|word| word.starts_with("PJSIP/alice-"))
        .expect("a channel")
        .to_owned();
    // By each of its names, and by none of them.
    for name in ["alice", &call_id, &channel] {
        let call = ours.cli(&format!("ciphertrunk show call {name}"));
        assert_has(
            &call,
            &[
                &format!("Channel: {channel}\n"),
                &format!("Call-ID: {call_id}\n"),
                &format!("1 calls of {name}\n"),
                "AES_CM_128_HMAC_SHA1_80",
            ],
        );
    }
    let other = ours.cli("ciphertrunk show call bob");
    assert_has(&other, &["0 calls of bob\n"]);

    let connections = ours.cli("ciphertrunk show connections");
    assert_has(
        &connections,
        &[
            " Transport: tls ",
            " Direction: in ",
            " Peer: 127.0.0.",
            " TLS: TLSv1.3 ",
            " Verified: no certificate ",
            "\n1 TLS connections\n",
        ],
    );
    let id = connections
        .strip_prefix("Connection: ")
        .and_then(|rest| rest.split(' ').next())
        .expect("a number")
        .to_owned();
    // The phone has chosen it.
    let peer = connections
        .split_once(" Peer: ")
        .and_then(|(_, rest)| rest.split(':').next())
        .expect("an address")
        .to_owned();
    for name in [&id, &peer] {
        let connection = ours.cli(&format!("ciphertrunk show connection {name}"));
        assert_has(
            &connection,
            &[
                &format!("Connection: {id}\n"),
                "Carried a call: yes\n",
                "TLS: TLSv1.3\n",
            ],
        );
    }
    let peers = ours.cli("ciphertrunk show peers");
    assert_has(
        &peers,
        &[
            &format!("Peer: {peer} Connections: 1 "),
            " Certificate: none\n",
            "\n1 peers\n",
        ],
    );
    let certificates = ours.cli("ciphertrunk show certificates");
    assert_has(
        &certificates,
        &[
            "Transport: tls File: ",
            "ours.pem (1 of 1) Names: ours.example, ",
            " days left)",
            "1 certificates of ours",
        ],
    );
    let config = ours.cli("ciphertrunk show config alice");
    assert_has(
        &config,
        &[
            "media_encryption = sdes (pjsip.conf [alice])\n",
            "offer = AEAD_AES_256_GCM (ciphertrunk.conf [alice], line 5)\n",
            "mki = yes (ciphertrunk.conf [srtp], line 2)\n",
            "strict_lifetime = no (default)\n",
            "require_signaling is demanded (ciphertrunk.conf [alice], line 6)\n",
        ],
    );
    let config = ours.cli("ciphertrunk show config");
    assert_has(
        &config,
        &[
            "[srtp] mki = yes (ciphertrunk.conf [srtp], line 2)\n",
            "[tls] handshake_timeout = 10 (default)\n",
            "Endpoints with a section: alice\n",
        ],
    );

    assert_eq!(
        completed(&ours, "ciphertrunk explain cert-e"),
        ["cert-expired"]
    );
    assert!(completed(&ours, "ciphertrunk show call ").contains(&channel));
    assert!(completed(&ours, "ciphertrunk show connection ").contains(&id));
    assert_eq!(completed(&ours, "ciphertrunk close i"), ["idle"]);
    assert_eq!(completed(&ours, "ciphertrunk show config al"), ["alice"]);
    assert_eq!(completed(&ours, "ciphertrunk show calls "), ["all"]);
    assert_eq!(
        completed(&ours, "ciphertrunk explain no-such"),
        [] as [&str; 0]
    );

    // It has carried a call, so it is not idle.
    let answer = ours.cli("ciphertrunk close idle");
    assert_has(&answer, &["0 connections are being closed\n"]);
    let answer = ours.cli(&format!("ciphertrunk close connection {id}"));
    assert_has(&answer, &["1 connections are being closed\n"]);
    ours.wait_until("its end", |ours| {
        let gone = ours.cli(&format!("ciphertrunk show connection {id}"));
        gone.contains(&format!("0 TLS connections of {id}\n"))
            .then_some(())
    });
    let unknown = ours.cli("ciphertrunk explain nonsense");
    assert_has(&unknown, &["There is no reason 'nonsense'"]);
    let all = ours.cli("ciphertrunk reasons");
    assert_has(&all, &["cert-expired: ", "offer-in-clear: "]);
}

/// A list has a hundred rows, and says how many more there are.
#[test]
fn a_hundred_rows() {
    let world = World::new("console_rows");
    let ours = Asterisk::start(&world.lab, &world.setup(""));
    let connections: Vec<_> = (0..103).map(|_| world.connect()).collect();
    ours.wait_until("all connections", |ours| {
        (ours.count("TLS connections") == 103).then_some(())
    });
    let rows = |text: &str| {
        text.lines()
            .filter(|line| line.starts_with("Connection: "))
            .count()
    };
    let some = ours.cli("ciphertrunk show connections");
    assert_eq!(rows(&some), 100, "{some}");
    assert_has(
        &some,
        &[
            "3 more: the same command with `all`\n",
            "103 TLS connections\n",
        ],
    );
    let all = ours.cli("ciphertrunk show connections all");
    assert_eq!(rows(&all), 103);
    assert!(!all.contains(" more: "), "{all}");
    // Of one peer likewise.
    let address = "ciphertrunk show connection 127.0.0.1";
    let some = ours.cli(address);
    assert_eq!(rows(&some), 100, "{some}");
    assert_has(
        &some,
        &[
            "3 more: the same command with `all`\n",
            "103 TLS connections of 127.0.0.1\n",
        ],
    );
    let all = ours.cli(&format!("{address} all"));
    assert_eq!(rows(&all), 103);
    let usage = ours.cli("ciphertrunk show connections some");
    assert_has(&usage, &["Usage: ciphertrunk show connections [all]"]);
    let peers = ours.cli("ciphertrunk show peers");
    assert_has(&peers, &["Connections: 103 ", "\n1 peers\n"]);
    drop(connections);
}
