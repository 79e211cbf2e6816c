//! What the dialplan and the configuration demand of a call: what lacks it never leaves, and the caller is told why.

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::capture::{Capture, Wire};
use host_harness::certificates::Authority;
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption, UDP};

use crate::world::{CARRIER, CARRIER_TONE, OURS};

/// Three ways to the carrier: nothing encrypted, SRTP over SIP in clear, and all of it.
pub fn ways() -> String {
    [
        pjsip::trunk("plain", CARRIER, Encryption::Plain),
        pjsip::trunk("half", CARRIER, Encryption::Sdes),
        pjsip::tls_trunk("full", CARRIER, Encryption::Sdes),
    ]
    .map(|trunk| called_alone(&trunk))
    .concat()
}

/// A trunk that is called, and does not call.
fn called_alone(trunk: &str) -> String {
    let identify = trunk.find("type = identify").expect("the last section");
    let start = trunk[..identify].rfind('[').expect("its name");
    trunk[..start].to_owned()
}

/// The carrier takes what it is offered, over either transport.
pub fn carrier(lab: &Lab, authority: &Authority<'_>) -> Setup {
    let certificate = authority.issue("carrier", "carrier.example", CARRIER);
    let endpoint = pjsip::optional_trunk("ours", OURS);
    let _ = lab;
    Setup::stock("carrier", CARRIER)
        .pjsip(UDP)
        .pjsip(&pjsip::tls(&certificate, &authority.file()))
        .pjsip(&endpoint.replace("transport = udp\n", ""))
        .dialplan(&format!(
            "exten => say,1,Answer()\n same => n,Playtones({CARRIER_TONE})\n same => n,Wait(600)\n\
             exten => away,1,Transfer(PJSIP/say)\n same => n,Wait(600)\n"
        ))
}

/// One call: what the dialplan demands, what it dials, and what becomes of it.
struct Case {
    name: &'static str,
    /// Applications before the dial.
    demand: &'static str,
    dial: &'static str,
    /// The code in `${CIPHERTRUNK_REASON}`; `None`: it is answered.
    refused: Option<&'static str>,
}

const MEDIA: &str = "Set(CIPHERTRUNK_REQUIRE(media)=yes)";
const SIGNALING: &str = "Set(CIPHERTRUNK_REQUIRE(signaling)=yes)";

