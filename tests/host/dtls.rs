//! DTLS-SRTP with a stock Asterisk: the handshake is Asterisk's, the packets are ours.

use host_harness::asterisk::{Asterisk, User};
use host_harness::capture::Capture;
use host_harness::lab::Lab;
use host_harness::pjsip::Encryption;

use crate::world::{self, CARRIER_TONE, OUR_TONE, OURS, assert_encrypted, assert_served_by_us};

as_root_and_as_asterisk!(to_stock, from_stock);

fn to_stock(lab: &Lab, user: User) {
    call(lab, user, true);
}

fn from_stock(lab: &Lab, user: User) {
    call(lab, user, false);
}

fn call(lab: &Lab, user: User, we_call: bool) {
    let ours = Asterisk::start(lab, &world::ours(user, Encryption::Dtls));
    let carrier = Asterisk::start(lab, &world::carrier(Encryption::Dtls));
    let capture = Capture::start(lab, "call");
    if we_call {
        ours.cli("channel originate PJSIP/say@carrier extension say@default");
    } else {
        carrier.cli("channel originate PJSIP/say@ours extension say@default");
    }
    ours.wait_for_tone(CARRIER_TONE, 10);
    carrier.wait_for_tone(OUR_TONE, 10);
    assert_served_by_us(&ours);
    assert_encrypted(&capture.stop(), OURS);
}
