//! Calls that Asterisk bridges natively: two encrypted legs, or one, as it does two plain ones, and whatever happens in such a call.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::lab::Lab;
use host_harness::peer::sip::DIGITS;
use host_harness::peer::srtp::AES_80;
use host_harness::peer::{Heard, Key, Srtp};

use crate::native_call::{
    self, Keystreams, Leg, Place, Way, call, hang_up, talk, technologies, wait_for_bridges,
};
use crate::proof::channel;
use crate::world::{OURS, assert_nothing_failed};

/// Whether the left and the right leg are encrypted. The first one is the twin: what becomes of it is Asterisk's doing, and the others' is
/// the same.
const KINDS: [[bool; 2]; 4] = [[false, false], [true, true], [false, true], [true, false]];

fn ours(lab: &Lab) -> Asterisk<'_> {
    Asterisk::start(lab, &native_call::with_endpoints(Setup::ours("ours", OURS)))
}

/// The re-INVITEs of a call: hold and resume, another port, another SSRC, another key.
#[test]
fn re_invites() {
    let lab = Lab::new("native/re-invites");
    let ours = ours(&lab);
    for kind in KINDS {
        println!("encrypted: {kind:?}");
        let (mut left, mut right) = call(&ours, &lab, kind, Way::Native);

        // One side holds, and then the other.
        for n in 0..2 {
            let (one, other) = if n == 0 {
                (&mut left, &mut right)
            } else {
                (&mut right, &mut left)
            };
            one.says.direction = Some("sendonly");
            one.reinvite();
            one.pass_one(other);
            one.says.direction = None;
            one.reinvite();
            talk(&ours, one, other, Way::Native);
        }

        left.move_to(&lab, native_call::PORT + 100, 11);
        talk(&ours, &mut left, &mut right, Way::Native);
        right.become_ssrc(0x0bad_cafe);
        talk(&ours, &mut left, &mut right, Way::Native);
        right.become_ssrc(0x0200_0000);
        talk(&ours, &mut left, &mut right, Way::Native);
        if left.key.is_some() {
            left.rekey(12);
            talk(&ours, &mut left, &mut right, Way::Native);
        }
        if right.key.is_some() {
            right.rekey(13);
            talk(&ours, &mut left, &mut right, Way::Native);
        }
        hang_up(&ours, left, right);
    }
    assert_nothing_failed(&ours);
}

/// What listens to a call has it in the core, and gives it back: the rollover counters of both ways go on, whichever way the wrap came.
#[test]
fn who_listens_has_the_call_in_the_core() {
    let lab = Lab::new("native/listens");
    const TEST: &str = "native_bridge::who_listens_has_the_call_in_the_core";
    if lab.host().lacks(TEST, &["app_mixmonitor"]) {
        return;
    }
    let lacks_spies = lab
        .host()
        .lacks(&format!("{TEST} (spies)"), &["app_chanspy"]);
    let ours = ours(&lab);
    for (n, kind) in KINDS.into_iter().enumerate() {
        println!("encrypted: {kind:?}");
        let mut left = Leg::new(&lab, Place::Left, kind[0]);
        let mut right = Leg::new(&lab, Place::Right, kind[1]);
        // The left one wraps in the first native part, the right one in the core.
        left.media.sequence = u16::MAX - 25;
        right.media.sequence = u16::MAX - 35;
        left.call(&mut right, "");
        talk(&ours, &mut left, &mut right, Way::Native);
        left.pass(&mut right, 20, Way::Native);
        let channel = channel(
            &ours,
            if kind[0] {
                "PJSIP/left-"
            } else {
                "PJSIP/plain-left-"
            },
        );

        ours.cli(&format!(
            "mixmonitor start {channel} {}/rec/mixed.wav",
            "/srv/ours"
        ));
        talk(&ours, &mut left, &mut right, Way::Core);
        right.pass(&mut left, 20, Way::Core);
        ours.cli(&format!("mixmonitor stop {channel}"));
        talk(&ours, &mut left, &mut right, Way::Native);
        if lacks_spies {
            hang_up(&ours, left, right);
            continue;
        }

        ours.cli("channel originate Local/spy@default/n application Wait 600");
        talk(&ours, &mut left, &mut right, Way::Core);
        ours.cli(&format!(
            "channel request hangup Local/spy@default-{n:08x};1"
        ));
        // It lets go with the next packet.
        talk(&ours, &mut left, &mut right, Way::Native);
        ours.wait_for_channels(2);
        hang_up(&ours, left, right);
    }
    assert_nothing_failed(&ours);
}

