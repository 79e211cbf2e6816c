use std::time::Duration;

use srtp::{MasterKey, Mki, Policy, SessionParams, Suite};

use super::*;

fn request(words: &[&str]) -> Request {
    Request::parse(words)
        .expect("in the usage's form")
        .unwrap_or_else(|reason| panic!("{words:?}: {reason}"))
}

fn refused(words: &[&str]) -> String {
    Request::parse(words)
        .expect("in the usage's form")
        .expect_err("to be refused")
}

#[test]
fn requests() {
    let all = request(&["/tmp/keys"]);
    assert_eq!(
        (all.file.to_str(), all.peer, all.time),
        (Some("/tmp/keys"), None, USUAL)
    );
    let of = request(&["/k", "peer", "carrier", "for", "90s"]);
    assert_eq!(
        (of.peer.as_deref(), of.time),
        (Some("carrier"), Duration::from_secs(90))
    );
    assert_eq!(of, request(&["/k", "for", "90s", "peer", "carrier"]));
    assert_eq!(
        request(&["/k", "for", "2h"]).time,
        Duration::from_secs(7200)
    );
    assert_eq!(request(&["/k", "for", "24h"]).time, LONGEST);
    for words in [
        &[][..],
        &["/k", "peer"],
        &["/k", "10m"],
        &["/k", "peer", "a", "peer", "b"],
    ] {
        assert_eq!(Request::parse(words), None, "{words:?}");
    }
    assert!(refused(&["keys"]).contains("'keys' is no absolute path"));
    for time in ["0s", "25h", "10", "m", "", "-1m", "1441m", "10ä"] {
        let reason = refused(&["/k", "for", time]);
        assert!(reason.contains("is not a time"), "{time}: {reason}");
    }
}

#[test]
fn networks() {
    let has = |network: &str, address: &str| {
        Network::parse(network)
            .unwrap_or_else(|| panic!("{network}"))
            .has(address.parse().expect("an address"))
    };
    for (network, inside, outside) in [
        ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
        ("192.0.2.7/24", "192.0.2.255", "192.0.3.0"),
        ("192.0.2.0/255.255.255.0", "192.0.2.1", "192.0.3.1"),
        ("2001:db8::/32", "2001:db8:1::1", "2001:db9::1"),
        ("[2001:db8::1]", "2001:db8::1", "2001:db8::2"),
        ("192.0.2.7", "::ffff:192.0.2.7", "::ffff:192.0.2.8"),
    ] {
        assert!(has(network, inside), "{network} {inside}");
        assert!(!has(network, outside), "{network} {outside}");
    }
    assert!(has("0.0.0.0/0", "203.0.113.9"));
    assert!(!has("0.0.0.0/0", "2001:db8::1"));
    for bad in [
        "",
        "host.example",
        "192.0.2.7/33",
        "192.0.2.7/255.0.255.0",
        "::1/129",
        "1.2.3.4/x",
    ] {
        assert_eq!(Network::parse(bad), None, "{bad}");
    }
}

fn at(text: &str) -> std::net::SocketAddr {
    text.parse().expect("an address")
}

#[test]
fn a_peer_by_address_or_name() {
    let address = Peer::named("192.0.2.7");
    assert!(address.has_connection(at("192.0.2.7:40001"), None));
    assert!(!address.has_connection(at("192.0.2.8:5061"), Some("sip.example")));
    let port = Peer::named("192.0.2.7:5061");
    assert!(port.has_connection(at("192.0.2.7:5061"), None));
    assert!(!port.has_connection(at("192.0.2.7:5062"), None));
    let name = Peer::named("SIP.carrier.example");
    assert!(name.has_connection(at("192.0.2.7:5061"), Some("sip.carrier.example")));
    assert!(!name.has_connection(at("192.0.2.7:5061"), Some("sip.other.example")));
    assert!(!name.has_connection(at("192.0.2.7:5061"), None));

    let media = |peer, address: &str| Media {
        endpoint: "carrier",
        address: address.parse().ok(),
        peer,
    };
    let call = "\"A\" <sips:a@sip.carrier.example:5061;x=y> at 192.0.2.7:5061";
    assert!(
        address.has_media(media(call, "203.0.113.1")),
        "signalling's address"
    );
    assert!(address.has_media(media("", "192.0.2.7")), "media's address");
    assert!(name.has_media(media(call, "203.0.113.1")), "the URI's host");
    assert!(port.has_media(media(call, "203.0.113.1")));
    assert!(!port.has_media(media("", "192.0.2.7")));
    let other = "<sip:a@other.example> at 192.0.2.8:5061";
    for peer in [&address, &name, &port] {
        assert!(!peer.has_media(media(other, "203.0.113.1")));
    }
}

