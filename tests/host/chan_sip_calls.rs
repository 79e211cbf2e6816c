//! More calls of chan_sip's: baresip, SIPp and a phone of the tests at the other end; holds and transfers; PJSIP beside it.

use host_harness::asterisk::{Asterisk, User};
use host_harness::baresip::{self, Baresip};
use host_harness::capture::Capture;
use host_harness::lab::Lab;
use host_harness::peer::srtp::AES_80;
use host_harness::peer::{Description, Key, Media, Phone};
use host_harness::pjsip::{self, Encryption};
use host_harness::sipp::{self, Plan};
use host_harness::wait;

use crate::chan_sip::{SECOND, lab, peer, sip_conf, with_chan_sip, with_phones};
use crate::srtp_call::{Call, PBX, PLAIN, PORT, SDES};
use crate::world::{
    self, CARRIER, CARRIER_TONE, OUR_TONE, OURS, PHONE, PHONE_TONE, assert_encrypted,
    assert_goes_on, assert_served_by_us,
};

/// Our Asterisk with the phone alice, by baresip, and a carrier, by stock: all of it encrypted.
struct Exchange<'lab> {
    ours: Asterisk<'lab>,
    carrier: Asterisk<'lab>,
    phone: Baresip,
    capture: Capture,
}

impl<'lab> Exchange<'lab> {
    fn start(lab: &'lab Lab) -> Self {
        const PASSWORD: &str = "correct-horse";
        let alice = format!(
            "[alice]\ntype = friend\nhost = dynamic\nsecret = {PASSWORD}\nencryption = yes\ndisallow = all\nallow = ulaw\n\
             context = default\n"
        );
        let setup = with_chan_sip(OURS, &[peer("carrier", CARRIER, ""), alice])
            .dialplan(&pjsip::say(OUR_TONE))
            .dialplan("exten => carrier,1,Dial(SIP/carrier/say)\n");
        let ours = Asterisk::start(lab, &setup);
        let carrier = Asterisk::start(lab, &world::carrier(Encryption::Sdes));
        let phone = Baresip::start(
            lab,
            &baresip::Phone {
                name: "alice".to_owned(),
                address: PHONE.to_owned(),
                server: (format!("{OURS}:5060"), "udp".to_owned()),
                password: Some(PASSWORD.to_owned()),
                media: baresip::Media::Sdes,
                tone: PHONE_TONE,
                authority: None,
            },
        );
        let capture = Capture::start(lab, "calls");
        Self {
            ours,
            carrier,
            phone,
            capture,
        }
    }

    /// Nothing was heard on the wire, and nothing dropped.
    fn end(self) {
        assert_served_by_us(&self.ours);
        self.ours.cli("channel request hangup all");
        self.ours.wait_for_channels(0);
        assert_encrypted(&self.capture.stop(), OURS);
    }
}

#[test]
fn baresip_is_called() {
    let Some(lab) = lab("chan_sip_calls::baresip_is_called") else {
        return;
    };
    let exchange = Exchange::start(&lab);
    exchange
        .ours
        .cli("channel originate SIP/alice extension say@default");
    exchange.ours.wait_for_tone(PHONE_TONE, 10);
    exchange.phone.wait_for_tone(OUR_TONE, 10);
    exchange.end();
}

#[test]
fn baresip_calls() {
    let Some(lab) = lab("chan_sip_calls::baresip_calls") else {
        return;
    };
    let mut exchange = Exchange::start(&lab);
    exchange.phone.call(&format!("sip:say@{OURS}"));
    exchange.phone.wait_for_tone(OUR_TONE, 10);
    exchange.ours.wait_for_tone(PHONE_TONE, 10);
    assert_goes_on(&exchange.ours, PHONE_TONE);
    exchange.end();
}

/// The phone sends the carrier that it talks to somewhere else.
#[test]
fn baresip_transfers() {
    let Some(lab) = lab("chan_sip_calls::baresip_transfers") else {
        return;
    };
    let mut exchange = Exchange::start(&lab);
    exchange.phone.call(&format!("sip:carrier@{OURS}"));
    exchange.carrier.wait_for_tone(PHONE_TONE, 10);
    exchange.phone.wait_for_tone(CARRIER_TONE, 10);
    exchange
        .phone
        .command("transfer", &format!("sip:say@{OURS}"));
    exchange.carrier.wait_for_tone(OUR_TONE, 10);
    exchange.ours.wait_for_tone(CARRIER_TONE, 10);
    exchange.ours.wait_for_channels(1);
    exchange.end();
}

