//! There is one SRTP engine in an Asterisk. `res_srtp.so` loaded before, after or during a call does not take it from us,
//! and one that is lost all the same is taken back. Judged by what is on the wire.

use std::time::{SystemTime, UNIX_EPOCH};

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

/// The times of the packets that can be heard, in seconds of the epoch.
fn heard_in_clear(wire: &Wire) -> Vec<f64> {
    let audible = wire.audible(&TONES);
    audible.iter().map(|packet| packet.time).collect()
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is later than 1970").as_secs_f64()
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
        let lost = ours.status("Engine lost").starts_with("1 times, ");
        (lost && ours.status("SRTP engine") == "ours").then_some(())
    });
    let back = now();
    // A second of it is for what a thread had looked at before and sends only then.
    assert_goes_on(&ours, CARRIER_TONE);
    let clear = heard_in_clear(&during.stop());
    eprintln!(
        "{} packets in clear while the engine was lost: {}",
        clear.len(),
        ours.status("Engine lost")
    );
    let late = clear.iter().filter(|time| **time > back + 1.0).count();
    assert_eq!(late, 0, "packets in clear after the engine was back");
    assert!(
        ours.status("Engine lost").starts_with("1 times, "),
        "{}",
        ours.status("Engine lost")
    );
    assert_eq!(
        ours.all_log_lines("the SRTP engine was taken away and is ours again")
            .len(),
        1
    );

    let after = Capture::start(lab, "after");
    assert_goes_on(&ours, CARRIER_TONE);
    assert_encrypted(&after.stop(), OURS);
    assert_eq!(ours.count("Panics caught"), 0);
}
