//! Replayed and forged packets.

use host_harness::lab::Lab;
use host_harness::peer::srtp::AES_80;
use host_harness::peer::{Heard, Key};

use crate::srtp_call::{self, Call};

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
