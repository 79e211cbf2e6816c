//! Nothing takes back what a call has: an answer, early media, a re-INVITE, an UPDATE, T.38 or direct media in clear, or with a weaker
//! suite. The endpoint leaves encryption to the peer (`media_encryption_optimistic`), so that Asterisk alone takes each of them, as
//! the twin without a demand shows; and there the detector finds what it looks for.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::capture::Capture;
use host_harness::lab::Lab;
use host_harness::peer::srtp::{AES_32, AES_80};
use host_harness::peer::{Description, Key, Media, Phone};
use host_harness::pjsip::{self, Encryption, UDP};
use host_harness::wait;

use crate::world::{OUR_TONE, OURS, PHONE};

const CALLER: &str = "127.0.0.31";
const PORT: u16 = 7000;

/// What is demanded of the call to the phone, and whether a stream in clear meets it.
const DEMANDS: [(&str, &str, bool); 3] = [
    ("free", "FREE=1", true),
    ("words", "CHANNEL(secure_bridge_media)=1", false),
    ("require", "CIPHERTRUNK_REQUIRE(media)=yes", false),
];
const STRONG: (&str, &str, bool) = (
    "strong",
    "CIPHERTRUNK_REQUIRE(media)=AES_CM_128_HMAC_SHA1_80",
    false,
);

fn ours(direct_media: bool) -> Setup {
    let endpoint = |name: &str, host: &str| {
        let text = pjsip::trunk(name, host, Encryption::Sdes).replace(
            "media_encryption = sdes\n",
            "media_encryption = sdes\nmedia_encryption_optimistic = yes\nt38_udptl = yes\n",
        );
        match direct_media {
            true => text.replace("direct_media = no", "direct_media = yes"),
            false => text,
        }
    };
    let calls = DEMANDS.iter().chain([&STRONG]).map(|(name, set, _)| {
        format!(
            "exten => {name},1,Set({set})\n same => n,Dial(PJSIP/phone,60,g)\n \
             same => n,Verbose(0,over {name} ${{HANGUPCAUSE}} ${{CIPHERTRUNK_REASON}}.)\n same => n,Hangup()\n"
        )
    });
    Setup::ours("ours", OURS)
        .also_modules(&["res_pjsip_t38"])
        .pjsip(UDP)
        .pjsip(&endpoint("phone", PHONE))
        .pjsip(&endpoint("caller", CALLER))
        .dialplan(&calls.collect::<String>())
        .dialplan(&format!(
            "exten => wait,1,Answer()\n same => n,Playtones({OUR_TONE})\n same => n,Wait(600)\n"
        ))
}

fn plain() -> Description {
    Description::new(PORT, &[])
}

/// A phone that is called.
struct Called<'a, 'lab> {
    ours: &'a Asterisk<'lab>,
    phone: Phone,
    media: Media,
    key: Key,
}

impl<'a, 'lab> Called<'a, 'lab> {
    fn new(lab: &'lab Lab, ours: &'a Asterisk<'lab>) -> Self {
        Self {
            ours,
            phone: Phone::new(lab, PHONE, OURS),
            media: Media::new(lab, &format!("{PHONE}:{PORT}")),
            key: Key::new(AES_80, 1),
        }
    }

    fn encrypted(&self) -> Description {
        Description {
            profile: Some("RTP/AVP"),
            ..Description::new(PORT, &[self.key.line(1, "")])
        }
    }

    /// Is called, and answers with a key.
    fn up(&mut self, demand: &str) {
        self.originate(demand);
        let answer = self.encrypted();
        let offer = self.phone.answer(|_| answer);
        self.media.receive_with(&Key::of_line(&offer.crypto()[0]));
        self.hears(true);
    }

    fn originate(&self, demand: &str) {
        self.ours.cli(&format!(
            "channel originate Local/{demand}@default extension wait@default"
        ));
    }

