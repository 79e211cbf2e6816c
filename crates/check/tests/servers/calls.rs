//! `--call`: what is said about answers to an encrypted offer.

use ciphertrunk_check::{Code, Options};

use crate::broken::{options, today};
use crate::case::{Case, PATIENCE, run};
use crate::others::baresip;
use crate::pki::{Pki, Spec};
use crate::program::{Program, free_port};
use crate::server::tls;
use crate::sip::{method, response, sound};

const KEY: &str = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

/// The suite that an INVITE offers, if any.
fn suite(request: &str) -> Option<&str> {
    let line = request
        .lines()
        .find_map(|line| line.strip_prefix("a=crypto:"))?;
    line.split(' ').nth(1)
}

fn described(request: &str, transport: &str, crypto: &str) -> (Vec<u8>, bool) {
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 {transport} 0\r\n{crypto}"
    );
    let headers = "Contact: <sip:b@127.0.0.1;transport=tls>\r\nContent-Type: application/sdp\r\n";
    (response(request, "200 OK", headers, &sdp), true)
}

fn refused(request: &str) -> (Vec<u8>, bool) {
    (response(request, "488 Not Acceptable Here", "", ""), true)
}

/// An INVITE by `answer`; the rest as it has to be.
fn with(request: &str, answer: fn(&str, Option<&str>) -> (Vec<u8>, bool)) -> (Vec<u8>, bool) {
    match method(request) {
        "INVITE" => answer(request, suite(request)),
        "ACK" => (Vec::new(), true),
        _ => sound(request),
    }
}

/// As a carrier does it: AES_CM_128_HMAC_SHA1_80 alone.
fn one_suite(request: &str) -> (Vec<u8>, bool) {
    with(request, |request, suite| match suite {
        Some("AES_CM_128_HMAC_SHA1_80") => described(
            request,
            "RTP/SAVP",
            &format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}\r\n"),
        ),
        _ => refused(request),
    })
}

fn in_clear(request: &str) -> (Vec<u8>, bool) {
    with(request, |request, _| described(request, "RTP/AVP", ""))
}

fn none(request: &str) -> (Vec<u8>, bool) {
    with(request, |request, suite| match suite {
        Some(_) => refused(request),
        None => described(request, "RTP/AVP", ""),
    })
}

fn other_suite(request: &str) -> (Vec<u8>, bool) {
    with(request, |request, suite| match suite {
        Some("AES_CM_128_HMAC_SHA1_32") => described(
            request,
            "RTP/SAVP",
            &format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}\r\n"),
        ),
        Some("AES_CM_128_HMAC_SHA1_80") => described(
            request,
            "RTP/SAVP",
            &format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}\r\n"),
        ),
        _ => refused(request),
    })
}

fn other_tag(request: &str) -> (Vec<u8>, bool) {
    with(request, |request, suite| match suite {
        Some("AES_CM_128_HMAC_SHA1_80") => described(
            request,
            "RTP/SAVP",
            &format!("a=crypto:2 AES_CM_128_HMAC_SHA1_80 {KEY}\r\n"),
        ),
        _ => refused(request),
    })
}

fn short_key(request: &str) -> (Vec<u8>, bool) {
    with(request, |request, suite| match suite {
        Some("AES_CM_128_HMAC_SHA1_80") => described(
            request,
            "RTP/SAVP",
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3\r\n",
        ),
        _ => refused(request),
    })
}

fn login(request: &str) -> (Vec<u8>, bool) {
    with(request, |request, _| {
        (
            response(request, "407 Proxy Authentication Required", "", ""),
            true,
        )
    })
}

fn unknown_number(request: &str) -> (Vec<u8>, bool) {
    with(request, |request, _| {
        (response(request, "404 Not Found", "", ""), true)
    })
}

fn calling(options: Options) -> Options {
    Options {
        call: Some("100".to_owned()),
        ..options
    }
}

#[test]
fn answers_to_an_encrypted_offer() {
    let pki = Pki::new();
    let good = pki.leaf(&Spec::default());
    let case = |name, answer, faults, warnings| Case {
        name,
        options: calling(options(&pki, tls(&[&good], today, answer), PATIENCE)),
        faults,
        warnings,
    };
    run(
        "calls",
        vec![
            case("one suite", one_suite, &[], &[]),
            case(
                "in clear",
                in_clear,
                &["call-falls-back"],
                &["call-clear-taken"],
            ),
            case("no suite", none, &["call-no-suite"], &["call-clear-taken"]),
            case("another suite", other_suite, &["call-other-suite"], &[]),
            case("another tag", other_tag, &[], &["call-other-tag"]),
            case("a key that is too short", short_key, &["call-bad-key"], &[]),
            case("a login", login, &[], &[]),
            case("an unknown number", unknown_number, &[], &["call-refused"]),
        ],
    );
}

/// A phone that will have SRTP: which suites it takes is said, and it refuses a call in clear.
#[test]
fn the_suites_of_a_real_phone() {
    let pki = Pki::new();
    let (cert, key) = pki.files("server", &[&pki.leaf(&Spec::default())]);
    let port = free_port();
    let phone = Program::start(baresip(&pki, &cert, &key, port), port, &pki.dir);
    let case = Case {
        name: "baresip",
        options: Options {
            call: Some(format!("sip:sip@127.0.0.1:{port};transport=tls")),
            ..options(&pki, phone.address, PATIENCE)
        },
        faults: &[],
        warnings: &[],
    };
    let (wrong, report) = case.run();
    assert_eq!(wrong, [] as [String; 0]);
    let taken: Vec<&str> = report
        .findings()
        .filter(|(_, finding)| finding.code == Code::CallSuiteTaken)
        .map(|(_, finding)| finding.detail.split(' ').next().unwrap_or_default())
        .collect();
    assert_eq!(
        taken,
        [
            "AES_CM_128_HMAC_SHA1_80",
            "AES_CM_128_HMAC_SHA1_32",
            "AES_256_CM_HMAC_SHA1_80",
            "AES_256_CM_HMAC_SHA1_32",
            "AEAD_AES_128_GCM",
            "AEAD_AES_256_GCM"
        ]
    );
    assert!(
        report
            .lines
            .ciphertrunk
            .iter()
            .any(|line| line.starts_with("offer = AES_CM_128_HMAC_SHA1_80, ")),
        "{:?}",
        report.lines
    );
    let facts: Vec<&String> = report.steps.iter().flat_map(|step| &step.facts).collect();
    assert!(
        facts
            .iter()
            .any(|fact| fact.starts_with("in clear (RTP/AVP): refused with 488")),
        "{facts:?}"
    );
}
