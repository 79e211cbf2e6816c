//! Replayed and forged packets.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::lab::Lab;
use host_harness::peer::srtp::AES_80;
use host_harness::peer::{Heard, Key};

use crate::srtp_call::{self, Call, PBX};

/// How many of ten replays of one packet are handed up as audio, ciphertext and tag included, and come back.
fn replays_handed_up(call: &mut Call) -> usize {
    let audio = call.media.audio();
    let wire = call.media.sealed(&audio);
    call.media.send_raw(&wire);
    assert!(call.media.wait_for(&audio).is_some(), "the first time");
    for _ in 0..10 {
        call.media.send_raw(&wire);
    }
    // Stock's echo of a replay has a used index too, and leaves in clear.
    let ciphertext = &wire[12..];
    let came_back = |heard: &Heard| {
        heard.shows(ciphertext)
            || heard
                .payload
                .as_deref()
                .is_some_and(|payload| payload == ciphertext || payload == audio)
    };
    call.media
        .settle()
        .iter()
        .filter(|heard| came_back(heard))
        .count()
}

#[test]
fn replays_and_forgeries_are_dropped_and_counted() {
    let lab = Lab::new("srtp-replay");
    let pbx = srtp_call::ours(&lab);
    let mut call = Call::new(&lab);
    call.dial("echo", &Key::new(AES_80, 1));
    assert_eq!(call.media.echoes(5), 5);

    assert_eq!(replays_handed_up(&mut call), 0);
    assert_eq!(pbx.count("Replays dropped"), 10);
    assert_eq!(pbx.count("Authentication failures"), 0);

    // One octet changed: of the header, of the payload, of the tag; then the packet itself.
    let audio = call.media.audio();
    let wire = call.media.sealed(&audio);
    for at in [7, 80, wire.len() - 1] {
        let mut forged = wire.clone();
        forged[at] ^= 1;
        call.media.send_raw(&forged);
    }
    // And one from far ahead, which would move the rollover counter.
    let mut ahead = wire.clone();
    ahead[2] ^= 0x80;
    call.media.send_raw(&ahead);
    // Nor is there a way in for what is not encrypted at all.
    let mut plain = wire[..12].to_vec();
    plain.extend(&audio);
    call.media.send_raw(&plain);
    assert_eq!(call.media.settle().len(), 0, "a forgery came back");
    assert_eq!(pbx.count("Authentication failures"), 5);
    call.media.send_raw(&wire);
    assert!(call.media.wait_for(&audio).is_some(), "the packet itself");
    assert_eq!(call.media.echoes(10), 10, "nothing has changed");
    assert_eq!(pbx.count("Replays dropped"), 10);
}

#[test]
fn stock_hands_replays_up() {
    let lab = Lab::new("srtp-replay-stock");
    let _pbx = srtp_call::stock(&lab);
    let mut call = Call::new(&lab);
    call.dial("echo", &Key::new(AES_80, 1));
    assert_eq!(call.media.echoes(5), 5);
    assert_eq!(replays_handed_up(&mut call), 10);
}

/// An Asterisk whose operator has phones that set their sequence numbers back.
fn without_protection(lab: &Lab, setup: Setup) -> Asterisk<'_> {
    let rtp =
        "[general]\nrtpstart = 20000\nrtpend = 29999\nicesupport = no\nsrtpreplayprotection = no\n";
    Asterisk::start(lab, &srtp_call::with_endpoints(setup).file("rtp.conf", rtp))
}

/// The line about a stream that is not heard for its index.
const NOT_HEARD: &str = "packets in a row of SSRC";

/// A phone that was heard up to 33074, holds, resumes, and goes on at `next` with the key that it had: how many of `packets`
/// come back.
fn echoes_set_back(call: &mut Call, next: u16, packets: usize) -> usize {
    let key = Key::new(AES_80, 1);
    call.media.sequence = 33_000;
    call.dial("echo", &key);
    while call.media.sequence <= 33_074 {
        assert!(call.media.echo().is_some(), "before the hold");
    }
    for _hold_and_resume in 0..2 {
        assert!(
            call.reoffer(&key.line(1, "")).expect("accepted"),
            "our key stays"
        );
    }
    call.media.sequence = next;
    // A new session: the old one would count on.
    call.media.send_with(&key, 0);
    call.media.echoes(packets)
}

#[test]
fn a_phone_that_sets_its_sequence_back_is_heard_where_it_never_was() {
    let lab = Lab::new("srtp-set-back");
    let pbx = without_protection(&lab, Setup::ours("pbx", PBX));
    assert_eq!(
        pbx.all_log_lines("srtpreplayprotection = no is not honoured")
            .len(),
        1
    );
    let mut call = Call::new(&lab);
    assert_eq!(echoes_set_back(&mut call, 23_080, 200), 200);
    assert_eq!(pbx.all_log_lines(NOT_HEARD).len(), 0);
    // Replays stay out, whatever the option says.
    assert_eq!(replays_handed_up(&mut call), 0);
    assert_eq!(pbx.count("Replays dropped"), 10);
    call.hang_up();
}

/// Without the option it is the same; and where the phone was before it is not heard, and a line says why. Behind it, it is.
#[test]
fn a_phone_that_begins_again_where_it_was_heard_has_a_line() {
    let lab = Lab::new("srtp-set-back-used");
    let pbx = srtp_call::ours(&lab);
    let mut call = Call::new(&lab);
    assert_eq!(echoes_set_back(&mut call, 23_080, 200), 200);
    assert_eq!(pbx.all_log_lines("srtpreplayprotection").len(), 0);
    let recorded = || {
        let text = pbx.cli("ciphertrunk show refusals");
        text.matches(" packets-index ").count()
    };
    assert_eq!(recorded(), 0);
    call.hang_up();
    drop(call);

    let mut call = Call::new(&lab);
    // 33020 to 33074 were heard; the five behind them were not.
    assert_eq!(echoes_set_back(&mut call, 33_020, 60), 5);
    let lines = pbx.all_log_lines(NOT_HEARD);
    let [line] = &lines[..] else {
        panic!("one line: {lines:?}")
    };
    assert!(line.contains("sequence number 33029"), "{line}");
    assert!(line.contains("Reason packets-index"), "{line}");
    assert_eq!(recorded(), 1);
    call.hang_up();
}

#[test]
fn stock_hears_it_with_the_option_alone() {
    let lab = Lab::new("srtp-set-back-stock");
    {
        let _pbx = without_protection(&lab, Setup::stock("pbx", PBX));
        let mut call = Call::new(&lab);
        assert_eq!(echoes_set_back(&mut call, 23_080, 200), 200);
        call.hang_up();
    }
    let lab = Lab::new("srtp-set-back-stock-on");
    let _pbx = srtp_call::stock(&lab);
    let mut call = Call::new(&lab);
    assert_eq!(echoes_set_back(&mut call, 23_080, 200), 0);
}