/// A transfer that is blind, and one that is attended, by which a leg comes back; it goes on where it was.
#[test]
fn transfers() {
    let lab = Lab::new("native/transfers");
    if lab
        .host()
        .lacks("native_bridge::transfers", &["res_pjsip_refer"])
    {
        return;
    }
    let ours = ours(&lab);
    for encrypted in [false, true] {
        println!("encrypted: {encrypted}");
        let (mut left, mut right) = call(&ours, &lab, [encrypted; 2], Way::Native);
        let mut third = Leg::new(&lab, Place::Third, encrypted);
        let to = third.name.clone();
        third.take_call(|| right.phone.transfer(&to, None));
        ours.wait_for_channels(2);
        talk(&ours, &mut left, &mut third, Way::Native);

        let mut second = Leg::new(&lab, Place::Second, encrypted);
        second.call(&mut right, "");
        wait_for_bridges(&ours, 2, Way::Native);
        third.phone.transfer(&right.name, Some(&second.phone));
        ours.wait_for_channels(2);
        talk(&ours, &mut left, &mut right, Way::Native);
        hang_up(&ours, left, right);
    }
    assert_nothing_failed(&ours);
}

/// Where the packets of one leg would have indexes that the other leg's key was used for, they do not leave under them: Asterisk's core, which
/// counts for itself, has the call from then on.
#[test]
fn no_index_is_used_twice() {
    let lab = Lab::new("native/indexes");
    let ours = ours(&lab);
    for from_encrypted in [true, false] {
        println!("from an encrypted leg: {from_encrypted}");
        // It begins anew under the SSRC that it had.
        let kind = [true, from_encrypted];
        let (mut left, mut right) = call(&ours, &lab, kind, Way::Native);
        right.media.sequence = 1000;
        if from_encrypted {
            right.rekey(14);
        }
        talk(&ours, &mut right, &mut left, Way::Core);
        hang_up(&ours, left, right);

        // Both sides have one SSRC, which means nothing: each has a key of its own.
        let mut left = Leg::new(&lab, Place::Left, true);
        let mut right = Leg::new(&lab, Place::Right, from_encrypted);
        left.become_ssrc(right.media.ssrc);
        left.call(&mut right, "");
        talk(&ours, &mut left, &mut right, Way::Native);

        // It takes the SSRC that Asterisk itself has sent with, and its sequence numbers.
        let recorded = channel(&ours, "PJSIP/left-");
        ours.cli(&format!(
            "mixmonitor start {recorded} /srv/ours/rec/mixed.wav"
        ));
        talk(&ours, &mut left, &mut right, Way::Core);
        let core = right.pass_one(&mut left);
        ours.cli(&format!("mixmonitor stop {recorded}"));
        talk(&ours, &mut left, &mut right, Way::Native);
        right.media.sequence = core.sequence.wrapping_sub(5);
        right.become_ssrc(core.ssrc());
        right.until(&mut left, "audio", |heard| heard.payload.is_some());
        for _ in 0..50 {
            right.until(&mut left, "audio", |heard| heard.payload.is_some());
        }
        left.pass_one(&mut right);
        hang_up(&ours, left, right);

        // In the core it sends most of a turn of its sequence numbers: nobody can tell which turn it is in when it comes back.
        let mut left = Leg::new(&lab, Place::Left, true);
        let mut right = Leg::new(&lab, Place::Right, from_encrypted);
        right.media.sequence = 40_000;
        left.call(&mut right, "");
        talk(&ours, &mut left, &mut right, Way::Native);
        let recorded = channel(&ours, "PJSIP/left-");
        ours.cli(&format!(
            "mixmonitor start {recorded} /srv/ours/rec/mixed.wav"
        ));
        talk(&ours, &mut left, &mut right, Way::Core);
        for _ in 0..2 {
            right.media.sequence = right.media.sequence.wrapping_add(30_000);
            right.reach(&mut left, Way::Core);
        }
        ours.cli(&format!("mixmonitor stop {recorded}"));
        for technology in ["native_rtp", "simple_bridge"] {
            ours.wait_until(&format!("the bridge {technology}"), |ours| {
                let audio = right.media.audio();
                right.media.send(&audio);
                (technologies(ours) == [technology]).then_some(())
            });
        }
        talk(&ours, &mut right, &mut left, Way::Core);
        hang_up(&ours, left, right);
    }
    assert!(ours.count("Used indexes dropped") > 0);
    assert_eq!(ours.count("Authentication failures"), 0);
    assert_eq!(ours.count("Panics caught"), 0);
}

