//! Unloading while a call is up is refused, forced in whatever way, and the call does not notice.

use host_harness::asterisk::{Asterisk, User};
use host_harness::capture::Capture;
use host_harness::lab::Lab;
use host_harness::pjsip::Encryption;

use crate::world::{
    self, CARRIER_TONE, OUR_TONE, OURS, assert_encrypted, assert_goes_on, assert_served_by_us,
};

as_root_and_as_asterisk!(with_sdes, with_dtls);

fn refused(lab: &Lab, user: User, encryption: Encryption) {
    let ours = Asterisk::start(lab, &world::ours(user, encryption));
    let carrier = Asterisk::start(lab, &world::carrier(encryption));
    let capture = Capture::start(lab, "call");
    ours.cli("channel originate PJSIP/say@carrier extension say@default");
    ours.wait_for_tone(CARRIER_TONE, 5);
    for command in [
        "module unload res_ciphertrunk.so",
        "module unload -f res_ciphertrunk.so",
    ] {
        let answer = ours.cli(command);
        assert!(answer.contains("Unable to unload"), "{command}: {answer}");
        assert_eq!(ours.status("SRTP engine"), "ours", "after {command}");
    }
    // Asterisk lets go of the module by force, though its unload is refused: it stays all the same, and can be loaded again.
    ours.cli("module unload -h res_ciphertrunk.so");
    assert_eq!(ours.all_log_lines("at user request").len(), 1);
    assert_goes_on(&ours, CARRIER_TONE);
    assert_eq!(ours.all_log_lines("was never gone").len(), 0);
    ours.cli("module load res_ciphertrunk.so");
    assert_eq!(ours.all_log_lines("was never gone").len(), 1);
    assert_eq!(ours.status("SRTP engine"), "ours");
    assert_goes_on(&ours, CARRIER_TONE);
    carrier.wait_for_tone(OUR_TONE, 15);
    assert_served_by_us(&ours);
    assert_encrypted(&capture.stop(), OURS);

    // The twin: the same without the call.
    ours.cli("channel request hangup all");
    ours.wait_for_channels(0);
    ours.wait_until("the unloading", |ours| {
        ours.cli("module unload res_ciphertrunk.so")
            .contains("Unloaded")
            .then_some(())
    });
    assert!(!ours.maps().contains("res_ciphertrunk"));
}

fn with_sdes(lab: &Lab, user: User) {
    refused(lab, user, Encryption::Sdes);
}

fn with_dtls(lab: &Lab, user: User) {
    refused(lab, user, Encryption::Dtls);
}
