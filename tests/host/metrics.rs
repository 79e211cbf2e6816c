//! Prometheus reads what was counted, over HTTP on loopback: packets as tshark counts them, handshakes of openssl's; and
//! `res_prometheus` comes and goes as it likes, and so do we.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};

use host_harness::asterisk::{Asterisk, Setup};
use host_harness::capture::Capture;
use host_harness::host;
use host_harness::lab::{self, Lab};
use host_harness::peer::{Description, Key, Phone, srtp::AES_80};
use host_harness::sip::Server;

use crate::srtp_call::{self, Call, PBX, PLAIN, SDES, with_endpoints};
use crate::tls_world::{World, address, carrier};
use crate::world::{CARRIER, OURS};

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

/// What tshark finds in the frames that a filter lets through: a line for each, its fields with blanks between.
fn fields(lab: &Lab, capture: &str, filter: &str, names: &[&str]) -> Vec<String> {
    let file = format!("{}/{capture}.pcap", lab::FOLDER);
    let mut args = vec!["-r", &file, "-d", "tcp.port==5061,tls", "-Y", filter];
    args.extend(["-T", "fields", "-E", "separator=/s"]);
    args.extend(names.iter().flat_map(|name| ["-e", *name]));
    let text = lab.must_run("tshark", &args);
    text.lines().map(str::to_owned).collect()
}

