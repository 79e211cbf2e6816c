//! SRTP of chan_sip, where Asterisk still has it (16, 18): the module is its engine, with PJSIP beside it or not at all.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::capture::Capture;
use host_harness::host;
use host_harness::lab::{self, Lab};
use host_harness::peer::srtp::{AES_32, AES_80};
use host_harness::peer::{Description, Key};
use host_harness::pjsip::{self, Encryption};
use host_harness::wait;

use crate::srtp_call::{Call, PBX, PORT, SDES};
use crate::world::{
    self, CARRIER, CARRIER_TONE, OUR_TONE, OURS, assert_encrypted, assert_goes_on,
    assert_served_by_us,
};

fn sip_conf(short_tag: bool) -> String {
    format!(
        "[general]\nudpbindaddr = {OURS}:5060\nmedia_address = {OURS}\ncontext = default\ndirectmedia = no\nallowguest = no\n\
         [carrier]\ntype = peer\nhost = {CARRIER}\nport = 5060\ninsecure = port,invite\nencryption = yes\n{}\
         disallow = all\nallow = ulaw\ncontext = default\n",
        if short_tag {
            "encryption_taglen = 32\n"
        } else {
            ""
        }
    )
}

fn ours(short_tag: bool) -> Setup {
    let sample = lab::repository().join("conf/modules.conf.sample");
    let sample = std::fs::read_to_string(&sample).expect("the sample");
    Setup::ours("ours", OURS)
        .also_modules(&["chan_sip"])
        .file("sip.conf", &sip_conf(short_tag))
        .dialplan(&pjsip::say(OUR_TONE))
        .modules_conf(&format!(
            "{sample}\nnoload = res_pjsip.so\nnoload = res_pjsip_session.so\nnoload = chan_pjsip.so\n"
        ))
}

fn call(name: &str, short_tag: bool, originate: impl Fn(&Asterisk<'_>, &Asterisk<'_>)) {
    let lab = Lab::new(&format!("chan_sip/{name}"));
    if !lab.host().has_module("chan_sip") {
        return host::skip(
            &format!("chan_sip::{name}"),
            "this Asterisk has no chan_sip",
        );
    }
    let ours = Asterisk::start(&lab, &ours(short_tag));
    let encryption = if short_tag {
        Encryption::Sdes32
    } else {
        Encryption::Sdes
    };
    let carrier = Asterisk::start(&lab, &world::carrier(encryption));
    assert_eq!(ours.status("SRTP engine"), "ours");
    let capture = Capture::start(&lab, "calls");
    originate(&ours, &carrier);
    ours.wait_for_tone(CARRIER_TONE, 10);
    carrier.wait_for_tone(OUR_TONE, 10);
    assert_goes_on(&ours, CARRIER_TONE);
    assert_served_by_us(&ours);
    assert_encrypted(&capture.stop(), OURS);
}

#[test]
fn to_stock() {
    call("to_stock", false, |ours, _| {
        ours.cli("channel originate SIP/carrier/say extension say@default");
    });
}

#[test]
fn to_stock_with_the_short_tag() {
    call("to_stock_with_the_short_tag", true, |ours, _| {
        ours.cli("channel originate SIP/carrier/say extension say@default");
    });
}

#[test]
fn from_stock() {
    call("from_stock", false, |_, carrier| {
        carrier.cli("channel originate PJSIP/say@ours extension say@default");
    });
}

/// Our Asterisk with a peer `sdes` for [`Call`], who requires SRTP.
fn with_a_phone<'lab>(lab: &'lab Lab, name: &str) -> Option<Asterisk<'lab>> {
    if !lab.host().has_module("chan_sip") {
        host::skip(
            &format!("chan_sip::{name}"),
            "this Asterisk has no chan_sip",
        );
        return None;
    }
    let setup = ours(false)
        .file(
            "sip.conf",
            &format!(
                "[general]\nudpbindaddr = {PBX}:5060\nmedia_address = {PBX}\ncontext = default\ndirectmedia = no\n\
                 allowguest = no\n[sdes]\ntype = peer\nhost = {SDES}\nport = 5060\ninsecure = port,invite\nencryption = yes\n\
                 disallow = all\nallow = ulaw\ncontext = default\n"
            ),
        )
        .dialplan(pjsip::ECHO);
    Some(Asterisk::start(lab, &setup))
}