/// Digits pass as they are, and where they mean something to Asterisk they go through the core.
#[test]
fn digits() {
    let lab = Lab::new("native/digits");
    let ours = ours(&lab);
    for kind in KINDS {
        println!("encrypted: {kind:?}");
        let pair = || {
            let mut pair = [(Place::Left, kind[0]), (Place::Right, kind[1])]
                .map(|(place, encrypted)| Leg::new(&lab, place, encrypted));
            for leg in &mut pair {
                leg.says.digits = true;
            }
            pair
        };
        let [mut left, mut right] = pair();
        left.call(&mut right, "");
        talk(&ours, &mut left, &mut right, Way::Native);
        right.others.clear();
        left.media.press(5);
        left.pass(&mut right, 1, Way::Native);
        let pressed: Vec<_> = right.others.iter().map(digit).collect();
        assert!(pressed.iter().all(|digit| *digit == Some(5)), "{pressed:?}");
        assert!(pressed.len() >= 3, "{pressed:?}");

        // One that Asterisk makes itself, whose sequence numbers are its own: behind the other leg's or ahead of them.
        for ahead in [0, 20_000] {
            left.media.sequence = left.media.sequence.wrapping_add(ahead);
            left.pass(&mut right, 10, Way::Native);
            let to = channel(&ours, &format!("PJSIP/{}-", right.name));
            ours.cli(&format!(
                "channel originate Local/idle@default application SendDTMF 7,,100,{to}"
            ));
            left.until(&mut right, "a digit", |heard| digit(heard) == Some(7));
            talk(&ours, &mut left, &mut right, Way::Native);
        }
        hang_up(&ours, left, right);

        let [mut left, mut right] = pair();
        left.call(&mut right, "with-features-");
        talk(&ours, &mut left, &mut right, Way::Core);
        for key in [STAR, 0] {
            right.media.press(key);
        }
        // A digit ends in the core with a packet that comes later.
        ours.wait_until("the end of the call", |ours| {
            let audio = right.media.audio();
            right.media.send(&audio);
            ours.cli("core show channels count")
                .contains("0 active channels")
                .then_some(())
        });
        left.phone.wait_for_hang_up();
        right.phone.wait_for_hang_up();
        ours.wait_for_channels(0);
    }
    assert_nothing_failed(&ours);
}

/// RFC 4733's number of `*`.
const STAR: u8 = 10;

/// The digit in a packet (RFC 4733 section 2.3).
fn digit(heard: &Heard) -> Option<u8> {
    let is_digit = heard.wire[1] & 0x7f == DIGITS;
    is_digit
        .then(|| heard.payload.as_ref()?.first().copied())
        .flatten()
}

/// Two codecs are the core's to translate; a call that comes to have one is native from then on, and no longer when it has two again. Video is
/// left to the core, as Asterisk leaves that of plain calls.
#[test]
fn codecs_and_video() {
    let lab = Lab::new("native/codecs");
    let ours = ours(&lab);
    for kind in KINDS {
        println!("encrypted: {kind:?}");
        let (mut left, mut right) = call(&ours, &lab, kind, Way::Native);
        for (codec, way) in [(8, Way::Core), (0, Way::Native)] {
            right.says.codec = codec;
            right.reinvite();
            right.media.payload_type = codec;
            wait_for_bridges(&ours, 1, way);
            let has = |codec: u8| {
                move |heard: &Heard| heard.wire[1] & 0x7f == codec && heard.payload.is_some()
            };
            left.until(&mut right, "audio", has(codec));
            right.until(&mut left, "audio", has(0));
        }
        talk(&ours, &mut left, &mut right, Way::Native);
        hang_up(&ours, left, right);

        for (video, way) in [
            (Some(native_call::PORT + 50), Way::Core),
            (None, Way::Native),
        ] {
            let mut second = Leg::new(&lab, Place::Second, kind[0]);
            let mut third = Leg::new(&lab, Place::Third, kind[1]);
            (second.says.video, third.says.video) = (video, video);
            second.call(&mut third, "");
            talk(&ours, &mut second, &mut third, way);
            hang_up(&ours, second, third);
        }
    }
    assert_nothing_failed(&ours);
}

