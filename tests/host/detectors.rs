//! The eyes of all other tests: a plain call must be found in clear, and an encrypted one of stock's must not.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::capture::{Capture, Wire};
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption, UDP};

const ONE: &str = "127.0.0.10";
const TWO: &str = "127.0.0.20";

/// A call between two stock Asterisks, each saying a tone and hearing the other's.
fn stock_call(name: &str, encryption: Encryption) -> Wire {
    let lab = Lab::new(name);
    let one = Setup::stock("one", ONE)
        .pjsip(UDP)
        .pjsip(&pjsip::trunk("two", TWO, encryption));
    let two = Setup::stock("two", TWO)
        .pjsip(UDP)
        .pjsip(&pjsip::trunk("one", ONE, encryption));
    let one = Asterisk::start(&lab, &one.dialplan(&pjsip::say(700.0)));
    let two = Asterisk::start(&lab, &two.dialplan(&pjsip::say(1100.0)));
    let capture = Capture::start(&lab, "call");
    one.cli("channel originate PJSIP/say@two extension say@default");
    one.wait_for_tone(1100.0, 10);
    two.wait_for_tone(700.0, 10);
    capture.stop()
}

#[test]
fn a_plain_call_is_found_in_clear() {
    let wire = stock_call("detectors-plain", Encryption::Plain);
    for (from, tone) in [(ONE, 700.0), (TWO, 1100.0)] {
        let packets = wire.rtp_from(from);
        // The first packets may be silence, and silence is found too.
        let audible = packets
            .iter()
            .filter(|packet| packet.is_audio(&[tone]))
            .count();
        assert!(packets.len() > 50, "{from}: {} packets", packets.len());
        assert_eq!(audible, packets.len(), "{from}");
        let others = packets.iter().filter(|packet| packet.is_audio(&[])).count();
        assert!(
            others * 10 > packets.len() * 9,
            "without knowing the tone: {others} of {}",
            packets.len()
        );
    }
}

#[test]
fn a_call_with_sdes_is_not() {
    let wire = stock_call("detectors-sdes", Encryption::Sdes);
    assert!(wire.rtp_from(ONE).len() > 50 && wire.rtp_from(TWO).len() > 50);
    assert_eq!(wire.audible(&[700.0, 1100.0]).len(), 0);
}

#[test]
fn a_call_with_dtls_is_not() {
    let wire = stock_call("detectors-dtls", Encryption::Dtls);
    assert!(wire.rtp_from(ONE).len() > 50 && wire.rtp_from(TWO).len() > 50);
    assert_eq!(wire.audible(&[700.0, 1100.0]).len(), 0);
}
