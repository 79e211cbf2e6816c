//! `ciphertrunk check`: what the console says of a stock Asterisk that is sound, of one whose certificate has expired, of what cannot
//! be looked at; and that the module stays while it looks.

use std::thread;

use ciphertrunk_check::{Code, Options, Outcome, check, text};
use host_harness::ami::{self, Manager};
use host_harness::asterisk::{Asterisk, Setup};
use host_harness::certificates::Authority;
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption};

use crate::console::{assert_has, completed};
use crate::world::{CARRIER, CARRIER_TONE, OURS};

/// The carrier's port with the certificate that has expired.
const EXPIRED_PORT: u16 = 5062;
/// Takes connections, and says nothing.
const MUTE: &str = "127.0.0.22:5061";

/// `[code; side: whose]` of each fault.
fn faults(report: &str) -> Vec<&str> {
    let faults = report
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("FAULT [")?.split(']').next());
    faults.collect()
}

#[test]
fn a_peer_is_looked_at_as_a_call_would() {
    let lab = Lab::new("check");
    let authority = Authority::new(&lab, "authority");
    let theirs = authority.issue("carrier", "carrier.example", CARRIER);
    let names = format!("subjectAltName=IP:{CARRIER}");
    let past = [
        "-not_before",
        "20200101000000Z",
        "-not_after",
        "20210101000000Z",
        "-addext",
        &names,
    ];
    let expired = authority.make("expired", "/CN=carrier.example", &past);
    let carrier = Setup::stock("carrier", CARRIER)
        .pjsip(&pjsip::tls(&theirs, &authority.file()))
        .pjsip(
            &pjsip::tls(&expired, &authority.file())
                .replace("[tls]", "[expired]")
                .replace(":5061", &format!(":{EXPIRED_PORT}")),
        )
        .pjsip(&pjsip::tls_trunk("ours", OURS, Encryption::Sdes))
        .dialplan(&pjsip::say(CARRIER_TONE));
    let _carrier = Asterisk::start(&lab, &carrier);
    let certificate = authority.issue("ours", "ours.example", OURS);
    let to = |name: &str, uri: &str| {
        format!(
            "[{name}]\ntype = endpoint\ntransport = tls\ncontext = default\ndisallow = all\nallow = ulaw\naors = {name}\n\n\
             [{name}]\ntype = aor\ncontact = {uri}\n\n"
        )
    };
    let setup = Setup::ours("ours", OURS)
        .pjsip(&pjsip::tls(&certificate, &authority.file()))
        .pjsip("verify_server = yes\n")
        .pjsip(&pjsip::tls_trunk("carrier", CARRIER, Encryption::Sdes))
        .pjsip(&to(
            "expired",
            &format!("sip:{CARRIER}:{EXPIRED_PORT}\\;transport=tls"),
        ))
        .pjsip(&to("mute", &format!("sip:{MUTE}\\;transport=tls")))
        .pjsip(&to("in-clear", &format!("sip:{CARRIER}")))
        .file("manager.conf", &ami::configuration(OURS));
    let ours = Asterisk::start(&lab, &setup);

    // The stock Asterisk knows us by our address, so OPTIONS comes from that of the transport.
    let sound = ours.cli("ciphertrunk check carrier");
    assert_has(
        &sound,
        &[
            "Endpoint 'carrier': a call to it goes to sip:127.0.0.20:5061;transport=tls (the first contact of its AoR), by transport 'tls'\n",
            &format!("With its ca_list_file = {}, cert_file = ", authority.file()),
            "127.0.0.20:5061: connected\n",
            "OPTIONS: 200 OK after ",
            "\nSound",
        ],
    );
    assert_eq!(faults(&sound), [] as [&str; 0], "{sound}");
    let host = ours.cli(&format!("ciphertrunk check {CARRIER}:5061"));
    assert_has(
        &host,
        &["Host 127.0.0.20:5061, by transport 'tls'\n", "\nSound"],
    );
    let broken = ours.cli("ciphertrunk check expired");
    assert_eq!(faults(&broken), ["cert-expired; side: theirs"], "{broken}");

    for (target, reason) in [
        ("nobody", "Not checked: there is no endpoint 'nobody'"),
        (
            "in-clear",
            "Not checked: a call to endpoint 'in-clear' does not go by TLS",
        ),
        ("sip:a", "Not checked: there is no endpoint 'sip:a'"),
    ] {
        let answer = ours.cli(&format!("ciphertrunk check {target}"));
        assert_has(&answer, &[reason]);
        assert!(!answer.contains("TCP:"), "{answer}");
    }
    assert_has(
        &ours.cli("ciphertrunk check"),
        &["Usage: ciphertrunk check"],
    );
    assert_eq!(completed(&ours, "ciphertrunk check ca"), ["carrier"]);
    let mut clerk = Manager::log_in_as(&lab, OURS, ami::WITHOUT_SYSTEM);
    let answer = clerk.ask("Command", &[("Command", "ciphertrunk check carrier")]);
    let output = answer.all("Output").join("\n");
    assert!(output.starts_with("Not checked: "), "{answer:?}");
    assert!(!output.contains("TCP:"), "{answer:?}");

    // What a profile has for that peer is what a call would get.
    let profile = format!(
        "[carrier-tls]\ntype = tls\nmatch = {CARRIER}\nmax_version = tls1.2\nverify_name = other.example\n"
    );
    ours.configure("ciphertrunk.conf", &profile);
    ours.cli("module reload res_ciphertrunk.so");
    let seen = ours.cli("ciphertrunk check carrier");
    assert_has(
        &seen,
        &[
            ", by transport 'tls' and profile 'carrier-tls' of ciphertrunk.conf\n",
            "The profile has in its place: max_version = tls1.2, verify_name = other.example\n",
            "    TLSv1.2, ",
            "asked for other.example; the certificate is for ",
        ],
    );
    let [fault] = faults(&seen)[..] else {
        panic!("{seen}")
    };
    assert!(fault.starts_with("cert-name; "), "{seen}");

    calls_of_every_suite(&lab, &authority.file());
    the_module_stays_meanwhile(&lab, &ours);
}

