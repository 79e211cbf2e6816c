//! What `CIPHERTRUNK(field)` says of a channel of chan_sip's: its media; that its signalling is not known, and why.

use std::fs;

use host_harness::asterisk::{Asterisk, Setup, User};
use host_harness::host;
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption, UDP};

use crate::chan_sip::{lab, peer, sip_conf, with_chan_sip};
use crate::proof::{FIELDS, MODULES, ask, assert_fields, channel};
use crate::world::{self, CARRIER, CARRIER_TONE, OUR_TONE, OURS, assert_served_by_us};

const PLAIN: &str = "127.0.0.21";
const CDR: &str = "log/cdr-custom/proof.csv";
/// Why nothing of the signalling is known, and so no word.
const WHY: &str =
    "the channel is not PJSIP's, whose driver alone tells of its signalling, or it is hung up";

/// Says the tone, and at the end the line of the CDR.
const TOLD: &str = "exten => told,1,Set(CHANNEL(hangup_handler_push)=proof,s,1)\n same => n,Goto(say,1)\n\n\
     [proof]\nexten => s,1,Verbose(0,AT THE END ${CHANNEL(name)} ${CIPHERTRUNK(summary)})\n same => n,Return()\n";

/// Carriers with SRTP and without.
fn carriers(lab: &Lab) -> [Asterisk<'_>; 2] {
    let plain = Setup::stock("plain", PLAIN)
        .pjsip(UDP)
        .pjsip(&pjsip::trunk("ours", OURS, Encryption::Plain))
        .dialplan(&pjsip::say(CARRIER_TONE));
    [
        Asterisk::start(lab, &world::carrier(Encryption::Sdes)),
        Asterisk::start(lab, &plain),
    ]
}

fn peers() -> [String; 2] {
    let plain = peer("plain", PLAIN, "").replace("encryption = yes", "encryption = no");
    [peer("carrier", CARRIER, ""), plain]
}

/// A call, up and heard; `ours` has heard none before.
fn call(ours: &Asterisk<'_>, to: &str) {
    ours.cli(&format!("channel originate {to} extension told@default"));
    ours.wait_for_tone(CARRIER_TONE, 10);
}

fn hang_up(ours: &Asterisk<'_>) {
    ours.cli("channel request hangup all");
    ours.wait_for_channels(0);
    fs::remove_file(ours.path("rec/heard.wav")).expect("it was recorded");
}

fn has_modules(lab: &Lab, test: &str) -> bool {
    !lab.host()
        .lacks(test, &["app_stack", "cdr_custom", "func_cdr"])
}

#[test]
fn each_field_of_an_encrypted_call_and_of_its_plain_twin() {
    let test = "chan_sip_proof::each_field_of_an_encrypted_call_and_of_its_plain_twin";
    let Some(lab) = lab(test) else {
        return;
    };
    if !has_modules(&lab, test) {
        return;
    }
    let setup = with_chan_sip(OURS, &peers())
        .also_modules(MODULES)
        .dialplan(&pjsip::say(OUR_TONE))
        .dialplan(TOLD);
    let ours = Asterisk::start(&lab, &setup);
    let _carriers = carriers(&lab);

    call(&ours, "SIP/carrier/say");
    let leg = channel(&ours, "SIP/carrier-");
    let encrypted = FIELDS.iter().map(|field| {
        let wanted = match *field {
            "summary" | "packets_out" | "packets_in" | "lost" => "!",
            "key_source" => "SDES",
            "suite_out" | "suite_in" => "AES_CM_128_HMAC_SHA1_80",
            "replays" | "failures" | "roc_out" | "roc_in" | "rekeys" => "0",
            "in_clear" => "no",
            _ => "",
        };
        (*field, wanted)
    });
    assert_fields(&ours, &leg, &encrypted.collect::<Vec<_>>());
    for field in ["packets_out", "packets_in"] {
        let count: u64 = ask(&ours, field, &leg).parse().expect("a number");
        assert!(count > 20, "{field}: {count}");
    }
    for field in [
        "word",
        "transport",
        "tls_version",
        "verified",
        "cert_sha256",
    ] {
        assert_eq!(ask(&ours, &format!("why.{field}"), &leg), WHY, "{field}");
    }
    assert_served_by_us(&ours);
    hang_up(&ours);

    call(&ours, "SIP/plain/say");
    let leg = channel(&ours, "SIP/plain-");
    let plain = FIELDS.iter().map(|field| {
        let wanted = match *field {
            "summary" | "packets_out" | "packets_in" | "lost" => "!",
            "in_clear" => "yes",
            _ => "",
        };
        (*field, wanted)
    });
    assert_fields(&ours, &leg, &plain.collect::<Vec<_>>());
    assert_eq!(ask(&ours, "why.word", &leg), WHY);
    hang_up(&ours);

    // In the hangup handlers.
    for (name, audio, end) in [
        (
            "SIP/carrier-",
            " audio=SDES/AES_CM_128_HMAC_SHA1_80 sent=",
            " never-in-clear",
        ),
        ("SIP/plain-", " audio=none sent=", " in-clear"),
    ] {
        let lines = ours.all_log_lines(&format!("app_verbose.c: AT THE END {name}"));
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].contains(&format!(" unknown sip=unknown{audio}"))
                && lines[0].trim_end().ends_with(end),
            "{lines:?}"
        );
    }
}

/// A call of chan_sip's has no line in its CDR, be its media encrypted; PJSIP's to the same carrier has.
#[test]
fn a_cdr_has_no_line() {
    let test = "chan_sip_proof::a_cdr_has_no_line";
    let Some(lab) = lab(test) else {
        return;
    };
    if !has_modules(&lab, test) {
        return;
    }
    let setup = world::ours(User::Root, Encryption::Sdes)
        .also_modules(&["chan_sip"])
        .also_modules(MODULES)
        .dialplan(TOLD)
        .file("sip.conf", &sip_conf(OURS, &peers()).replacen(":5060", ":5070", 1))
        .file("ciphertrunk.conf", "[general]\ncdr = yes\n")
        .file("cdr.conf", "[general]\nenable = yes\nunanswered = yes\n")
        .file(
            "cdr_custom.conf",
            "[mappings]\nproof.csv => ${CDR(channel)},${CDR(ciphertrunk)},${CDR(ciphertrunk_peer)}\n",
        );
    let ours = Asterisk::start(&lab, &setup);
    if ours.status("PJSIP") != "found" {
        return host::skip(test, "the module has no half for PJSIP");
    }
    let _carriers = carriers(&lab);
    for to in ["PJSIP/say@carrier", "SIP/carrier/say"] {
        call(&ours, to);
        hang_up(&ours);
    }
    let cdr = ours.wait_until("both calls' CDRs", |ours| {
        let text = fs::read_to_string(ours.path(CDR)).ok()?;
        (text.lines().count() >= 2).then_some(text)
    });
    let of = |name: &str| {
        let mut found = cdr.lines().filter(|line| line.starts_with(name));
        found
            .next()
            .unwrap_or_else(|| panic!("none of {name}: {cdr}"))
    };
    let line = " sip=UDP audio=SDES/AES_CM_128_HMAC_SHA1_80 sent=";
    assert!(
        of("PJSIP/carrier-").contains(&format!(",media-only{line}")),
        "{cdr}"
    );
    assert!(of("SIP/carrier-").ends_with(",,"), "{cdr}");
}
