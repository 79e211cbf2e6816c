//! Looking inside one call: `ciphertrunk keylog`, tshark, and `decrypt`. The other ends are stock Asterisks.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::PathBuf;

use decrypt::decrypt;
use host_harness::ami::{self, Manager};
use host_harness::asterisk::{Asterisk, Setup, User};
use host_harness::audio;
use host_harness::capture::Capture;
use host_harness::certificates::Authority;
use host_harness::lab::{self, Lab};
use host_harness::pjsip::{self, Encryption, TLS_PORT};
use host_harness::wav;

use crate::world::{self, CARRIER, CARRIER_TONE, OUR_TONE, OURS, is_documented};

as_root_and_as_asterisk!(
    tshark_reads_the_named_peer_alone,
    a_call_is_heard,
    a_dtls_call_is_heard,
    it_ends_by_itself,
    what_is_refused
);

/// The carrier that nobody names.
const OTHER: &str = "127.0.0.21";

/// Our Asterisk with two carriers, both by TLS and with SDES.
struct Carriers<'lab> {
    ours: Asterisk<'lab>,
    carrier: Asterisk<'lab>,
    other: Asterisk<'lab>,
}

impl<'lab> Carriers<'lab> {
    fn start(lab: &'lab Lab, user: User, conf: &str) -> Self {
        let authority = Authority::new(lab, "authority");
        let stock = |name: &str, address: &str| {
            let certificate = authority.issue(name, "carrier.example", address);
            let setup = Setup::stock(name, address)
                .pjsip(&pjsip::tls(&certificate, &authority.file()))
                .pjsip(&pjsip::tls_trunk("ours", OURS, Encryption::Sdes))
                .dialplan(&pjsip::say(CARRIER_TONE));
            Asterisk::start(lab, &setup)
        };
        let certificate = authority.issue("ours", "ours.example", OURS);
        let setup = Setup::ours("ours", OURS)
            .user(user)
            .pjsip(&pjsip::tls(&certificate, &authority.file()))
            .pjsip(&pjsip::tls_trunk("carrier", CARRIER, Encryption::Sdes))
            .pjsip(&pjsip::tls_trunk("other", OTHER, Encryption::Sdes))
            .dialplan(&pjsip::say(OUR_TONE))
            .file("ciphertrunk.conf", conf);
        Self {
            ours: Asterisk::start(lab, &setup),
            carrier: stock("carrier", CARRIER),
            other: stock("other", OTHER),
        }
    }

    fn call(&self, endpoint: &str) {
        self.ours.cli(&format!(
            "channel originate PJSIP/say@{endpoint} extension say@default"
        ));
        let peer = match endpoint {
            "carrier" => &self.carrier,
            _ => &self.other,
        };
        peer.wait_for_tone(OUR_TONE, 5);
    }
}

/// A path in the folder of our Asterisk, where it may write, as programs in the lab see it.
fn inside(name: &str) -> String {
    format!("{}/ours/log/{name}", lab::FOLDER)
}

fn outside(ours: &Asterisk<'_>, name: &str) -> PathBuf {
    ours.path(&format!("log/{name}"))
}

/// How many SIP messages of the connections with `peer` tshark decrypts with this file of keys.
fn sip_messages(lab: &Lab, capture: &str, keys: &str, peer: &str) -> usize {
    let keys = format!("tls.keylog_file:{}", inside(keys));
    let ports = format!("tcp.port=={TLS_PORT},tls");
    let filter = format!("sip && tcp && ip.addr == {peer}");
    let capture = format!("{}/{capture}.pcap", lab::FOLDER);
    let args = [
        "-r",
        capture.as_str(),
        "-d",
        &ports,
        "-o",
        &keys,
        "-Y",
        &filter,
        "-T",
        "fields",
        "-e",
        "sip.CSeq.method",
    ];
    lab.must_run("tshark", &args).lines().count()
}