    /// That the call goes on: packets come, encrypted or not.
    fn hears(&mut self, is_encrypted: bool) {
        let mut count = 0;
        wait::until(
            "packets from Asterisk",
            wait::SOON,
            || {
                let heard = self.media.hear(wait::TRY)?;
                // What comes in clear is looked at on the wire.
                count += u32::from(!is_encrypted || heard.payload.is_some());
                (count > 10).then_some(())
            },
            || self.ours.log(),
        );
    }
}

/// One call with each demand: what happens, and whether a stream in clear was permitted.
fn each(
    name: &str,
    demands: &[(&str, &str, bool)],
    happens: impl Fn(&mut Called<'_, '_>, &str, bool),
) {
    let lab = Lab::new(name);
    let ours = Asterisk::start(&lab, &ours(false));
    for (demand, _, permits) in demands {
        let mut called = Called::new(&lab, &ours);
        let told = ours
            .all_log_lines("a message of a call with endpoint")
            .len();
        let capture = Capture::start(&lab, demand);
        happens(&mut called, demand, *permits);
        ours.wait_for_channels(0);
        let wire = capture.stop();
        // What an optional offer describes has keys in it.
        let clear = wire.in_clear_from(OURS, &[OUR_TONE]).len();
        assert_eq!(clear > 0, *permits, "{demand}: {clear} in clear");
        let told = ours
            .all_log_lines("a message of a call with endpoint")
            .len()
            - told;
        assert_eq!(told, usize::from(!permits), "{demand}");
    }
    assert_eq!(ours.count("Panics caught"), 0);
}

/// What the dialplan says at the end of a call that was refused.
fn assert_refused(called: &Called<'_, '_>, demand: &str, code: &str) {
    called
        .ours
        .wait_for_log(&format!("app_verbose.c: over {demand} 58 {code}."));
}

/// The answer of a phone that is called is in clear.
fn answered(lab: &str, is_multipart: bool) {
    each(lab, &DEMANDS, |called, demand, permits| {
        called.phone.is_multipart = is_multipart;
        called.originate(demand);
        called.phone.answer(|_| plain());
        if permits {
            called.hears(false);
            called.phone.hang_up();
        } else {
            assert_eq!(called.phone.ended().method, "BYE", "{demand}");
            assert_refused(called, demand, "media-in-clear");
        }
    });
}

#[test]
fn an_answer() {
    answered("require_downgrade/answer", false);
}

/// pjsip takes the description out of a part.
#[test]
fn an_answer_in_parts() {
    answered("require_downgrade/parts", true);
}

#[test]
fn early_media() {
    each(
        "require_downgrade/early",
        &DEMANDS,
        |called, demand, permits| {
            called.originate(demand);
            let ringing = called.phone.ring(&plain(), "early");
            if permits {
                called.phone.take(&ringing);
                called.hears(false);
                called.phone.hang_up();
            } else {
                let end = called.phone.ended();
                assert_eq!(end.method, "CANCEL", "{demand}");
                called.phone.give_up(&ringing);
                assert_refused(called, demand, "media-in-clear");
            }
        },
    );
}

/// An offer is refused, and the call goes on as it was.
fn offered(lab: &str, offer: impl Fn(&mut Phone) -> Result<(), u16>) {
    each(lab, &DEMANDS, |called, demand, permits| {
        called.up(demand);
        assert_eq!(
            offer(&mut called.phone),
            if permits { Ok(()) } else { Err(488) },
            "{demand}"
        );
        called.hears(!permits);
        called.phone.hang_up();
    });
}

#[test]
fn a_reinvite() {
    offered("require_downgrade/reinvite", |phone| {
        phone.reinvite(&plain()).map(drop)
    });
}

#[test]
fn an_update() {
    offered("require_downgrade/update", |phone| {
        phone.update(&plain()).map(drop)
    });
}