/// The RTP packets and the RTCP packets that tshark finds from `source` (RFC 5761 section 4 tells them apart).
fn packets(lab: &Lab, capture: &str, source: &str) -> (u64, u64) {
    let filter = format!("udp && ip.src == {source} && !(udp.port == 5060)");
    let payloads = fields(lab, capture, &filter, &["udp.payload"]);
    let octet = |line: &str, at: usize| u8::from_str_radix(line.get(2 * at..2 * at + 2)?, 16).ok();
    let (mut rtp, mut rtcp) = (0, 0);
    for line in &payloads {
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

/// The metrics that a text names; of a histogram its family.
fn named(text: &str) -> BTreeSet<String> {
    let pieces = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    let ours = pieces.filter(|piece| piece.starts_with("ciphertrunk_"));
    let family = |name: &str| name.trim_end_matches("_bucket").to_owned();
    ours.map(family).collect()
}

/// That the page, docs/metrics.md and the expressions of the dashboard have the same metrics.
fn assert_documented(page: &str) {
    let repository = lab::repository();
    let read = |name: &str| std::fs::read_to_string(repository.join(name)).expect(name);
    let begin = |text: &str, begin: &str| -> String {
        let lines = text.lines().map(str::trim_start);
        let lines = lines.filter(|line| line.starts_with(begin));
        lines.fold(String::new(), |all, line| all + line + "\n")
    };
    let has = named(&begin(page, "# TYPE ciphertrunk_"));
    assert!(has.len() > 15, "{page}");
    let table = named(&begin(&read("docs/metrics.md"), "| `ciphertrunk_"));
    assert_eq!(table, has, "docs/metrics.md");
    let dashboard = named(&begin(&read("docs/grafana/ciphertrunk.json"), "\"expr\": "));
    assert_eq!(dashboard, has, "docs/grafana/ciphertrunk.json");
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
    // By UDP, so its signalling, and with it the keys, went in clear; of a phone without SRTP nothing is encrypted.
    let capture = Capture::start(&lab, "plain");
    for _ in 0..2 {
        let mut phone = Phone::new(&lab, PLAIN, PBX);
        let offer = Description::new(srtp_call::PORT, &[]);
        phone.call("echo", &offer).expect("a plain call");
        phone.hang_up();
        ours.wait_for_channels(0);
    }
    capture.stop();
    let words = |page: &str, word: &str| {
        let name = format!("ciphertrunk_calls_total{{word=\"{word}\"}}");
        count(page, &name)
    };
    let page = ours.wait_until("three calls", |_| {
        let (_, page) = scrape(&lab, PBX);
        (words(&page, "media-only") + words(&page, "plain") == 3).then_some(page)
    });
    for (capture, protocol, word) in [
        ("call", "RTP/SAVP", "media-only"),
        ("plain", "RTP/AVP", "plain"),
    ] {
        let answers = fields(
            &lab,
            capture,
            "sip.CSeq.method == INVITE && sip.Status-Code == 200",
            &["sdp.media.proto"],
        );
        let answered = answers.iter().filter(|line| *line == protocol).count();
        assert!(answered > 0, "{answers:?}");
        assert_eq!(words(&page, word), answered as u64, "{page}");
    }
    assert_eq!(
        words(&page, "encrypted") + words(&page, "signaling-only"),
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
    let peer = format!("{CARRIER}:5061");
    let setup = world.setup("").pjsip(&carrier("carrier", "tls", &peer));
    let Some(setup) = with_prometheus(lab, "metrics::handshakes_are_those_of_openssl", setup)
    else {
        return;
    };
    let ours = Asterisk::start(lab, &setup);
    let capture = Capture::start(lab, "handshakes");
    let client = |options: &[&str]| {
        let at = address();
        let mut args = vec!["s_client", "-connect", at.as_str(), "-brief"];
        args.extend(options);
        lab.run("openssl", &args).status.success()
    };
    for _ in 0..3 {
        assert!(client(&["-tls1_3", "-groups", "X25519"]));
    }
    let session = format!("{}/tls/session", lab::FOLDER);
    assert!(client(&[
        "-tls1_2",
        "-groups",
        "P-256",
        "-sess_out",
        &session
    ]));
    // An earlier session again, of which the group is the first one's, or none is told.
    for _ in 0..2 {
        assert!(client(&[
            "-tls1_2", "-groups", "P-256", "-sess_in", &session
        ]));
    }
    // Refused here: a version, and a cipher.
    for _ in 0..2 {
        assert!(!client(&["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]));
    }
    // The certificate's key is of an elliptic curve.
    assert!(!client(&["-tls1_2", "-cipher", "AES128-SHA"]));
    // And one of ours, to a server of openssl's.
    let server = Server::new(lab, &peer, &world.certificate, |_| {});
    ours.cli("pjsip qualify carrier");
    let mut trunk = server.accept().expect("we connect");
    let request = trunk.receive().expect("a request");
    trunk.accept_request(&request).expect("it is up");

    let all = |page: &str, family: &str, with: &[&str]| -> u64 {
        let lines = page
            .lines()
            .filter(|line| line.starts_with(&format!("{family}{{")));
        let lines = lines.filter(|line| with.iter().all(|part| line.contains(part)));
        let numbers = lines.map(|line| line.rsplit_once(' ').expect("a number").1);
        numbers
            .map(|number| number.parse::<u64>().expect("one"))
            .sum()
    };
    let handshakes = "ciphertrunk_tls_handshakes_total";
    let page = ours.wait_until("the last failure", |_| {
        let (_, page) = scrape(lab, OURS);
        (all(&page, handshakes, &["version=\"\""]) == 3).then_some(page)
    });
    capture.stop();

    // ServerHello has the version, in an extension from TLS 1.3 on, and the group; with TLS 1.2 a session is resumed where no certificate
    // follows.
    let hellos = |source: &str, more: &str| {
        let filter = format!("tls.handshake.type == 2 && ip.src == {source}{more}");
        fields(
            lab,
            "handshakes",
            &filter,
            &["tls.handshake.extensions.supported_version"],
        )
    };
    let (first, later) = (
        " && tls.handshake.type == 11",
        " && !(tls.handshake.type == 11)",
    );
    let counted = |lines: &[String], version: &str| {
        lines.iter().filter(|line| *line == version).count() as u64
    };
    let (tls_1_3, tls_1_2) = ("0x0304", "");
    let (all_hellos, resumed) = (hellos(OURS, ""), hellos(OURS, later));
    let of = |version: &str| {
        all(
            &page,
            handshakes,
            &["direction=\"in\"", "result=\"ok\"", version],
        )
    };
    assert_eq!((of("TLSv1.3"), of("TLSv1.2")), (3, 3), "{page}");
    assert_eq!(counted(&all_hellos, tls_1_3), 3, "{all_hellos:?}");
    assert_eq!(counted(&all_hellos, tls_1_2), 3, "{all_hellos:?}");
    assert_eq!(of("version=\"TLSv1.3\",group=\"X25519\""), 3, "{page}");
    let resumptions = "ciphertrunk_tls_resumptions_total";
    assert_eq!(counted(&resumed, tls_1_2), 2, "{resumed:?}");
    assert_eq!(counted(&hellos(OURS, first), tls_1_2), 1);
    assert_eq!(
        count(&page, &format!("{resumptions}{{direction=\"in\"}}")),
        2
    );
    // Those of a server of the other side's.
    let theirs = hellos(CARRIER, "").len() as u64;
    assert_eq!(theirs, 1);
    assert_eq!(
        all(&page, handshakes, &["direction=\"out\"", "result=\"ok\""]),
        theirs,
        "{page}"
    );
    assert_eq!(
        count(&page, &format!("{resumptions}{{direction=\"out\"}}")),
        0
    );
    // Each that was done was timed.
    let times = "ciphertrunk_tls_handshake_seconds";
    for (direction, done) in [("in", all_hellos.len() as u64), ("out", theirs)] {
        let timed = count(
            &page,
            &format!("{times}_count{{direction=\"{direction}\"}}"),
        );
        assert_eq!(timed, done, "{page}");
        let bucket = format!("{times}_bucket{{direction=\"{direction}\",le=\"+Inf\"}}");
        assert_eq!(count(&page, &bucket), done);
        let sum = sample(&page, &format!("{times}_sum{{direction=\"{direction}\"}}"));
        assert!(sum.is_some_and(|sum| sum > 0.0), "{page}");
    }
    // Each that was refused had an alert, by its kind (RFC 8446 section 6), and is a failure and an end by the same code.
    let filter = format!("tls.alert_message.level == 2 && ip.src == {OURS}");
    let alerts = fields(lab, "handshakes", &filter, &["tls.alert_message.desc"]);
    for (code, alert, wanted) in [("tls-version", "70", 2), ("no-shared-cipher", "40", 1)] {
        assert_eq!(counted(&alerts, alert), wanted, "{alerts:?}");
        let label = format!("=\"{code}\"");
        assert_eq!(
            all(&page, handshakes, &["direction=\"in\"", &label]),
            wanted,
            "{page}"
        );
        for family in [
            "ciphertrunk_failures_total",
            "ciphertrunk_tls_connections_ended_total",
        ] {
            assert_eq!(all(&page, family, &[&label]), wanted, "{family} {page}");
        }
    }
    assert_documented(&page);
    // The certificate is one of some days.
    let certificate = &world.certificate.certificate;
    let name = format!(
        "ciphertrunk_certificate_expiry_days{{transport=\"tls\",file=\"{certificate}\",position=\"1\","
    );
    let days = page
        .lines()
        .find_map(|line| line.strip_prefix(&name))
        .and_then(|line| line.rsplit_once(' '))
        .and_then(|(_, value)| value.parse::<f64>().ok());
    let end = |seconds: &str| {
        let args = ["x509", "-in", certificate, "-noout", "-checkend", seconds];
        lab.run("openssl", &args).status.success()
    };
    // It is issued for 60 days: openssl says the same.
    assert!(
        days.is_some_and(|days| 59.0 < days && days <= 60.0),
        "{page}"
    );
    assert!(end("5097600") && !end("5184000"));
    // Of the peers with a connection none has a certificate that is near its end.
    assert_eq!(
        count(&page, "ciphertrunk_peer_certificates_expiring{days=\"30\"}"),
        0
    );
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
