//! What a network, or the end of a key, does to the packets of a native bridge: those that come twice, or late, or are not sent any more.

use host_harness::asterisk::{Asterisk, Setup, TEST_MODULE};
use host_harness::lab::Lab;
use host_harness::peer::srtp::{AES_80, GCM_128};
use host_harness::peer::{Key, Suite};

use crate::native_call::{self, Leg, Place, Way, hang_up, talk, wait_for_bridges};
use crate::world::OURS;

/// What Asterisk says of each packet that it could not send in a native bridge.
const ASTERISKS: &str = "RTP Transmission error of packet";
const LEFT: &str = "packets of the call's other leg could not be encrypted";

fn ours<'lab>(lab: &'lab Lab, conf: &str) -> Asterisk<'lab> {
    let setup = native_call::with_endpoints(Setup::ours("ours", OURS))
        .module(TEST_MODULE)
        .file("ciphertrunk.conf", conf);
    Asterisk::start(lab, &setup)
}

/// A call to the left one, whose key has this suite, from the right one.
fn pair(lab: &Lab, suite: Suite, from_encrypted: bool) -> (Leg, Leg) {
    let mut left = Leg::new(lab, Place::Left, true);
    let mut right = Leg::new(lab, Place::Right, from_encrypted);
    left.key = Some(Key::new(suite, 20));
    left.call(&mut right, "");
    (left, right)
}

/// Packets that overtake others: the one that is late comes behind so many.
fn send_late(right: &mut Leg, left: &mut Leg, behind: usize) -> Option<()> {
    let audio = right.media.audio();
    let late = right.media.sealed(&audio);
    right.pass(left, behind, Way::Native);
    right.media.send_raw(&late);
    let after = right.media.audio();
    right.media.send(&after);
    let mut came = None;
    loop {
        let heard = left.hear()?;
        let payload = heard.payload.as_ref();
        came = came.or((payload == Some(&audio)).then_some(()));
        if payload == Some(&after) {
            return came;
        }
    }
}

/// Sends packets, each of which the network delivers twice.
fn send_twice(right: &mut Leg, left: &mut Leg, count: usize) {
    for _ in 0..count {
        let audio = right.media.audio();
        let wire = right.media.sealed(&audio);
        right.media.send_raw(&wire);
        right.media.send_raw(&wire);
        while left
            .hear()
            .is_some_and(|heard| heard.payload.as_ref() != Some(&audio))
        {}
    }
}

/// From a leg with SDES its own replay window takes the second one. From a plain one, what was sent before is sent again as it was, where the
/// suite allows that; under an AEAD it is refused, and the core has the call.
#[test]
fn packets_that_come_late_or_twice() {
    let lab = Lab::new("native/twice");
    let ours = ours(&lab, "");
    let mut told = 0;
    for (suite, from_encrypted, way) in [
        (AES_80, true, Way::Native),
        (GCM_128, true, Way::Native),
        (AES_80, false, Way::Native),
        (GCM_128, false, Way::Core),
    ] {
        println!("{}, from an encrypted leg: {from_encrypted}", suite.name);
        let (mut left, mut right) = pair(&lab, suite, from_encrypted);
        talk(&ours, &mut left, &mut right, Way::Native);
        for behind in [1, 20, 100] {
            let came = send_late(&mut right, &mut left, behind);
            assert!(came.is_some(), "{behind} behind");
        }
        // Beyond any window: dropped, by whomever, and that is all.
        let came = send_late(&mut right, &mut left, 300);
        assert!(came.is_none(), "300 behind");
        talk(&ours, &mut left, &mut right, Way::Native);

        send_twice(&mut right, &mut left, 50);
        told += usize::from(way == Way::Core);
        if way == Way::Core {
            wait_for_bridges(&ours, 1, Way::Core);
        }
        talk(&ours, &mut left, &mut right, way);
        assert_eq!(ours.all_log_lines(LEFT).len(), told);
        let lines = ours.all_log_lines(ASTERISKS).len();
        send_twice(&mut right, &mut left, 50);
        talk(&ours, &mut left, &mut right, way);
        assert_eq!(
            ours.all_log_lines(ASTERISKS).len(),
            lines,
            "no more of them"
        );
        hang_up(&ours, left, right);
    }
    assert_eq!(ours.count("Panics caught"), 0);
    assert_eq!(ours.count("Authentication failures"), 0);
}

/// A leg whose session sends nothing any more goes to the core, where Asterisk writes no line for each packet.
#[test]
fn what_is_not_sent_any_more() {
    let lab = Lab::new("native/not-sent");
    let ours = ours(&lab, "[srtp]\nstrict_lifetime = yes\nlifetime = 2^20\n");
    for (begins, ends) in [("age 1048576", "age 0"), ("panic protect", "age 0")] {
        println!("{begins}");
        let (mut left, mut right) = pair(&lab, AES_80, false);
        talk(&ours, &mut left, &mut right, Way::Native);
        ours.cli(&format!("ciphertrunk test {begins}"));
        ours.wait_until("the bridge to be the core's", |ours| {
            let audio = right.media.audio();
            right.media.send(&audio);
            (native_call::technologies(ours) == ["simple_bridge"]).then_some(())
        });
        let lines = ours.all_log_lines(ASTERISKS).len();
        assert!(lines > 0, "each of them is told in a native bridge");
        for _ in 0..50 {
            let audio = right.media.audio();
            right.media.send(&audio);
        }
        // The plain leg's thread has read all of that when it answers.
        right.media.settle();
        assert_eq!(ours.all_log_lines(ASTERISKS).len(), lines);
        assert_eq!(ours.all_log_lines(LEFT).len(), 0, "indexes are not why");
        ours.cli(&format!("ciphertrunk test {ends}"));
        hang_up(&ours, left, right);
    }
}
