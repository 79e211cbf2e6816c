//! Who comes to be bridged with a channel that demands, by an attended transfer, a pick-up, from a parking lot, or by the caller's own
//! blind transfer, has what is demanded or is hung up before a packet passes. Its own call was made without a demand, so each way
//! is also gone without one, where the caller's tone is heard in clear.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::capture::Capture;
use host_harness::lab::Lab;
use host_harness::peer::srtp::AES_80;
use host_harness::peer::{Description, Key, Media, Phone};
use host_harness::pjsip::{self, UDP};
use host_harness::wait;

use crate::world::{OUR_TONE, OURS, PHONE};

const CALLER: &str = "127.0.0.31";
const THIRD: &str = "127.0.0.32";
const PORT: u16 = 7000;

/// The demand, and whether the third phone has SRTP.
const ROWS: [(&str, &str, bool); 5] = [
    ("free", "FREE=1", false),
    ("words", "CHANNEL(secure_bridge_media)=1", false),
    ("words", "CHANNEL(secure_bridge_media)=1", true),
    ("require", "CIPHERTRUNK_REQUIRE(media)=yes", false),
    ("require", "CIPHERTRUNK_REQUIRE(media)=yes", true),
];

fn ours(path: &str) -> Setup {
    let endpoints = [("phone", PHONE), ("caller", CALLER), ("third", THIRD)]
        .map(|(name, host)| pjsip::optional_trunk(name, host));
    let calls = ["free", "words", "require"].map(|name| {
        let set = ROWS.iter().find(|(it, ..)| *it == name).expect("a demand").1;
        format!(
            "exten => {name},1,Set(CHANNEL(hangup_handler_push)=over,{name},1)\n same => n,Set({set})\n same => n,Set(__PICKUPMARK=marked)\n same => n,{path}\n"
        )
    });
    Setup::ours("ours", OURS)
        .also_modules(&[
            "app_directed_pickup",
            "app_stack",
            "bridge_builtin_features",
            "bridge_holding",
            "res_parking",
            "res_pjsip_refer",
        ])
        .pjsip(UDP)
        .pjsip(&endpoints.concat())
        .file(
            "res_parking.conf",
            "[general]\n[default]\nparkpos => 701-720\ncontext => parkedcalls\n",
        )
        .dialplan(&calls.concat())
        .dialplan(&format!(
            "exten => wait,1,Answer()\n same => n,Playtones({OUR_TONE})\n same => n,Wait(600)\n\
             exten => third,1,Dial(PJSIP/third,60)\n\
             exten => pick,1,Pickup(marked@PICKUPMARK)\n\
             exten => take,1,ParkedCall(default,701)\n\
             [over]\nexten => _[a-z].,1,Verbose(0,over ${{EXTEN}} ${{CIPHERTRUNK_REASON}}.)\n same => n,Return()\n"
        ))
}

/// The phones of one row.
struct Row<'lab> {
    lab: &'lab Lab,
    demand: &'static str,
    key: Key,
    is_encrypted: bool,
}

impl Row<'_> {
    fn phone(&self, host: &str) -> Phone {
        Phone::new(self.lab, host, OURS)
    }

    fn encrypted(&self) -> Description {
        Description {
            profile: Some("RTP/AVP"),
            ..Description::new(PORT, &[self.key.line(1, "")])
        }
    }

    /// What the third phone says of itself.
    fn third(&self) -> Description {
        match self.is_encrypted {
            true => self.encrypted(),
            false => Description::new(PORT, &[]),
        }
    }

    fn is_refused(&self) -> bool {
        self.demand != "free" && !self.is_encrypted
    }

    fn originate(&self, ours: &Asterisk<'_>) {
        ours.cli(&format!(
            "channel originate Local/{}@default extension wait@default",
            self.demand
        ));
    }

    /// The end: the third phone is hung up at once, or hears the caller, and what it has is demanded from then on.
    fn ends(&self, ours: &Asterisk<'_>, third: &mut Phone, media: &mut Media) {
        let name = format!("{}, encrypted: {}", self.demand, self.is_encrypted);
        if self.is_refused() {
            let end = third.ended();
            assert!(end.reason.contains("cause=58"), "{name}: {end:?}");
            return;
        }
        let mut count = 0;
        ours.wait_until("what the third phone hears", |_| {
            count += u32::from(media.hear(wait::TRY).is_some());
            (count > 20).then_some(())
        });
        if self.is_encrypted {
            let plain = third.reinvite(&Description::new(PORT, &[]));
            assert_eq!(plain.map(drop), Err(488), "{name}");
        }
        third.hang_up();
    }
}

