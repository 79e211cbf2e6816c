//! A demand goes with the call: through Queue, FollowMe, a forward (302), a transfer by the callee, and into calls that AMI and ARI make.
//! On each path the same call is made without a demand in clear, where the detector has to find it; with one to a carrier that lacks
//! SRTP; and to one that has it.

use std::io::{Read as _, Write as _};

use host_harness::ami::{self, Manager};
use host_harness::asterisk::{Asterisk, Setup};
use host_harness::capture::Capture;
use host_harness::certificates::Authority;
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption, UDP};
use host_harness::sipp::{Call, Plan};
use host_harness::wait;

use crate::require::{carrier, ways};
use crate::world::{OUR_TONE, OURS};

const SIPP: &str = "127.0.0.40";

/// What is demanded, as the dialplan writes it.
const DEMANDS: [(&str, &str); 5] = [
    ("free", "FREE=1"),
    ("words", "CHANNEL(secure_bridge_media)=1"),
    ("require", "CIPHERTRUNK_REQUIRE(media)=yes"),
    ("link", "CIPHERTRUNK_REQUIRE(signaling)=yes"),
    ("strong", "CIPHERTRUNK_REQUIRE(media)=AEAD_AES_256_GCM"),
];

/// The ways to the carrier ([`ways`]).
const WAYS: [&str; 3] = ["plain", "half", "full"];

/// What becomes of a call with a demand, to a carrier of ours.
struct Row {
    demand: &'static str,
    way: &'static str,
    /// The code of the reason; `None`: it is up.
    refused: Option<&'static str>,
}

const fn row(demand: &'static str, way: &'static str, refused: Option<&'static str>) -> Row {
    Row {
        demand,
        way,
        refused,
    }
}

const ROWS: [Row; 8] = [
    row("free", "plain", None),
    row("words", "plain", Some("media-in-clear")),
    row("words", "half", None),
    row("require", "plain", Some("media-in-clear")),
    row("require", "half", None),
    row("link", "half", Some("signaling-in-clear")),
    row("link", "full", None),
    // What Asterisk's own words cannot say is not lost on the way either.
    row("strong", "half", Some("media-suite")),
];

/// Our Asterisk. Who calls `DEMAND-WAY-PATH` demands, and takes the path; what became of it is told when the caller's channel ends.
fn ours(lab: &Lab, path: &str) -> Setup {
    let authority = Authority::new(lab, "authority");
    let certificate = authority.issue("ours", "ours.example", OURS);
    let mut calls = String::new();
    let mut onward = String::from(
        "[over]\nexten => _.,1,Verbose(0,over ${EXTEN} ${HANGUPCAUSE} ${CIPHERTRUNK_REASON}.)\n same => n,Return()\n[onward]\n",
    );
    for way in WAYS {
        for (demand, set) in DEMANDS {
            let path = path.replace("WAY", way);
            calls += &format!(
                "exten => {demand}-{way},1,Set(CHANNEL(hangup_handler_push)=over,{demand}-{way},1)\n same => n,Set(__TRANSFER_CONTEXT=onward)\n \
                 same => n,Set(__FORWARD_CONTEXT=onward)\n same => n,Set({set})\n same => n,{path}\n same => n,Hangup(${{HANGUPCAUSE}})\n"
            );
        }
        onward += &format!(
            "exten => {way},1,Dial(PJSIP/brief@{way},60)\n same => n,Hangup(${{HANGUPCAUSE}})\n"
        );
    }
    let forwards = pjsip::trunk("forwards", SIPP, Encryption::Sdes).replace(
        "media_encryption = sdes\n",
        "media_encryption = sdes\nmedia_encryption_optimistic = yes\n",
    );
    let queues: String = WAYS
        .map(|way| {
            format!(
                "[{way}]\ntimeout = 5\nretry = 1\nmember => PJSIP/brief@{way},0,{way},PJSIP/{way}\n"
            )
        })
        .concat();
    let follow: String = WAYS
        .map(|way| {
            format!("[{way}]\ncontext = onward\nenable_callee_prompt = no\nnumber => {way},10\n")
        })
        .concat();
    Setup::ours("ours", OURS)
        .also_modules(&[
            "app_followme",
            "app_queue",
            "app_stack",
            "res_musiconhold",
            "res_ari",
            "res_ari_channels",
            "res_ari_model",
            "res_http_websocket",
            "res_stasis",
            "res_stasis_answer",
            "res_stasis_playback",
            "res_stasis_recording",
            "res_stasis_snoop",
            "res_websocket_client",
            "res_pjsip_refer",
            "app_transfer",
        ])
        .pjsip(UDP)
        .pjsip(&pjsip::tls(&certificate, &authority.file()))
        .pjsip(&ways())
        .pjsip(&forwards)
        .file("queues.conf", &format!("[general]\n{queues}"))
        .file("followme.conf", &follow)
        .file("manager.conf", &ami::configuration(OURS))
        .file("http.conf", &format!("[general]\nenabled = yes\nbindaddr = {OURS}\nbindport = 8088\n"))
        .file("ari.conf", "[general]\nenabled = yes\n[test]\ntype = user\npassword = 1234\npassword_format = plain\n")
        .dialplan(&format!(
            "{calls}exten => wait,1,Answer()\n same => n,Playtones({OUR_TONE})\n same => n,Wait(600)\n{onward}"
        ))
}

