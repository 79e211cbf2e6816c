//! DTLS-SRTP with a stock Asterisk: the handshake is Asterisk's, the packets are ours.

use host_harness::asterisk::{Asterisk, Setup, User};
use host_harness::capture::Capture;
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption, UDP};

use crate::world::{
    self, CARRIER, CARRIER_TONE, OUR_TONE, OURS, assert_encrypted, assert_served_by_us,
};

as_root_and_as_asterisk!(to_stock, from_stock);

fn to_stock(lab: &Lab, user: User) {
    call(lab, user, true);
}

fn from_stock(lab: &Lab, user: User) {
    call(lab, user, false);
}

fn call(lab: &Lab, user: User, we_call: bool) {
    let ours = Asterisk::start(lab, &world::ours(user, Encryption::Dtls));
    let carrier = Asterisk::start(lab, &world::carrier(Encryption::Dtls));
    let capture = Capture::start(lab, "call");
    if we_call {
        ours.cli("channel originate PJSIP/say@carrier extension say@default");
    } else {
        carrier.cli("channel originate PJSIP/say@ours extension say@default");
    }
    ours.wait_for_tone(CARRIER_TONE, 10);
    carrier.wait_for_tone(OUR_TONE, 10);
    assert_served_by_us(&ours);
    assert_encrypted(&capture.stop(), OURS);
}

/// What is demanded of a call over DTLS-SRTP, and what becomes of it.
struct Case {
    name: &'static str,
    /// `srtp_tag_32` on both sides, which chooses the suite of the handshake.
    tag_32: bool,
    demand: &'static str,
    /// The reason; `None`: it is up.
    refused: Option<&'static str>,
}

const CASES: [Case; 5] = [
    Case {
        name: "suite",
        tag_32: true,
        demand: "AES_CM_128_HMAC_SHA1_80",
        refused: Some("media-suite"),
    },
    Case {
        name: "suite-twin",
        tag_32: false,
        demand: "AES_CM_128_HMAC_SHA1_80",
        refused: None,
    },
    Case {
        name: "weaker-suite",
        tag_32: true,
        demand: "AES_CM_128_HMAC_SHA1_32",
        refused: None,
    },
    Case {
        name: "source",
        tag_32: false,
        demand: "sdes",
        refused: Some("media-key-source"),
    },
    Case {
        name: "source-twin",
        tag_32: false,
        demand: "dtls",
        refused: None,
    },
];

#[test]
fn demanded_of_a_call_to_stock() {
    CASES.iter().for_each(|case| demanded(case, true));
}

#[test]
fn demanded_of_a_call_from_stock() {
    CASES.iter().for_each(|case| demanded(case, false));
}

fn demanded(case: &Case, we_call: bool) {
    let way = if we_call { "to" } else { "from" };
    let lab = Lab::new(&format!("dtls/demanded-{way}/{}", case.name));
    let with_tag = |encryption: &str| match case.tag_32 {
        true => format!("{encryption}srtp_tag_32 = yes\n"),
        false => encryption.to_owned(),
    };
    let trunk = |name: &str, host: &str| {
        const LAST: &str = "dtls_verify = fingerprint\n";
        pjsip::trunk(name, host, Encryption::Dtls).replace(LAST, &with_tag(LAST))
    };
    let dial = |endpoint: &str| {
        format!(
            "exten => out,1,Dial(PJSIP/say@{endpoint},60,g)\n \
             same => n,Verbose(0,over ${{HANGUPCAUSE}} ${{CIPHERTRUNK_REASON}})\n\
             exten => wait,1,Answer()\n same => n,Playtones({OUR_TONE})\n same => n,Wait(600)\n"
        )
    };
    let conf = format!(
        "[carrier]\ntype = endpoint\nrequire_media = {}\n",
        case.demand
    );
    let ours = Asterisk::start(
        &lab,
        &Setup::ours("ours", OURS)
            .pjsip(UDP)
            .pjsip(&trunk("carrier", CARRIER))
            .dialplan(&pjsip::say(OUR_TONE))
            .dialplan(&dial("carrier"))
            .file("ciphertrunk.conf", &conf),
    );
    let carrier = Asterisk::start(
        &lab,
        &Setup::stock("carrier", CARRIER)
            .pjsip(UDP)
            .pjsip(&trunk("ours", OURS))
            .dialplan(&pjsip::say(CARRIER_TONE))
            .dialplan(&dial("ours")),
    );
    let capture = Capture::start(&lab, case.name);
    let (calling, called) = match we_call {
        true => (&ours, &carrier),
        false => (&carrier, &ours),
    };
    calling.cli("channel originate Local/out@default extension wait@default");
    let Some(code) = case.refused else {
        // What `wait` says.
        called.wait_for_tone(OUR_TONE, 10);
        assert_served_by_us(&ours);
        assert_encrypted(&capture.stop(), OURS);
        return;
    };
    let line = calling.wait_until("the end of the call", |calling| {
        calling.all_log_lines("app_verbose.c: over ").pop()
    });
    ours.wait_for_channels(0);
    let wire = capture.stop();
    if we_call {
        assert!(line.ends_with(&format!(" {code}")), "{line}");
    }
    if world::waits_for_dtls(
        &ours,
        "dtls::demanded (nothing before the handshake has ended)",
    ) {
        assert!(wire.rtp_from(OURS).is_empty(), "{}: {line}", case.name);
    }
    assert_eq!(ours.count(&format!("Demand not met, {code}")), 1);
    let lines = ours.all_log_lines(&format!("({code})"));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("endpoint carrier"), "{lines:?}");
    assert_eq!(ours.count("Panics caught"), 0);
}