/// Waits for so many bridges of two: who transfers before that transfers nobody.
fn wait_for_bridges(ours: &Asterisk<'_>, count: usize) {
    ours.wait_until(&format!("{count} bridges"), |ours| {
        let shown = ours.cli("bridge show all");
        let of_two = shown
            .lines()
            .filter(|line| line.split_whitespace().any(|word| word == "2"));
        (of_two.count() == count).then_some(())
    });
}

fn each(
    name: &str,
    needs: &[&str],
    path: &str,
    happens: impl Fn(&Row<'_>, &Asterisk<'_>, &mut Phone, &mut Media),
) {
    let lab = Lab::new(name);
    if lab.host().lacks(&name.replace('/', "::"), needs) {
        return;
    }
    let ours = Asterisk::start(&lab, &ours(path));
    for (n, (demand, _, is_encrypted)) in ROWS.into_iter().enumerate() {
        let row = Row {
            lab: &lab,
            demand,
            key: Key::new(AES_80, 1),
            is_encrypted,
        };
        let mut third = row.phone(THIRD);
        let mut media = Media::new(&lab, &format!("{THIRD}:{PORT}"));
        let told = |ours: &Asterisk<'_>| ours.all_log_lines("media-in-clear)").len();
        let before = told(&ours);
        let capture = Capture::start(&lab, &format!("row-{n}"));
        happens(&row, &ours, &mut third, &mut media);
        ours.cli("channel request hangup all");
        ours.wait_for_channels(0);
        let wire = capture.stop();
        let mut sent = wire.rtp_from(OURS);
        sent.retain(|packet| packet.is_audio(&[OUR_TONE]));
        let name = format!(
            "{demand}, encrypted: {is_encrypted}: {} in clear",
            sent.len()
        );
        // The detector finds what it looks for.
        assert_eq!(!sent.is_empty(), demand == "free", "{name}");
        // The third phone itself, or its re-INVITE.
        assert_eq!(
            told(&ours) - before,
            usize::from(demand != "free"),
            "{name}"
        );
        if row.is_refused() {
            ours.wait_until("the reason in the caller's dialplan", |ours| {
                let over = ours.all_log_lines(&format!("app_verbose.c: over {demand} "));
                over.iter()
                    .any(|line| line.ends_with(" media-in-clear."))
                    .then_some(())
            });
            let recorded = ours.cli("ciphertrunk show refusals");
            let newest = recorded
                .lines()
                .find(|line| line.contains(" media-in-clear "));
            assert!(
                newest.is_some_and(|line| {
                    line.contains(" Endpoint: third Call-ID: ") && line.contains(" (bridged with ")
                }),
                "{recorded}"
            );
        }
    }
    assert_eq!(ours.count("Panics caught"), 0);
}

/// The phone that was called has another call with the third phone, and joins the two.
#[test]
fn attended_transfer() {
    each(
        "require_later/attended_transfer",
        &["res_pjsip_refer"],
        "Dial(PJSIP/phone,60,g)",
        |row, ours, third, media| {
            row.originate(ours);
            let mut phone = row.phone(PHONE);
            phone.answer(|_| row.encrypted());
            let mut other = row.phone(CALLER);
            std::thread::scope(|scope| {
                let waits = scope.spawn(|| third.answer(|_| row.third()));
                other.call("third", &row.encrypted()).expect("is taken");
                waits.join().expect("an answer");
            });
            wait_for_bridges(ours, 2);
            let said = phone.try_transfer("third", Some(&other));
            assert!(said.starts_with("SIP/2.0 200"), "{said}");
            row.ends(ours, third, media);
        },
    );
}