/// SIPp offers lines, and answers with one that was not offered.
#[test]
fn sipp_is_taken_and_refused() {
    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
    let Some(lab) = lab("chan_sip_calls::sipp_is_taken_and_refused") else {
        return;
    };
    let pbx = with_phones(&lab, "");
    let call = |id: &str, line: &str, plan: &Plan| {
        let call = sipp::Call {
            id: id.to_owned(),
            address: SECOND.to_owned(),
            asterisk: PBX.to_owned(),
            media: format!(
                "m=audio [media_port] RTP/SAVP 0\na=rtpmap:0 PCMU/8000\na=crypto:{}",
                line.replace("{key}", KEY)
            ),
        };
        if matches!(plan, Plan::Answer) {
            let mut sipp = call.start(&lab, plan);
            pbx.cli("channel originate SIP/second extension echo@default");
            let status = sipp.wait(wait::SOON);
            assert!(status.success(), "{id}: {status}\n{}", sipp.output());
        } else {
            call.run(&lab, plan);
        }
    };
    for (id, line, status) in [
        ("plain", "1 AES_CM_128_HMAC_SHA1_80 inline:{key}", 200),
        (
            "mki",
            "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^31|1:4",
            200,
        ),
        (
            "two",
            "1 UNKNOWN inline:{key}\na=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{key}",
            200,
        ),
        ("short", "1 AES_CM_128_HMAC_SHA1_80 inline:AAEC", 488),
        (
            "mki-2",
            "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^31|2:4",
            488,
        ),
        ("unknown", "1 UNKNOWN inline:{key}", 488),
    ] {
        call(id, line, &Plan::Expect(status));
    }
    call(
        "not-offered",
        "1 AES_CM_128_HMAC_SHA1_32 inline:{key}",
        &Plan::Answer,
    );
    for (code, count) in [
        ("key-length", 1),
        ("mki-not-accepted", 1),
        ("suite-unknown", 2),
        ("not-offered", 1),
    ] {
        assert_eq!(pbx.count(&format!("Refused {code}")), count, "{code}");
        assert!(
            !pbx.all_log_lines(&format!("reason {code}")).is_empty(),
            "{code}"
        );
    }
}

/// chan_sip and PJSIP in one Asterisk, each with an encrypted call to the same carrier.
#[test]
fn beside_pjsip() {
    let Some(lab) = lab("chan_sip_calls::beside_pjsip") else {
        return;
    };
    let sip = sip_conf(OURS, &[peer("carrier", CARRIER, "")]).replace(":5060", ":5070");
    let setup = world::ours(User::Root, Encryption::Sdes)
        .also_modules(&["chan_sip"])
        .file("sip.conf", &sip);
    let ours = Asterisk::start(&lab, &setup);
    let carrier = Asterisk::start(&lab, &world::carrier(Encryption::Sdes));
    let capture = Capture::start(&lab, "calls");
    for channel in ["PJSIP/say@carrier", "SIP/carrier/say"] {
        ours.cli(&format!(
            "channel originate {channel} extension say@default"
        ));
        ours.wait_for_tone(CARRIER_TONE, 10);
        carrier.wait_for_tone(OUR_TONE, 10);
        let sessions = ours.cli("ciphertrunk show sessions");
        assert_eq!(sessions.matches("AES_CM_128_HMAC_SHA1_80 Out:").count(), 1);
        ours.cli("channel request hangup all");
        ours.wait_for_channels(0);
        ours.wait_until("the end of the session", |ours| {
            (ours.count("Sessions") == 0).then_some(())
        });
        for asterisk in [&ours, &carrier] {
            // The next call's tone is to be its own.
            carrier.wait_for_channels(0);
            std::fs::remove_file(asterisk.path("rec/heard.wav")).expect("it was recorded");
        }
    }
    assert_served_by_us(&ours);
    assert_encrypted(&capture.stop(), OURS);
}

