//! Retransmissions: the peer's NACK (RFC 4585) has Asterisk send a packet once more, under an index that was used.
//!
//! Asterisk keeps what it sends for `webrtc = yes` alone, and for video. With abs-send-time it writes the time into the kept
//! packet again, so that the header is another one and the payload the same.

use std::thread::scope;

use host_harness::asterisk::{Asterisk, Setup, TEST_MODULE};
use host_harness::capture::Capture;
use host_harness::lab::Lab;
use host_harness::peer::srtp::{AES_80, GCM_128};
use host_harness::peer::{Bundle, Description, Heard, Identity, Key, Media, Phone, Suite};
use host_harness::pjsip::{self, Encryption, UDP};
use host_harness::wait;

use crate::srtp_call::{self, Call, PBX, PLAIN, PORT};

/// Its endpoint is a browser's.
const WEB: &str = "127.0.0.40";
const VIDEO_PORT: u16 = PORT + 2;

fn with_video(setup: Setup) -> Setup {
    let endpoint = |name, host, encryption| {
        pjsip::trunk(name, host, encryption).replace("allow = ulaw\n", "allow = ulaw,vp8\n")
    };
    setup
        .pjsip(UDP)
        .pjsip(&endpoint("web", WEB, Encryption::Web))
        .pjsip(&endpoint("plain", PLAIN, Encryption::Plain))
        .dialplan("exten => plain,1,Dial(PJSIP/plain)\n")
}

/// A packet of video, and what came when it was asked for once more.
struct Seen {
    video: Vec<u8>,
    first: Heard,
    again: Vec<Heard>,
    /// The key of what came.
    key: Key,
    /// On how many packets of the plain phone's, and of Asterisk's to the browser, the video lies open.
    open: (usize, usize),
}

/// A browser calls a plain phone, sees its video, and asks for one packet once more.
///
/// It asks when so many packets have come behind that one.
fn retransmission(lab: &Lab, abs_send_time: bool, behind: u16) -> Seen {
    let capture = Capture::start(lab, "call");
    let mut browser = Phone::new(lab, WEB, PBX);
    let mut phone = Phone::new(lab, PLAIN, PBX);
    let mut plain = Media::new(lab, &format!("{PLAIN}:{VIDEO_PORT}"));
    let mut web = Media::new(lab, &format!("{WEB}:{PORT}"));
    let identity = Identity::default();
    let offer = Description {
        video: Some(PORT),
        bundle: Some(Bundle {
            fingerprint: identity.fingerprint(),
            ssrcs: [web.ssrc + 1, web.ssrc],
            abs_send_time,
        }),
        ..Description::new(PORT, &[])
    };
    let (answer, offered) = scope(|scope| {
        let called = scope.spawn(|| {
            phone.answer(|_| Description {
                video: Some(VIDEO_PORT),
                ..Description::new(PORT, &[])
            })
        });
        let answer = browser.call("plain", &offer).expect("accepted");
        (answer, called.join().expect("called"))
    });
    web.send_to(answer.stream("video"));
    plain.send_to(offered.stream("video"));
    // An offer says the numbers that its maker wants to receive (RFC 3264 section 5.1).
    let number = offered
        .sdp
        .lines()
        .find_map(|line| line.strip_prefix("a=rtpmap:")?.strip_suffix(" VP8/90000"));
    plain.payload_type = number.expect("VP8").parse().expect("a payload type");
    let key = web.shake_hands(&identity);

    let passes = |plain: &mut Media, web: &mut Media| {
        let video = plain.audio();
        plain.send(&video);
        web.try_for(&video).map(|heard| (video, heard))
    };
    // What comes before the call is up may be lost.
    let mut begun = || {
        wait::until(
            "video at the browser",
            wait::SOON,
            || passes(&mut plain, &mut web),
            String::new,
        )
    };
    begun();
    let (video, first) = begun();
    let mut last = first.sequence;
    while last.wrapping_sub(first.sequence) < behind {
        last = begun().1.sequence;
    }
    web.settle();
    web.nack(&first);
    let again = web.settle();
    assert!(
        passes(&mut plain, &mut web).is_some(),
        "and on after the retransmission"
    );

    let wire = capture.stop();
    let open = |from: &str, to: &str| {
        let between = wire.datagrams.iter().filter(|datagram| {
            datagram.source.ip().to_string() == from && datagram.destination.ip().to_string() == to
        });
        between
            .filter(|datagram| {
                datagram
                    .data
                    .windows(video.len())
                    .any(|octets| octets == video)
            })
            .count()
    };
    let open = (open(PLAIN, PBX), open(PBX, WEB));
    Seen {
        video,
        first,
        again,
        key,
        open,
    }
}

/// Where the time is in a packet with abs-send-time: behind the extension's header and the element's.
const TIME: std::ops::Range<usize> = 17..20;

fn is_encrypted_again(abs_send_time: bool, behind: u16) {
    let lab = Lab::new(&format!("srtp-nack-{abs_send_time}-{behind}"));
    let pbx = Asterisk::start(&lab, &with_video(Setup::ours("pbx", PBX)));
    let seen = retransmission(&lab, abs_send_time, behind);
    let [again] = &seen.again[..] else {
        panic!("{} packets came", seen.again.len())
    };
    assert_eq!(
        (again.ssrc(), again.sequence),
        (seen.first.ssrc(), seen.first.sequence)
    );
    assert_eq!(again.payload, None, "a receiver takes it for a replay");
    assert_eq!(again.opened_anew(&seen.key), Some(seen.video));
    assert_eq!(
        seen.open,
        (1, 0),
        "in clear: from the phone, to the browser"
    );

    let (mut before, mut after) = (seen.first.header().to_vec(), again.header().to_vec());
    assert_eq!(before.len(), if abs_send_time { 20 } else { 12 });
    if abs_send_time {
        assert_ne!(before[TIME], after[TIME]);
        before[TIME].fill(0);
        after[TIME].fill(0);
    }
    assert_eq!(before, after);
    assert_eq!(pbx.count("Used indexes encrypted again"), 1);
    assert_eq!(pbx.count("Used indexes dropped"), 0);
}

