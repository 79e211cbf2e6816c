//! A drain does not take demands away: where there are any, new calls are looked at as before.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::capture::Capture;
use host_harness::lab::Lab;
use host_harness::peer::{Description, Phone};
use host_harness::pjsip::{self, Encryption, UDP};

use crate::srtp_call::{PBX, PLAIN, PORT};

fn ours(demand: &str) -> Setup {
    Setup::ours("pbx", PBX)
        .pjsip(UDP)
        .pjsip(&pjsip::trunk("plain", PLAIN, Encryption::Plain))
        .file(
            "ciphertrunk.conf",
            &format!("[plain]\ntype = endpoint\n{demand}"),
        )
        .dialplan(pjsip::ECHO)
        .dialplan(
            "exten => demand,1,Set(CIPHERTRUNK_REQUIRE(media)=yes)\n same => n,Dial(PJSIP/plain,5)\n same => n,Hangup()\n\
             exten => free,1,Dial(PJSIP/plain,5)\n same => n,Hangup()\n\
             exten => h,1,Verbose(0,over ${HANGUPCAUSE})\n",
        )
}

/// Whether a call to the phone leaves Asterisk.
fn dials(lab: &Lab, pbx: &Asterisk<'_>, extension: &str) -> bool {
    let before = pbx.all_log_lines("app_verbose.c: over ").len();
    let capture = Capture::start(lab, extension);
    pbx.cli(&format!(
        "channel originate Local/{extension}@default application Wait 60"
    ));
    pbx.wait_until("the end of the call", |pbx| {
        (pbx.all_log_lines("app_verbose.c: over ").len() > before).then_some(())
    });
    pbx.cli("channel request hangup all");
    pbx.wait_for_channels(0);
    let sent = capture.stop().datagrams;
    sent.iter().any(|it| it.data.starts_with(b"INVITE "))
}

fn drain(pbx: &Asterisk<'_>) {
    let answer = pbx.cli("ciphertrunk drain");
    assert!(answer.contains("Draining: yes"), "{answer}");
}

#[test]
fn a_demand_of_an_endpoint() {
    let lab = Lab::new("require/drain_endpoint");
    let pbx = Asterisk::start(&lab, &ours("require_media = yes\n"));
    drain(&pbx);
    assert!(!dials(&lab, &pbx, "free"));
    let mut phone = Phone::new(&lab, PLAIN, PBX);
    let clear = Description::new(PORT, &[]);
    assert_eq!(phone.call("echo", &clear).err(), Some(488));
    drop(phone);
    // The twin: nothing is demanded any more.
    pbx.configure("ciphertrunk.conf", "[plain]\ntype = endpoint\n");
    pbx.cli("module reload res_ciphertrunk.so");
    assert!(dials(&lab, &pbx, "free"));
    let mut phone = Phone::new(&lab, PLAIN, PBX);
    phone.call("echo", &clear).expect("nothing is demanded");
    phone.hang_up();
    // What is demanded from now on is heeded from now on.
    pbx.configure(
        "ciphertrunk.conf",
        "[plain]\ntype = endpoint\nrequire_media = yes\n",
    );
    pbx.cli("module reload res_ciphertrunk.so");
    assert_eq!(phone.call("echo", &clear).err(), Some(488));
    pbx.wait_for_channels(0);
    pbx.wait_until("the unload", |pbx| {
        pbx.cli("module unload res_ciphertrunk.so")
            .contains("Unloaded")
            .then_some(())
    });
}

#[test]
fn a_demand_of_the_dialplan() {
    let lab = Lab::new("require/drain_dialplan");
    let pbx = Asterisk::start(&lab, &ours(""));
    // Nobody has demanded anything: new calls are not looked at, and a demand cannot be made.
    drain(&pbx);
    assert!(!dials(&lab, &pbx, "demand"));
    assert_eq!(
        pbx.all_log_lines("is refused: the module is being drained")
            .len(),
        1
    );
    // Somebody has: they are.
    pbx.cli("ciphertrunk drain cancel");
    assert!(!dials(&lab, &pbx, "demand"));
    drain(&pbx);
    assert!(!dials(&lab, &pbx, "demand"));
    assert_eq!(
        pbx.all_log_lines("is refused: the module is being drained")
            .len(),
        1
    );
    assert!(dials(&lab, &pbx, "free"));
    assert_eq!(pbx.count("Panics caught"), 0);
}
