//! Prometheus reads what was counted, over HTTP on loopback: packets as tshark counts them, handshakes of openssl's; and
//! `res_prometheus` comes and goes as it likes, and so do we.

use std::io::{Read as _, Write as _};

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::capture::Capture;
use host_harness::host;
use host_harness::lab::{self, Lab};
use host_harness::peer::{Key, srtp::AES_80};

use crate::srtp_call::{Call, PBX, SDES, with_endpoints};
use crate::tls_world::{World, address};
use crate::world::OURS;

const PORT: u16 = 8088;
const PROMETHEUS: &str = "res_prometheus.so";
const MODULE: &str = "res_ciphertrunk.so";

/// With `res_prometheus`, and Asterisk's HTTP server at its address. `false`: this Asterisk has none.
fn with_prometheus(lab: &Lab, name: &str, setup: Setup) -> Option<Setup> {
    if !lab.host().has_module("res_prometheus") {
        host::skip(name, "this Asterisk has no res_prometheus");
        return None;
    }
    let http = format!(
        "[general]\nenabled = yes\nbindaddr = {}\nbindport = {PORT}\n",
        setup.address
    );
    Some(
        setup
            .also_modules(&["res_prometheus"])
            .file("http.conf", &http)
            .file(
                "prometheus.conf",
                "[general]\nenabled = yes\ncore_metrics_enabled = yes\nuri = metrics\n",
            ),
    )
}

/// The page, as a scraper gets it: status and text.
fn scrape(lab: &Lab, address: &str) -> (u16, String) {
    let mut stream = lab
        .tcp(&format!("{address}:{PORT}"))
        .expect("Asterisk's HTTP server");
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|it| it.parse().ok());
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    (status.expect("a status"), body.to_owned())
}

/// The number of a sample; `None`: it is not there.
fn sample(page: &str, name: &str) -> Option<f64> {
    page.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .map(|value| value.parse().expect("a number"))
}

fn count(page: &str, name: &str) -> u64 {
    let value = sample(page, name).unwrap_or_else(|| panic!("no {name} in\n{page}"));
    assert!(value >= 0.0 && value.fract() == 0.0, "{name}: {value}");
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count"
    )]
    let count = value as u64;
    count
}

/// The RTP packets and the RTCP packets that tshark finds from `source` (RFC 5761 section 4 tells them apart).
fn packets(lab: &Lab, capture: &str, source: &str) -> (u64, u64) {
    let file = format!("{}/{capture}.pcap", lab::FOLDER);
    let filter = format!("udp && ip.src == {source} && !(udp.port == 5060)");
    let args = [
        "-r",
        &file,
        "-Y",
        &filter,
        "-T",
        "fields",
        "-e",
        "udp.payload",
    ];
    let text = lab.must_run("tshark", &args);
    let octet = |line: &str, at: usize| u8::from_str_radix(line.get(2 * at..2 * at + 2)?, 16).ok();
    let (mut rtp, mut rtcp) = (0, 0);
    for line in text.lines() {
        let (Some(first), Some(second)) = (octet(line, 0), octet(line, 1)) else {
            continue;
        };
        // A binding request is of version 0.
        match (first >> 6, second) {
            (2, 192..=223) => rtcp += 1,
            (2, _) => rtp += 1,
            _ => {}
        }
    }
    (rtp, rtcp)
}

