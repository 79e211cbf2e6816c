//! What is left of calls when they are over: in hangup handlers, in CDRs and as CEL events, after bridges and transfers.

use std::fs;

use host_harness::asterisk::{Asterisk, MODULE, Setup, TEST_MODULE};
use host_harness::baresip::Media;
use host_harness::certificates::Authority;
use host_harness::host;
use host_harness::lab::Lab;
use host_harness::names::Names;
use host_harness::pjsip::{self, Encryption, TLS_PORT, UDP};

use crate::proof::{CARRIER_NAME, ask, channel, tls_carrier, with_phone};
use crate::world::{CARRIER, CARRIER_TONE, OURS};

const PLAIN: &str = "127.0.0.21";

/// Calls to a carrier with TLS and SRTP (`secure`) and to one without (`plain`); a hangup handler that says what it reads. With `both` the
/// carrier's leg has it as well: Asterisk runs it when it hangs that leg up, for no dialplan runs on it.
const DIALPLAN: &str = "exten => secure,1,Set(CHANNEL(hangup_handler_push)=proof,s,1)\n same => n,Dial(PJSIP/say@carrier)\n\
     exten => both,1,Set(CHANNEL(hangup_handler_push)=proof,s,1)\n same => n,Dial(PJSIP/say@carrier,,b(dialled^s^1))\n\
     exten => plain,1,Set(CHANNEL(hangup_handler_push)=proof,s,1)\n same => n,Dial(PJSIP/say@plain)\n\n\
     [dialled]\nexten => s,1,Set(CHANNEL(hangup_handler_push)=proof,s,1)\n same => n,Return()\n\
     [proof]\nexten => s,1,Verbose(0,AT THE END ${CHANNEL(name)} ${CIPHERTRUNK(summary)} ${CIPHERTRUNK(verified_name)} \
     ${CIPHERTRUNK(why.bridged.word)})\n same => n,Return()\n";

/// The phone, both carriers, and our Asterisk with CDR and CEL; `conf` is our configuration.
struct Calls<'lab> {
    ours: Asterisk<'lab>,
    phone: host_harness::baresip::Baresip,
    _carriers: [Asterisk<'lab>; 2],
    _names: Names,
}

fn start<'lab>(lab: &'lab Lab, module: &'static str, conf: &str) -> Calls<'lab> {
    let names = Names::serve(lab, &[(CARRIER_NAME, CARRIER)]);
    let other = Authority::new(lab, "carriers");
    let theirs = other.issue("carrier", CARRIER_NAME, CARRIER);
    let carriers = [
        tls_carrier(lab, &theirs, &other.file()),
        Asterisk::start(
            lab,
            &Setup::stock("plain", PLAIN)
                .pjsip(UDP)
                .pjsip(&pjsip::trunk("ours", OURS, Encryption::Plain))
                .dialplan(&pjsip::say(CARRIER_TONE)),
        ),
    ];
    let (ours, phone) = with_phone(lab, "tls", Encryption::Sdes, Media::Sdes, |setup| {
        setup
            .module(module)
            .pjsip(&pjsip::tls_trunk("carrier", CARRIER_NAME, Encryption::Sdes))
            .pjsip(&pjsip::trunk("plain", PLAIN, Encryption::Plain))
            .dialplan(DIALPLAN)
            .file("ciphertrunk.conf", conf)
            .file("cdr.conf", "[general]\nenable = yes\nunanswered = yes\n")
            .file(
                "cdr_custom.conf",
                "[mappings]\nproof.csv => ${CSV_QUOTE(${CDR(channel)})},${CSV_QUOTE(${CDR(dstchannel)})},${CSV_QUOTE(${CDR(ciphertrunk)})},${CSV_QUOTE(${CDR(ciphertrunk_peer)})}\n\
                 functions.csv => ${CSV_QUOTE(${CIPHERTRUNK(why.transport)})}\n",
            )
            .file("cel.conf", "[general]\nenable = yes\nevents = USER_DEFINED\n")
            .file(
                "cel_custom.conf",
                "[mappings]\nproof.csv => ${CSV_QUOTE(${eventtype})},${CSV_QUOTE(${CHANNEL(channame)})},${CSV_QUOTE(${eventextra})}\n",
            )
    });
    Calls {
        ours,
        phone,
        _carriers: carriers,
        _names: names,
    }
}

/// The lines of a file of records, once there are so many.
fn records(asterisk: &Asterisk<'_>, file: &str, count: usize) -> Vec<Vec<String>> {
    asterisk.wait_until(&format!("{count} records in {file}"), |asterisk| {
        let text = fs::read_to_string(asterisk.path(file)).ok()?;
        let lines: Vec<Vec<String>> = text
            .lines()
            // The console asks from a channel of its own.
            .filter(|line| !line.contains("CLIEval/"))
            .map(|line| line.split(',').map(bare).collect())
            .collect();
        (lines.len() >= count).then_some(lines)
    })
}

