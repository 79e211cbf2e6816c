//! The recipes of `docs/requiring-encryption.md` together: a queue that demands encryption of both legs, whose agents are reached
//! through Local channels with demands of their own.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::capture::Capture;
use host_harness::certificates::Authority;
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption, UDP};

use crate::world::{CARRIER, CARRIER_TONE, OURS};

/// In the log when the dialplan plays its tone to somebody; older Asterisks name the application when it is loaded, too.
const PLAYS: &str = "PlayTones(\"PJSIP/";

/// A trunk that is called, and does not call.
fn called(trunk: &str) -> String {
    let identify = trunk.find("type = identify").expect("the last section");
    let start = trunk[..identify].rfind('[').expect("its name");
    trunk[..start].to_owned()
}

#[test]
fn agents_behind_local_channels() {
    let lab = Lab::new("require/queue");
    let authority = Authority::new(&lab, "authority");
    let own = authority.issue("ours", "ours.example", OURS);
    let theirs = authority.issue("carrier", "carrier.example", CARRIER);
    let customer =
        pjsip::trunk("customer", CARRIER, Encryption::Sdes).replace("transport = udp\n", "");
    let both = "Set(CIPHERTRUNK_REQUIRE(signaling)=yes)\n same => n,Set(CIPHERTRUNK_REQUIRE(both_legs)=yes)";
    let ours = Asterisk::start(
        &lab,
        &Setup::ours("ours", OURS)
            .also_modules(&["app_queue"])
            .pjsip(UDP)
            .pjsip(&pjsip::tls(&own, &authority.file()))
            .pjsip(&customer)
            .pjsip(&called(&pjsip::trunk("half", CARRIER, Encryption::Sdes)))
            .pjsip(&called(&pjsip::tls_trunk(
                "full",
                CARRIER,
                Encryption::Sdes,
            )))
            .file(
                "queues.conf",
                "[general]\n[good]\nstrategy = ringall\nmember => Local/full@agents/n\n\
                 [bad]\nstrategy = ringall\nmember => Local/half@agents/n\n",
            )
            .dialplan(&format!(
                "exten => _good,1,{both}\n same => n,Answer()\n same => n,Queue(good,,,,60)\n\
                 exten => _bad,1,{both}\n same => n,Answer()\n same => n,Queue(bad,,,,4)\n \
                 same => n,Verbose(0,over ${{QUEUESTATUS}} ${{CIPHERTRUNK_REASON}})\n\
                 [agents]\nexten => _[a-z].,1,Set(CIPHERTRUNK_REQUIRE(media)=AES_CM_128_HMAC_SHA1_80)\n \
                 same => n,Dial(PJSIP/say@${{EXTEN}},60)\n"
            )),
    );
    let call = |way: &str, extension: &str| {
        format!("exten => {way}-{extension},1,Dial(PJSIP/{extension}@{way},60)\n")
    };
    let carrier = Asterisk::start(
        &lab,
        &Setup::stock("carrier", CARRIER)
            .pjsip(UDP)
            .pjsip(&pjsip::tls(&theirs, &authority.file()))
            .pjsip(&pjsip::trunk("udp-way", OURS, Encryption::Sdes).replace("transport = udp\n", ""))
            .pjsip(&called(&pjsip::tls_trunk(
                "tls-way",
                OURS,
                Encryption::Sdes,
            )))
            .dialplan(&format!(
                "exten => say,1,Answer()\n same => n,Playtones({CARRIER_TONE})\n same => n,Wait(600)\n\
                 exten => wait,1,Answer()\n same => n,Wait(600)\n{}{}{}",
                call("tls-way", "good"),
                call("tls-way", "bad"),
                call("udp-way", "good")
            )),
    );
    let begin = |name: &str| {
        carrier.cli(&format!(
            "channel originate Local/{name}@default extension wait@default"
        ));
    };
    let end = || {
        carrier.cli("channel request hangup all");
        carrier.wait_for_channels(0);
        ours.wait_for_channels(0);
    };

    begin("tls-way-good");
    carrier.wait_for_log(PLAYS);
    // The queue and its agent, each with its own demand: nobody is hung up for it.
    assert_eq!(ours.all_log_lines("is hung up (").len(), 0);
    end();

    // An agent whose way has no TLS is not called.
    let capture = Capture::start(&lab, "bad");
    begin("tls-way-bad");
    ours.wait_for_log("over TIMEOUT signaling-in-clear");
    end();
    let wire = capture.stop();
    assert!(
        wire.datagrams
            .iter()
            .all(|datagram| !datagram.data.starts_with(b"INVITE "))
    );
    assert_eq!(carrier.all_log_lines(PLAYS).len(), 1);

    // A caller who comes without TLS does not get into the queue.
    let capture = Capture::start(&lab, "caller");
    begin("udp-way-good");
    ours.wait_for_log("is hung up (signaling-in-clear)");
    end();
    // The twin of the absence above: the detector finds what it looks for.
    let wire = capture.stop();
    assert!(
        wire.datagrams
            .iter()
            .any(|datagram| datagram.data.starts_with(b"INVITE "))
    );
    assert_eq!(carrier.all_log_lines(PLAYS).len(), 1);
    assert_eq!(ours.count("Panics caught"), 0);
}
