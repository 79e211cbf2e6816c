//! The endpoint has SRTP as an option, and a call demands it: the peer's answer decides, and nothing goes in clear.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::capture::Capture;
use host_harness::lab::Lab;
use host_harness::peer::srtp::AES_80;
use host_harness::peer::{Description, Key, Phone};
use host_harness::pjsip::{self, UDP};

use crate::srtp_call::{PBX, PORT, SDES};

const DEMAND: &str = "[sdes]\ntype = endpoint\nrequire_media = yes\n";

fn ours() -> Setup {
    let easy = pjsip::optional_trunk("sdes", SDES);
    Setup::ours("pbx", PBX)
        .pjsip(UDP)
        .pjsip(&easy)
        .file("ciphertrunk.conf", DEMAND)
        .dialplan(
            "exten => tone,1,Answer()\n same => n,Playtones(700)\n same => n,Wait(600)\n\
             exten => early,1,Progress()\n same => n,Playtones(700)\n same => n,Wait(600)\n\
             exten => dial,1,Dial(PJSIP/sdes)\n",
        )
}

/// How the phone's description comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum In {
    /// It is called, and answers in 200.
    Ok,
    /// The same, with early media first.
    Early,
    /// It calls without an offer, and answers in its ACK.
    Ack,
}

/// One call; the RTP packets that Asterisk sent.
fn call(lab: &Lab, pbx: &Asterisk<'_>, by: In, description: &Description, is_up: bool) -> usize {
    let capture = Capture::start(lab, "call");
    let mut phone = Phone::new(lab, SDES, PBX);
    let mut ringing = None;
    match by {
        In::Ack => {
            phone.invite_without_offer(Some("tone"), |_| description.clone());
        }
        In::Ok | In::Early => {
            pbx.cli("channel originate Local/dial@default extension tone@default");
            if by == In::Ok {
                phone.answer(|_| description.clone());
            } else {
                ringing = Some(phone.ring(description, "early"));
            }
        }
    }
    if is_up {
        if let Some(ringing) = &ringing {
            phone.take(ringing);
        }
        pbx.wait_until("audio on the wire", |_| {
            let size = std::fs::metadata(capture.file()).map_or(0, |file| file.len());
            (size > 20_000).then_some(())
        });
        phone.hang_up();
    } else {
        // Asterisk ends it by itself.
        let end = phone.ended();
        if let Some(ringing) = &ringing {
            assert_eq!(end.method, "CANCEL");
            phone.give_up(ringing);
        }
    }
    pbx.wait_for_channels(0);
    capture.stop().rtp_from(PBX).len()
}

#[test]
fn the_answer_decides() {
    let lab = Lab::new("require/answers");
    let pbx = Asterisk::start(&lab, &ours());
    let key = Key::new(AES_80, 1);
    let clear = Description::new(PORT, &[]);
    let optional = |line: String| {
        let mut description = Description::new(PORT, &[line]);
        description.profile = Some("RTP/AVP");
        description
    };
    let good = optional(key.line(1, ""));
    // Lines that are there, and that are refused.
    let short = optional(key.line(1, "|2^10"));
    let unknown = optional(key.line(1, "").replace("_80", "_81"));
    for by in [In::Ok, In::Early, In::Ack] {
        for (bad, what) in [(&clear, "clear"), (&short, "short"), (&unknown, "unknown")] {
            assert_eq!(call(&lab, &pbx, by, bad, false), 0, "{by:?} {what}");
        }
        assert!(call(&lab, &pbx, by, &good, true) > 20, "{by:?}");
    }
    // Without the demand each answer will do: the detector finds what goes in clear.
    pbx.configure("ciphertrunk.conf", "[sdes]\ntype = endpoint\n");
    pbx.cli("module reload res_ciphertrunk.so");
    for by in [In::Ok, In::Early, In::Ack] {
        assert!(call(&lab, &pbx, by, &clear, true) > 20, "{by:?}");
    }
    assert!(call(&lab, &pbx, In::Ok, &short, true) > 20);
    assert_eq!(pbx.count("Panics caught"), 0);
}
