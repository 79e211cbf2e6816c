//! DTLS-SRTP with several SSRCs on one transport (RFC 8843), with a stock Asterisk at the other end.

use std::collections::BTreeSet;

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::capture::{Capture, Wire};
use host_harness::lab::Lab;
use host_harness::peer::{Description, Media, Phone};
use host_harness::pjsip::{self, Encryption, UDP};

use crate::proof::{ask, channel};
use crate::srtp_call::{PBX, PLAIN, PORT};
use crate::world::waits_for_dtls;

const CARRIER: &str = "127.0.0.40";
const VIDEO_PORT: u16 = PORT + 2;

/// An endpoint with audio and video, both on one transport if `encryption` is DTLS.
fn endpoint(name: &str, host: &str, encryption: Encryption) -> String {
    let bundle = match encryption {
        Encryption::Dtls => "bundle = yes\nrtcp_mux = yes\n",
        _ => "",
    };
    pjsip::trunk(name, host, encryption).replace(
        "allow = ulaw\n",
        &format!("allow = ulaw,vp8\nmax_video_streams = 1\n{bundle}"),
    )
}

/// SSRCs and ports of the SRTP packets from a host to another.
fn sources(wire: &Wire, from: &str, to: &str) -> (BTreeSet<Vec<u8>>, BTreeSet<u16>) {
    let packets = wire.rtp_from(from);
    let packets = packets
        .iter()
        .filter(|packet| packet.destination.ip().to_string() == to)
        // DTLS and RTCP on the same port are not RTP already.
        .filter(|packet| packet.data.len() > 100);
    packets
        .map(|packet| (packet.data[8..12].to_vec(), packet.destination.port()))
        .unzip()
}

/// Sends new audio, which may be lost while a call begins. Whether the carrier's echo comes.
fn comes_back(media: &mut Media) -> bool {
    let audio = media.audio();
    media.send(&audio);
    media.try_for(&audio).is_some()
}

/// The video has no SRTP session of its own: it is encrypted with the audio's, and each has its own packets. The plain leg is the twin.
fn assert_told_as_encrypted(ours: &Asterisk<'_>) {
    let leg = channel(ours, "PJSIP/carrier-");
    let line = ask(ours, "summary", &leg);
    println!("{line}");
    for field in ["key_source", "video.key_source"] {
        assert_eq!(ask(ours, field, &leg), "DTLS-SRTP", "{field}: {line}");
    }
    for field in ["packets_out", "video.packets_out", "video.packets_in"] {
        let count: u64 = ask(ours, field, &leg).parse().expect("a number");
        assert!(count >= 20, "{field}: {line}");
    }
    // Media may come before the handshake is done, and that is told: but never that there is no encryption.
    assert!(!line.contains("=none"), "{line}");
    let plain = channel(ours, "PJSIP/plain-");
    let line = ask(ours, "summary", &plain);
    assert!(
        line.contains(" audio=none ") && line.contains(" video=none "),
        "{line}"
    );
    assert_eq!(ask(ours, "word", &plain), "plain");
}

#[test]
fn audio_and_video_share_a_transport() {
    let lab = Lab::new("srtp-bundle");
    let ours = Setup::ours("pbx", PBX)
        .pjsip(UDP)
        .pjsip(&endpoint("plain", PLAIN, Encryption::Plain))
        .pjsip(&endpoint("carrier", CARRIER, Encryption::Dtls))
        .dialplan("exten => carrier,1,Dial(PJSIP/echo@carrier)\n");
    let ours = Asterisk::start(&lab, &ours);
    let carrier = Setup::stock("carrier", CARRIER)
        .pjsip(UDP)
        .pjsip(&endpoint("pbx", PBX, Encryption::Dtls))
        .dialplan(pjsip::ECHO);
    let _carrier = Asterisk::start(&lab, &carrier);

    let capture = Capture::start(&lab, "call");
    let mut phone = Phone::new(&lab, PLAIN, PBX);
    let mut audio = Media::new(&lab, &format!("{PLAIN}:{PORT}"));
    let mut video = Media::new(&lab, &format!("{PLAIN}:{VIDEO_PORT}"));
    video.payload_type = 96;
    video.ssrc = 0x0b1d_e000;
    let offer = Description {
        video: Some(VIDEO_PORT),
        ..Description::new(PORT, &[])
    };
    let answer = phone.call("carrier", &offer).expect("accepted");
    audio.send_to(answer.media());
    video.send_to(answer.stream("video"));
    // The handshake goes on behind the answer.
    let (mut heard, mut seen) = (0, 0);
    ours.wait_until("20 packets of each stream to come back", |_| {
        heard += usize::from(comes_back(&mut audio));
        seen += usize::from(comes_back(&mut video));
        (heard.min(seen) >= 20).then_some(())
    });
    assert_told_as_encrypted(&ours);
    let wire = capture.stop();
    for (from, to) in [(PBX, CARRIER), (CARRIER, PBX)] {
        let (ssrcs, ports) = sources(&wire, from, to);
        assert_eq!(
            (ssrcs.len(), ports.len()),
            (2, 1),
            "{from} to {to}: {ssrcs:?} {ports:?}"
        );
    }
    // A carrier that does not wait for the handshake sends in clear before: that cannot be authenticated.
    let waits = waits_for_dtls(
        &ours,
        "srtp_bundle::audio_and_video_share_a_transport (nothing that cannot be authenticated)",
    );
    if waits {
        assert_eq!(ours.count("Authentication failures"), 0);
    }
    for counter in [
        "Replays dropped",
        "Used indexes dropped",
        "Packets without a key",
    ] {
        assert_eq!(ours.count(counter), 0, "{counter}");
    }
    assert_eq!(ours.count("Sessions"), 1);
    assert!(ours.count("RTP protected") >= 40 && ours.count("RTP unprotected") >= 40);
}
