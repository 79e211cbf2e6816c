//! We require SRTP and offer it; the peer answers in clear. Its answer is refused: nothing is sent, in clear or otherwise,
//! and the call ends. (Asterisk's core, `session_inv_on_media_update`, would keep it up and silent.)

use std::fs;

use host_harness::asterisk::{Asterisk, Setup, User};
use host_harness::capture::Capture;
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption, UDP};
use host_harness::sipp::{Call, Plan};

use crate::world::{OUR_TONE, OURS};

as_root_and_as_asterisk!(
    rtp_avp,
    savp_without_a_key,
    savp_with_a_key,
    without_srtp_it_is_none,
    optimistically_it_is_none
);

const SIPP: &str = "127.0.0.40";

/// Calls SIPp, which answers with `media`; how many RTP packets we sent, and how many of them can be heard. A call that is
/// to be refused has to end by itself.
fn call(lab: &Lab, user: User, media: &str, refused: Option<&str>) -> (usize, usize) {
    let endpoint = pjsip::trunk("sipp", SIPP, Encryption::Sdes);
    call_to(&endpoint, lab, user, media, refused)
}

fn call_to(
    endpoint: &str,
    lab: &Lab,
    user: User,
    media: &str,
    refused: Option<&str>,
) -> (usize, usize) {
    let setup = Setup::ours("ours", OURS)
        .user(user)
        .pjsip(UDP)
        .pjsip(endpoint)
        .dialplan(&pjsip::say(OUR_TONE));
    let ours = Asterisk::start(lab, &setup);
    let capture = Capture::start(lab, "call");
    let peer = Call {
        id: "answer".to_owned(),
        address: SIPP.to_owned(),
        asterisk: OURS.to_owned(),
        media: media.to_owned(),
    };
    let mut sipp = peer.start(lab, &Plan::Answer);
    ours.wait_until("SIPp's port", |_| {
        lab.run("sh", &["-c", "ss -lun | grep -q '127.0.0.40:5060'"])
            .status
            .success()
            .then_some(())
    });
    ours.cli("channel originate PJSIP/sipp extension say@default");
    if let Some(code) = refused {
        ours.wait_for_log(&format!("reason {code}: "));
    } else {
        ours.wait_until("an answered call", |ours| {
            ours.cli("core show channels")
                .contains(" Up ")
                .then_some(())
        });
        // On the wire: a call in clear is in none of our counters. 160 octets of audio and its headers, of both sides' packets and whatever else there is.
        let size = || fs::metadata(capture.file()).map_or(0, |file| file.len());
        let before = size();
        ours.wait_until("a second of audio", |_| {
            (size() > before + 200 * 230).then_some(())
        });
        ours.cli("channel request hangup all");
    }
    let status = sipp.wait(host_harness::wait::SOON);
    assert!(status.success(), "SIPp: {status}\n{}", sipp.output());
    ours.wait_for_channels(0);
    assert_eq!(
        ours.all_log_lines("reason answered-in-clear").len(),
        usize::from(refused.is_some())
    );
    let wire = capture.stop();
    (wire.rtp_from(OURS).len(), wire.audible(&[OUR_TONE]).len())
}

fn rtp_avp(lab: &Lab, user: User) {
    assert_eq!(
        call(
            lab,
            user,
            "m=audio [media_port] RTP/AVP 0\na=rtpmap:0 PCMU/8000",
            Some("answered-in-clear")
        ),
        (0, 0)
    );
}

fn savp_without_a_key(lab: &Lab, user: User) {
    assert_eq!(
        call(
            lab,
            user,
            "m=audio [media_port] RTP/SAVP 0\na=rtpmap:0 PCMU/8000",
            Some("answered-in-clear")
        ),
        (0, 0)
    );
}

/// The twin: the same answer with a key.
fn savp_with_a_key(lab: &Lab, user: User) {
    let media = "m=audio [media_port] RTP/SAVP 0\na=rtpmap:0 PCMU/8000\n\
                 a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
    let (sent, audible) = call(lab, user, media, None);
    assert!(sent > 50, "{sent}");
    assert_eq!(audible, 0);
}

const IN_CLEAR: &str = "m=audio [media_port] RTP/AVP 0\na=rtpmap:0 PCMU/8000";

/// Twins: the same answer in clear to endpoints that do not require SRTP.
fn without_srtp_it_is_none(lab: &Lab, user: User) {
    let endpoint = pjsip::trunk("sipp", SIPP, Encryption::Plain);
    let (sent, audible) = call_to(&endpoint, lab, user, IN_CLEAR, None);
    assert!(sent > 50 && audible > 50, "{audible} of {sent}");
}

fn optimistically_it_is_none(lab: &Lab, user: User) {
    let endpoint = pjsip::optional_trunk("sipp", SIPP);
    assert!(endpoint.contains("optimistic"), "{endpoint}");
    let (sent, audible) = call_to(&endpoint, lab, user, IN_CLEAR, None);
    assert!(sent > 50 && audible > 50, "{audible} of {sent}");
}