#[test]
fn under_aes_cm_the_same_packet_is_encrypted_again() {
    is_encrypted_again(false, 0);
}

#[test]
fn under_aes_cm_one_with_another_header_is_encrypted_again() {
    is_encrypted_again(true, 0);
}

/// At 260 packets a second a browser asks for what is 64 and more packets behind; Asterisk keeps 250.
#[test]
fn under_aes_cm_one_far_behind_is_encrypted_again() {
    is_encrypted_again(false, 64);
    is_encrypted_again(true, 248);
}

/// Stock sends it in clear: shows that the tests above would find it.
#[test]
fn stock_lets_it_out_in_clear() {
    let lab = Lab::new("srtp-nack-stock");
    let _pbx = Asterisk::start(&lab, &with_video(Setup::stock("pbx", PBX)));
    let seen = retransmission(&lab, true, 0);
    assert_eq!(seen.open, (1, 1));
    assert!(seen.again.iter().any(|again| again.shows(&seen.video)));
}

/// Retransmission with SDES, which Asterisk has for no endpoint: the test build switches it on. What came when a packet
/// was asked for once more, and whether that opens anew as what was sent.
fn with_sdes(lab: &Lab, pbx: &Asterisk<'_>, suite: Suite) -> Vec<bool> {
    pbx.cli("ciphertrunk test retransmit");
    let mut call = Call::new(lab);
    call.dial("echo", &Key::new(suite, 1));
    let audio = call.media.audio();
    call.media.send(&audio);
    let first = call.media.wait_for(&audio).expect("an echo");
    call.media.nack(&first);
    call.media.settle_rtcp();
    let again = call.media.settle();
    assert_eq!(call.media.echoes(10), 10, "the call goes on");
    assert_eq!(pbx.count("RTCP unprotected"), 1, "the NACK came");
    let key = call.theirs.expect("a call");
    again
        .iter()
        .inspect(|again| assert_eq!(again.sequence, first.sequence))
        .map(|again| !again.shows(&audio) && again.opened_anew(&key).as_ref() == Some(&audio))
        .collect()
}

fn retransmitting(lab: &Lab) -> Asterisk<'_> {
    let setup = srtp_call::with_endpoints(Setup::ours("pbx", PBX)).module(TEST_MODULE);
    Asterisk::start(lab, &setup)
}

/// Audio of a call with SDES, each of these so many packets behind the latest one when it is asked for once more. How far
/// behind those are that came.
fn far_behind(lab: &Lab, pbx: &Asterisk<'_>, suite: Suite, behind: &[u16]) -> Vec<u16> {
    pbx.cli("ciphertrunk test retransmit");
    let mut call = Call::new(lab);
    call.dial("echo", &Key::new(suite, 1));
    let heard: Vec<Heard> = (0..260)
        .map(|_| call.media.echo().expect("an echo"))
        .collect();
    let key = call.theirs.clone().expect("a call");
    let latest = heard.last().expect("260").sequence;
    let mut came = Vec::new();
    for &behind in behind {
        let sequence = latest.wrapping_sub(behind);
        let first = heard.iter().find(|heard| heard.sequence == sequence);
        let first = first.expect("it was heard");
        call.media.nack(first);
        call.media.settle_rtcp();
        for again in call.media.settle() {
            assert_eq!(again.sequence, sequence);
            let audio = first.payload.as_ref().expect("it opened");
            assert!(!again.shows(audio), "in clear");
            assert_eq!(again.opened_anew(&key).as_ref(), Some(audio));
            came.push(behind);
        }
    }
    assert_eq!(call.media.echoes(10), 10, "the call goes on");
    came
}

#[test]
fn all_that_asterisk_keeps_can_be_had_again() {
    let lab = Lab::new("srtp-nack-far");
    let pbx = retransmitting(&lab);
    let behind = [1, 63, 64, 65, 127, 128, 129, 200, 248];
    assert_eq!(far_behind(&lab, &pbx, AES_80, &behind), behind);
    assert_eq!(pbx.count("Used indexes dropped"), 0);
}

/// An AEAD's nonce is used once, however far behind.
#[test]
fn under_an_aead_none_can_be_had_again() {
    let lab = Lab::new("srtp-nack-far-gcm");
    let pbx = retransmitting(&lab);
    assert_eq!(far_behind(&lab, &pbx, GCM_128, &[1, 64, 200]), [0_u16; 0]);
    assert_eq!(pbx.count("Used indexes dropped"), 3);
}

/// An AEAD's nonce is used once.
#[test]
fn under_an_aead_it_is_dropped() {
    let lab = Lab::new("srtp-nack-gcm");
    let pbx = retransmitting(&lab);
    assert_eq!(with_sdes(&lab, &pbx, GCM_128), [false; 0]);
    assert_eq!(pbx.count("Used indexes dropped"), 1);
    assert_eq!(pbx.count("Used indexes encrypted again"), 0);
}

/// The twin of the one above, with another suite.
#[test]
fn with_sdes_and_aes_cm_it_is_encrypted_again() {
    let lab = Lab::new("srtp-nack-sdes");
    let pbx = retransmitting(&lab);
    assert_eq!(with_sdes(&lab, &pbx, AES_80), [true]);
    assert_eq!(pbx.count("Used indexes dropped"), 0);
    assert_eq!(pbx.count("Used indexes encrypted again"), 1);
}
