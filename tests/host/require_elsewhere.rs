//! What is demanded of calls over IAX2, which says of itself that it is encrypted, and no more.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::capture::{Capture, Wire};
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption, UDP};

use crate::world::{CARRIER, CARRIER_TONE, OURS};

/// RFC 5456 section 8.1.
const IAX2_PORT: u16 = 4569;

const MODULES: &[&str] = &["chan_iax2", "app_stack", "res_crypto"];

const GENERAL: &str = "[general]\nrequirecalltoken = no\ndisallow = all\nallow = alaw\n";

/// How a call ends.
#[derive(Debug, PartialEq, Clone, Copy)]
enum End {
    Answered,
    /// By us, with this in `${CIPHERTRUNK_REASON}`.
    Refused(&'static str),
    /// By chan_iax2, which is asked.
    NotEncrypted,
}

use End::{Answered, NotEncrypted, Refused};

/// The name, what the dialplan demands, what it dials, what is set on the channel that is dialled (Dial's `b`), and the end.
type Case = (&'static str, &'static str, &'static str, &'static str, End);

const YES: &str = "Set(CIPHERTRUNK_REQUIRE(media)=yes)";
const SUITE: &str = "Set(CIPHERTRUNK_REQUIRE(media)=AEAD_AES_256_GCM)";
const NOTHING: &str = "NoOp()";
const OTHER: End = Refused("other-technology");

const CASES: &[Case] = &[
    ("nothing", NOTHING, "IAX2/plain/say", NOTHING, Answered),
    ("suite", SUITE, "IAX2/secret/say", NOTHING, OTHER),
    ("yes", YES, "IAX2/secret/say", NOTHING, Answered),
    ("yes-plain", YES, "IAX2/plain/say", NOTHING, NotEncrypted),
    (
        "keys",
        "Set(CIPHERTRUNK_REQUIRE(media)=dtls)",
        "IAX2/secret/say",
        NOTHING,
        OTHER,
    ),
    (
        "version",
        "Set(CIPHERTRUNK_REQUIRE(signaling)=tls1.3)",
        "IAX2/secret/say",
        NOTHING,
        OTHER,
    ),
    (
        "signaling",
        "Set(CIPHERTRUNK_REQUIRE(signaling)=yes)",
        "IAX2/secret/say",
        NOTHING,
        Answered,
    ),
    (
        "name",
        "Set(CIPHERTRUNK_REQUIRE(verified)=carrier.example)",
        "IAX2/secret/say",
        NOTHING,
        OTHER,
    ),
    (
        "typo",
        "Set(CIPHERTRUNK_REQUIRE(medai)=yes)",
        "IAX2/secret/say",
        NOTHING,
        Refused("bad-demand"),
    ),
    // Through a Local channel, and in a fork with one that can be judged.
    ("local", SUITE, "Local/secret@onward/n", NOTHING, OTHER),
    ("local-yes", YES, "Local/secret@onward/n", NOTHING, Answered),
    (
        "fork",
        "Set(CIPHERTRUNK_REQUIRE(media)=sdes)",
        "IAX2/secret/say&PJSIP/say@carrier",
        NOTHING,
        Answered,
    ),
    // Of the channel that is dialled, which is there by then.
    ("its-own-suite", NOTHING, "IAX2/secret/say", SUITE, OTHER),
    ("its-own-yes", NOTHING, "IAX2/secret/say", YES, Answered),
    (
        "its-own-plain",
        NOTHING,
        "IAX2/plain/say",
        YES,
        NotEncrypted,
    ),
];

fn ours() -> Setup {
    let cases: String = CASES
        .iter()
        .map(|(name, demand, dial, of_dialled, _)| {
            format!(
                "exten => {name},1,{demand}\n same => n,Dial({dial},60,gS(1)b(of_dialled^{name}^1))\n \
                 same => n,Verbose(0,over {name} ${{DIALSTATUS}} ${{HANGUPCAUSE}} ${{CIPHERTRUNK_REASON}})\n\
                 [of_dialled]\nexten => {name},1,{of_dialled}\n same => n,Return()\n[default]\n"
            )
        })
        .collect();
    Setup::ours("ours", OURS)
        .also_modules(MODULES)
        .pjsip(UDP)
        .pjsip(&pjsip::trunk("carrier", CARRIER, Encryption::Sdes))
        .file(
            "iax.conf",
            &format!(
                "{GENERAL}bindaddr = {OURS}\n\
                 [plain]\ntype = peer\nhost = {CARRIER}\nusername = open\n\
                 [secret]\ntype = peer\nhost = {CARRIER}\nusername = closed\nsecret = fLvN3q\nauth = md5\nencryption = yes\n"
            ),
        )
        .dialplan(&format!(
            "{cases}exten => wait,1,Answer()\n same => n,Wait(600)\n\
             [onward]\nexten => secret,1,Dial(IAX2/secret/say,60)\n same => n,Hangup(${{HANGUPCAUSE}})\n"
        ))
}

fn carrier() -> Setup {
    Setup::stock("carrier", CARRIER)
        .also_modules(MODULES)
        .pjsip(UDP)
        .pjsip(&pjsip::trunk("ours", OURS, Encryption::Sdes))
        .file(
            "iax.conf",
            &format!(
                "{GENERAL}bindaddr = {CARRIER}\n\
                 [open]\ntype = user\ncontext = default\n\
                 [closed]\ntype = user\ncontext = default\nsecret = fLvN3q\nauth = md5\nencryption = yes\n"
            ),
        )
        .dialplan(&pjsip::say(CARRIER_TONE))
}

/// The frames of IAX2, but for the end of a call that may not have begun (RFC 5456 section 8.1.1: a full frame's type and subclass):
/// chan_iax2 sends HANGUP for each channel that it has made, and the other side does not know the call.
fn of_iax2(wire: &Wire) -> usize {
    const FULL: u8 = 0x80;
    const IAX_CONTROL: u8 = 6;
    const ACK: u8 = 4;
    const HANGUP: u8 = 5;
    const INVAL: u8 = 10;
    let is_end = |data: &[u8]| match data {
        [first, _, _, _, _, _, _, _, _, _, kind, subclass, ..] => {
            first & FULL != 0 && *kind == IAX_CONTROL && [ACK, HANGUP, INVAL].contains(subclass)
        }
        _ => false,
    };
    wire.datagrams
        .iter()
        .filter(|it| [it.source.port(), it.destination.port()].contains(&IAX2_PORT))
        .filter(|it| !is_end(&it.data))
        .count()
}

/// Has the case happen, and judges its end.
fn happen(lab: &Lab, ours: &Asterisk<'_>, round: &str, (name, _, dial, _, end): &Case) {
    let before = ours.all_log_lines(&format!("over {name} ")).len();
    let capture = Capture::start(lab, &format!("{name}-{round}"));
    ours.cli(&format!(
        "channel originate Local/{name}@default extension wait@default"
    ));
    let line = ours.wait_until(&format!("the end of {name}"), |ours| {
        let mut lines = ours.all_log_lines(&format!("over {name} "));
        (lines.len() > before).then(|| lines.pop().expect("one"))
    });
    ours.wait_for_channels(0);
    let packets = of_iax2(&capture.stop());
    match end {
        Answered => {
            assert!(line.contains(" ANSWER "), "{round}: {line}");
            // The detector finds what it looks for.
            assert_eq!(packets > 0, !dial.contains("PJSIP"), "{round}: {line}");
        }
        Refused(code) => {
            assert!(line.contains(&format!(" 58 {code}")), "{round}: {line}");
            assert_eq!(packets, 0, "{round}: {line}");
        }
        NotEncrypted => {
            assert!(line.contains(" 58 "), "{round}: {line}");
            assert_eq!(packets, 0, "{round}: {line}");
        }
    }
}

fn unload(asterisk: &Asterisk<'_>, module: &str) {
    asterisk.wait_until(&format!("the unload of {module}"), |asterisk| {
        asterisk
            .cli(&format!("module unload {module}"))
            .contains("Unloaded")
            .then_some(())
    });
}

#[test]
fn more_than_encryption_is_not_had_over_iax2() {
    let lab = Lab::new("require/iax2");
    if lab.host().lacks(
        "require_elsewhere::more_than_encryption_is_not_had_over_iax2",
        MODULES,
    ) {
        return;
    }
    let _carrier = Asterisk::start(&lab, &carrier());
    let mut ours = Asterisk::start(&lab, &ours());
    for case in CASES {
        happen(&lab, &ours, "first", case);
    }
    // One of them is a leg of the fork.
    let refused = 1 + CASES.iter().filter(|case| case.4 == OTHER).count();
    assert_eq!(
        ours.all_log_lines("is not made (other-technology)").len(),
        refused
    );
    let again = || {
        CASES
            .iter()
            .filter(|case| case.0.ends_with("suite") || case.0.ends_with("yes"))
    };
    ours.cli("module reload res_ciphertrunk.so");
    for case in again() {
        happen(&lab, &ours, "reloaded", case);
    }
    // Its functions are ours: it stays as long as we do.
    let answer = ours.cli("module unload chan_iax2.so");
    assert!(answer.contains("Unable to unload"), "{answer}");
    ours.cli("ciphertrunk drain");
    unload(&ours, "res_ciphertrunk.so");
    assert!(!ours.maps().contains("res_ciphertrunk"));
    happen(&lab, &ours, "without", &CASES[0]);
    ours.cli("module load res_ciphertrunk.so");
    for case in again() {
        happen(&lab, &ours, "loaded", case);
    }
    // One that comes later is found by a reload.
    ours.cli("ciphertrunk drain");
    unload(&ours, "res_ciphertrunk.so");
    unload(&ours, "chan_iax2.so");
    ours.cli("module load res_ciphertrunk.so");
    ours.cli("module load chan_iax2.so");
    ours.cli("module reload res_ciphertrunk.so");
    for case in again() {
        happen(&lab, &ours, "later", case);
    }
    assert_eq!(ours.count("Panics caught"), 0);
    assert!(ours.is_up());
}