#[test]
fn packets_are_those_on_the_wire() {
    let lab = Lab::new("metrics/packets");
    let setup = with_endpoints(Setup::ours("pbx", PBX));
    let Some(setup) = with_prometheus(&lab, "metrics::packets_are_those_on_the_wire", setup) else {
        return;
    };
    let ours = Asterisk::start(&lab, &setup);
    let page = ours.wait_until("the page", |_| {
        let (_, page) = scrape(&lab, PBX);
        page.contains("ciphertrunk_info{").then_some(page)
    });
    let rtp = |page: &str, direction: &str, kind: &str| {
        let name =
            format!("ciphertrunk_srtp_packets_total{{direction=\"{direction}\",kind=\"{kind}\"}}");
        count(page, &name)
    };
    assert_eq!(rtp(&page, "in", "rtp"), 0);
    let capture = Capture::start(&lab, "call");
    let mut call = Call::new(&lab);
    call.dial("echo", &Key::new(AES_80, 1));
    assert_eq!(call.media.echoes(60), 60);
    let (_, page) = scrape(&lab, PBX);
    assert_eq!(count(&page, "ciphertrunk_srtp_sessions"), 1);
    call.hang_up();
    ours.wait_for_channels(0);
    capture.stop();
    // A session goes with the RTP instance, which may outlive the channel for a moment.
    let page = ours.wait_until("the session's end", |_| {
        let (_, page) = scrape(&lab, PBX);
        (count(&page, "ciphertrunk_srtp_sessions") == 0).then_some(page)
    });
    let (sent, reports) = packets(&lab, "call", PBX);
    let (received, _) = packets(&lab, "call", SDES);
    assert!(
        sent > 60 && received > 60,
        "{sent} sent, {received} received"
    );
    assert_eq!(rtp(&page, "out", "rtp"), sent, "{page}");
    assert_eq!(rtp(&page, "out", "rtcp"), reports, "{page}");
    assert_eq!(rtp(&page, "in", "rtp"), received, "{page}");
    // By UDP, so its signalling, and with it the keys, went in clear.
    let words = |word: &str| {
        count(
            &page,
            &format!("ciphertrunk_calls_total{{word=\"{word}\"}}"),
        )
    };
    assert_eq!(words("media-only"), 1, "{page}");
    assert_eq!(
        words("encrypted") + words("plain") + words("signaling-only"),
        0
    );
    // What is refused is a failure by its code, in the page as on the console.
    drop(call);
    let mut other = Call::new(&lab);
    let key = Key::new(AES_80, 3);
    let line = key
        .line(1, "")
        .replace("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_99");
    other.dial_with("echo", &key, &line).expect_err("refused");
    let (_, page) = scrape(&lab, PBX);
    let failed: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("ciphertrunk_failures_total{reason=\""))
        .collect();
    assert!(
        failed.iter().any(|line| line.contains("suite-unknown")),
        "{failed:?}\n{}",
        ours.cli("ciphertrunk show reasons")
    );
    // Every line is in the format: a comment, or a name with labels and a number.
    for line in page.lines().filter(|line| line.contains("ciphertrunk_")) {
        let value = line.rsplit_once(' ').map(|(_, value)| value);
        assert!(
            line.starts_with("# ") || value.is_some_and(|value| value.parse::<f64>().is_ok()),
            "{line}"
        );
    }
}

