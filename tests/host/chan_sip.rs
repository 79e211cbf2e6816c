//! SRTP of chan_sip, where Asterisk still has it (16, 18): the module is its engine, with PJSIP beside it or not at all.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::capture::Capture;
use host_harness::host;
use host_harness::lab::{self, Lab};
use host_harness::peer::srtp::{AES_32, AES_80, GCM_128};
use host_harness::peer::{Description, Key, Phone};
use host_harness::pjsip::{self, Encryption};
use host_harness::wait;

use crate::srtp_call::{Call, PBX, PLAIN, PORT, SDES};
use crate::world::{
    self, CARRIER, CARRIER_TONE, OUR_TONE, OURS, assert_encrypted, assert_goes_on,
    assert_served_by_us,
};

/// Where a phone's second call comes from.
pub const SECOND: &str = "127.0.0.40";

/// A peer at `host`, which requires SRTP.
pub fn peer(name: &str, host: &str, more: &str) -> String {
    format!(
        "[{name}]\ntype = peer\nhost = {host}\nport = 5060\ninsecure = port,invite\nencryption = yes\n{more}disallow = all\n\
         allow = ulaw\ncontext = default\n"
    )
}

/// `sip.conf` of an Asterisk at `address`.
pub fn sip_conf(address: &str, peers: &[String]) -> String {
    format!(
        "[general]\nudpbindaddr = {address}:5060\nmedia_address = {address}\ncontext = default\ndirectmedia = no\nallowguest = no\n{}",
        peers.concat()
    )
}

/// Our Asterisk with chan_sip, and without PJSIP.
pub fn with_chan_sip(address: &str, peers: &[String]) -> Setup {
    let sample = lab::repository().join("conf/modules.conf.sample");
    let sample = std::fs::read_to_string(&sample).expect("the sample");
    alone(Setup::ours("ours", address), &sample, address, peers)
}

/// chan_sip and no PJSIP.
fn alone(setup: Setup, modules_conf: &str, address: &str, peers: &[String]) -> Setup {
    setup
        .also_modules(&["chan_sip"])
        .file("sip.conf", &sip_conf(address, peers))
        .modules_conf(&format!(
            "{modules_conf}\nnoload = res_pjsip.so\nnoload = res_pjsip_session.so\nnoload = chan_pjsip.so\n"
        ))
}

/// A lab, if its Asterisk has chan_sip.
pub fn lab(test: &str) -> Option<Lab> {
    let lab = Lab::new(&test.replace("::", "/"));
    if lab.host().has_module("chan_sip") {
        return Some(lab);
    }
    host::skip(test, "this Asterisk has no chan_sip");
    None
}

fn ours(short_tag: bool) -> Setup {
    let more = if short_tag {
        "encryption_taglen = 32\n"
    } else {
        ""
    };
    with_chan_sip(OURS, &[peer("carrier", CARRIER, more)]).dialplan(&pjsip::say(OUR_TONE))
}

fn call(name: &str, short_tag: bool, originate: impl Fn(&Asterisk<'_>, &Asterisk<'_>)) {
    let Some(lab) = lab(&format!("chan_sip::{name}")) else {
        return;
    };
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

/// Our Asterisk with peers for [`Call`] and another phone, who require SRTP.
pub fn with_phones<'lab>(lab: &'lab Lab, ciphertrunk: &str) -> Asterisk<'lab> {
    let setup = with_chan_sip(
        PBX,
        &[
            peer("sdes", SDES, ""),
            peer("other", PLAIN, ""),
            peer("second", SECOND, ""),
        ],
    )
    .file("ciphertrunk.conf", ciphertrunk)
    .dialplan(pjsip::ECHO)
    .dialplan("exten => other,1,Dial(SIP/other)\nexten => sdes,1,Dial(SIP/sdes)\n");
    Asterisk::start(lab, &setup)
}