/// A phone holds its call past the wrap of the sequence, and resumes: with the key that it had, with a new one under the counter
/// that it had, and with a new one from zero.
#[test]
fn a_call_is_held_and_resumed() {
    let Some(lab) = lab("chan_sip_calls::a_call_is_held_and_resumed") else {
        return;
    };
    let pbx = with_phones(&lab, "");
    // An ended call stays in the list for a while.
    let held = || {
        let channels = pbx.cli("sip show channels");
        let mut lines = channels.lines().filter(|line| line.contains("(ulaw)"));
        let (Some(line), None) = (lines.next(), lines.next()) else {
            panic!("{channels}")
        };
        line.split_whitespace().any(|word| word == "Yes")
    };
    for (next, counter) in [(1, 1), (2, 1), (3, 0)] {
        let mut call = Call::new(&lab);
        let key = Key::new(AES_80, 1);
        call.dial("echo", &key);
        call.media.echo_past_both_wraps();
        assert!(!held());
        // An attribute more behind the line.
        let hold = format!("{}\r\na=sendonly", key.line(1, ""));
        assert!(call.reoffer(&hold).expect("accepted"), "our key stays");
        assert!(held());
        let next = Key::new(AES_80, next);
        assert!(call.reoffer(&next.line(1, "")).expect("accepted"));
        assert!(!held());
        call.media.send_with(&next, counter);
        assert_eq!(call.media.echoes(10), 10, "counter {counter}");
        call.hang_up();
        pbx.wait_for_channels(0);
    }
    assert_eq!(pbx.count("Authentication failures"), 0);
    assert_eq!(pbx.count("Replays dropped"), 0);
}

/// Waits until audio of one phone arrives at another.
fn passes(way: &str, from: &mut Media, to: &mut Media) {
    wait::until(
        way,
        wait::SOON,
        || {
            let audio = from.audio();
            from.send(&audio);
            to.try_for(&audio)
        },
        String::new,
    );
}

/// A phone that talks to another one calls a third place, and connects the two.
#[test]
fn an_attended_transfer() {
    let Some(lab) = lab("chan_sip_calls::an_attended_transfer") else {
        return;
    };
    let pbx = with_phones(&lab, "");
    // A call to the other phone,
    let key = Key::new(AES_80, 1);
    let others = Key::new(AES_80, 2);
    let mut caller = Phone::new(&lab, SDES, PBX);
    let mut called = Phone::new(&lab, PLAIN, PBX);
    let mut media = Media::new(&lab, &format!("{SDES}:{PORT}"));
    let mut other = Media::new(&lab, &format!("{PLAIN}:{PORT}"));
    let (answer, offer) = std::thread::scope(|scope| {
        let offer =
            scope.spawn(|| called.answer(|_| Description::new(PORT, &[others.line(1, "")])));
        let answer = caller.call("other", &Description::new(PORT, &[key.line(1, "")]));
        (answer.expect("accepted"), offer.join().expect("called"))
    });
    for (media, key, said) in [(&mut media, &key, &answer), (&mut other, &others, &offer)] {
        media.send_to(said.media());
        media.send_with(key, 0);
        media.receive_with(&Key::of_line(&said.crypto()[0]));
    }
    passes("audio of the caller", &mut media, &mut other);
    passes("audio of the called", &mut other, &mut media);

    // and a second one, from another address of the same phone's, to an extension that echoes.
    let third = Key::new(AES_80, 3);
    let mut second = Phone::new(&lab, SECOND, PBX);
    let mut echo = Media::new(&lab, &format!("{SECOND}:{PORT}"));
    let answer = second
        .call("echo", &Description::new(PORT, &[third.line(1, "")]))
        .expect("accepted");
    echo.send_to(answer.media());
    echo.send_with(&third, 0);
    echo.receive_with(&Key::of_line(&answer.crypto()[0]));
    wait::until("the first echo", wait::SOON, || echo.echo(), String::new);

    caller.transfer("echo", Some(&second));
    // Now the other phone hears itself.
    wait::until(
        "an echo for the other phone",
        wait::SOON,
        || other.echo(),
        String::new,
    );
    assert_eq!(other.echoes(10), 10);
    assert_eq!(pbx.count("Authentication failures"), 0);
    assert_eq!(pbx.count("Replays dropped"), 0);
    called.hang_up();
    pbx.wait_for_channels(0);
}