/// A field without its quotes, and without the JSON that CEL puts around a user's text.
fn bare(field: &str) -> String {
    let field = field.trim_matches('"').replace("\"\"", "\"");
    let text = field
        .strip_prefix("{\"extra\":\"")
        .and_then(|rest| rest.strip_suffix("\"}"));
    text.map_or_else(|| field.clone(), str::to_owned)
}

const CDR: &str = "log/cdr-custom/proof.csv";
const CEL: &str = "log/cel-custom/proof.csv";

fn assert_encrypted(line: &str) {
    for text in [
        "encrypted sip=TLS tls=TLSv1.",
        " audio=SDES/AES_CM_128_HMAC_SHA1_80 sent=",
        " never-in-clear",
    ] {
        assert!(line.contains(text), "no '{text}' in '{line}'");
    }
    for count in ["sent=", "received="] {
        let (_, behind) = line.split_once(count).expect("it is counted");
        let count: u64 = behind
            .split(' ')
            .next()
            .and_then(|n| n.parse().ok())
            .expect("a number");
        assert!(count > 20, "{line}");
    }
}

fn assert_plain(line: &str) {
    assert!(
        line.starts_with("plain sip=UDP audio=none sent=") && line.ends_with(" in-clear"),
        "{line}"
    );
}

#[test]
fn both_legs_of_a_call_and_a_plain_hop() {
    let lab = Lab::new("proof/records");
    if !lab.host().has_module("cel_custom") {
        return host::skip(
            "proof_records::both_legs_of_a_call_and_a_plain_hop",
            "this Asterisk was built without cel_custom",
        );
    }
    let mut calls = start(&lab, TEST_MODULE, "[general]\ncdr = yes\ncel = yes\n");
    let ours = &calls.ours;

    calls
        .phone
        .call(&format!("sip:both@{OURS}:{TLS_PORT};transport=tls"));
    calls.phone.wait_for_tone(CARRIER_TONE, 10);
    let leg = channel(ours, "PJSIP/alice-");
    assert_eq!(ask(ours, "bridged.word", &leg), "encrypted");
    assert_eq!(ask(ours, "bridged.verified", &leg), "no");
    ours.cli("ciphertrunk test fault hangup-reads");
    calls.phone.hang_up();
    ours.wait_for_channels(0);
    // Behind its hangup a channel is chan_pjsip's to take apart, which locks nothing for it: no session and no stream of it is read any more.
    for (when, had) in [
        ("before", "a session true, streams 1, by the glue 1"),
        ("behind", "a session false, streams 0, by the glue 0"),
    ] {
        let lines = ours.all_log_lines(&format!("{when} the hangup of PJSIP/"));
        assert!(
            lines.len() == 1 && lines[0].contains(had),
            "{when}: {lines:#?}"
        );
    }
    let cdr = records(ours, CDR, 1);
    let [caller, callee, own, peer] = &cdr[0][..] else {
        panic!("{cdr:?}");
    };
    assert!(
        caller.starts_with("PJSIP/alice-") && callee.starts_with("PJSIP/carrier-"),
        "{cdr:?}"
    );
    assert_encrypted(own);
    assert!(own.contains(" verified=no "), "{cdr:?}");
    assert_encrypted(peer);
    assert_ne!(own, peer);

    calls
        .phone
        .call(&format!("sip:plain@{OURS}:{TLS_PORT};transport=tls"));
    calls.phone.wait_for_tone(CARRIER_TONE, 10);
    let leg = channel(ours, "PJSIP/alice-");
    assert_eq!(ask(ours, "word", &leg), "encrypted");
    assert_eq!(ask(ours, "bridged.word", &leg), "plain");
    assert_eq!(ask(ours, "bridged.in_clear", &leg), "yes");
    // The other side ends this one.
    ours.cli(&format!(
        "channel request hangup {}",
        channel(ours, "PJSIP/plain-")
    ));
    ours.wait_for_channels(0);
    let cdr = records(ours, CDR, 2);
    assert_encrypted(&cdr[1][2]);
    assert_plain(&cdr[1][3]);
    // The function itself is asked of a channel that is made for the record, without a technology: it has no call.
    let functions = records(ours, "log/cdr-custom/functions.csv", 2);
    assert!(
        functions
            .iter()
            .all(|line| line[0] == "the channel is not PJSIP's"),
        "{functions:?}"
    );

    // CEL has each leg once.
    let cel = records(ours, CEL, 4);
    assert!(cel.iter().all(|event| event[0] == "CIPHERTRUNK"), "{cel:?}");
    let of = |name: &str| -> Vec<&str> {
        let events = cel.iter().filter(|event| event[1].starts_with(name));
        events.map(|event| event[2].as_str()).collect()
    };
    assert_eq!((cel.len(), of("PJSIP/alice-").len()), (4, 2), "{cel:?}");
    of("PJSIP/alice-")
        .into_iter()
        .chain(of("PJSIP/carrier-"))
        .for_each(assert_encrypted);
    of("PJSIP/plain-").into_iter().for_each(assert_plain);

    // In the hangup handlers, where the bridge is over.
    let lines = ours.all_log_lines("app_verbose.c: AT THE END PJSIP/alice-");
    let why = "the channel is not bridged with one other channel now";
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in &lines {
        assert_encrypted(line);
        assert!(line.contains(why), "{line}");
    }
    let lines = ours.all_log_lines("app_verbose.c: AT THE END PJSIP/carrier-");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_encrypted(&lines[0]);
}