fn tshark_reads_the_named_peer_alone(lab: &Lab, user: User) {
    // The twin: every connection's secrets, by which tshark finds the other peer's messages.
    let all = format!("[tls]\nkey_log = {}\n", inside("all.keys"));
    let world = Carriers::start(lab, user, &all);
    let ours = &world.ours;
    let capture = Capture::start(lab, "calls");
    let told = ours.cli(&format!(
        "ciphertrunk keylog start {} peer carrier for 1h",
        inside("peer.keys")
    ));
    assert!(
        told.contains("The keys of peer carrier are written to"),
        "{told}"
    );
    let warning = ours.all_log_lines("keylog: for 3600 s the TLS and SRTP keys of peer carrier");
    assert!(
        warning.len() == 1 && warning[0].contains("WARNING"),
        "{warning:?}"
    );
    let made = fs::metadata(outside(ours, "peer.keys")).expect("made");
    assert_eq!((made.mode() & 0o7777, made.uid()), (0o600, ours.uid()));
    world.call("carrier");
    world.call("other");
    let status = ours.status("Key log");
    assert!(
        status.starts_with(&format!("{}, of peer carrier, ", inside("peer.keys"))),
        "{status}"
    );
    let shown = ours.cli("ciphertrunk keylog show");
    assert!(shown.contains("of peer carrier"), "{shown}");
    let stopped = ours.cli("ciphertrunk keylog stop");
    assert!(stopped.contains("is closed: it has"), "{stopped}");
    assert_eq!(ours.status("Key log"), "no");
    let warning = ours.all_log_lines("is closed, as was asked");
    assert!(
        warning.len() == 1 && warning[0].contains("WARNING"),
        "{warning:?}"
    );
    ours.cli("channel request hangup all");
    // Their channels end by our BYE, which leaves after our channel has gone.
    for end in [ours, &world.carrier, &world.other] {
        end.wait_for_channels(0);
    }
    world::assert_served_by_us(ours);
    capture.stop();
    let count = |keys, peer| sip_messages(lab, "calls", keys, peer);
    // INVITE, 100 and 200, ACK and BYE at the least.
    let of_peer = count("peer.keys", CARRIER);
    assert!(of_peer >= 5, "{of_peer} messages with the carrier");
    assert_eq!(of_peer, count("all.keys", CARRIER));
    assert_eq!(count("peer.keys", OTHER), 0, "the other peer can be read");
    assert!(count("all.keys", OTHER) >= 5, "nothing was to be read");
    // SRTP's keys of the other call are not there either.
    let text = fs::read_to_string(outside(ours, "peer.keys")).expect("a file");
    let keys = decrypt::parse_keys(&text).expect("sound lines");
    assert_eq!(keys.len(), 2, "one each way");
    assert!(keys.iter().all(|key| key.endpoint == "carrier"), "{keys:?}");
}

/// The tone in a recording of `source`'s.
fn tenths(report: &decrypt::Report, source: &str, tone: f64) -> usize {
    let source = format!("-{source}_");
    let file = report.files.iter().find(|file| {
        let name = file.to_string_lossy();
        name.contains(&source) && name.ends_with(".wav")
    });
    let file = file.unwrap_or_else(|| panic!("no recording of {source}\n{report}"));
    let heard = wav::read(file).expect("a recording");
    audio::find_tone(&heard, tone).tenths
}