const CASES: &[Case] = &[
    case("nothing", "NoOp()", "PJSIP/say@plain", None),
    case(
        "words-media",
        "Set(CHANNEL(secure_bridge_media)=1)",
        "PJSIP/say@plain",
        Some("media-in-clear"),
    ),
    case(
        "words-media-twin",
        "Set(CHANNEL(secure_bridge_media)=1)",
        "PJSIP/say@half",
        None,
    ),
    case(
        "words-signaling",
        "Set(CHANNEL(secure_bridge_signaling)=1)",
        "PJSIP/say@half",
        Some("signaling-in-clear"),
    ),
    case(
        "words-signaling-twin",
        "Set(CHANNEL(secure_bridge_signaling)=1)",
        "PJSIP/say@full",
        None,
    ),
    case(
        "words-off",
        "Set(CHANNEL(secure_bridge_media)=0)",
        "PJSIP/say@plain",
        None,
    ),
    case("media", MEDIA, "PJSIP/say@plain", Some("media-in-clear")),
    case("media-twin", MEDIA, "PJSIP/say@half", None),
    case(
        "signaling",
        SIGNALING,
        "PJSIP/say@half",
        Some("signaling-in-clear"),
    ),
    case("signaling-twin", SIGNALING, "PJSIP/say@full", None),
    case(
        "version",
        "Set(CIPHERTRUNK_REQUIRE(signaling)=tls1.3)",
        "PJSIP/say@full",
        Some("signaling-version"),
    ),
    case(
        "version-twin",
        "Set(CIPHERTRUNK_REQUIRE(signaling)=tls1.2)",
        "PJSIP/say@full",
        None,
    ),
    case(
        "name",
        "Set(CIPHERTRUNK_REQUIRE(verified)=another.example)",
        "PJSIP/say@full",
        Some("other-name"),
    ),
    case(
        "name-twin",
        "Set(CIPHERTRUNK_REQUIRE(verified)=carrier.example)",
        "PJSIP/say@full",
        None,
    ),
    // Over a transport that has nothing to verify by, and over one that is pjproject's.
    case(
        "verified",
        "Set(CIPHERTRUNK_REQUIRE(verified)=yes)",
        "PJSIP/say@lax",
        Some("not-verified"),
    ),
    case("verified-twin", SIGNALING, "PJSIP/say@lax", None),
    case(
        "unknown",
        "Set(CIPHERTRUNK_REQUIRE(signaling)=tls1.2)",
        "PJSIP/say@theirs",
        Some("signaling-unknown"),
    ),
    case("unknown-twin", SIGNALING, "PJSIP/say@theirs", None),
    case(
        "suite",
        "Set(CIPHERTRUNK_REQUIRE(media)=AEAD_AES_256_GCM)",
        "PJSIP/say@half",
        Some("media-suite"),
    ),
    case(
        "suite-twin",
        "Set(CIPHERTRUNK_REQUIRE(media)=AES_CM_128_HMAC_SHA1_80)",
        "PJSIP/say@half",
        None,
    ),
    case(
        "keys",
        "Set(CIPHERTRUNK_REQUIRE(media)=dtls)",
        "PJSIP/say@half",
        Some("media-key-source"),
    ),
    case(
        "keys-twin",
        "Set(CIPHERTRUNK_REQUIRE(media)=sdes)",
        "PJSIP/say@half",
        None,
    ),
    // Another way is another call: the reason is not its.
    case(
        "failover",
        "Set(CIPHERTRUNK_REQUIRE(media)=yes)\n same => n,Dial(PJSIP/say@plain,60)\n \
         same => n,Verbose(0,first ${CIPHERTRUNK_REASON}.)",
        "PJSIP/say@half",
        None,
    ),
    // A demand that nobody understands is not one that is ignored.
    case(
        "typo",
        "Set(CIPHERTRUNK_REQUIRE(medai)=yes)",
        "PJSIP/say@half",
        Some("bad-demand"),
    ),
    case(
        "taken-back",
        "Set(CIPHERTRUNK_REQUIRE(media)=no)",
        "PJSIP/say@half",
        Some("bad-demand"),
    ),
    // Through Local channels, in both kinds of words; one of two legs of a fork.
    case(
        "local",
        MEDIA,
        "Local/plain@onward/n",
        Some("media-in-clear"),
    ),
    case("local-twin", MEDIA, "Local/half@onward/n", None),
    case(
        "local-words",
        "Set(CHANNEL(secure_bridge_media)=1)",
        "Local/plain@onward/n",
        Some("media-in-clear"),
    ),
    case(
        "local-words-twin",
        "Set(CHANNEL(secure_bridge_media)=1)",
        "Local/half@onward/n",
        None,
    ),
    case("fork", MEDIA, "PJSIP/say@plain&PJSIP/say@half", None),
    case(
        "fork-of-plain",
        MEDIA,
        "PJSIP/say@plain&PJSIP/other@plain",
        Some("media-in-clear"),
    ),
];

const fn case(
    name: &'static str,
    demand: &'static str,
    dial: &'static str,
    refused: Option<&'static str>,
) -> Case {
    Case {
        name,
        demand,
        dial,
        refused,
    }
}

fn dialplan() -> String {
    let cases: String = CASES
        .iter()
        .map(|case| {
            format!(
                "exten => {name},1,{}\n same => n,Dial({},60,gS(1))\n \
                 same => n,Verbose(0,over {name} ${{DIALSTATUS}} ${{HANGUPCAUSE}} ${{CIPHERTRUNK_REASON}})\n",
                case.demand,
                case.dial,
                name = case.name
            )
        })
        .collect();
    format!(
        "{cases}exten => wait,1,Answer()\n same => n,Wait(600)\n\
         [onward]\nexten => _[a-z].,1,Dial(PJSIP/say@${{EXTEN}},60)\n same => n,Hangup(${{HANGUPCAUSE}})\n"
    )
}

fn ours(authority: &Authority<'_>) -> Setup {
    let certificate = authority.issue("ours", "ours.example", OURS);
    let transport = pjsip::tls(&certificate, &authority.file());
    let also = |name: &str, port: &str| {
        let transport = transport.replace("[tls]", &format!("[{name}]"));
        transport.replace(&pjsip::TLS_PORT.to_string(), port)
    };
    let lax: String = also("lax", "5062")
        .lines()
        .filter(|line| !line.starts_with("ca_list_file"))
        .map(|line| format!("{line}\n"))
        .collect();
    let trunk = |name: &str| {
        let trunk = called_alone(&pjsip::tls_trunk(name, CARRIER, Encryption::Sdes));
        trunk.replace("transport = tls\n", &format!("transport = {name}\n"))
    };
    Setup::ours("ours", OURS)
        .pjsip(UDP)
        .pjsip(&transport)
        .pjsip(&lax)
        .pjsip(&also("theirs", "5063"))
        .pjsip(&ways())
        .pjsip(&trunk("lax"))
        .pjsip(&trunk("theirs"))
        .file("ciphertrunk.conf", "[tls]\nleave_alone = theirs\n")
        .dialplan(&dialplan())
}

