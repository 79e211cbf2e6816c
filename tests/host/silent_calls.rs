//! Calls that do not come about for a reason of encryption, of which Asterisk says nothing: each is one line with a code, and is
//! recorded. SIPp is the other side.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::lab::Lab;
use host_harness::names::Names;
use host_harness::pjsip::{self, ECHO, Encryption, UDP};
use host_harness::sipp::{Call, Plan};

use crate::world::OURS;

const CLEAR: &str = "m=audio [media_port] RTP/AVP 0";
const SDES: &str = "m=audio [media_port] RTP/SAVP 0\n\
     a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
const DTLS: &str = "m=audio [media_port] UDP/TLS/RTP/SAVP 0\na=setup:actpass\n\
     a=fingerprint:SHA-256 AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA";
const NO_KEYS: &str = "m=audio [media_port] RTP/SAVP 0";

/// An endpoint of each kind, by the address that it calls from.
const ENDPOINTS: [(&str, &str, Encryption); 3] = [
    ("of-sdes", "127.0.0.31", Encryption::Sdes),
    ("of-dtls", "127.0.0.32", Encryption::Dtls),
    ("of-none", "127.0.0.33", Encryption::Plain),
];

fn start(lab: &Lab) -> Asterisk<'_> {
    let mut setup = Setup::ours("ours", OURS).pjsip(UDP).dialplan(ECHO);
    for (name, address, encryption) in ENDPOINTS {
        setup = setup.pjsip(&pjsip::trunk(name, address, encryption));
    }
    Asterisk::start(lab, &setup)
}

fn address(endpoint: &str) -> String {
    let found = ENDPOINTS.iter().find(|(name, ..)| *name == endpoint);
    found.expect("one of them").1.to_owned()
}

fn call(id: &str, endpoint: &str, media: &str) -> Call {
    Call {
        id: id.to_owned(),
        address: address(endpoint),
        asterisk: OURS.to_owned(),
        media: media.to_owned(),
    }
}

/// The lines about a call that are not about keys in clear, which SDES over UDP is told of as well.
fn told(ours: &Asterisk<'_>, call_id: &str) -> Vec<String> {
    let mut lines = ours.all_log_lines(&format!("Call-ID {call_id}"));
    lines.retain(|line| line.contains("Ciphertrunk: ") && !line.contains("keys-in-clear"));
    lines
}

/// What the record has of a call.
fn recorded(ours: &Asterisk<'_>, call_id: &str) -> Vec<String> {
    let text = ours.cli("ciphertrunk show refusals all");
    let lines = text.lines().filter(|line| {
        line.contains(&format!(" Call-ID: {call_id} ")) && !line.contains("keys-in-clear")
    });
    lines.map(str::to_owned).collect()
}

/// That a call is told in one line, and recorded once, with this code.
fn assert_told(ours: &Asterisk<'_>, call_id: &str, endpoint: &str, code: &str) {
    let lines = told(ours, call_id);
    assert_eq!(lines.len(), 1, "{call_id}: {lines:?}\n{}", ours.log());
    for part in [
        "WARNING",
        &format!("endpoint '{endpoint}'"),
        &format!("reason {code}: "),
    ] {
        assert!(lines[0].contains(part), "{part:?} is not in {}", lines[0]);
    }
    let recorded = recorded(ours, call_id);
    assert_eq!(recorded.len(), 1, "{call_id}: {recorded:?}");
    for part in [format!(" {code} "), format!(" Endpoint: {endpoint} ")] {
        assert!(
            recorded[0].contains(&part),
            "{part:?} is not in {recorded:?}"
        );
    }
    let explained = ours.cli(&format!("ciphertrunk explain {code}"));
    assert!(
        explained.starts_with(&format!("Reason: {code}\n")),
        "{explained}"
    );
}

#[test]
fn an_offer_that_does_not_fit_the_endpoint() {
    let lab = Lab::new("silent-offers");
    let ours = start(&lab);
    for (number, (endpoint, media, refused)) in [
        ("of-sdes", CLEAR, Some("offer-in-clear")),
        ("of-sdes", DTLS, Some("offer-dtls")),
        ("of-sdes", NO_KEYS, Some("offer-without-keys")),
        ("of-sdes", SDES, None),
        ("of-dtls", CLEAR, Some("offer-in-clear")),
        ("of-dtls", SDES, Some("offer-sdes")),
        ("of-none", SDES, Some("offer-encrypted")),
        ("of-none", CLEAR, None),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("offer-{number}");
        let status = if refused.is_some() { 488 } else { 200 };
        call(&id, endpoint, media).run(&lab, &Plan::Expect(status));
        match refused {
            Some(code) => assert_told(&ours, &id, endpoint, code),
            None => {
                assert_eq!(told(&ours, &id), [] as [&str; 0]);
                assert_eq!(recorded(&ours, &id), [] as [&str; 0]);
            }
        }
    }
    let reasons = ours.cli("ciphertrunk show reasons");
    assert!(reasons.contains("offer-in-clear: 2 "), "{reasons}");
}

