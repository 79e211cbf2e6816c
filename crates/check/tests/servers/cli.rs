//! The program: its exit statuses, its JSON, its text.

use std::process::{Command, Output};

use serde_json::Value;

use crate::broken::today;
use crate::pki::{NAME, Pki, Spec};
use crate::server::tls;
use crate::sip;

fn run(arguments: &[&str]) -> (i32, Output) {
    let output = Command::new(env!("CARGO_BIN_EXE_ciphertrunk-check"))
        .args(arguments)
        .output()
        .expect("the program runs");
    (output.status.code().expect("no signal"), output)
}

#[test]
fn exit_statuses_and_json() {
    let pki = Pki::new();
    let good = pki.leaf(&Spec::default());
    let sound = tls(&[&good], today, sip::sound).to_string();
    let out_of_service = tls(&[&good], today, sip::unavailable).to_string();
    let ca = pki.ca.display().to_string();
    let with = ["--name", NAME, "--ca", &ca, "--json"];
    for (host, more, exit, outcome, fault) in [
        (sound.as_str(), &[][..], 0, "sound", None),
        (
            &out_of_service,
            &[],
            1,
            "theirs",
            Some(("options-server-error", "theirs")),
        ),
        (
            &sound,
            &["--cert", "/nonexistent"],
            2,
            "ours",
            Some(("own-files", "ours")),
        ),
    ] {
        let (status, output) = run(&[&[host][..], &with, more].concat());
        let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(
            (status, json["exit"].as_i64()),
            (exit, Some(i64::from(exit))),
            "{json:#}"
        );
        assert_eq!(json["outcome"], outcome, "{json:#}");
        assert_eq!(
            (json["format"].as_i64(), &json["target"], &json["name"]),
            (Some(1), &host.into(), &NAME.into())
        );
        let steps: Vec<&str> = json["steps"]
            .as_array()
            .expect("steps")
            .iter()
            .filter_map(|step| step["step"].as_str())
            .collect();
        let all = [
            "own",
            "dns",
            "tcp",
            "tls",
            "versions",
            "ciphers",
            "groups",
            "resumption",
            "chain",
            "name",
            "client-certificate",
            "sip",
            "ping",
            "calls",
        ];
        assert_eq!(steps, all);
        let faults: Vec<(&str, &str)> = json["steps"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|step| step["findings"].as_array().expect("findings"))
            .filter(|finding| finding["level"] == "fault")
            .map(|finding| {
                (
                    finding["code"].as_str().expect("a code"),
                    finding["side"].as_str().expect("a side"),
                )
            })
            .collect();
        assert_eq!(faults, fault.into_iter().collect::<Vec<_>>(), "{json:#}");
        for step in json["steps"].as_array().into_iter().flatten() {
            assert_eq!(
                step["why"].is_string(),
                step["verdict"] == "not tried",
                "{step:#}"
            );
        }
        let lines = json["pjsip.conf"].as_array().expect("lines");
        assert_eq!(
            lines.iter().any(|line| line == "verify_server = yes"),
            exit != 2,
            "{lines:?}"
        );
    }
}

#[test]
fn nobody_to_be_judged_is_4() {
    let pki = Pki::new();
    let (cert, key) = pki.files("listener", &[&pki.leaf(&Spec::default())]);
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    let (status, output) = run(&[
        "--listen",
        "127.0.0.1:0",
        "--cert",
        &cert,
        "--key",
        &key,
        "--timeout",
        "0.2",
        "--json",
    ]);
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (status, &json["outcome"]),
        (4, &"not-judged".into()),
        "{json:#}"
    );
    let (status, output) = run(&[
        "decrypt",
        "/nonexistent.pcap",
        "/nonexistent.keys",
        "/nonexistent",
    ]);
    assert_eq!(status, 4);
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("/nonexistent.keys"),
        "{output:?}"
    );
}

#[test]
fn wrong_arguments_are_3_and_help_is_0() {
    for arguments in [
        &[][..],
        &["a b"],
        &["a", "b"],
        &["a:0"],
        &["a", "--timeout", "0"],
        &["a", "--timeout", "x"],
        &["a", "--key", "k"],
        &["a", "--from", "me"],
        &["a", "--from", "sip:me@x>\r\nX: y"],
        &["a", "--call", "1 2"],
        &["a", "--dns", "x"],
        &["a", "--transport", "udp"],
        &["a", "--ca"],
        &["a", "--unknown"],
        &["--listen", "127.0.0.1:0"],
        &["--listen", "x", "--cert", "c"],
        &["a", "--listen", "127.0.0.1:0", "--cert", "c"],
        &["decrypt", "a"],
    ] {
        let (status, output) = run(arguments);
        assert_eq!((status, output.stdout.len()), (3, 0), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
    for word in ["--version", "-V"] {
        let (status, output) = run(&[word]);
        let wanted = concat!("ciphertrunk-check ", env!("CARGO_PKG_VERSION"), "\n");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!((status, said.as_str()), (0, wanted));
    }
    let (status, output) = run(&["--help"]);
    assert_eq!(status, 0);
    assert!(String::from_utf8_lossy(&output.stdout).contains("--listen"));
}