/// The call rings at one phone, and the third one takes it.
#[test]
fn pick_up() {
    each(
        "require_later/pick_up",
        &["app_directed_pickup"],
        "Dial(PJSIP/phone,60,g)",
        |row, ours, third, media| {
            row.originate(ours);
            let mut phone = row.phone(PHONE);
            let ringing = phone.alert("rings");
            ours.wait_until("a phone that rings", |ours| {
                ours.cli("core show channels")
                    .contains(" Ringing ")
                    .then_some(())
            });
            third.call("pick", &row.third()).expect("is taken");
            phone.ended();
            phone.give_up(&ringing);
            row.ends(ours, third, media);
        },
    );
}

/// The caller is parked, and the third phone takes it.
#[test]
fn parked() {
    each(
        "require_later/parked",
        &["bridge_holding", "res_parking"],
        "Park(default,s)",
        |row, ours, third, media| {
            row.originate(ours);
            ours.wait_until("a parked call", |ours| {
                ours.cli("parking show default")
                    .contains("701")
                    .then_some(())
            });
            third.call("take", &row.third()).expect("is taken");
            row.ends(ours, third, media);
        },
    );
}

/// The caller transfers who was called: the demand was made of that one's call, and goes on with it.
#[test]
fn transferred_by_the_caller() {
    let lab = Lab::new("require_later/blind");
    let ours = Asterisk::start(&lab, &ours("Dial(PJSIP/phone,60,g)"));
    for (demand, _, is_encrypted) in ROWS {
        let row = Row {
            lab: &lab,
            demand,
            key: Key::new(AES_80, 1),
            is_encrypted,
        };
        let mut third = row.phone(THIRD);
        let (mut phone, mut caller) = (row.phone(PHONE), row.phone(CALLER));
        let before = ours.all_log_lines("media-in-clear)").len();
        let capture = Capture::start(&lab, demand);
        let offered = std::thread::scope(|scope| {
            let waits = scope.spawn(|| phone.answer(|_| row.encrypted()));
            caller.call(demand, &row.encrypted()).expect("is taken");
            waits.join().expect("an answer")
        });
        wait_for_bridges(&ours, 1);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| {
                third.answer(|_| row.third());
            });
            let _ = caller.try_transfer("third", None);
            waits.join().expect("an answer");
        });
        let mut media = Media::new(&lab, &format!("{THIRD}:{PORT}"));
        if row.is_refused() {
            assert_eq!(third.ended().method, "BYE", "{demand}");
        } else {
            let mut said = Media::new(&lab, &format!("{PHONE}:{PORT}"));
            said.send_to(offered.media());
            said.send_with(&row.key, 0);
            let mut count = 0;
            ours.wait_until("what the third phone hears", |_| {
                let audio = said.audio();
                said.send(&audio);
                count += u32::from(media.hear(wait::TRY).is_some());
                (count > 20).then_some(())
            });
            third.hang_up();
        }
        ours.cli("channel request hangup all");
        ours.wait_for_channels(0);
        // Payload type 0 is as it was; what is not encrypted has 160 octets behind its header, without a tag.
        let wire = capture.stop();
        let mut clear = wire.rtp_to(THIRD);
        clear.retain(|packet| packet.rtp().is_some_and(|rtp| rtp.payload.len() == 160));
        assert_eq!(
            !clear.is_empty(),
            demand == "free",
            "{demand}: {} in clear",
            clear.len()
        );
        let told = ours.all_log_lines("media-in-clear)").len() - before;
        assert_eq!(
            told,
            usize::from(row.is_refused()),
            "{demand}, {is_encrypted}"
        );
    }
    assert_eq!(ours.count("Panics caught"), 0);
}
