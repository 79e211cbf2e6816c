//! A deliberate panic (test build) ends one call's audio and nothing else.

use host_harness::asterisk::{Asterisk, TEST_MODULE, User};
use host_harness::capture::Capture;
use host_harness::lab::Lab;
use host_harness::pjsip::Encryption;

use crate::world::{self, CARRIER_TONE, TONES};

as_root_and_as_asterisk!(in_protect, in_unprotect);

/// `RTP out` (or in) of each session.
fn packets(ours: &Asterisk<'_>, direction: &str) -> Vec<u64> {
    let sessions = ours.cli("ciphertrunk show sessions");
    sessions
        .lines()
        .filter_map(|line| {
            line.split_once(&format!("RTP {direction}: "))?
                .1
                .split(' ')
                .next()?
                .parse()
                .ok()
        })
        .collect()
}

/// How many of the sessions move on at all until one has done so by 50 packets, a second's.
fn moving(ours: &Asterisk<'_>, direction: &str) -> usize {
    let before = packets(ours, direction);
    ours.wait_until("a call that goes on", |ours| {
        let after = packets(ours, direction);
        let moved = after
            .iter()
            .zip(&before)
            .map(|(after, before)| after - before);
        let moved: Vec<u64> = moved.filter(|packets| *packets > 0).collect();
        moved
            .iter()
            .any(|packets| *packets >= 50)
            .then_some(moved.len())
    })
}

fn ends_one_call(lab: &Lab, user: User, point: &str, direction: &str) {
    let mut ours = Asterisk::start(
        lab,
        &world::ours(user, Encryption::Sdes).module(TEST_MODULE),
    );
    let carrier = Asterisk::start(lab, &world::carrier(Encryption::Sdes));
    let capture = Capture::start(lab, "calls");
    for _ in 0..2 {
        ours.cli("channel originate PJSIP/say@carrier extension say@default");
    }
    ours.wait_until("two calls", |ours| {
        (moving(ours, direction) == 2).then_some(())
    });
    assert_eq!(ours.count("Panics caught"), 0);

    ours.cli(&format!("ciphertrunk test panic {point}"));
    ours.wait_until("the panic", |ours| {
        (ours.count("Panics caught") > 0).then_some(())
    });
    ours.wait_for_log("panic");
    assert_eq!(
        moving(&ours, direction),
        1,
        "one call is silent, the other one goes on"
    );

    // Asterisk and its module serve new calls.
    ours.cli("channel request hangup all");
    ours.wait_for_channels(0);
    carrier.wait_for_channels(0);
    ours.cli("channel originate PJSIP/say@carrier extension say@default");
    ours.wait_until("a new call", |ours| {
        (moving(ours, direction) == 1).then_some(())
    });
    ours.wait_for_tone(CARRIER_TONE, 5);
    assert_eq!(
        ours.count("Panics caught"),
        1,
        "one panic was armed, and the broken session does not panic again"
    );
    assert!(ours.is_up());
    assert_eq!(
        capture.stop().audible(&TONES).len(),
        0,
        "nothing was said in clear"
    );
}

fn in_protect(lab: &Lab, user: User) {
    ends_one_call(lab, user, "protect", "out");
}

fn in_unprotect(lab: &Lab, user: User) {
    ends_one_call(lab, user, "unprotect", "in");
}
