//! Legs that come into a native bridge from elsewhere, and come back: early media, music on hold, a conference.

use host_harness::ami::{self, Manager};
use host_harness::asterisk::{Asterisk, Setup};
use host_harness::lab::Lab;

use crate::native_call::{self, Leg, Place, Way, hang_up, talk};
use crate::proof::channel;
use crate::world::{OURS, assert_nothing_failed};

/// Each of these is sent by Asterisk's core, with its own SSRC, to a leg that another one's packets go to before and behind that.
#[test]
fn early_media_music_and_a_conference() {
    let lab = Lab::new("native/away");
    let modules = ["app_confbridge", "bridge_softmix", "res_musiconhold"];
    if lab
        .host()
        .lacks("native_away::early_media_music_and_a_conference", &modules)
    {
        return;
    }
    // Octets of PCMU, which is what the suffix says.
    let music = "music on hold, ".repeat(8000);
    let setup = native_call::with_endpoints(Setup::ours("ours", OURS))
        .also_modules(&modules)
        .file("manager.conf", &ami::configuration(OURS))
        .file("confbridge.conf", "[general]\n")
        .file(
            "musiconhold.conf",
            "[default]\nmode = files\ndirectory = /srv/ours/etc\n",
        )
        .file("music.ulaw", &music)
        .dialplan("exten => conference,1,Answer()\n same => n,ConfBridge(1)\n");
    let ours = Asterisk::start(&lab, &setup);
    let mut manager = Manager::log_in(&lab, OURS);
    // The first one is the twin: what becomes of it is Asterisk's doing.
    for encrypted in [false, true] {
        println!("encrypted: {encrypted}");
        let mut left = Leg::new(&lab, Place::Left, encrypted);
        let mut right = Leg::new(&lab, Place::Right, encrypted);
        // It wraps in what follows.
        right.media.sequence = u16::MAX - 40;
        left.call_early(&mut right);
        talk(&ours, &mut left, &mut right, Way::Native);

        for _ in 0..2 {
            right.says.direction = Some("sendonly");
            right.reinvite();
            left.until_core(&mut right, "music");
            right.says.direction = None;
            right.reinvite();
            talk(&ours, &mut left, &mut right, Way::Native);
        }

        let channels = [&left, &right].map(|leg| channel(&ours, &format!("PJSIP/{}-", leg.name)));
        for _ in 0..2 {
            let send = |n: usize, to: &str| {
                let [channel, context, extension, priority] =
                    ["Channel", "Context", "Exten", "Priority"]
                        .map(|name| format!("{}{name}", if n == 0 { "" } else { "Extra" }));
                [
                    (channel, channels[n].clone()),
                    (context, "default".to_owned()),
                    (extension, to.to_owned()),
                    (priority, "1".to_owned()),
                ]
            };
            let mut redirect = |to: &str| {
                let headers = [send(0, to), send(1, to)].concat();
                let headers: Vec<_> = headers
                    .iter()
                    .map(|(name, value)| (&**name, &**value))
                    .collect();
                ask(&mut manager, "Redirect", &headers);
            };
            redirect("conference");
            left.until_core(&mut right, "the conference");
            right.until_core(&mut left, "the conference");
            // Nobody is bridged out of a conference at once.
            redirect("idle");
            ours.wait_until("the end of the conference", |ours| {
                let shown = ours.cli("bridge show all");
                (!shown.contains("softmix")).then_some(())
            });
            // Whom a bridge takes out of a dialplan goes on there behind it: here there is nothing behind.
            ours.wait_until("both wait", |ours| {
                let waits = |name: &String| {
                    ours.cli(&format!("core show channel {name}"))
                        .contains("Application: Wait\n")
                };
                channels.iter().all(waits).then_some(())
            });
            let [one, other] = &channels;
            ask(
                &mut manager,
                "Bridge",
                &[("Channel1", one), ("Channel2", other)],
            );
            talk(&ours, &mut left, &mut right, Way::Native);
        }
        hang_up(&ours, left, right);
    }
    assert_nothing_failed(&ours);
}

fn ask(manager: &mut Manager, action: &str, headers: &[(&str, &str)]) {
    let answer = manager.ask(action, headers);
    assert_eq!(answer.get("Response"), Some("Success"), "{answer:?}");
}

impl Leg {
    /// Waits for what Asterisk itself sends to this one, while both speak.
    fn until_core(&mut self, other: &mut Leg, what: &str) {
        let ssrc = other.media.ssrc;
        for _ in 0..10 {
            other.until(self, what, |heard| {
                heard.payload.is_some() && heard.ssrc() != ssrc
            });
            let audio = self.media.audio();
            self.media.send(&audio);
        }
    }
}