/// Has the case happen; what the dialplan says of it at its end.
fn happen(ours: &Asterisk<'_>, name: &str) -> String {
    ours.cli(&format!(
        "channel originate Local/{name}@default extension wait@default"
    ));
    let line = ours.wait_until(&format!("the end of {name}"), |ours| {
        ours.all_log_lines(&format!("over {name} ")).pop()
    });
    ours.wait_for_channels(0);
    line
}

/// The INVITEs on the wire in clear.
fn invites(wire: &Wire) -> usize {
    let is_invite = |data: &[u8]| data.starts_with(b"INVITE ");
    wire.datagrams
        .iter()
        .filter(|datagram| is_invite(&datagram.data))
        .count()
}

#[test]
fn what_lacks_it_never_leaves() {
    let lab = Lab::new("require/never_leaves");
    let authority = Authority::new(&lab, "authority");
    let carrier = Asterisk::start(&lab, &carrier(&lab, &authority));
    let ours = Asterisk::start(&lab, &ours(&authority));
    // Once more behind a reload, and behind an unload and a load: what is registered then is judged as well.
    for round in 0..3 {
        match round {
            1 => drop(ours.cli("module reload res_ciphertrunk.so")),
            2 => {
                // The carrier's connection is idle.
                ours.cli("ciphertrunk drain");
                ours.wait_until("the unload", |ours| {
                    ours.cli("module unload res_ciphertrunk.so")
                        .contains("Unloaded")
                        .then_some(())
                });
                ours.cli("module load res_ciphertrunk.so");
            }
            _ => {}
        }
        let cases = CASES
            .iter()
            .filter(|case| round == 0 || case.name.starts_with("words"));
        for case in cases {
            let before = carrier.all_log_lines("PlayTones").len();
            let capture = Capture::start(&lab, &format!("{}-{round}", case.name));
            let line = happen(&ours, case.name);
            let wire = capture.stop();
            let reached = carrier.all_log_lines("PlayTones").len() - before;
            match case.refused {
                Some(code) => {
                    assert!(
                        line.contains(&format!(" 58 {code}")),
                        "{}: {line}",
                        case.name
                    );
                    assert_eq!(invites(&wire), 0, "{}: {line}", case.name);
                    assert_eq!(reached, 0, "{}: {line}", case.name);
                    assert!(wire.rtp_from(OURS).is_empty(), "{}: {line}", case.name);
                }
                None => {
                    assert!(
                        line.contains("over ") && line.contains("ANSWER"),
                        "{}: {line}",
                        case.name
                    );
                    assert_eq!(reached, 1, "{}: {line}", case.name);
                    assert!(
                        case.name == "fork" || !line.contains("-in-clear"),
                        "{}: {line}",
                        case.name
                    );
                    // The detector finds what it looks for.
                    if ["plain", "half", "onward"]
                        .iter()
                        .any(|way| case.dial.contains(way))
                    {
                        assert!(invites(&wire) > 0, "{}: {line}", case.name);
                    }
                }
            }
        }
    }
    assert_eq!(
        ours.all_log_lines("app_verbose.c: first media-in-clear.")
            .len(),
        1
    );
    assert_eq!(ours.count("Panics caught"), 0);
}

/// The carrier is dialled by its address, and its certificate has a name as well: the first call makes the connection.
#[test]
fn a_name_that_is_not_the_one_dialled() {
    let lab = Lab::new("require/name");
    let authority = Authority::new(&lab, "authority");
    let carrier = Asterisk::start(&lab, &carrier(&lab, &authority));
    for (name, end) in [("name", " 58 other-name"), ("name-twin", " ANSWER ")] {
        let certificate = authority.issue("ours", "ours.example", OURS);
        let tls = pjsip::tls(&certificate, &authority.file());
        let ours = Asterisk::start(
            &lab,
            &Setup::ours(&format!("ours-{name}"), OURS)
                .pjsip(UDP)
                .pjsip(&format!("{}\nverify_server = yes\n", tls.trim_end()))
                .pjsip(&ways())
                .dialplan(&dialplan()),
        );
        let before = carrier.all_log_lines("PlayTones").len();
        let line = happen(&ours, name);
        assert!(line.contains(end), "{line}");
        let reached = carrier.all_log_lines("PlayTones").len() - before;
        assert_eq!(reached, usize::from(name == "name-twin"), "{line}");
        ours.stop();
    }
}

