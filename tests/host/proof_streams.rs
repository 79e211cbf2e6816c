//! What `CIPHERTRUNK(field)` says of calls with more than one stream of a kind: each counts, be it the second, or one that came for
//! another.

use std::fmt::Write;

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::lab::Lab;
use host_harness::peer::srtp::AES_80;
use host_harness::peer::{Key, Media, Phone};
use host_harness::pjsip::{self, Encryption, UDP};
use host_harness::wait;

use crate::proof::{ask, channel};
use crate::srtp_call::{PBX, PORT, SDES};

/// A line of a description: `m=audio`, or another kind's, at a port, with or without a key.
struct Line<'a>(&'static str, u16, Option<&'a Key>);

/// Its text; `version` grows with each.
fn description(version: u32, lines: &[Line<'_>]) -> String {
    let mut sdp =
        format!("v=0\r\no=- 1 {version} IN IP4 {SDES}\r\ns=-\r\nc=IN IP4 {SDES}\r\nt=0 0\r\n");
    for Line(kind, port, key) in lines {
        let profile = if key.is_some() { "RTP/SAVP" } else { "RTP/AVP" };
        let (number, codec) = match *kind {
            "audio" => (0, "PCMU/8000"),
            _ => (96, "VP8/90000"),
        };
        write!(
            sdp,
            "m={kind} {port} {profile} {number}\r\na=rtpmap:{number} {codec}\r\n"
        )
        .expect("a text");
        if let Some(key) = key {
            write!(sdp, "a=crypto:{}\r\n", key.line(1, "")).expect("a text");
        }
    }
    sdp
}

/// A call, of which the first stream has echoed a packet.
struct Call {
    phone: Phone,
    media: Media,
}

impl Call {
    fn begin(lab: &Lab, first: &Key, lines: &[Line<'_>]) -> Self {
        let mut call = Self {
            phone: Phone::new(lab, SDES, PBX),
            media: Media::new(lab, &format!("{SDES}:{PORT}")),
        };
        let sdp = description(1, lines);
        let answer = call.phone.call_with_sdp("echo", &sdp).expect("accepted");
        call.media.send_to(answer.media());
        call.media.send_with(first, 0);
        call.media.receive_with(&Key::of_line(&answer.crypto()[0]));
        wait::until(
            "the first echo",
            wait::SOON,
            || call.media.echo(),
            || answer.sdp.clone(),
        );
        call
    }
}

/// What is said of the one call now: word, whether media went in clear, and the line.
fn told(ours: &Asterisk<'_>) -> (String, String, String) {
    let leg = channel(ours, "PJSIP/two-");
    let [word, in_clear, line] =
        ["word", "in_clear", "summary"].map(|field| ask(ours, field, &leg));
    println!("{line}");
    (word, in_clear, line)
}

fn assert_told(ours: &Asterisk<'_>, word: &str, in_clear: &str, streams: &[&str]) {
    let (is_word, is_in_clear, line) = told(ours);
    assert_eq!((&*is_word, &*is_in_clear), (word, in_clear), "{line}");
    let found: Vec<&str> = line
        .split(' ')
        .filter(|text| text.starts_with("audio=") || text.starts_with("video="))
        .collect();
    assert_eq!(found, streams, "{line}");
}

const SRTP: &str = "audio=SDES/AES_CM_128_HMAC_SHA1_80";
const NONE: &str = "audio=none";

#[test]
fn each_audio_stream_counts() {
    let lab = Lab::new("proof/streams");
    let endpoint = pjsip::trunk("two", SDES, Encryption::Sdes).replace(
        "allow = ulaw\n",
        "allow = ulaw\nmax_audio_streams = 2\nmedia_encryption_optimistic = yes\n",
    );
    let ours = Asterisk::start(
        &lab,
        &Setup::ours("pbx", PBX)
            .pjsip(UDP)
            .pjsip(&endpoint)
            .dialplan(pjsip::ECHO),
    );
    let [first, second] = [1, 2].map(|n| Key::new(AES_80, n));
    let audio = |port, key| Line("audio", port, key);

    // Two that are encrypted; and a video that is declined, and makes nothing of them plain.
    let lines = [
        audio(PORT, Some(&first)),
        audio(PORT + 2, Some(&second)),
        Line("video", PORT + 4, None),
    ];
    let mut call = Call::begin(&lab, &first, &lines);
    assert_told(&ours, "media-only", "no", &[SRTP, SRTP]);
    call.phone.hang_up();
    ours.wait_for_channels(0);
    drop(call);

    // The second has no keys.
    let lines = [audio(PORT, Some(&first)), audio(PORT + 2, None)];
    let mut call = Call::begin(&lab, &first, &lines);
    assert_told(&ours, "plain", "yes", &[SRTP, NONE]);
    // It goes, and stays in what is told.
    let lines = [audio(PORT, Some(&first)), audio(0, None)];
    let answer = call.phone.reinvite_with_sdp(&description(2, &lines));
    answer.expect("accepted");
    assert_told(&ours, "plain", "yes", &[SRTP, NONE]);
    call.phone.hang_up();
    ours.wait_for_channels(0);
    drop(call);

    // Nobody asks while it is there.
    let lines = [audio(PORT, Some(&first)), audio(PORT + 2, None)];
    let mut call = Call::begin(&lab, &first, &lines);
    let lines = [audio(PORT, Some(&first)), audio(0, None)];
    let answer = call.phone.reinvite_with_sdp(&description(2, &lines));
    answer.expect("accepted");
    assert_told(&ours, "plain", "yes", &[SRTP, NONE]);
    call.phone.hang_up();
    ours.wait_for_channels(0);
    drop(call);

    // The encrypted one goes, and another comes for it, without keys; and with keys.
    for (key, word, in_clear, last) in [
        (None, "plain", "yes", NONE),
        (Some(&second), "media-only", "no", SRTP),
    ] {
        let mut call = Call::begin(&lab, &first, &[audio(PORT, Some(&first))]);
        assert_told(&ours, "media-only", "no", &[SRTP]);
        let lines = [audio(0, None), audio(PORT + 2, key)];
        let answer = call.phone.reinvite_with_sdp(&description(2, &lines));
        answer.expect("accepted");
        let (is_word, is_in_clear, line) = told(&ours);
        assert_eq!((&*is_word, &*is_in_clear), (word, in_clear), "{line}");
        assert!(line.contains(last), "{line}");
        call.phone.hang_up();
        ours.wait_for_channels(0);
    }
}