/// The same with calls, as the program makes them: which suites a stock Asterisk takes.
fn calls_of_every_suite(lab: &Lab, authority: &str) {
    let mut options = Options {
        local: OURS.parse().ok(),
        call: Some("say".to_owned()),
        ..Options::new(&format!("{CARRIER}:5061")).expect("a place")
    };
    let authority = lab.write("seen-from-outside.pem", lab.read(authority));
    options.tls.ca_list_file = Some(authority);
    let report = lab
        .on_the_network(|| Ok(check(&options)))
        .expect("the lab has a network");
    let mut text = Vec::new();
    text::write(&report, &mut text).expect("memory");
    let text = String::from_utf8_lossy(&text);
    assert_eq!(report.outcome(), Outcome::Sound, "{text}");
    let of = |code: Code| -> Vec<&str> {
        let found = report
            .findings()
            .filter(|(_, finding)| finding.code == code);
        found.map(|(_, finding)| finding.detail.as_str()).collect()
    };
    let taken: Vec<&str> = of(Code::CallSuiteTaken)
        .iter()
        .filter_map(|detail| detail.split(' ').next())
        .collect();
    let stock = ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"];
    assert_eq!(taken, stock, "{text}");
    assert_eq!(of(Code::CallClearTaken), [""; 0], "{text}");
}

/// A server that never answers, and an unload.
fn the_module_stays_meanwhile(lab: &Lab, ours: &Asterisk<'_>) {
    const THREAD: &str = "ciphertrunk check";
    let mute = lab.listen(MUTE);
    let report = thread::scope(|scope| {
        let report = scope.spawn(|| ours.cli("ciphertrunk check mute"));
        let held = mute.accept().expect("the check connects");
        assert_has(&ours.cli("core show threads"), &[THREAD]);
        for command in [
            "module unload res_ciphertrunk.so",
            "module unload -f res_ciphertrunk.so",
        ] {
            let answer = ours.cli(command);
            assert_has(&answer, &["Unable to unload"]);
        }
        // Asterisk counts who is in a command; one by force asks us alone.
        for line in [
            "Soft unload failed",
            "a console is running one of its commands",
        ] {
            assert_eq!(ours.all_log_lines(line).len(), 1, "{line}");
        }
        assert!(!report.is_finished(), "the check was over");
        // Whoever comes now is refused, and the check comes to its end.
        drop(mute);
        drop(held);
        report.join().expect("an answer")
    });
    assert_eq!(faults(&report).len(), 1, "{report}");
    let threads = ours.cli("core show threads");
    assert!(!threads.contains(THREAD), "{threads}");
    let answer = ours.cli("module unload res_ciphertrunk.so");
    assert_has(&answer, &["Unloaded"]);
    assert!(!ours.maps().contains("res_ciphertrunk"));
}