/// The phone calls without an offer: Asterisk's is in the 200, and the answer in the ACK.
#[test]
fn an_answer_in_the_ack() {
    for (name, demand) in [("free", ""), ("require", "require_media = yes\n")] {
        let lab = Lab::new(&format!("require_downgrade/ack-{name}"));
        let permits = demand.is_empty();
        let conf = format!("[phone]\ntype = endpoint\n{demand}");
        let ours = Asterisk::start(&lab, &ours(false).file("ciphertrunk.conf", &conf));
        let mut called = Called::new(&lab, &ours);
        let capture = Capture::start(&lab, name);
        called.phone.invite_without_offer(Some("wait"), |_| plain());
        if permits {
            called.hears(false);
            called.phone.hang_up();
        } else {
            assert_eq!(called.phone.ended().method, "BYE");
        }
        ours.wait_for_channels(0);
        let clear = capture.stop().in_clear_from(OURS, &[OUR_TONE]).len();
        assert_eq!(clear > 0, permits, "{name}: {clear} in clear");
        let told = ours.all_log_lines("from the peer is not heeded (media-in-clear)");
        assert_eq!(told.len(), usize::from(!permits), "{name}");
        assert_eq!(ours.count("Panics caught"), 0);
    }
}

/// The suite is a good one, and weaker than what is demanded.
#[test]
fn a_weaker_suite() {
    let lab = Lab::new("require_downgrade/weaker");
    let ours = Asterisk::start(&lab, &ours(false));
    for (demand, expected) in [("require", Ok(())), ("strong", Err(488))] {
        let mut called = Called::new(&lab, &ours);
        called.up(demand);
        let weaker = Key::new(AES_32, 2);
        let offer = Description {
            profile: Some("RTP/AVP"),
            ..Description::new(PORT, &[weaker.line(1, "")])
        };
        let answer = called.phone.reinvite(&offer);
        assert_eq!(
            answer.as_ref().map(drop).map_err(|it| *it),
            expected,
            "{demand}"
        );
        if let Ok(answer) = answer {
            called
                .media
                .receive_with(&Key::of_line(&answer.crypto()[0]));
        }
        called.hears(true);
        called.phone.hang_up();
        ours.wait_for_channels(0);
        let told = ours
            .all_log_lines("from the peer is refused (media-suite)")
            .len();
        assert_eq!(told, usize::from(expected.is_err()), "{demand}");
    }
}

const T38: &str = "v=0\r\no=- 1 9 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=image 7100 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n\
                   a=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxBuffer:262\r\na=T38FaxMaxDatagram:400\r\n\
                   a=T38FaxUdpEC:t38UDPRedundancy\r\n";

/// The phone that was called goes over to T.38, or the caller does, and Asterisk would have to.
#[test]
fn t38() {
    let lab = Lab::new("require_downgrade/t38");
    if lab
        .host()
        .lacks("require_downgrade::t38", &["res_pjsip_t38"])
    {
        return;
    }
    let ours = Asterisk::start(&lab, &ours(false));
    for (demand, _, permits) in DEMANDS {
        for by_called in [true, false] {
            let mut called = Called::new(&lab, &ours);
            let mut caller = Phone::new(&lab, CALLER, OURS);
            std::thread::scope(|scope| {
                let answer = called.encrypted();
                let waits = scope.spawn(|| called.phone.answer(|_| answer));
                caller
                    .call(demand, &Description::new(PORT + 10, &[]))
                    .expect("the call is taken");
                waits.join().expect("an answer");
            });
            let (first, second) = match by_called {
                true => (&mut called.phone, &mut caller),
                false => (&mut caller, &mut called.phone),
            };
            match (permits, by_called) {
                (true, _) => std::thread::scope(|scope| {
                    let waits = scope.spawn(|| second.answer_with_sdp(T38));
                    let answer = first.reinvite_with_sdp(T38).expect("T.38 is taken");
                    assert!(answer.sdp.contains("udptl"), "{}", answer.sdp);
                    assert!(waits.join().expect("an answer").sdp.contains("udptl"));
                    first.hang_up();
                }),
                (false, true) => {
                    assert_eq!(first.reinvite_with_sdp(T38).map(drop), Err(488));
                    first.hang_up();
                }
                // What would have to be sent is not, and the call that has the demand ends.
                (false, false) => std::thread::scope(|scope| {
                    let waits = scope.spawn(|| second.ended());
                    first.send_reinvite_with_sdp(T38);
                    let end = waits.join().expect("an end");
                    assert!(end.reason.contains("cause=58"), "{demand}: {end:?}");
                    assert_refused_of(&ours, demand);
                }),
            }
            ours.cli("channel request hangup all");
            ours.wait_for_channels(0);
        }
    }
    assert_eq!(ours.count("Panics caught"), 0);
}