/// A re-INVITE with the same key and with a new one, past both sides' wrap of the sequence.
#[test]
fn audio_goes_on_past_the_wrap() {
    let lab = Lab::new("chan_sip/wrap");
    let Some(pbx) = with_a_phone(&lab, "audio_goes_on_past_the_wrap") else {
        return;
    };
    let mut call = Call::new(&lab);
    let key = Key::new(AES_80, 1);
    call.dial("echo", &key);
    call.media.echo_past_both_wraps();
    call.reoffer(&key.line(1, "")).expect("accepted");
    assert_eq!(call.media.echoes(10), 10, "the same key again");
    let next = Key::new(AES_80, 2);
    call.reoffer(&next.line(1, "")).expect("accepted");
    call.media.send_with(&next, 1);
    assert_eq!(call.media.echoes(10), 10, "a new key, the counter kept");
    assert_eq!(pbx.count("Authentication failures"), 0);
    assert_eq!(pbx.count("Replays dropped"), 0);
    let sessions = pbx.cli("ciphertrunk show sessions");
    assert!(
        sessions.contains(SDES) && sessions.contains("AES_CM_128_HMAC_SHA1_80"),
        "{sessions}"
    );
    call.hang_up();
}

/// Who offers a line that is not taken is refused, and the log says who and why.
#[test]
fn a_refused_line_is_told() {
    let lab = Lab::new("chan_sip/refused");
    let Some(pbx) = with_a_phone(&lab, "a_refused_line_is_told") else {
        return;
    };
    let mut call = Call::new(&lab);
    let key = Key::new(AES_80, 1);
    let status = call.dial_with("echo", &key, &key.line(1, " KDR=1"));
    assert_eq!(status, Err(488));
    let told = pbx.all_log_lines("reason param-kdr");
    let [told] = &told[..] else {
        panic!("not one line but {told:#?}")
    };
    assert!(
        told.contains("a=crypto line (tag 1, suite AES_CM_128_HMAC_SHA1_80) of channel "),
        "{told}"
    );
    assert_eq!(pbx.count("Refused param-kdr"), 1);
    assert_eq!(pbx.count("Sessions"), 0);
}

/// chan_sip offers, and the peer answers with a suite that was not offered: the call ends, and nothing was sent that the peer
/// could not open. Its twin is `an_answer_to_what_was_offered_stands`.
#[test]
fn an_answer_to_what_was_not_offered_ends_the_call() {
    let lab = Lab::new("chan_sip/not-offered");
    let Some(pbx) = with_a_phone(&lab, "an_answer_to_what_was_not_offered_ends_the_call") else {
        return;
    };
    let mut call = Call::new(&lab);
    let capture = Capture::start(&lab, "call");
    pbx.cli("channel originate SIP/sdes extension say@default");
    call.phone
        .answer(|_| Description::new(PORT, &[Key::new(AES_32, 2).line(1, "")]));
    pbx.wait_for_log("reason not-offered");
    pbx.wait_for_channels(0);
    assert_eq!(capture.stop().rtp_from(PBX).len(), 0);
}

#[test]
fn an_answer_to_what_was_offered_stands() {
    let lab = Lab::new("chan_sip/offered");
    let Some(pbx) = with_a_phone(&lab, "an_answer_to_what_was_offered_stands") else {
        return;
    };
    let mut call = Call::new(&lab);
    pbx.cli("channel originate SIP/sdes extension echo@default");
    let key = Key::new(AES_80, 2);
    let offer = call
        .phone
        .answer(|_| Description::new(PORT, &[key.line(1, "")]));
    call.media.send_to(offer.media());
    call.media.send_with(&key, 0);
    call.media.receive_with(&Key::of_line(&offer.crypto()[0]));
    wait::until(
        "the first echo",
        wait::SOON,
        || call.media.echo(),
        String::new,
    );
    assert_eq!(call.media.echoes(10), 10);
    assert_eq!(pbx.count("Authentication failures"), 0);
}