/// The keys of a call that is up are in the file at once; those of another call open nothing.
fn a_call_is_heard(lab: &Lab, user: User) {
    let world = Carriers::start(lab, user, "");
    let ours = &world.ours;
    world.call("carrier");
    let capture = Capture::start(lab, "call");
    let pcap = capture.file().to_owned();
    let told = ours.cli(&format!(
        "ciphertrunk keylog start {} peer carrier",
        inside("call.keys")
    ));
    assert!(told.contains("SRTP: 2 keys of calls that are up"), "{told}");
    // Its connection was up before: nobody has its secrets.
    let missed = format!("TLS: 1 connections are up already, with {CARRIER}:{TLS_PORT} (");
    assert!(told.contains(&missed), "{told}");
    world::assert_goes_on(ours, CARRIER_TONE);
    ours.cli("ciphertrunk keylog stop");
    capture.stop();
    let out = lab.folder().join("clear");
    let keys = outside(ours, "call.keys");
    let report = decrypt(&pcap, &keys, &out).expect("decrypted");
    assert!(report.opened > 100, "{report}");
    assert!(tenths(&report, CARRIER, CARRIER_TONE) > 10, "{report}");
    assert!(tenths(&report, OURS, OUR_TONE) > 10, "{report}");
    // What was written in clear is heard on the wire of the new capture, and was not on that of the old one.
    let count = |file: &str| {
        let args = [
            "-r",
            file,
            "-d",
            "udp.port==1024-65535,rtp",
            "-Y",
            "rtp",
            "-T",
            "fields",
            "-e",
            "rtp.p_type",
        ];
        lab.must_run("tshark", &args)
            .lines()
            .filter(|line| *line == "0")
            .count()
    };
    assert!(count(&format!("{}/clear/rtp.pcap", lab::FOLDER)) > 100);

    // Another call's.
    world.call("other");
    let told = ours.cli(&format!(
        "ciphertrunk keylog start {} peer other",
        inside("other.keys")
    ));
    assert!(told.contains("SRTP: 2 keys"), "{told}");
    ours.cli("ciphertrunk keylog stop");
    let out = lab.folder().join("nothing");
    let report = decrypt(&pcap, &outside(ours, "other.keys"), &out).expect("read");
    assert!(report.is_empty() && !out.exists(), "{report}");
    let told = report.to_string();
    assert!(
        told.contains("authenticates under one of the 2 keys") && told.contains("endpoint other"),
        "{told}"
    );
}

/// DTLS-SRTP agrees its keys in the media thread, where the endpoint is known by its channel alone.
fn a_dtls_call_is_heard(lab: &Lab, user: User) {
    let ours = Asterisk::start(lab, &world::ours(user, Encryption::Dtls));
    let carrier = Asterisk::start(lab, &world::carrier(Encryption::Dtls));
    let capture = Capture::start(lab, "call");
    let pcap = capture.file().to_owned();
    ours.cli(&format!(
        "ciphertrunk keylog start {} peer carrier",
        inside("call.keys")
    ));
    ours.cli("channel originate PJSIP/say@carrier extension say@default");
    ours.wait_for_tone(CARRIER_TONE, 20);
    carrier.wait_for_tone(OUR_TONE, 20);
    world::assert_served_by_us(&ours);
    ours.cli("ciphertrunk keylog stop");
    capture.stop();
    let out = lab.folder().join("clear");
    let report = decrypt(&pcap, &outside(&ours, "call.keys"), &out).expect("decrypted");
    assert!(tenths(&report, CARRIER, CARRIER_TONE) > 5, "{report}");
    assert!(tenths(&report, OURS, OUR_TONE) > 5, "{report}");
}

fn it_ends_by_itself(lab: &Lab, user: User) {
    let world = Carriers::start(lab, user, "");
    let ours = &world.ours;
    ours.cli(&format!(
        "ciphertrunk keylog start {} for 1s",
        inside("short.keys")
    ));
    ours.wait_for_log("is closed, its time is over");
    assert_eq!(ours.status("Key log"), "no");
    world.call("carrier");
    let text = fs::read_to_string(outside(ours, "short.keys")).expect("a file");
    assert_eq!(text.lines().count(), 1, "{text}");
    // The twin: while it lasts there is something to write.
    ours.cli(&format!("ciphertrunk keylog start {}", inside("long.keys")));
    world.call("other");
    ours.cli("ciphertrunk keylog stop");
    let text = fs::read_to_string(outside(ours, "long.keys")).expect("a file");
    assert!(
        text.contains("TRAFFIC_SECRET") || text.contains("CLIENT_RANDOM"),
        "{text}"
    );

    // An unload closes it.
    ours.cli("channel request hangup all");
    ours.wait_for_channels(0);
    ours.cli(&format!("ciphertrunk keylog start {}", inside("last.keys")));
    ours.cli("ciphertrunk drain");
    ours.wait_until("the end of the module", |ours| {
        ours.cli("module unload res_ciphertrunk.so");
        (!ours.maps().contains("res_ciphertrunk")).then_some(())
    });
    ours.wait_for_log("is closed, the module is unloaded");
}