/// A line that is refused has been told as that.
#[test]
fn a_refused_line_is_told_once() {
    let lab = Lab::new("silent-line");
    let ours = start(&lab);
    let line = format!("{SDES}|2^19");
    call("line", "of-sdes", &line).run(&lab, &Plan::Expect(488));
    assert_told(&ours, "line", "of-sdes", "lifetime-too-short");
}

/// An offer in a call, which pjsip refuses by itself: the call goes on, and it is told. Its twin changes nothing that is refused.
#[test]
fn an_offer_in_a_call_that_does_not_fit_the_endpoint() {
    let lab = Lab::new("silent-changes");
    let ours = start(&lab);
    let savpf = SDES.replace("RTP/SAVP", "RTP/SAVPF");
    for (number, (endpoint, first, then, status, refused)) in [
        ("of-sdes", SDES, CLEAR, 488, Some("offer-in-clear")),
        ("of-sdes", SDES, DTLS, 488, Some("offer-dtls")),
        ("of-sdes", SDES, NO_KEYS, 488, Some("offer-without-keys")),
        ("of-sdes", SDES, &savpf, 488, Some("offer-profile")),
        ("of-none", CLEAR, SDES, 488, Some("offer-encrypted")),
        ("of-sdes", SDES, SDES, 200, None),
        ("of-none", CLEAR, CLEAR, 200, None),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("change-{number}");
        call(&id, endpoint, first).run(&lab, &Plan::Change(then.to_owned(), status));
        ours.wait_for_channels(0);
        match refused {
            Some(code) => assert_told(&ours, &id, endpoint, code),
            None => assert_eq!(told(&ours, &id), [] as [&str; 0]),
        }
    }
}

#[test]
fn our_offer_is_refused_by_the_other_side() {
    let lab = Lab::new("silent-refusals");
    let ours = start(&lab);
    for (number, (endpoint, status, code)) in [
        ("of-sdes", 488, Some("remote-refused-srtp")),
        ("of-sdes", 606, Some("remote-refused-srtp")),
        ("of-dtls", 415, Some("remote-refused-srtp")),
        ("of-none", 488, Some("remote-refused-clear")),
        // Busy, and not there.
        ("of-sdes", 486, None),
        ("of-none", 404, None),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("refusal-{number}");
        let mut sipp = call(&id, endpoint, CLEAR).start(&lab, &Plan::Refuse(status));
        ours.cli(&format!(
            "channel originate PJSIP/sipp@{endpoint} extension echo@default"
        ));
        let ended = sipp.wait(host_harness::wait::SOON);
        assert!(ended.success(), "{}", sipp.output());
        ours.wait_for_channels(0);
        let lines = ours.all_log_lines("was refused by it (");
        let recorded = ours.cli("ciphertrunk show refusals all");
        let recorded: Vec<&str> = recorded
            .lines()
            .filter(|line| line.contains(" remote-refused-"))
            .collect();
        let before = number.min(4);
        let Some(code) = code else {
            assert_eq!((lines.len(), recorded.len()), (4, 4), "{lines:?}");
            continue;
        };
        assert_eq!(lines.len(), before + 1, "{lines:?}");
        let line = lines.last().expect("one");
        for part in [
            format!("endpoint '{endpoint}'"),
            format!("({status})"),
            format!("reason {code}: "),
            "Call-ID ".to_owned(),
        ] {
            assert!(line.contains(&part), "{part:?} is not in {line}");
        }
        assert!(recorded[0].contains(&format!(" {code} ")), "{recorded:?}");
        assert_eq!(
            line.contains("AES_CM_128_HMAC_SHA1_80"),
            endpoint == "of-sdes"
        );
    }
}

/// A second phone answers with a key of its own, which Asterisk was told not to follow: the keys in force are the first one's.
#[test]
fn an_answer_that_asterisk_does_not_take() {
    let lab = Lab::new("silent-fork");
    let address = "127.0.0.36";
    let trunk = pjsip::trunk("forks", address, Encryption::Sdes).replace(
        "media_encryption = sdes\n",
        "media_encryption = sdes\nfollow_early_media_fork = no\naccept_multiple_sdp_answers = no\n",
    );
    let setup = Setup::ours("ours", OURS)
        .pjsip(UDP)
        .pjsip(&trunk)
        .dialplan(ECHO);
    let ours = Asterisk::start(&lab, &setup);
    let phones = Call {
        id: "forked".to_owned(),
        address: address.to_owned(),
        asterisk: OURS.to_owned(),
        media: SDES.to_owned(),
    };
    let other = SDES.replace("inline:d0Rm", "inline:AAAA");
    let mut sipp = phones.start(&lab, &Plan::Fork(other));
    ours.cli("channel originate PJSIP/sipp@forks extension echo@default");
    let ended = sipp.wait(host_harness::wait::SOON);
    assert!(ended.success(), "{}", sipp.output());
    ours.wait_for_channels(0);
    let lines = ours.all_log_lines("reason answer-not-applied: ");
    assert_eq!(lines.len(), 1, "{lines:?}\n{}", ours.log());
    for part in ["endpoint 'forks'", "The call ends with hangup cause 58"] {
        assert!(lines[0].contains(part), "{part:?} is not in {}", lines[0]);
    }
}

