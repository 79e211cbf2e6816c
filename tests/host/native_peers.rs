//! Native bridges between baresip and a stock Asterisk with libsrtp, and between two of baresip, with nothing of ours at either end: what each
//! says is heard at the other, and nothing of it leaves in clear where it must not.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::baresip::{Baresip, Media, Phone};
use host_harness::capture::{Capture, Datagram};
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption, UDP};

use crate::native_call::{Way, wait_for_bridges};
use crate::world::{
    CARRIER, CARRIER_TONE, OUR_TONE, OURS, PHONE, PHONE_TONE, TONES, assert_encrypted,
    assert_nothing_failed, assert_served_by_us,
};

/// The calls of one Asterisk in the middle, `alice` to `carrier` or `clear`, which is the same one in clear.
fn calls(name: &str, setup: Setup, way: Way) {
    let lab = Lab::new(name);
    let is_ours = way == Way::Native;
    let endpoint = |name, encryption| pjsip::trunk(name, CARRIER, encryption);
    let middle = setup
        .pjsip(UDP)
        .pjsip(&pjsip::phone("alice", "secret", "udp", Encryption::Sdes))
        .pjsip(&pjsip::phone("bob", "secret", "udp", Encryption::Sdes))
        .pjsip(&endpoint("carrier", Encryption::Sdes))
        .pjsip(&endpoint("clear", Encryption::Plain))
        .dialplan(
            "exten => carrier,1,Dial(PJSIP/say@carrier)\nexten => clear,1,Dial(PJSIP/say@clear)\n\
             exten => bob,1,Dial(PJSIP/bob)\n",
        );
    let middle = Asterisk::start(&lab, &middle);
    let carrier = Setup::stock("carrier", CARRIER)
        .pjsip(UDP)
        .pjsip(&pjsip::optional_trunk("ours", OURS))
        .dialplan(&pjsip::say(CARRIER_TONE));
    let carrier = Asterisk::start(&lab, &carrier);
    let mut alice = phone(&lab, "alice", PHONE, PHONE_TONE);
    for extension in ["carrier", "clear"] {
        let capture = Capture::start(&lab, extension);
        alice.call(&format!("sip:{extension}@{OURS}:5060"));
        wait_for_bridges(&middle, 1, way);
        alice.wait_for_tone(CARRIER_TONE, 10);
        carrier.wait_for_tone(PHONE_TONE, 10);
        wait_for_bridges(&middle, 1, way);
        alice.hang_up();
        middle.wait_for_channels(0);
        carrier.wait_for_channels(0);
        let wire = capture.stop();
        if extension == "carrier" {
            assert_encrypted(&wire, OURS);
            continue;
        }
        // The plain leg is where clear is found, both ways, and nothing of it is beside it.
        let ends =
            |packet: &Datagram| [packet.source, packet.destination].map(|end| end.ip().to_string());
        let audible = wire.audible(&TONES);
        let (mut out, mut back) = (0, 0);
        for packet in audible {
            match ends(packet).each_ref().map(String::as_str) {
                [OURS, CARRIER] => out += 1,
                [CARRIER, OURS] => back += 1,
                other => panic!("audio in clear between {other:?}"),
            }
        }
        assert!(out > 20 && back > 20, "{out} and {back} packets in clear");
        assert!(wire.rtp_to(PHONE).len() > 20, "to the phone");
    }
    if is_ours {
        // Two phones.
        const BOB: &str = "127.0.0.31";
        let bob = phone(&lab, "bob", BOB, OUR_TONE);
        let capture = Capture::start(&lab, "bob");
        alice.call(&format!("sip:bob@{OURS}:5060"));
        bob.wait_for_tone(PHONE_TONE, 10);
        alice.wait_for_tone(OUR_TONE, 10);
        wait_for_bridges(&middle, 1, way);
        alice.hang_up();
        middle.wait_for_channels(0);
        let wire = capture.stop();
        assert_encrypted(&wire, OURS);
        for end in [PHONE, BOB] {
            let count = wire.rtp_to(end).len();
            assert!(count > 20, "{count} packets to {end}");
        }
        assert_served_by_us(&middle);
        assert_nothing_failed(&middle);
    }
}

fn phone(lab: &Lab, name: &str, address: &str, tone: f64) -> Baresip {
    let phone = Phone {
        name: name.to_owned(),
        address: address.to_owned(),
        server: (format!("{OURS}:5060"), "udp".to_owned()),
        password: Some("secret".to_owned()),
        media: Media::Sdes,
        tone,
        authority: None,
    };
    Baresip::start(lab, &phone)
}

#[test]
fn with_ours() {
    calls("native/peers", Setup::ours("middle", OURS), Way::Native);
}

/// The twin: stock has each of these calls in its core.
#[test]
fn with_stock() {
    calls(
        "native/peers-stock",
        Setup::stock("middle", OURS),
        Way::Core,
    );
}
