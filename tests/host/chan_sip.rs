//! SRTP of chan_sip, where Asterisk still has it (16, 18): the module is its engine, with PJSIP beside it or not at all.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::capture::Capture;
use host_harness::host;
use host_harness::lab::{self, Lab};
use host_harness::pjsip::{self, Encryption};

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