#[test]
fn a_name_without_an_address() {
    let lab = Lab::new("silent-name");
    // Nobody answers at the second: its requests are sent again and again, and SIPp at the first must not get them.
    let known = [
        ("known.example", "127.0.0.34"),
        ("mute.example", "127.0.0.35"),
    ];
    let _names = Names::serve(&lab, &known);
    let trunk = |name: &str, host: &str| {
        pjsip::trunk(name, host, Encryption::Plain)
            .split("type = identify")
            .next()
            .expect("a part")
            .rsplit_once('[')
            .expect("the name of the last section")
            .0
            .to_owned()
    };
    let registration = |host: &str| {
        format!(
            "[at-{host}]\ntype = registration\ntransport = udp\nserver_uri = sip:{host}:5060\nclient_uri = sip:ours@{host}:5060\n"
        )
    };
    let setup = Setup::ours("ours", OURS)
        .pjsip(UDP)
        .pjsip(&trunk("unknown", "unknown.example"))
        .pjsip(&trunk("known", "known.example"))
        .pjsip(&trunk("mute", "mute.example"))
        .pjsip(&registration("nowhere.example"))
        .pjsip(&registration("mute.example"))
        .dialplan(ECHO);
    let ours = Asterisk::start(&lab, &setup);
    // Requests outside of calls: a registration, and a qualify.
    for name in ["unknown", "mute"] {
        ours.cli(&format!("pjsip qualify {name}"));
    }
    for (method, host) in [("REGISTER", "nowhere"), ("OPTIONS", "unknown")] {
        let line = format!("{method} to {host}.example was not sent, reason no-address: ");
        ours.wait_for_log(&line);
        let lines = ours.all_log_lines(&line);
        assert!(
            lines.len() == 1 && lines[0].contains("WARNING"),
            "{lines:?}"
        );
        let recorded = ours.cli("ciphertrunk show refusals");
        assert!(
            recorded.contains(&format!(" no-address Peer: {host}.example ")),
            "{recorded}"
        );
    }
    let other = Call {
        id: "known".to_owned(),
        address: "127.0.0.34".to_owned(),
        asterisk: OURS.to_owned(),
        media: CLEAR.to_owned(),
    };
    let mut sipp = other.start(&lab, &Plan::Refuse(486));
    for name in ["known", "unknown"] {
        ours.cli(&format!(
            "channel originate PJSIP/{name} extension echo@default"
        ));
    }
    assert!(
        sipp.wait(host_harness::wait::SOON).success(),
        "{}",
        sipp.output()
    );
    ours.wait_for_log("a call to endpoint 'unknown' was not sent, reason no-address: ");
    ours.wait_for_channels(0);
    assert_eq!(ours.all_log_lines("to mute.example was"), [] as [&str; 0]);
    let lines = ours.all_log_lines("a call to endpoint");
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in [
        "endpoint 'unknown'",
        "unknown.example",
        "the DNS has no address for its name",
    ] {
        assert!(lines[0].contains(part), "{part:?} is not in {}", lines[0]);
    }
    let recorded = ours.cli("ciphertrunk show refusals");
    assert!(
        recorded.contains(" no-address Peer: <sip:unknown.example:5060>"),
        "{recorded}"
    );
    assert!(!recorded.contains("sip:known.example"), "{recorded}");
}

/// Keys in messages that nothing encrypts: a WARNING for each endpoint, and one only. What has no keys there is not told of.
#[test]
fn keys_that_travel_in_clear() {
    let lab = Lab::new("silent-keys");
    let ours = start(&lab);
    call("plain", "of-none", CLEAR).run(&lab, &Plan::Expect(200));
    assert_eq!(ours.all_log_lines("keys-in-clear"), [] as [&str; 0]);
    for id in ["first", "second"] {
        call(id, "of-sdes", SDES).run(&lab, &Plan::Expect(200));
    }
    let lines = ours.all_log_lines("keys-in-clear");
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in ["WARNING", "endpoint 'of-sdes'", "over UDP", "Call-ID first"] {
        assert!(lines[0].contains(part), "{part:?} is not in {}", lines[0]);
    }
    let recorded = ours.cli("ciphertrunk show refusals");
    assert_eq!(recorded.matches(" keys-in-clear ").count(), 1, "{recorded}");
}
