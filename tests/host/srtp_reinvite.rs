//! Re-INVITEs: refused, with another suite, and Asterisk's own.

use std::thread::sleep;
use std::time::Duration;

use host_harness::lab::Lab;
use host_harness::peer::srtp::{AES_32, AES_80};
use host_harness::peer::{Description, Key};

use crate::srtp_call::{self, Bridged, Call, PORT};

/// A call that stands, and its key.
fn call(lab: &Lab) -> (Call, Key) {
    let mut call = Call::new(lab);
    let key = Key::new(AES_80, 1);
    call.dial("echo", &key);
    assert_eq!(call.media.echoes(5), 5, "the call itself");
    (call, key)
}

/// Offers a key for a codec that the endpoint does not have.
fn refused_offer(call: &mut Call, key: &Key) -> u16 {
    let offer = Description {
        codec: 3,
        ..Description::new(PORT, &[key.line(1, "")])
    };
    call.phone.reinvite(&offer).expect_err("GSM is not allowed")
}

/// How many of ten packets under the old key come back after a re-INVITE with a new one was refused.
fn echoes_after_refusal(lab: &Lab, offered: &Key) -> usize {
    let (mut call, _) = call(lab);
    assert_eq!(refused_offer(&mut call, offered), 488);
    let echoes = call.media.echoes(10);
    call.hang_up();
    echoes
}

#[test]
fn a_refused_one_changes_nothing() {
    let lab = Lab::new("srtp-refused");
    let pbx = srtp_call::ours(&lab);
    assert_eq!(echoes_after_refusal(&lab, &Key::new(AES_80, 2)), 10);
    assert_eq!(echoes_after_refusal(&lab, &Key::new(AES_32, 2)), 10);
    assert_eq!(pbx.count("Authentication failures"), 0);

    // What comes after it, is as if it had never been.
    let (mut call, key) = call(&lab);
    refused_offer(&mut call, &Key::new(AES_32, 2));
    assert!(
        call.reoffer(&key.line(1, "")).expect("accepted"),
        "the local key stays"
    );
    assert_eq!(call.media.echoes(10), 10, "with the key that was in force");
    refused_offer(&mut call, &Key::new(AES_80, 3));
    let next = Key::new(AES_80, 4);
    assert!(
        call.reoffer(&next.line(1, "")).expect("accepted"),
        "the local key stays"
    );
    call.media.send_with(&next, 0);
    assert_eq!(call.media.echoes(10), 10, "with the next key");
}

#[test]
fn a_refused_one_silences_stock() {
    let lab = Lab::new("srtp-refused-stock");
    let _pbx = srtp_call::stock(&lab);
    assert_eq!(echoes_after_refusal(&lab, &Key::new(AES_80, 2)), 0);
}

/// After a refused offer, an offer of Asterisk's own is about what is in force.
#[test]
fn asterisks_own_offer_after_a_refused_one_has_the_key_in_force() {
    let lab = Lab::new("srtp-refused-own");
    let pbx = srtp_call::ours(&lab);
    let (mut call, key) = call(&lab);
    refused_offer(&mut call, &Key::new(AES_32, 2));
    Call::make_refresh(&pbx);
    let offer = call
        .phone
        .answer(|_| Description::new(PORT, &[key.line(1, "")]));
    let lines = offer.crypto();
    assert_eq!(lines.len(), 1, "{}", offer.sdp);
    assert!(call.take(&lines[0]), "the local key stays: {}", lines[0]);
    assert_eq!(call.media.echoes(10), 10);
}

/// The peer takes a new key in its answer to Asterisk's offer; an offer of its own that is refused after that changes
/// nothing either.
#[test]
fn the_answer_to_asterisks_own_offer_stands() {
    let lab = Lab::new("srtp-own");
    let pbx = srtp_call::ours(&lab);
    let (mut call, _) = call(&lab);
    let second = Key::new(AES_80, 2);
    Call::make_refresh(&pbx);
    call.phone
        .answer(|_| Description::new(PORT, &[second.line(1, "")]));
    call.media.send_with(&second, 0);
    assert_eq!(call.media.echoes(10), 10, "with the answer's key");
    refused_offer(&mut call, &Key::new(AES_80, 3));
    // Time itself: longer than an old key is still taken for.
    sleep(Duration::from_millis(2200));
    assert_eq!(call.media.echoes(10), 10, "after a refused offer");
    assert_eq!(pbx.count("Authentication failures"), 0);
}

/// Two re-INVITEs cross: Asterisk's is refused, and so is the peer's. What stands is what was in force.
#[test]
fn crossing_ones_change_nothing() {
    let lab = Lab::new("srtp-glare");
    let pbx = srtp_call::ours(&lab);
    let (mut call, _) = call(&lab);
    Call::make_refresh(&pbx);
    call.phone.refuse();
    refused_offer(&mut call, &Key::new(AES_32, 2));
    assert_eq!(call.media.echoes(10), 10, "after both");
    let next = Key::new(AES_80, 3);
    assert!(call.reoffer(&next.line(1, "")).expect("accepted"));
    call.media.send_with(&next, 0);
    assert_eq!(call.media.echoes(10), 10, "after the peer's next one");
    assert_eq!(pbx.count("Authentication failures"), 0);
}

/// Asterisk's call reaches two phones: one gives early media, the other one answers, each with a key.
#[test]
fn the_answer_of_a_forked_call_counts() {
    let lab = Lab::new("srtp-forked");
    let pbx = srtp_call::ours(&lab);
    let (early, key) = (Key::new(AES_80, 1), Key::new(AES_80, 2));
    let early = Description::new(PORT + 2, &[early.line(1, "")]);
    let answer = Description::new(PORT, &[key.line(1, "")]);
    let mut call = Bridged::answered(&lab, &key, |called| called.answer_forked(&early, &answer));
    call.warm_up();
    call.warm_up_back();
    assert_eq!(pbx.count("Authentication failures"), 0);
}

/// A re-INVITE that changes the suite and not the key: how many of ten packets come back.
fn echoes_after_suite_change(lab: &Lab) -> usize {
    let (mut call, key) = call(lab);
    let key = key.under(AES_32);
    call.reoffer(&key.line(1, "")).expect("accepted");
    call.media.send_with(&key, 0);
    let echoes = call.media.echoes(10);
    call.hang_up();
    echoes
}

#[test]
fn another_suite_under_the_same_key_is_a_new_policy() {
    let lab = Lab::new("srtp-suite");
    let pbx = srtp_call::ours(&lab);
    assert_eq!(echoes_after_suite_change(&lab), 10);
    assert_eq!(pbx.count("Authentication failures"), 0);
}

#[test]
fn in_stock_it_is_not() {
    let lab = Lab::new("srtp-suite-stock");
    let _pbx = srtp_call::stock(&lab);
    assert_eq!(echoes_after_suite_change(&lab), 0);
}
