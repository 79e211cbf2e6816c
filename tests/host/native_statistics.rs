//! What Asterisk counts and reports of a native bridge of two encrypted legs, beside one of two plain ones.

use std::thread::sleep;
use std::time::{Duration, Instant};

use host_harness::ami::{self, Manager};
use host_harness::asterisk::{Asterisk, Setup};
use host_harness::lab::Lab;
use host_harness::peer::Srtp;
use host_harness::wait;

use crate::native_call::{self, Leg, Place, Way, hang_up, talk};
use crate::proof::channel;
use crate::world::{OURS, assert_nothing_failed};

/// What Asterisk counts and reports of a native bridge, and that it gives up a call of which nothing is heard, and no other.
#[test]
fn statistics_reports_and_timeouts() {
    const PACKETS: usize = 50;
    /// Seconds that [`native_call::with_endpoints`] gives the second one.
    const TIMEOUT: Duration = Duration::from_secs(2);
    const PERIOD: Duration = Duration::from_millis(20);
    /// RFC 3550 section 6.4.
    const SENDER_REPORT: u8 = 200;
    const RECEIVER_REPORT: u8 = 201;
    let lab = Lab::new("native/statistics");
    let setup = native_call::with_endpoints(Setup::ours("ours", OURS))
        .file("manager.conf", &ami::configuration(OURS));
    let ours = Asterisk::start(&lab, &setup);
    let mut manager = Manager::log_in(&lab, OURS);
    for encrypted in [false, true] {
        println!("encrypted: {encrypted}");
        let mut second = Leg::new(&lab, Place::Second, encrypted);
        let mut right = Leg::new(&lab, Place::Right, encrypted);
        second.call(&mut right, "");
        talk(&ours, &mut second, &mut right, Way::Native);

        let names = [second.name.clone(), right.name.clone()];
        let before = counts(&ours, &mut manager, &names);
        second.pass(&mut right, PACKETS, Way::Native);
        right.pass(&mut second, PACKETS, Way::Native);
        let after = counts(&ours, &mut manager, &names);
        for (before, after) in before.iter().zip(after) {
            let [received, sent, lost] = [0, 1, 2].map(|n| after[n] - before[n]);
            assert_eq!(
                [received, sent, lost],
                [PACKETS, PACKETS, 0],
                "{before:?} {after:?}"
            );
        }
        // A report says whose packets it is about, and what came of them; it is encrypted.
        for n in 0..2 {
            let (from, to) = if n == 0 {
                (&mut second, &mut right)
            } else {
                (&mut right, &mut second)
            };
            let ssrc = from.media.ssrc;
            let word = |report: &[u8], at: usize| {
                u32::from_be_bytes(report[at..at + 4].try_into().expect("four octets"))
            };
            let report = wait::until(
                "a report",
                wait::SOON,
                || {
                    // The second one is given up if it says nothing.
                    from.pass(to, 1, Way::Native);
                    to.pass(from, 1, Way::Native);
                    let report = to.media.hear_report(PERIOD)?;
                    let report = match &to.theirs {
                        Some(theirs) => Srtp::receiver(theirs)
                            .unprotect_rtcp(&report)
                            .expect("it opens"),
                        None => report,
                    };
                    // The core's own, of the moment before the native bridge, may come first.
                    let sender = word(&report, 4);
                    println!("a report of SSRC {sender:08x}");
                    (sender == from.media.ssrc).then_some(report)
                },
                || format!("wanted is one of SSRC {ssrc:08x}"),
            );
            let word = |at| word(&report, at);
            let block = match report[1] {
                SENDER_REPORT => 28,
                RECEIVER_REPORT => 8,
                other => panic!("RTCP of type {other}"),
            };
            assert_eq!(word(block), to.media.ssrc, "of whom");
            assert_eq!(word(block + 4), 0, "no packet was lost");
        }
        // It reads theirs.
        let read = ours.count("RTCP unprotected");
        if let Some(key) = &second.key {
            let mut srtp = Srtp::sender(key, second.media.ssrc, 0);
            second.media.send_report(&mut srtp);
            second.media.settle_rtcp();
            assert_eq!(ours.count("RTCP unprotected"), read + 1);
        }
        if !encrypted {
            hang_up(&ours, second, right);
            continue;
        }
        // Longer than the second one's `rtp_timeout` it speaks, and the call is up; and then it says nothing, and the call ends.
        let begin = Instant::now();
        while begin.elapsed() < TIMEOUT * 2 {
            second.pass(&mut right, 1, Way::Native);
            sleep(PERIOD);
        }
        right.pass(&mut second, 1, Way::Native);
        second.phone.wait_for_hang_up();
        right.phone.wait_for_hang_up();
        ours.wait_for_channels(0);
    }
    assert_nothing_failed(&ours);
}

/// Of both channels: packets received, sent, lost on the way.
fn counts(ours: &Asterisk<'_>, manager: &mut Manager, names: &[String; 2]) -> [[usize; 3]; 2] {
    [0, 1].map(|n| {
        let channel = channel(ours, &format!("PJSIP/{}-", names[n]));
        ["rxcount", "txcount", "rxploss"].map(|item| {
            let variable = format!("CHANNEL(rtcp,{item})");
            let headers = [("Channel", &*channel), ("Variable", &*variable)];
            let answer = manager.ask("Getvar", &headers);
            let value = answer.get("Value").and_then(|value| value.parse().ok());
            value.unwrap_or_else(|| panic!("{variable}: {answer:?}"))
        })
    })
}