/// The carrier, whose `brief` ends the call itself, and whose `refer` transfers it.
fn carrier_setup(lab: &Lab) -> Setup {
    let authority = Authority::new(lab, "carriers");
    carrier(lab, &authority)
        .also_modules(&["app_transfer", "res_pjsip_refer"])
        .dialplan(&format!(
            "exten => brief,1,Answer()\n same => n,PlayTones(1100)\n same => n,Wait(2)\n same => n,Hangup()\n\
             exten => _refer-.,1,Answer()\n same => n,Verbose(0,refers)\n same => n,Wait(1)\n same => n,Transfer(PJSIP/sip:${{EXTEN:6}}@{OURS})\n same => n,Wait(600)\n"
        ))
}

/// One call over a path, and what was on the wire.
fn check(
    lab: &Lab,
    ours: &Asterisk<'_>,
    carrier: &Asterisk<'_>,
    row: &Row,
    mut begin: impl FnMut(&str),
) {
    let name = format!("{}-{}", row.demand, row.way);
    let reached = |carrier: &Asterisk<'_>| carrier.all_log_lines("PlayTones").len();
    let told = |ours: &Asterisk<'_>| {
        ours.all_log_lines("a message of a call with endpoint")
            .len()
    };
    let (before, told_before) = (reached(carrier), told(ours));
    let capture = Capture::start(lab, &name);
    begin(&name);
    let line = ours.wait_until(&format!("the end of {name}"), |ours| {
        ours.all_log_lines(&format!("over {name} ")).pop()
    });
    ours.wait_for_channels(0);
    let wire = capture.stop();
    let clear = wire.in_clear_from(OURS, &[OUR_TONE, 1100.0]).len();
    match row.refused {
        Some(code) => {
            assert!(line.contains(&format!(" {code}.")), "{name}: {line}");
            assert_eq!((reached(carrier) - before, clear), (0, 0), "{name}: {line}");
            assert_eq!(told(ours) - told_before, 1, "{name}");
        }
        None => {
            assert_eq!(reached(carrier) - before, 1, "{name}: {line}");
            assert_eq!(told(ours) - told_before, 0, "{name}");
            assert!(line.ends_with(" ."), "{name}: {line}");
            // The detector finds what it looks for.
            assert_eq!(clear > 0, row.demand == "free", "{name}: {clear} in clear");
        }
    }
}

