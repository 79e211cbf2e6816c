//! `both_legs`, demanded of a call that is up: what is in force counts, and not what was once offered.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::lab::Lab;
use host_harness::peer::srtp::AES_80;
use host_harness::peer::{Description, Key, Phone};
use host_harness::pjsip::{self, Encryption, UDP};

use crate::srtp_call::{PBX, PLAIN, PORT, SDES};

/// Who is here demands, of its own leg as well.
const DEMAND: &str = "exten => demand,1,Set(CIPHERTRUNK_REQUIRE(media)=yes)\n \
                      same => n,Set(CIPHERTRUNK_REQUIRE(both_legs)=yes)\n same => n,Verbose(0,leg is good)\n same => n,Echo()\n";

fn ours() -> Setup {
    let easy = pjsip::optional_trunk("sdes", SDES);
    Setup::ours("pbx", PBX)
        .pjsip(UDP)
        .pjsip(&easy)
        .pjsip(&pjsip::trunk("plain", PLAIN, Encryption::Plain))
        .dialplan(DEMAND)
        .dialplan(pjsip::ECHO)
}

/// The call is up, and comes to demand; whether it stays.
fn demand(pbx: &Asterisk<'_>) -> bool {
    let lines = |pbx: &Asterisk<'_>, what: &str| pbx.all_log_lines(what).len();
    let good = |pbx: &Asterisk<'_>| lines(pbx, "app_verbose.c: leg is good");
    let bad = |pbx: &Asterisk<'_>| lines(pbx, "is hung up (media-in-clear)");
    let before = (good(pbx), bad(pbx));
    let name = pbx.wait_until("a channel that is up", |pbx| {
        let channels = pbx.cli("core show channels concise");
        let up = channels.lines().find(|line| line.contains("!Up!"))?;
        up.split('!').next().map(str::to_owned)
    });
    pbx.cli(&format!("channel redirect {name} default,demand,1"));
    let is_good = pbx.wait_until("a judgment", |pbx| match (good(pbx), bad(pbx)) {
        now if now == before => None,
        (now, _) => Some(now > before.0),
    });
    pbx.cli("channel request hangup all");
    pbx.wait_for_channels(0);
    is_good
}

#[test]
fn what_is_in_force_counts() {
    let lab = Lab::new("require/in_force");
    let pbx = Asterisk::start(&lab, &ours());
    let key = Key::new(AES_80, 1);
    let clear = Description::new(PORT, &[]);
    let good = Description::new(PORT, &[key.line(1, "")]);
    let phone = |host: &str| Phone::new(&lab, host, PBX);

    // An INVITE without an offer: Asterisk offers, and the answer is in the ACK.
    phone(PLAIN).invite_without_offer(Some("echo"), |_| clear.clone());
    assert!(!demand(&pbx), "offered in clear");
    phone(SDES).invite_without_offer(Some("echo"), |_| clear.clone());
    assert!(!demand(&pbx), "answered in clear");
    phone(SDES).invite_without_offer(Some("echo"), |_| good.clone());
    assert!(demand(&pbx), "answered with a key");

    // Offered with a key in AVP, and answered in clear.
    let mut optional = good.clone();
    optional.profile = Some("RTP/AVP");
    phone(PLAIN).call("echo", &optional).expect("accepted");
    assert!(!demand(&pbx), "a key that nobody took");
    phone(SDES).call("echo", &optional).expect("accepted");
    assert!(demand(&pbx), "a key that was taken");

    // Begun in clear, and changed.
    let mut sdes = phone(SDES);
    sdes.call("echo", &clear).expect("nothing is demanded yet");
    sdes.reinvite(&good).expect("accepted");
    assert!(demand(&pbx), "changed to what is demanded");
    drop(sdes);

    // A call of ours, of which less was demanded when it began.
    for (host, endpoint, answer, is_good) in [
        (PLAIN, "plain", &clear, false),
        (SDES, "sdes", &clear, false),
        (SDES, "sdes", &good, true),
    ] {
        let mut called = phone(host);
        pbx.cli(&format!(
            "channel originate PJSIP/{endpoint} extension echo@default"
        ));
        called.answer(|_| answer.clone());
        assert_eq!(demand(&pbx), is_good, "{endpoint}");
    }
    assert_eq!(pbx.count("Panics caught"), 0);
}
