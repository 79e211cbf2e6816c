//! baresip, registered over TLS with a certificate that it verifies: calls each direction, with every suite that both
//! have, and DTLS-SRTP.

use host_harness::asterisk::{Asterisk, Setup, User};
use host_harness::baresip::{Baresip, Media, Phone};
use host_harness::capture::Capture;
use host_harness::certificates::Authority;
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption, TLS_PORT};

use crate::world::{
    OUR_TONE, OURS, PHONE, PHONE_TONE, assert_encrypted, assert_sends_encrypted,
    assert_served_by_us, waits_for_dtls,
};

as_root_and_as_asterisk!(
    it_calls,
    takes_the_long_tag,
    takes_the_short_tag,
    takes_gcm_128,
    takes_gcm_256,
    dtls
);

const PASSWORD: &str = "correct-horse";

/// Our Asterisk and a phone that is registered with it.
fn start<'lab>(
    lab: &'lab Lab,
    user: User,
    conf: &str,
    encryption: Encryption,
    media: Media,
) -> (Asterisk<'lab>, Baresip) {
    let authority = Authority::new(lab, "authority");
    let certificate = authority.issue("ours", "ours.example", OURS);
    let setup = Setup::ours("ours", OURS)
        .user(user)
        .pjsip(&pjsip::tls(&certificate, &authority.file()))
        .pjsip(&pjsip::phone("alice", PASSWORD, "tls", encryption))
        .dialplan(&pjsip::say(OUR_TONE))
        .file("ciphertrunk.conf", conf);
    let ours = Asterisk::start(lab, &setup);
    let phone = Baresip::start(
        lab,
        &Phone {
            name: "alice".to_owned(),
            address: PHONE.to_owned(),
            server: (format!("{OURS}:{TLS_PORT}"), "tls".to_owned()),
            password: Some(PASSWORD.to_owned()),
            media,
            tone: PHONE_TONE,
            authority: Some(authority.file()),
        },
    );
    (ours, phone)
}

fn it_calls(lab: &Lab, user: User) {
    let (ours, mut phone) = start(lab, user, "", Encryption::Sdes, Media::Sdes);
    let capture = Capture::start(lab, "call");
    phone.call(&format!("sip:say@{OURS}:{TLS_PORT};transport=tls"));
    assert_talk(&ours, &phone, Some("AES_CM_128_HMAC_SHA1_80"));
    phone.hang_up();
    ours.wait_for_channels(0);
    assert_encrypted(&capture.stop(), OURS);
}

fn dtls(lab: &Lab, user: User) {
    let (ours, phone) = start(lab, user, "", Encryption::Dtls, Media::Dtls);
    let capture = Capture::start(lab, "call");
    ours.cli("channel originate PJSIP/alice extension say@default");
    assert_talk(&ours, &phone, None);
    if waits_for_dtls(
        &ours,
        "phone::dtls (nothing in clear before the handshake has ended)",
    ) {
        // baresip does not wait for the end of the handshake with its first packet.
        assert_sends_encrypted(&capture.stop(), OURS);
    }
}

/// A call to the phone, which takes the one suite that is offered.
fn offer(lab: &Lab, user: User, suite: &str) {
    let (ours, mut phone) = start(
        lab,
        user,
        &format!("[srtp]\noffer = {suite}\n"),
        Encryption::Sdes,
        Media::Sdes,
    );
    let capture = Capture::start(lab, "call");
    ours.cli("channel originate PJSIP/alice extension say@default");
    assert_talk(&ours, &phone, Some(suite));
    phone.hang_up();
    ours.wait_for_channels(0);
    assert_encrypted(&capture.stop(), OURS);
}

fn assert_talk(ours: &Asterisk<'_>, phone: &Baresip, suite: Option<&str>) {
    phone.wait_for_tone(OUR_TONE, 10);
    ours.wait_for_tone(PHONE_TONE, 10);
    assert_served_by_us(ours);
    if let Some(suite) = suite {
        let sessions = ours.cli("ciphertrunk show sessions");
        assert!(
            sessions.contains(&format!("In: {suite} Out: {suite} ")),
            "{sessions}"
        );
    }
}

fn takes_the_long_tag(lab: &Lab, user: User) {
    offer(lab, user, "AES_CM_128_HMAC_SHA1_80");
}

fn takes_the_short_tag(lab: &Lab, user: User) {
    offer(lab, user, "AES_CM_128_HMAC_SHA1_32");
}

fn takes_gcm_128(lab: &Lab, user: User) {
    offer(lab, user, "AEAD_AES_128_GCM");
}

fn takes_gcm_256(lab: &Lab, user: User) {
    offer(lab, user, "AEAD_AES_256_GCM");
}