fn what_is_refused(lab: &Lab, user: User) {
    let setup = Setup::ours("ours", OURS)
        .user(user)
        .file("manager.conf", &ami::configuration(OURS));
    let ours = Asterisk::start(lab, &setup);
    let start = |file: &str| ours.cli(&format!("ciphertrunk keylog start {file}"));
    let is_begun = || ours.status("Key log") != "no";

    // What is there stays as it is; a link is not followed, also where it leads to nothing.
    fs::write(outside(&ours, "there"), "as it was").expect("written");
    symlink(inside("target"), outside(&ours, "link")).expect("a link");
    for file in ["there", "link"] {
        let told = start(&inside(file));
        assert!(
            told.contains("is there already, and nothing is written over it"),
            "{told}"
        );
    }
    let there = fs::read_to_string(outside(&ours, "there")).expect("a file");
    assert_eq!(there, "as it was");
    assert!(!outside(&ours, "target").exists());
    for (file, why) in [
        ("keys".to_owned(), "is no absolute path"),
        (inside("no/such/folder"), "cannot be made by"),
        (format!("{} for 25h", inside("x")), "is not a time"),
    ] {
        let told = start(&file);
        assert!(told.contains(why), "{told}");
    }
    assert!(!is_begun());

    // The action Command asks for the privilege `command` alone.
    let command = format!("ciphertrunk keylog start {}", inside("by.command"));
    let mut cron = Manager::log_in(lab, OURS);
    let answer = cron.ask("Command", &[("Command", &command)]);
    let output = answer.all("Output").join(" ");
    assert!(
        output.contains("Not begun: the manager interface's action Command"),
        "{answer:?}"
    );
    assert!(!is_begun() && !outside(&ours, "by.command").exists());
    // The action of its own asks for `system`.
    let file = inside("by.action");
    let headers = [("File", file.as_str()), ("For", "5m")];
    let mut clerk = Manager::log_in_as(lab, OURS, ami::WITHOUT_SYSTEM);
    let answer = clerk.ask("CiphertrunkKeylogStart", &headers);
    assert_eq!(
        answer.get("Message"),
        Some("Permission denied"),
        "{answer:?}"
    );
    assert!(!is_begun() && !outside(&ours, "by.action").exists());
    let answer = cron.ask("CiphertrunkKeylogStart", &headers);
    assert_eq!(answer.get("Response"), Some("Success"), "{answer:?}");
    assert!(is_begun() && outside(&ours, "by.action").exists());
    // One at a time.
    let answer = cron.ask("CiphertrunkKeylogStart", &[("File", &inside("second"))]);
    assert_eq!(answer.get("Response"), Some("Error"), "{answer:?}");
    let told = start(&inside("second"));
    assert!(told.contains("keys are being written to") && !outside(&ours, "second").exists());
    let answer = clerk.ask("CiphertrunkKeylogStop", &[]);
    assert_eq!(answer.get("Response"), Some("Error"), "{answer:?}");
    if is_documented(&ours, "keylog::what_is_refused (the action's documents)") {
        let documented = ours.cli("manager show command CiphertrunkKeylogStart");
        for text in ["Write the keys of a peer to a file", "ActionID"] {
            assert!(documented.contains(text), "{documented}");
        }
    }

    // What the configuration forbids ends at the reload that brings it.
    ours.configure("ciphertrunk.conf", "[general]\nkeylog = no\n");
    ours.cli("module reload res_ciphertrunk.so");
    ours.wait_for_log("is closed, [general] keylog = no is in force");
    let told = start(&inside("forbidden"));
    assert!(told.contains("forbids it"), "{told}");
    assert!(!is_begun() && !outside(&ours, "forbidden").exists());
    let answer = cron.ask("CiphertrunkKeylogStop", &[]);
    assert_eq!(answer.get("Message"), Some("No keys are being written"));
}