/// A call up while things around it are reloaded: it stays native; `native_bridge = no` leaves the next one to the core; and the module is
/// not unloaded below it.
#[test]
fn reloads_the_option_and_unloading() {
    let lab = Lab::new("native/reloads");
    let ours = ours(&lab);
    let reload = |option: &str| {
        ours.configure(
            "ciphertrunk.conf",
            &format!("[media]\nnative_bridge = {option}\n"),
        );
        ours.cli("ciphertrunk reload");
    };
    let both = [true, true];
    let (mut left, mut right) = call(&ours, &lab, both, Way::Native);
    let answer = ours.cli("module unload res_ciphertrunk.so");
    assert!(answer.contains("Unable to unload"), "{answer}");
    for command in [
        "module reload chan_pjsip.so",
        "module reload res_pjsip.so",
        "module reload res_rtp_asterisk.so",
        "ciphertrunk reload",
    ] {
        ours.cli(command);
        talk(&ours, &mut left, &mut right, Way::Native);
    }
    ours.cli("ciphertrunk drain");
    right.says.direction = Some("sendonly");
    right.reinvite();
    right.says.direction = None;
    right.reinvite();
    talk(&ours, &mut left, &mut right, Way::Native);
    ours.cli("ciphertrunk drain cancel");
    hang_up(&ours, left, right);

    for (option, way) in [("no", Way::Core), ("yes", Way::Native)] {
        reload(option);
        let (left, right) = call(&ours, &lab, both, way);
        hang_up(&ours, left, right);
        let (left, right) = call(&ours, &lab, [false, false], Way::Native);
        hang_up(&ours, left, right);
    }

    // A plain call that began without the module stays as it is. (The last call's session ends behind its channel.)
    ours.wait_until("the unloading", |ours| {
        let answer = ours.cli("module unload res_ciphertrunk.so");
        answer.contains("Unloaded").then_some(())
    });
    let (mut left, mut right) = call(&ours, &lab, [false, false], Way::Native);
    let answer = ours.cli("module load res_ciphertrunk.so");
    assert!(answer.contains("Loaded"), "{answer}");
    talk(&ours, &mut left, &mut right, Way::Native);
    hang_up(&ours, left, right);
    for kind in KINDS {
        let (left, right) = call(&ours, &lab, kind, Way::Native);
        hang_up(&ours, left, right);
    }
    assert_nothing_failed(&ours);
    assert!(ours.stop().success());
}

/// That a packet in clear, one that does not open and an index that is used twice are found.
#[test]
fn the_detectors_find_what_they_look_for() {
    let key = Key::new(AES_80, 1);
    let packet = |sequence: u8, octet: u8| {
        let mut packet = vec![0x80, 0, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 1];
        packet.extend([octet; 160]);
        packet
    };
    let heard = |wire: Vec<u8>, plain: Option<u8>| Heard {
        sequence: u16::from_be_bytes([wire[2], wire[3]]),
        wire,
        payload: plain.map(|octet| vec![octet; 160]),
    };
    let mut sender = Srtp::sender(&key, 1, 0);
    let mut another = Srtp::sender(&key, 1, 0);
    let mut keystreams = Keystreams::default();
    let mut note = |wire: Vec<u8>, plain| keystreams.note(&key, &heard(wire, plain));
    let first = sender.protect(&packet(1, 7));
    note(first.clone(), Some(7)).expect("a packet");
    note(first, Some(7)).expect("the same packet again");
    note(sender.protect(&packet(2, 7)), Some(7)).expect("another index");
    let fault = |noted: Result<(), String>| noted.expect_err("a fault");
    let twice = another.protect(&packet(2, 9));
    assert!(fault(note(twice, Some(9))).contains("has the index of another"));
    let unheard = another.protect(&packet(1, 9));
    assert!(fault(note(unheard, None)).contains("has the index of another"));
    assert!(fault(note(packet(3, 9), None)).contains("does not open"));
    assert!(fault(note(packet(3, 9), Some(9))).contains("is in clear"));
}