#[test]
fn a_peer_by_endpoint() {
    let peer = Peer::endpoint(
        "carrier",
        [
            "sips:sip.carrier.example",
            "sip:x@192.0.2.7:5061;transport=tls",
        ],
        ["198.51.100.0/255.255.255.0", "gw.carrier.example"],
    );
    assert!(!peer.is_nowhere());
    assert!(peer.has_connection(at("192.0.2.7:9"), None));
    assert!(peer.has_connection(at("198.51.100.9:9"), None));
    assert!(peer.has_connection(at("203.0.113.1:9"), Some("sip.carrier.example")));
    assert!(!peer.has_connection(at("203.0.113.1:9"), Some("sip.example")));
    let media = |endpoint| Media {
        endpoint,
        address: "192.0.2.7".parse().ok(),
        peer: "<sip:a@sip.carrier.example> at 192.0.2.7:5061",
    };
    assert!(peer.has_media(media("carrier")));
    assert!(
        !peer.has_media(media("other")),
        "another endpoint at the same address"
    );
    assert!(Peer::endpoint("phone", [], []).is_nowhere());
}

fn line(policy: Policy) -> KeyLine {
    KeyLine {
        time: 1_795_772_400,
        direction: Direction::Out,
        peer: "192.0.2.7:30000".to_owned(),
        endpoint: "my carrier = 100%".to_owned(),
        channel: "1795772400.3".to_owned(),
        call: "ä b\n#SRTP crypto=".to_owned(),
        roc: 7,
        policy,
    }
}

#[test]
fn a_key_line_comes_back_as_it_was() {
    for suite in Suite::ALL {
        let octets: Vec<u8> = (0..suite.key_salt_len() as u8).collect();
        let key = MasterKey::new(suite, &octets).expect("the suite's length");
        let policy = Policy::with_params(
            suite,
            key,
            Some(Mki::new(&[0, 0, 3, 9]).expect("an MKI")),
            SessionParams {
                unencrypted_srtcp: true,
                ..SessionParams::default()
            },
        )
        .expect("a policy");
        let before = line(policy);
        let text = before.to_text();
        assert!(text.starts_with('#') && !text.contains('\n'), "{}", *text);
        let after = KeyLine::parse(&text).expect("a key").expect("sound");
        assert_eq!(after.policy.suite(), suite);
        assert_eq!(after.policy.key().key_salt(), octets);
        assert_eq!(after.policy.mki(), before.policy.mki());
        assert_eq!(after.policy.params(), before.policy.params());
        assert_eq!(
            (after.time, after.direction, after.roc),
            (before.time, before.direction, 7)
        );
        assert_eq!(
            (after.peer, after.endpoint, after.channel, after.call),
            (before.peer, before.endpoint, before.channel, before.call)
        );
    }
}

#[test]
fn other_lines_and_spoilt_ones() {
    for other in [
        "",
        "# a comment",
        "#SRTPx",
        "CLIENT_RANDOM 00 11",
        "SERVER_TRAFFIC_SECRET_0 00 11",
    ] {
        assert!(KeyLine::parse(other).is_none(), "{other}");
    }
    let key = "crypto=1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let of = |text: &str| KeyLine::parse(text).expect("has the mark").map(drop);
    assert_eq!(of(&format!("#SRTP dir=in {key}\r")), Ok(()));
    assert_eq!(of("#SRTP dir=in"), Err(BadKeyLine::NoKey));
    assert_eq!(
        of(&format!("#SRTP dir=up {key}")),
        Err(BadKeyLine::NoDirection)
    );
    assert_eq!(
        of(&format!("#SRTP dir=in roc=-1 {key}")),
        Err(BadKeyLine::BadRoc)
    );
    let short = of("#SRTP dir=in crypto=1 AES_CM_128_HMAC_SHA1_80 inline:AAAA");
    assert!(matches!(short, Err(BadKeyLine::Key(_))));
}
