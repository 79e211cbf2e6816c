//! There is one SRTP engine in an Asterisk. `res_srtp.so` loaded before, after or during a call does not take it from us,
//! and one that is lost all the same is taken back. Judged by what is on the wire.

use host_harness::asterisk::{Asterisk, TEST_MODULE, User};
use host_harness::capture::{Capture, Wire};
use host_harness::lab::Lab;
use host_harness::pjsip::Encryption;

use crate::world::{
    self, CARRIER_TONE, OUR_TONE, OURS, TONES, assert_encrypted, assert_goes_on,
    assert_served_by_us,
};

as_root_and_as_asterisk!(
    stock_was_first,
    stock_comes_after,
    stock_comes_during_a_call,
    a_lost_engine_is_taken_back
);

fn call(ours: &Asterisk<'_>, carrier: &Asterisk<'_>) {
    ours.cli("channel originate PJSIP/say@carrier extension say@default");
    ours.wait_for_tone(CARRIER_TONE, 10);
    carrier.wait_for_tone(OUR_TONE, 10);
}

/// At start, without `noload = res_srtp.so`.
fn stock_was_first(lab: &Lab, user: User) {
    let setup = world::ours(user, Encryption::Sdes)
        .modules_conf("[modules]\nautoload = yes\nrequire = res_ciphertrunk.so\n");
    let ours = Asterisk::start(lab, &setup);
    let carrier = Asterisk::start(lab, &world::carrier(Encryption::Sdes));
    let capture = Capture::start(lab, "call");
    assert!(
        ours.cli("module show like res_srtp.so")
            .contains("0 modules loaded")
    );
    call(&ours, &carrier);
    assert_served_by_us(&ours);
    assert_encrypted(&capture.stop(), OURS);
}

fn stock_comes_after(lab: &Lab, user: User) {
    let ours = Asterisk::start(lab, &world::ours(user, Encryption::Sdes));
    let carrier = Asterisk::start(lab, &world::carrier(Encryption::Sdes));
    let capture = Capture::start(lab, "call");
    ours.cli("module load res_srtp.so");
    call(&ours, &carrier);
    assert_served_by_us(&ours);
    assert_eq!(ours.status("Engine lost"), "0 times, 0.0 s");
    assert_encrypted(&capture.stop(), OURS);
}

fn stock_comes_during_a_call(lab: &Lab, user: User) {
    let ours = Asterisk::start(lab, &world::ours(user, Encryption::Sdes));
    let carrier = Asterisk::start(lab, &world::carrier(Encryption::Sdes));
    let capture = Capture::start(lab, "call");
    call(&ours, &carrier);
    for _ in 0..5 {
        ours.cli("module load res_srtp.so");
    }
    assert_goes_on(&ours, CARRIER_TONE);
    assert_served_by_us(&ours);
    assert_eq!(ours.status("Engine lost"), "0 times, 0.0 s");
    assert_encrypted(&capture.stop(), OURS);
}

/// The time of the first and last packet of ours that can be heard, and their number.
fn heard_in_clear(wire: &Wire) -> (usize, f64) {
    let audible = wire.audible(&TONES);
    let times = || audible.iter().map(|packet| packet.time);
    let span = times().fold(f64::NEG_INFINITY, f64::max) - times().fold(f64::INFINITY, f64::min);
    (audible.len(), span)
}

/// The worst case, which only the test build can make: somebody else unregisters our engine. What Asterisk does then is
/// seen on the wire (stock's core sends in clear), and so is that it ends at once.
fn a_lost_engine_is_taken_back(lab: &Lab, user: User) {
    let ours = Asterisk::start(
        lab,
        &world::ours(user, Encryption::Sdes).module(TEST_MODULE),
    );
    let carrier = Asterisk::start(lab, &world::carrier(Encryption::Sdes));
    let before = Capture::start(lab, "before");
    call(&ours, &carrier);
    assert_encrypted(&before.stop(), OURS);

    let during = Capture::start(lab, "during");
    ours.cli("ciphertrunk test lose engine");
    ours.wait_until("the engine", |ours| {
        (ours.status("SRTP engine") == "ours").then_some(())
    });
    std::thread::sleep(std::time::Duration::from_millis(1200));
    let (packets, span) = heard_in_clear(&during.stop());
    // 50 packets a second; the watch looks ten times a second.
    assert!(packets <= 10, "{packets} packets in clear");
    assert!(packets == 0 || span < 0.25, "in clear for {span} s");
    assert!(
        ours.status("Engine lost").starts_with("1 times, "),
        "{}",
        ours.status("Engine lost")
    );
    assert_eq!(
        ours.log_lines("the SRTP engine was taken away and is ours again")
            .len(),
        1
    );

    let after = Capture::start(lab, "after");
    assert_goes_on(&ours, CARRIER_TONE);
    assert_encrypted(&after.stop(), OURS);
    assert_eq!(ours.count("Panics caught"), 0);
}