#[test]
fn handshakes_are_those_of_openssl() {
    let world = World::new("metrics");
    let lab = &world.lab;
    let setup = world.setup("");
    let Some(setup) = with_prometheus(lab, "metrics::handshakes_are_those_of_openssl", setup)
    else {
        return;
    };
    let ours = Asterisk::start(lab, &setup);
    let client = |options: &[&str]| {
        let at = address();
        let mut args = vec!["s_client", "-connect", at.as_str(), "-brief"];
        args.extend(options);
        lab.run("openssl", &args).status.success()
    };
    for _ in 0..3 {
        assert!(client(&["-tls1_3", "-groups", "X25519"]));
    }
    assert!(client(&["-tls1_2", "-groups", "P-256"]));
    assert!(!client(&["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]));
    let name = |result: &str, version: &str, group: &str| {
        format!(
            "ciphertrunk_tls_handshakes_total{{direction=\"in\",result=\"{result}\",version=\"{version}\",group=\"{group}\"}}"
        )
    };
    let page = ours.wait_until("the failure", |_| {
        let (_, page) = scrape(lab, OURS);
        page.contains("version=\"\"").then_some(page)
    });
    let of = |version: &str| {
        page.lines()
            .filter(|line| line.starts_with("ciphertrunk_tls_handshakes_total{"))
            .filter(|line| line.contains("result=\"ok\"") && line.contains(version))
            .map(|line| {
                line.rsplit_once(' ')
                    .expect("a number")
                    .1
                    .parse::<u64>()
                    .expect("one")
            })
            .sum::<u64>()
    };
    assert_eq!((of("TLSv1.3"), of("TLSv1.2")), (3, 1), "{page}");
    assert_eq!(count(&page, &name("ok", "TLSv1.3", "X25519")), 3, "{page}");
    let failed: Vec<&str> = page
        .lines()
        .filter(|line| line.contains("version=\"\""))
        .collect();
    assert!(failed.len() == 1 && failed[0].ends_with(" 1"), "{failed:?}");
    let times = "ciphertrunk_tls_handshake_seconds";
    assert_eq!(
        count(&page, &format!("{times}_count{{direction=\"in\"}}")),
        4
    );
    assert_eq!(
        count(
            &page,
            &format!("{times}_bucket{{direction=\"in\",le=\"+Inf\"}}")
        ),
        4
    );
    let sum = sample(&page, &format!("{times}_sum{{direction=\"in\"}}")).expect("a sum");
    assert!(sum > 0.0, "{page}");
    assert_eq!(
        count(&page, "ciphertrunk_tls_resumptions_total{direction=\"in\"}"),
        0
    );
    // The certificate is one of some days.
    let days = page
        .lines()
        .find_map(|line| {
            line.strip_prefix("ciphertrunk_certificate_expiry_days{transport=\"tls\",")
        })
        .and_then(|line| line.rsplit_once(' '))
        .and_then(|(_, value)| value.parse::<f64>().ok());
    let end = lab.must_run(
        "openssl",
        &[
            "x509",
            "-in",
            &world.certificate.certificate,
            "-noout",
            "-checkend",
            "0",
        ],
    );
    assert!(end.contains("will not expire"), "{end}");
    assert!(days.is_some_and(|days| days > 0.0), "{page}");
}

/// Loaded before us and after us, gone before us and after us: nobody holds the other, and each time that both are there the page has
/// our lines.
#[test]
fn each_comes_and_goes() {
    let lab = Lab::new("metrics/comes_and_goes");
    let Some(setup) = with_prometheus(
        &lab,
        "metrics::each_comes_and_goes",
        Setup::ours("ours", OURS),
    ) else {
        return;
    };
    let mut ours = Asterisk::start(&lab, &setup);
    let has_ours = |ours: &Asterisk<'_>, when: &str| {
        ours.wait_until(&format!("our lines, {when}"), |_| {
            let (_, page) = scrape(&lab, OURS);
            page.contains("ciphertrunk_info{").then_some(())
        });
        // Once, though it is asked to forget us and to know us again.
        let (_, page) = scrape(&lab, OURS);
        assert_eq!(
            page.matches("\nciphertrunk_engine_owned ").count(),
            1,
            "{page}"
        );
    };
    let load = |ours: &Asterisk<'_>, module: &str| {
        let answer = ours.cli(&format!("module load {module}"));
        assert!(
            answer.contains("Loaded"),
            "{module}: {answer}\n{}",
            ours.log()
        );
    };
    let unload = |ours: &Asterisk<'_>, module: &str| {
        // It may be asked in the very moment in which the two meet.
        ours.wait_until(&format!("the end of {module}"), |ours| {
            ours.cli(&format!("module unload {module}"));
            (!ours.maps().contains(module)).then_some(())
        });
    };
    has_ours(&ours, "both at boot");
    for round in 1..=3 {
        // It goes first, and comes back.
        unload(&ours, PROMETHEUS);
        assert_eq!(scrape(&lab, OURS).0, 404);
        assert_eq!(ours.status("SRTP engine"), "ours");
        load(&ours, PROMETHEUS);
        has_ours(&ours, &format!("it came back, round {round}"));
        // We go first, and come back.
        unload(&ours, MODULE);
        let (status, page) = scrape(&lab, OURS);
        assert_eq!(status, 200);
        assert!(
            page.contains("asterisk_core_") && !page.contains("ciphertrunk_"),
            "{page}"
        );
        load(&ours, MODULE);
        has_ours(&ours, &format!("we came back, round {round}"));
        // Both go; we come first.
        unload(&ours, PROMETHEUS);
        unload(&ours, MODULE);
        load(&ours, MODULE);
        load(&ours, PROMETHEUS);
        has_ours(&ours, &format!("it came behind us, round {round}"));
        // Both go; it comes first.
        unload(&ours, MODULE);
        unload(&ours, PROMETHEUS);
        load(&ours, PROMETHEUS);
        load(&ours, MODULE);
        has_ours(&ours, &format!("we came behind it, round {round}"));
    }
    assert!(ours.is_up());
    assert_eq!(ours.count("Panics caught"), 0);
}