/// The carrier calls us, over either transport, and says what became of it.
fn calling_carrier(authority: &Authority<'_>) -> Setup {
    let certificate = authority.issue("carrier", "carrier.example", CARRIER);
    let call = |name: &str| {
        format!(
            "exten => _{name}-.,1,Dial(PJSIP/${{EXTEN:{}}}@{name},60,gS(1))\n \
             same => n,Verbose(0,over ${{EXTEN}} ${{DIALSTATUS}} ${{HANGUPCAUSE}})\n",
            name.len() + 1
        )
    };
    Setup::stock("carrier", CARRIER)
        .pjsip(UDP)
        .pjsip(&pjsip::tls(&certificate, &authority.file()))
        .pjsip(&pjsip::trunk("udp-way", OURS, Encryption::Sdes))
        .pjsip(
            &pjsip::tls_trunk("tls-way", OURS, Encryption::Sdes)
                .replace(&format!("match = {OURS}"), "match = 127.0.0.99"),
        )
        .dialplan(&format!(
            "{}{}exten => wait,1,Answer()\n same => n,Wait(600)\n",
            call("udp-way"),
            call("tls-way")
        ))
}

#[test]
fn calls_that_come() {
    let lab = Lab::new("require/calls_that_come");
    let authority = Authority::new(&lab, "authority");
    let certificate = authority.issue("ours", "ours.example", OURS);
    let answer = "Answer()\n same => n,Wait(600)\n";
    let both = "Set(CIPHERTRUNK_REQUIRE(both_legs)=yes)";
    let endpoint =
        pjsip::trunk("carrier", CARRIER, Encryption::Sdes).replace("transport = udp\n", "");
    let ours = Asterisk::start(
        &lab,
        &Setup::ours("ours", OURS)
            .pjsip(UDP)
            .pjsip(&pjsip::tls(&certificate, &authority.file()))
            .pjsip(&endpoint)
            .file("ciphertrunk.conf", "[carrier]\ntype = endpoint\n")
            .dialplan(&format!(
                "exten => free,1,{answer}\
                 exten => both,1,{SIGNALING}\n same => n,{both}\n same => n,{answer}\
                 exten => weak,1,{MEDIA}\n same => n,{both}\n same => n,{answer}\
                 exten => strong,1,Set(CIPHERTRUNK_REQUIRE(media)=AEAD_AES_256_GCM)\n same => n,{both}\n same => n,{answer}"
            )),
    );
    let carrier = Asterisk::start(&lab, &calling_carrier(&authority));
    let call = |way: &str, extension: &str| {
        let name = format!("{way}-{extension}");
        let before = carrier.all_log_lines(&format!("over {name} ")).len();
        carrier.cli(&format!(
            "channel originate Local/{name}@default extension wait@default"
        ));
        let line = carrier.wait_until(&format!("the end of {name}"), |carrier| {
            let lines = carrier.all_log_lines(&format!("over {name} "));
            (lines.len() > before).then(|| lines.last().expect("one").clone())
        });
        carrier.wait_for_channels(0);
        ours.wait_for_channels(0);
        line
    };
    let is_up = |way: &str, extension: &str| call(way, extension).contains(" ANSWER ");
    // The dialplan asks the leg that came.
    assert!(is_up("udp-way", "free"));
    assert!(!is_up("udp-way", "both"));
    assert!(is_up("tls-way", "both"));
    assert!(is_up("udp-way", "weak"));
    assert!(!is_up("udp-way", "strong"));
    assert_eq!(
        ours.all_log_lines("is hung up (signaling-in-clear)").len(),
        1
    );
    assert_eq!(ours.all_log_lines("is hung up (media-suite)").len(), 1);

    // A leg of which nothing is known.
    ours.cli("channel originate Local/both@default application Wait 600");
    ours.wait_for_log("is hung up (unknown-leg)");
    ours.wait_for_channels(0);

    // The configuration asks each call of the endpoint's, from the next reload on: 403 is cause 21.
    ours.configure(
        "ciphertrunk.conf",
        "[carrier]\ntype = endpoint\nrequire_signaling = yes\n",
    );
    ours.cli("module reload res_ciphertrunk.so");
    let line = call("udp-way", "free");
    assert!(line.contains(" 21"), "{line}");
    assert!(is_up("tls-way", "free"));
    // 488 is cause 58.
    ours.configure(
        "ciphertrunk.conf",
        "[carrier]\ntype = endpoint\nrequire_media = AEAD_AES_256_GCM\n",
    );
    ours.cli("module reload res_ciphertrunk.so");
    let line = call("tls-way", "free");
    assert!(line.contains(" 58"), "{line}");
    // One that is none changes nothing, and says so.
    ours.configure(
        "ciphertrunk.conf",
        "[carrier]\ntype = endpoint\nrequire_media = no\n",
    );
    ours.cli("module reload res_ciphertrunk.so");
    assert_eq!(ours.all_log_lines("a demand is not taken back").len(), 1);
    assert!(call("tls-way", "free").contains(" 58"));
    ours.configure("ciphertrunk.conf", "[carrier]\ntype = endpoint\n");
    ours.cli("module reload res_ciphertrunk.so");
    assert!(is_up("udp-way", "free"));
    assert_eq!(ours.count("Panics caught"), 0);
}
