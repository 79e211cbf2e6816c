//! A call is judged by its dialog: whatever its `Call-ID` looks like, and whoever else has the same.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::capture::{Capture, Wire};
use host_harness::lab::Lab;
use host_harness::peer::srtp::AES_80;
use host_harness::peer::{Description, Key, Phone};
use host_harness::pjsip::{self, Encryption, UDP};

use crate::srtp_call::{PBX, PLAIN, PORT, SDES};

/// Another that has no SRTP.
const BARE: &str = "127.0.0.40";

const DEMAND: &str = "require_media = yes\n";

/// `sdes` and `bare` have the demand, `plain` has none.
fn ours() -> Setup {
    Setup::ours("pbx", PBX)
        .pjsip(UDP)
        .pjsip(&pjsip::optional_trunk("sdes", SDES))
        .pjsip(&pjsip::trunk("plain", PLAIN, Encryption::Plain))
        .pjsip(&pjsip::trunk("bare", BARE, Encryption::Plain))
        .file("ciphertrunk.conf", &demands(DEMAND))
        .dialplan(pjsip::ECHO)
}

fn demands(demand: &str) -> String {
    ["sdes", "bare"]
        .map(|name| format!("[{name}]\ntype = endpoint\n{demand}"))
        .concat()
}

fn demand(pbx: &Asterisk<'_>, demand: &str) {
    pbx.configure("ciphertrunk.conf", &demands(demand));
    pbx.cli("module reload res_ciphertrunk.so");
}

/// The descriptions of Asterisk's in clear.
fn in_clear(wire: &Wire) -> usize {
    let is_it = |data: &[u8]| {
        let text = String::from_utf8_lossy(data);
        text.starts_with("SIP/2.0 200") && text.contains("RTP/AVP")
    };
    let sent = wire.datagrams.iter();
    sent.filter(|datagram| is_it(&datagram.data)).count()
}

/// Offers nothing, with this behind the `Call-ID`; how many descriptions in clear Asterisk sends then.
fn without_offer(lab: &Lab, pbx: &Asterisk<'_>, behind: &str, is_refused: bool) -> usize {
    let capture = Capture::start(lab, "call");
    let told = pbx.all_log_lines("media-in-clear").len();
    let mut phone = Phone::new(lab, BARE, PBX);
    phone.begin_without_offer("echo", behind);
    if is_refused {
        pbx.wait_until("the refusal", |pbx| {
            (pbx.all_log_lines("media-in-clear").len() > told).then_some(())
        });
    } else {
        pbx.wait_until("the answer", |pbx| {
            pbx.cli("core show channels").contains(" Up ").then_some(())
        });
        pbx.cli("channel request hangup all");
    }
    pbx.wait_for_channels(0);
    in_clear(&capture.stop())
}

#[test]
fn a_call_id_that_ends_in_a_blank() {
    let lab = Lab::new("require/call_id_blank");
    let pbx = Asterisk::start(&lab, &ours());
    for behind in ["", " ", "\t", " \t "] {
        assert_eq!(without_offer(&lab, &pbx, behind, true), 0, "{behind:?}");
    }
    // The twin, where the detector finds it.
    demand(&pbx, "");
    assert!(without_offer(&lab, &pbx, " ", false) > 0);
    assert_eq!(pbx.count("Panics caught"), 0);
}

#[test]
fn a_call_id_that_another_call_has() {
    let lab = Lab::new("require/call_id_twice");
    let pbx = Asterisk::start(&lab, &ours());
    let (key, clear) = (Key::new(AES_80, 1), Description::new(PORT, &[]));
    let good = Description::new(PORT, &[key.line(1, "")]);
    let (mut plain, mut sdes) = (Phone::new(&lab, PLAIN, PBX), Phone::new(&lab, SDES, PBX));
    let id = "shared@proxy.example";
    // Nothing is demanded of the first.
    plain
        .call_as(id, "echo", &clear)
        .expect("nothing is demanded");
    assert_eq!(sdes.call_as(id, "echo", &clear).err(), Some(488));
    assert_eq!(
        pbx.all_log_lines("media-in-clear").len(),
        1,
        "refused, but not for the demand"
    );
    sdes.call_as(id, "echo", &good)
        .expect("it has what is demanded");
    // The end of the one does not take the demand from the other.
    plain.hang_up();
    assert_eq!(sdes.reinvite(&clear).err(), Some(488));
    // What somebody else asks with it does the call no harm.
    let mut other = Phone::new(&lab, BARE, PBX);
    assert_eq!(other.options_as(id, "echo"), 200);
    assert!(sdes.reinvite(&good).is_ok());
    sdes.hang_up();
    pbx.wait_for_channels(0);
    assert_eq!(pbx.count("Panics caught"), 0);
}

/// pjsip before 2.17 finds the dialog of a request by its tags alone.
#[test]
fn a_request_in_the_dialog_with_another_call_id() {
    let lab = Lab::new("require/call_id_other");
    let pbx = Asterisk::start(&lab, &ours());
    let (key, clear) = (Key::new(AES_80, 1), Description::new(PORT, &[]));
    let mut sdes = Phone::new(&lab, SDES, PBX);
    let good = Description::new(PORT, &[key.line(1, "")]);
    sdes.call("echo", &good).expect("it has what is demanded");
    let id = std::mem::replace(&mut sdes.call_id, "another@phone".to_owned());
    let refused = sdes.reinvite(&clear).err();
    assert!(matches!(refused, Some(481 | 488)), "{refused:?}");
    sdes.call_id = id;
    assert!(sdes.reinvite(&good).is_ok());
    sdes.hang_up();
    pbx.wait_for_channels(0);
}