/// Asterisk hangs the dialled leg up on a thread of its own, before the end of the caller's record or behind it.
#[test]
fn both_legs_whoever_is_first_to_end() {
    const CALLS: usize = 12;
    let lab = Lab::new("proof/who-ends");
    let mut calls = start(&lab, MODULE, "[general]\ncdr = yes\n");
    for number in 0..CALLS {
        let (to, callee) = match number % 2 {
            0 => ("secure", "PJSIP/carrier-"),
            _ => ("plain", "PJSIP/plain-"),
        };
        calls
            .phone
            .call(&format!("sip:{to}@{OURS}:{TLS_PORT};transport=tls"));
        calls.phone.wait_for_tone(CARRIER_TONE, 10);
        match number % 4 {
            0 | 1 => calls.phone.hang_up(),
            _ => drop(calls.ours.cli(&format!(
                "channel request hangup {}",
                channel(&calls.ours, callee)
            ))),
        }
        calls.ours.wait_for_channels(0);
    }
    let cdr = records(&calls.ours, CDR, CALLS);
    assert_eq!(cdr.len(), CALLS, "{cdr:#?}");
    for record in &cdr {
        assert_encrypted(&record[2]);
        match record[1].starts_with("PJSIP/carrier-") {
            true => assert_encrypted(&record[3]),
            false => assert_plain(&record[3]),
        }
    }
}

#[test]
fn nothing_is_recorded_that_was_not_asked_for() {
    let lab = Lab::new("proof/no-records");
    let mut calls = start(&lab, MODULE, "");
    calls
        .phone
        .call(&format!("sip:secure@{OURS}:{TLS_PORT};transport=tls"));
    calls.phone.wait_for_tone(CARRIER_TONE, 10);
    calls.phone.hang_up();
    calls.ours.wait_for_channels(0);
    let cdr = records(&calls.ours, CDR, 1);
    assert_eq!(cdr[0][2..], ["", ""], "{cdr:?}");
    assert!(!calls.ours.path(CEL).exists());
    // The module goes, with its hold on chan_pjsip's hangup, and a call is served without it.
    drop(calls.phone);
    calls.ours.cli("ciphertrunk drain");
    calls.ours.wait_until("the end of all connections", |ours| {
        (ours.count("TLS transports") == 0).then_some(())
    });
    let answer = calls.ours.cli("module unload res_ciphertrunk.so");
    assert!(
        answer.contains("Unloaded"),
        "{answer}\n{}",
        calls.ours.log()
    );
    calls
        .ours
        .cli("channel originate PJSIP/say@plain extension say@default");
    calls.ours.wait_for_tone(CARRIER_TONE, 10);
    calls.ours.cli("channel request hangup all");
    calls.ours.wait_for_channels(0);
    assert_eq!(records(&calls.ours, CDR, 2).len(), 2);
}

#[test]
fn a_blind_transfer() {
    let lab = Lab::new("proof/transfer");
    let mut calls = start(&lab, MODULE, "[general]\ncdr = yes\n");
    let ours = &calls.ours;
    calls
        .phone
        .call(&format!("sip:secure@{OURS}:{TLS_PORT};transport=tls"));
    calls.phone.wait_for_tone(CARRIER_TONE, 10);
    let carrier = channel(ours, "PJSIP/carrier-");
    calls.phone.command(
        "transfer",
        &format!("sip:plain@{OURS}:{TLS_PORT};transport=tls"),
    );
    // The carrier is now bridged with the plain one, and what is known of it is still known.
    ours.wait_until("the bridge of both carriers", |ours| {
        (ask(ours, "bridged.transport", &carrier) == "UDP"
            && ask(ours, "bridged.word", &carrier) == "plain")
            .then_some(())
    });
    assert_eq!(ask(ours, "word", &carrier), "encrypted");
    assert_eq!(ask(ours, "key_source", &carrier), "SDES");
    ours.cli("channel request hangup all");
    ours.wait_for_channels(0);
    let cdr = records(ours, CDR, 2);
    let of = |caller: &str, callee: &str| {
        let found = cdr
            .iter()
            .find(|record| record[0].starts_with(caller) && record[1].starts_with(callee));
        found.unwrap_or_else(|| panic!("no CDR of {caller} and {callee}: {cdr:?}"))
    };
    let before = of("PJSIP/alice-", "PJSIP/carrier-");
    assert_encrypted(&before[2]);
    assert_encrypted(&before[3]);
    let after = of("PJSIP/carrier-", "PJSIP/plain-");
    assert_encrypted(&after[2]);
    assert_plain(&after[3]);
    let line = ours.all_log_lines("app_verbose.c: AT THE END PJSIP/carrier-");
    assert_eq!(line.len(), 1, "{line:?}");
    assert_encrypted(&line[0]);
    println!("{cdr:#?}");
}
