//! Lifetimes of master keys. The test build makes keys look older than they are: 2^20 packets take six hours.

use std::thread::sleep;
use std::time::Duration;

use host_harness::asterisk::{Asterisk, Setup, TEST_MODULE};
use host_harness::lab::Lab;
use host_harness::peer::srtp::AES_80;
use host_harness::peer::{Description, Key};

use crate::srtp_call::{self, Call, PBX, PORT, SDES};

/// Longer than from one look at the keys to the next. Where nothing may come of a look, there is nothing to wait for: on a busy
/// machine a later look makes the test weaker, and never fail.
const LOOK: Duration = Duration::from_millis(2600);
/// What the log says of the peer's key at each of these ages.
const NEARS: &str = "the peer's SRTP key nears the end of the lifetime";
const BEHIND: &str = "the peer's SRTP key is behind the lifetime";
/// What it says where a key has had all the SSRCs for which there is room.
const FULL: &str = "Asterisk has sent with 4096 SSRCs";
const NINE_TENTHS: &str = "943719";
const ALL: &str = "1048576";
/// The counter of what `strict_lifetime` drops.
const DROPPED: &str = "Dropped by strict_lifetime";

fn start<'lab>(lab: &'lab Lab, srtp: &str) -> Asterisk<'lab> {
    let setup = srtp_call::with_endpoints(Setup::ours("pbx", PBX))
        .module(TEST_MODULE)
        .file("ciphertrunk.conf", &format!("[srtp]\n{srtp}\n"));
    Asterisk::start(lab, &setup)
}

fn age(pbx: &Asterisk<'_>, packets: &str) {
    pbx.cli(&format!("ciphertrunk test age {packets}"));
}

/// Asterisk says the lifetime of its key, and at nine tenths of it offers another one.
#[test]
fn a_new_key_is_offered_before_the_end() {
    let lab = Lab::new("srtp-lifetime");
    let pbx = start(&lab, "lifetime = 2^20");
    let mut call = Call::new(&lab);
    let key = Key::new(AES_80, 1);
    let line = call
        .dial_with("echo", &key, &key.line(1, ""))
        .expect("accepted");
    assert!(line.ends_with("|2^20"), "{line}");
    call.media.echo_past_both_wraps();
    age(&pbx, NINE_TENTHS);
    let answer = Description::new(PORT, &[key.line(1, "")]);
    let mut fresh = false;
    let offer = call.phone.answer(|_| {
        // The next key is not old.
        age(&pbx, "0");
        // What comes before the answer has the key in force.
        fresh = call.media.echoes(5) == 5;
        answer
    });
    assert!(fresh, "an offer changes nothing yet");
    let line = &offer.crypto()[0];
    assert!(line.ends_with("|2^20"), "{line}");
    assert!(!call.take(line), "a new key is offered");
    assert_eq!(call.media.echoes(10), 10, "with the new key");
    sleep(LOOK);
    assert_eq!(call.media.echoes(10), 10, "and after the next look");
    assert_eq!(pbx.all_log_lines(FULL).len(), 0);

    // The same where Asterisk has had three quarters of the SSRCs for which there is room under a key, and where it has had all.
    for sources in [3072, 4096] {
        pbx.cli(&format!("ciphertrunk test sources {sources}"));
        let answer = Description::new(PORT, &[key.line(1, "")]);
        let offer = call.phone.answer(|_| {
            pbx.cli("ciphertrunk test sources 0");
            answer
        });
        assert!(!call.take(&offer.crypto()[0]), "a new key is offered");
        assert_eq!(call.media.echoes(10), 10, "with the new key");
    }
    let full = pbx.all_log_lines(FULL);
    assert_eq!(full.len(), 1, "{full:?}");
    assert!(full[0].contains(SDES), "{full:?}");
    assert_eq!(pbx.count("Authentication failures"), 0);
}

/// The peer's key: a warning, and nothing else, unless `strict_lifetime` is set.
#[test]
fn the_peers_key_is_warned_of_and_goes_on() {
    let lab = Lab::new("srtp-lifetime-peer");
    let pbx = start(&lab, "strict_lifetime = no");
    let mut call = Call::new(&lab);
    let key = Key::new(AES_80, 1);
    call.dial_with("echo", &key, &key.line(1, "|2^20"))
        .expect("accepted");
    age(&pbx, NINE_TENTHS);
    pbx.wait_for_log(NEARS);
    age(&pbx, ALL);
    pbx.wait_for_log(BEHIND);
    assert_eq!(call.media.echoes(10), 10);
    assert_eq!(pbx.count(DROPPED), 0);
}

#[test]
fn strictly_audio_stops_until_a_new_key_comes() {
    let lab = Lab::new("srtp-lifetime-strict");
    let pbx = start(&lab, "strict_lifetime = yes");
    let mut call = Call::new(&lab);
    let key = Key::new(AES_80, 1);
    call.dial_with("echo", &key, &key.line(1, "|2^20"))
        .expect("accepted");
    age(&pbx, NINE_TENTHS);
    pbx.wait_for_log(NEARS);
    assert_eq!(call.media.echoes(10), 10, "before its end");
    assert_eq!(pbx.count(DROPPED), 0);
    age(&pbx, ALL);
    pbx.wait_for_log(BEHIND);
    assert_eq!(call.media.echoes(5), 0, "behind its end");
    assert_eq!(pbx.count(DROPPED), 5);
    age(&pbx, "0");
    let next = Key::new(AES_80, 2);
    call.reoffer(&next.line(1, "|2^20")).expect("accepted");
    call.media.send_with(&next, 0);
    assert_eq!(call.media.echoes(10), 10, "with a new key");
    call.hang_up();
    pbx.wait_until("the end of the session", |pbx| {
        (pbx.count("Sessions") == 0).then_some(())
    });
    assert_eq!(
        pbx.count(DROPPED),
        5,
        "those of ended sessions stay counted"
    );
}