fn run(
    name: &str,
    needs: &[&str],
    path: &str,
    cause: bool,
    rows: &[Row],
    begin: impl Fn(&Lab, &Asterisk<'_>, &str, &Row),
) {
    let lab = Lab::new(name);
    if lab.host().lacks(&name.replace('/', "::"), needs) {
        return;
    }
    let carrier = Asterisk::start(&lab, &carrier_setup(&lab));
    let ours = Asterisk::start(&lab, &ours(&lab, path));
    for row in rows {
        check(&lab, &ours, &carrier, row, |name| {
            begin(&lab, &ours, name, row)
        });
        if cause && let Some(code) = row.refused {
            let line = format!("app_verbose.c: over {}-{} 58 {code}.", row.demand, row.way);
            assert_eq!(ours.all_log_lines(&line).len(), 1, "{line}");
        }
    }
    assert_eq!(ours.count("Panics caught"), 0);
}

/// A call whose caller hears and speaks.
fn originate(_: &Lab, ours: &Asterisk<'_>, name: &str, _: &Row) {
    ours.cli(&format!(
        "channel originate Local/{name}@default extension wait@default"
    ));
}

/// The caller waits on until the queue's time is over: its cause is Asterisk's own.
#[test]
fn queue() {
    run(
        "require_paths/queue",
        &["app_queue"],
        "Queue(WAY,n,,,1)",
        false,
        &ROWS,
        originate,
    );
}

#[test]
fn follow_me() {
    run(
        "require_paths/follow_me",
        &["app_followme"],
        "FollowMe(WAY,d)",
        false,
        &ROWS,
        originate,
    );
}

/// A phone forwards the call to an extension.
#[test]
fn forwarded() {
    run(
        "require_paths/forwarded",
        &[],
        "Dial(PJSIP/sipp@forwards,60)",
        true,
        // (SIPp speaks UDP: it is not asked where SIP over TLS is demanded.)
        &ROWS[..5],
        |lab, ours, name, row| {
            let mut sipp = forward(lab, ours, name, &format!("sip:{}@{OURS}", row.way));
            originate(lab, ours, name, row);
            assert!(sipp.wait(wait::SOON).success(), "{}", sipp.output());
        },
    );
}

/// SIPp, which forwards one call.
fn forward(lab: &Lab, ours: &Asterisk<'_>, name: &str, to: &str) -> host_harness::process::Process {
    let call = Call {
        id: format!("sipp-{name}"),
        address: SIPP.to_owned(),
        asterisk: OURS.to_owned(),
        media: String::new(),
    };
    let sipp = call.start(lab, &Plan::Forward(to.to_owned()));
    ours.wait_until("SIPp's port", |_| {
        let listens = format!("ss -lun | grep -q '{SIPP}:5060'");
        lab.run("sh", &["-c", &listens])
            .status
            .success()
            .then_some(())
    });
    sipp
}

/// The carrier that was called transfers the call (REFER): the caller goes on to another one.
#[test]
fn transferred_by_the_callee() {
    run(
        "require_paths/transferred_by_the_callee",
        &["app_transfer", "res_pjsip_refer"],
        "Dial(PJSIP/refer-WAY@full,60)",
        true,
        &ROWS[..7],
        originate,
    );
}

/// An originate with the demand as a variable: of the call itself...
const ITSELF: &str = "PJSIP/brief@WAY";
/// ... and of a Local channel whose dialplan dials.
const LOCAL: &str = "Local/WAY@onward";

#[test]
fn originated_by_ami() {
    by_ami("require_paths/ami", ITSELF);
}

#[test]
fn originated_by_ami_through_local() {
    by_ami("require_paths/ami_local", LOCAL);
}

#[test]
fn originated_by_ari() {
    by_ari("require_paths/originated_by_ari", ITSELF);
}

#[test]
fn originated_by_ari_through_local() {
    by_ari("require_paths/originated_by_ari_through_local", LOCAL);
}

fn by_ami(name: &str, channel: &str) {
    let lab = Lab::new(name);
    let carrier = Asterisk::start(&lab, &carrier_setup(&lab));
    let ours = Asterisk::start(&lab, &ours(&lab, "Hangup()"));
    let manager = std::cell::RefCell::new(Manager::log_in(&lab, OURS));
    originated(&lab, &ours, &carrier, channel, |channel, variables| {
        let (name, value) = variables.split_once('=').expect("a value");
        let set = format!("{name}={value}");
        let id = manager.borrow_mut().send(
            "Originate",
            &[
                ("Channel", channel),
                ("Context", "default"),
                ("Exten", "wait"),
                ("Priority", "1"),
                ("Async", "true"),
                ("Variable", &set),
                ("Variable", "CHANNEL(hangup_handler_push)=over\\,made\\,1"),
            ],
        );
        assert!(!id.is_empty());
    });
}

fn by_ari(name: &str, channel: &str) {
    let lab = Lab::new(name);
    if lab
        .host()
        .lacks(&name.replace('/', "::"), &["res_ari", "res_ari_channels"])
    {
        return;
    }
    let carrier = Asterisk::start(&lab, &carrier_setup(&lab));
    let ours = Asterisk::start(&lab, &ours(&lab, "Hangup()"));
    originated(&lab, &ours, &carrier, channel, |channel, variables| {
        let (name, value) = variables.split_once('=').expect("a value");
        let body = format!(
            "{{\"variables\": {{\"{name}\": \"{value}\", \"CHANNEL(hangup_handler_push)\": \"over,made,1\"}}}}"
        );
        let mut stream = lab.tcp(&format!("{OURS}:8088")).expect("Asterisk listens");
        write!(
            stream,
            "POST /ari/channels?endpoint={channel}&extension=wait&context=default&priority=1&api_key=test:1234 HTTP/1.1\r\n\
             Host: {OURS}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("Asterisk reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    });
}

fn originated(
    lab: &Lab,
    ours: &Asterisk<'_>,
    carrier: &Asterisk<'_>,
    channel: &str,
    make: impl Fn(&str, &str),
) {
    let count = |asterisk: &Asterisk<'_>, what: &str| asterisk.all_log_lines(what).len();
    for row in &ROWS {
        let set = DEMANDS.iter().find(|(it, _)| *it == row.demand);
        let name = format!("{}-{}", row.demand, row.way);
        let reached = count(carrier, "PlayTones");
        let told = count(ours, "a message of a call with endpoint");
        let over = count(ours, "app_verbose.c: over made ");
        let capture = Capture::start(lab, &name);
        make(&channel.replace("WAY", row.way), set.expect("a demand").1);
        ours.wait_until(&format!("the end of {name}"), |ours| {
            (count(ours, "app_verbose.c: over made ") > over).then_some(())
        });
        ours.wait_for_channels(0);
        let wire = capture.stop();
        let clear = wire.in_clear_from(OURS, &[OUR_TONE, 1100.0]).len();
        let reached = count(carrier, "PlayTones") - reached;
        let told = count(ours, "a message of a call with endpoint") - told;
        let last = ours
            .all_log_lines("app_verbose.c: over made ")
            .pop()
            .expect("one");
        match row.refused {
            Some(code) => {
                assert_eq!((reached, told, clear), (0, 1, 0), "{name}");
                assert!(last.contains(&format!(" 58 {code}.")), "{name}: {last}");
            }
            None => {
                assert_eq!((reached, told), (1, 0), "{name}");
                assert_eq!(clear > 0, row.demand == "free", "{name}: {clear} in clear");
            }
        }
    }
    assert_eq!(ours.count("Panics caught"), 0);
}

/// A peer that forwards a call that an originate made itself: Asterisk makes a channel for it that knows of no demand, so the call
/// ends instead.
#[test]
fn originated_and_forwarded() {
    let lab = Lab::new("require_paths/originated_and_forwarded");
    let carrier = Asterisk::start(&lab, &carrier_setup(&lab));
    let ours = Asterisk::start(&lab, &ours(&lab, "Hangup()"));
    let mut manager = Manager::log_in(&lab, OURS);
    for (demand, set) in &DEMANDS[..3] {
        let is_refused = *demand != "free";
        let mut sipp = forward(&lab, &ours, demand, &format!("sip:plain@{OURS}"));
        let reached = carrier.all_log_lines("PlayTones").len();
        let capture = Capture::start(&lab, demand);
        manager.send(
            "Originate",
            &[
                ("Channel", "PJSIP/sipp@forwards"),
                ("Context", "default"),
                ("Exten", "wait"),
                ("Priority", "1"),
                ("Async", "true"),
                ("Variable", "__FORWARD_CONTEXT=onward"),
                ("Variable", set),
                (
                    "Variable",
                    &format!("CHANNEL(hangup_handler_push)=over\\,{demand}\\,1"),
                ),
            ],
        );
        assert!(sipp.wait(wait::SOON).success(), "{}", sipp.output());
        let line = ours.wait_until(&format!("the end of {demand}"), |ours| {
            ours.all_log_lines(&format!("app_verbose.c: over {demand} "))
                .pop()
        });
        ours.wait_for_channels(0);
        let clear = capture
            .stop()
            .in_clear_from(OURS, &[OUR_TONE, 1100.0])
            .len();
        assert_eq!(clear > 0, !is_refused, "{demand}: {clear} in clear");
        assert_eq!(
            carrier.all_log_lines("PlayTones").len() - reached,
            usize::from(!is_refused),
            "{demand}"
        );
        assert_eq!(
            line.contains(" 58 forwarded."),
            is_refused,
            "{demand}: {line}"
        );
    }
    assert_eq!(ours.all_log_lines("not heeded (forwarded)").len(), 2);
    assert_eq!(ours.count("Panics caught"), 0);
}
