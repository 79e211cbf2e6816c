//! SDES calls with a stock Asterisk (libsrtp), each direction.

use host_harness::asterisk::{Asterisk, User};
use host_harness::capture::Capture;
use host_harness::lab::Lab;
use host_harness::pjsip::Encryption;

use crate::world::{
    self, CARRIER, CARRIER_TONE, OUR_TONE, OURS, assert_encrypted, assert_served_by_us,
};

as_root_and_as_asterisk!(
    to_stock,
    from_stock,
    to_stock_with_the_short_tag,
    from_stock_with_the_short_tag
);

#[derive(Clone, Copy, PartialEq)]
enum Caller {
    Ours,
    Carrier,
}

fn call(lab: &Lab, user: User, caller: Caller, encryption: Encryption, suite: &str) {
    let ours = Asterisk::start(lab, &world::ours(user, encryption));
    let carrier = Asterisk::start(lab, &world::carrier(encryption));
    assert_eq!(ours.uid() == 0, user == User::Root);
    let capture = Capture::start(lab, "call");
    match caller {
        Caller::Ours => ours.cli("channel originate PJSIP/say@carrier extension say@default"),
        Caller::Carrier => carrier.cli("channel originate PJSIP/say@ours extension say@default"),
    };
    ours.wait_for_tone(CARRIER_TONE, 10);
    carrier.wait_for_tone(OUR_TONE, 10);
    assert_served_by_us(&ours);
    assert_eq!(ours.count("Malformed packets"), 0);
    let sessions = ours.cli("ciphertrunk show sessions");
    let line = sessions
        .lines()
        .find(|line| line.contains(CARRIER))
        .unwrap_or_else(|| panic!("{sessions}"));
    assert!(
        line.contains(&format!("In: {suite} Out: {suite} ")),
        "{sessions}"
    );
    ours.cli("channel request hangup all");
    ours.wait_for_channels(0);
    ours.wait_until("the end of the SRTP sessions", |ours| {
        (ours.count("Sessions") == 0).then_some(())
    });
    assert_encrypted(&capture.stop(), OURS);
}

fn to_stock(lab: &Lab, user: User) {
    call(
        lab,
        user,
        Caller::Ours,
        Encryption::Sdes,
        "AES_CM_128_HMAC_SHA1_80",
    );
}

fn from_stock(lab: &Lab, user: User) {
    call(
        lab,
        user,
        Caller::Carrier,
        Encryption::Sdes,
        "AES_CM_128_HMAC_SHA1_80",
    );
}

fn to_stock_with_the_short_tag(lab: &Lab, user: User) {
    call(
        lab,
        user,
        Caller::Ours,
        Encryption::Sdes32,
        "AES_CM_128_HMAC_SHA1_32",
    );
}

fn from_stock_with_the_short_tag(lab: &Lab, user: User) {
    call(
        lab,
        user,
        Caller::Carrier,
        Encryption::Sdes32,
        "AES_CM_128_HMAC_SHA1_32",
    );
}