fn assert_refused_of(ours: &Asterisk<'_>, demand: &str) {
    // The cause is of the bridge's end; the one that is hung up is told 58.
    ours.wait_for_log(&format!("app_verbose.c: over {demand} 16 media-in-clear."));
}

/// Asterisk sends the two sides' media to each other only where neither is encrypted.
#[test]
fn direct_media() {
    for (demand, encrypted) in [("free", false), ("require", true)] {
        let lab = Lab::new(&format!("require_downgrade/direct_media-{demand}"));
        let setup = match encrypted {
            true => ours(true),
            // What Asterisk's own check needs for its yes.
            false => Setup::ours("ours", OURS)
                .pjsip(UDP)
                .pjsip(&direct("phone", PHONE))
                .pjsip(&direct("caller", CALLER))
                .dialplan("exten => free,1,Dial(PJSIP/phone,60)\n"),
        };
        let ours = Asterisk::start(&lab, &setup);
        let mut called = Called::new(&lab, &ours);
        let mut caller = Phone::new(&lab, CALLER, OURS);
        let capture = Capture::start(&lab, demand);
        let answer = if encrypted {
            called.encrypted()
        } else {
            plain()
        };
        let (answered, offered) = std::thread::scope(|scope| {
            let waits = scope.spawn(|| called.phone.answer(|_| answer.clone()));
            let offer = Description::new(PORT + 10, &[]);
            let answered = caller.call(demand, &offer).expect("the call is taken");
            (answered, waits.join().expect("an answer"))
        });
        if encrypted {
            // The bridge has been made when audio passes through it.
            let mut media = Media::new(&lab, &format!("{CALLER}:{}", PORT + 10));
            media.send_to(answered.media());
            called
                .media
                .receive_with(&Key::of_line(&offered.crypto()[0]));
            let mut passed = 0;
            ours.wait_until("audio through the bridge", |_| {
                let audio = media.audio();
                media.send(&audio);
                let heard = called.media.hear(wait::TRY)?;
                passed += u32::from(heard.payload.is_some());
                (passed > 20).then_some(())
            });
        } else {
            let (one, other) = (plain(), Description::new(PORT + 10, &[]));
            std::thread::scope(|scope| {
                let waits = scope.spawn(|| called.phone.answer(|_| one));
                caller.answer(|_| other);
                waits.join().expect("an answer");
            });
        }
        caller.hang_up();
        ours.wait_for_channels(0);
        let wire = capture.stop();
        let moved = |data: &[u8]| {
            let text = String::from_utf8_lossy(data);
            text.starts_with("INVITE ") && !text.contains(&format!("c=IN IP4 {OURS}"))
        };
        let sent = wire.datagrams.iter();
        let moves = sent
            .filter(|it| it.source.ip().to_string() == OURS && moved(&it.data))
            .count();
        assert_eq!(moves > 0, !encrypted, "{demand}: {moves}");
    }
}

fn direct(name: &str, host: &str) -> String {
    pjsip::trunk(name, host, Encryption::Plain).replace("direct_media = no", "direct_media = yes")
}
