//! `CHANNEL(secure_signaling)` and `CHANNEL(secure_media)` of PJSIP's channels are true, both of a call that comes and of one that
//! goes: over TLS and UDP, with SRTP and without.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::certificates::Authority;
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption, UDP};

use crate::require::{carrier, ways};
use crate::world::{CARRIER, OUR_TONE, OURS};

const READ: &str = "${CHANNEL(channeltype)} ${IF($[${CHANNEL(secure_signaling)}0]?tls:udp)} ${IF($[${CHANNEL(secure_media)}0]?srtp:rtp)}";

/// The way, and what is true of it.
const WAYS: [(&str, &str); 4] = [
    ("plain", "udp rtp"),
    ("half", "udp srtp"),
    ("open", "tls rtp"),
    ("full", "tls srtp"),
];

fn without_identify(trunk: &str) -> String {
    let identify = trunk.find("type = identify").expect("the last section");
    let start = trunk[..identify].rfind('[').expect("its name");
    trunk[..start].to_owned()
}

#[test]
fn what_channel_says() {
    let lab = Lab::new("require_read/channel");
    let authority = Authority::new(&lab, "authority");
    let certificate = authority.issue("ours", "ours.example", OURS);
    let calls = WAYS.map(|(way, _)| {
        format!("exten => {way},1,Dial(PJSIP/say@{way},60,U(told^{way}))\n same => n,Hangup()\n")
    });
    let came = pjsip::trunk("came", CARRIER, Encryption::Sdes)
        .replace("transport = udp\n", "")
        .replace(
            "media_encryption = sdes\n",
            "media_encryption = sdes\nmedia_encryption_optimistic = yes\n",
        );
    let ours = Asterisk::start(
        &lab,
        &Setup::ours("ours", OURS)
            .also_modules(&["app_stack", "func_logic"])
            .pjsip(UDP)
            .pjsip(&pjsip::tls(&certificate, &authority.file()))
            .pjsip(&ways())
            .pjsip(&without_identify(&pjsip::tls_trunk("open", CARRIER, Encryption::Plain)))
            .pjsip(&came)
            .dialplan(&format!(
                "{}exten => wait,1,Answer()\n same => n,Playtones({OUR_TONE})\n same => n,Wait(600)\n\
                 exten => _came-.,1,Answer()\n same => n,Verbose(0,reads ${{EXTEN}} {READ}.)\n same => n,Hangup()\n\
                 [told]\nexten => s,1,Verbose(0,reads ${{ARG1}} {READ}.)\n same => n,Set(GOSUB_RESULT=BUSY)\n same => n,Return()\n",
                calls.concat()
            )),
    );
    // The same four ways from the carrier to us.
    let back: String = [
        pjsip::trunk("plain", OURS, Encryption::Plain),
        pjsip::trunk("half", OURS, Encryption::Sdes),
        pjsip::tls_trunk("open", OURS, Encryption::Plain),
        pjsip::tls_trunk("full", OURS, Encryption::Sdes),
    ]
    .map(|trunk| without_identify(&trunk))
    .concat();
    let carrier = Asterisk::start(&lab, &carrier(&lab, &authority).pjsip(&back));
    for (way, is) in WAYS {
        ours.cli(&format!(
            "channel originate Local/{way}@default extension wait@default"
        ));
        ours.wait_for_log(&format!("app_verbose.c: reads {way} PJSIP {is}."));
        ours.wait_for_channels(0);
        carrier.cli(&format!(
            "channel originate PJSIP/came-{way}@{way} application Wait 600"
        ));
        ours.wait_for_log(&format!("app_verbose.c: reads came-{way} PJSIP {is}."));
        ours.wait_for_channels(0);
    }
    // What is not PJSIP's answers for itself, and what chan_pjsip knows is still known.
    assert_eq!(ours.count("Panics caught"), 0);
}