/// A re-INVITE with the same key and with a new one, past both sides' wrap of the sequence.
#[test]
fn audio_goes_on_past_the_wrap() {
    let Some(lab) = lab("chan_sip::audio_goes_on_past_the_wrap") else {
        return;
    };
    let pbx = with_phones(&lab, "");
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

/// The same with stock: silence, whatever the peer does. Shows that the test above can fail.
#[test]
fn in_stock_a_new_key_past_the_wrap_is_the_end() {
    let Some(lab) = lab("chan_sip::in_stock_a_new_key_past_the_wrap_is_the_end") else {
        return;
    };
    let setup = alone(
        Setup::stock("stock", PBX),
        "[modules]\nautoload = yes\n",
        PBX,
        &[peer("sdes", SDES, "")],
    );
    let pbx = Asterisk::start(&lab, &setup.dialplan(pjsip::ECHO));
    for (new, counter, heard) in [(1, 1, 10), (2, 1, 0), (2, 0, 0)] {
        let mut call = Call::new(&lab);
        call.dial("echo", &Key::new(AES_80, 1));
        call.media.echo_past_both_wraps();
        assert_eq!(call.media.echoes(5), 5, "past the wrap");
        let new = Key::new(AES_80, new);
        call.reoffer(&new.line(1, "")).expect("accepted");
        call.media.send_with(&new, counter);
        assert_eq!(call.media.echoes(10), heard, "counter {counter}");
        call.hang_up();
        pbx.wait_for_channels(0);
    }
}

/// Who offers a line that is not taken is refused, and the log says who and why.
#[test]
fn a_refused_line_is_told() {
    let Some(lab) = lab("chan_sip::a_refused_line_is_told") else {
        return;
    };
    let pbx = with_phones(&lab, "");
    let mut call = Call::new(&lab);
    let key = Key::new(AES_80, 1);
    let refused = |whose: &str, more: &[&str], count| {
        let told = pbx.all_log_lines("reason param-kdr");
        assert_eq!(told.len(), count, "{told:#?}");
        let line = "a=crypto line (tag 1, suite AES_CM_128_HMAC_SHA1_80) of ";
        let told = told.last().expect("one");
        for part in [&format!("{line}{whose}"), "[C-0000"]
            .into_iter()
            .chain(more.iter().copied())
        {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert_eq!(pbx.count("Refused param-kdr"), count as u64);
    };
    let status = call.dial_with("echo", &key, &key.line(1, " KDR=1"));
    assert_eq!(status, Err(488));
    refused("a new call (its peer is not known", &[], 1);
    assert_eq!(pbx.count("Sessions"), 0);

    // In a call it is.
    call.dial("echo", &key);
    let next = Key::new(AES_80, 2);
    assert_eq!(call.reoffer(&next.line(1, " KDR=1")), Err(488));
    refused(
        "peer 'sdes' at 127.0.0.20:7000, channel SIP/sdes-0000",
        &["refused, reason param-kdr: "],
        2,
    );
    assert_eq!(call.media.echoes(10), 10, "the call is as it was");
    call.hang_up();
}

/// An answer to a call of ours is judged by the section of the peer whose channel it is; a call of the peer's by `[srtp]`, to its
/// end. The twin of each is the other.
#[test]
fn a_section_of_the_peers_name() {
    let Some(lab) = lab("chan_sip::a_section_of_the_peers_name") else {
        return;
    };
    let pbx = with_phones(
        &lab,
        "[srtp]\noffer = AEAD_AES_128_GCM, AES_CM_128_HMAC_SHA1_80\n[sdes]\ntype = peer\naccept = AEAD_AES_128_GCM\n\
         [nobody]\ntype = peer\nmki = yes\n",
    );
    let mut call = Call::new(&lab);
    let mut key = Key::new(AES_80, 1);
    pbx.cli("channel originate SIP/sdes extension echo@default");
    call.phone
        .answer(|_| Description::new(PORT, &[key.line(2, "")]));
    pbx.wait_for_log("reason suite-not-accepted");
    pbx.wait_for_channels(0);
    let told = pbx.all_log_lines("reason suite-not-accepted");
    for part in [
        "of peer 'sdes'",
        "channel SIP/sdes-",
        "needed: AEAD_AES_128_GCM",
    ] {
        assert!(told[0].contains(part), "{part}: {}", told[0]);
    }

    // Another peer may choose what was offered.
    let mut other = Phone::new(&lab, PLAIN, PBX);
    pbx.cli("channel originate SIP/other extension echo@default");
    other.answer(|_| Description::new(PORT, &[key.line(2, "")]));
    pbx.wait_for_channels(1);
    other.hang_up();

    // The peer's own call, and what follows in it.
    call.dial("echo", &key);
    key = Key::new(AES_80, 3);
    call.reoffer(&key.line(1, "")).expect("accepted");
    call.media.send_with(&key, 0);
    assert_eq!(call.media.echoes(10), 10);
    call.hang_up();

    pbx.wait_for_channels(0);
    pbx.cli("channel originate SIP/sdes extension echo@default");
    key = Key::new(GCM_128, 4);
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
    call.hang_up();

    let told = pbx.all_log_lines("is the section of a peer");
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].contains("WARNING")
            && told[0].contains("[nobody] is the section of a peer that sip.conf does not have"),
        "{}",
        told[0]
    );
    // A database may have it.
    pbx.configure("extconfig.conf", "[settings]\nsippeers => odbc,asterisk\n");
    pbx.cli("module reload res_ciphertrunk.so");
    assert_eq!(pbx.all_log_lines("is the section of a peer").len(), 1);
}

/// chan_sip offers, and the peer answers with a suite that was not offered: the call ends, and nothing was sent that the peer
/// could not open. Its twin is `an_answer_to_what_was_offered_stands`.
#[test]
fn an_answer_to_what_was_not_offered_ends_the_call() {
    let Some(lab) = lab("chan_sip::an_answer_to_what_was_not_offered_ends_the_call") else {
        return;
    };
    let pbx = with_phones(&lab, "");
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
    let Some(lab) = lab("chan_sip::an_answer_to_what_was_offered_stands") else {
        return;
    };
    let pbx = with_phones(&lab, "");
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
