use super::fields::{Field, names};
use super::{Certificate, Facts, KeySource, Signaling, Srtp, Stream, Tls};

fn certificate() -> Certificate {
    Certificate {
        subject: "/CN=sip.example.com".to_owned(),
        issuer: "/CN=Test CA".to_owned(),
        alt_names: vec!["DNS:sip.example.com".to_owned(), "IP:192.0.2.1".to_owned()],
        serial: vec![0x01, 0xA0],
        sha256: [0xEE; 32],
        not_after: 1_795_767_300,
    }
}

fn stream() -> Stream {
    Stream {
        kind: "audio",
        srtp: Some(Srtp {
            suites: [Ok("AES_CM_128_HMAC_SHA1_80"); 2],
            source: KeySource::Sdes,
            replays: 1,
            failures: 2,
            roc: [Ok(0), Err("no packet came")],
            rekeys: 3,
            is_unencrypted: false,
        }),
        packets: Ok([50, 48]),
        lost: Ok(2),
        in_clear: Ok(false),
    }
}

fn encrypted() -> Facts {
    Facts {
        signaling: Ok(Signaling {
            transport: "TLS".to_owned(),
            is_secure: true,
            was_in_clear: false,
            tls: Ok(Tls {
                version: "TLSv1.3".to_owned(),
                cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
                group: Ok("X25519".to_owned()),
                is_resumed: false,
                is_verified: true,
                verified_name: Ok("sip.example.com".to_owned()),
                certificate: Ok(certificate()),
            }),
        }),
        media: Ok(vec![stream()]),
    }
}

fn plain() -> Facts {
    Facts {
        signaling: Ok(Signaling {
            transport: "UDP".to_owned(),
            is_secure: false,
            was_in_clear: true,
            tls: Err("the transport is not TLS"),
        }),
        media: Ok(vec![Stream {
            srtp: None,
            in_clear: Ok(true),
            ..stream()
        }]),
    }
}

fn value(facts: &Facts, field: &str) -> String {
    let field = Field::parse(field).unwrap_or_else(|| panic!("there is no {field}"));
    field.value(&Ok(facts.clone()))
}

fn with_streams(streams: Vec<Stream>) -> Facts {
    Facts {
        media: Ok(streams),
        ..encrypted()
    }
}

#[test]
fn each_field_of_an_encrypted_call() {
    let wanted = [
        ("word", "encrypted"),
        ("transport", "TLS"),
        ("tls_version", "TLSv1.3"),
        ("tls_cipher", "TLS_AES_256_GCM_SHA384"),
        ("tls_group", "X25519"),
        ("tls_resumed", "no"),
        ("verified", "yes"),
        ("verified_name", "sip.example.com"),
        ("cert_subject", "/CN=sip.example.com"),
        ("cert_san", "DNS:sip.example.com IP:192.0.2.1"),
        ("cert_issuer", "/CN=Test CA"),
        ("cert_serial", "01A0"),
        ("cert_sha256", &"EE".repeat(32)),
        ("cert_not_after", "2026-11-27T08:15:00Z"),
        ("key_source", "SDES"),
        ("suite_out", "AES_CM_128_HMAC_SHA1_80"),
        ("suite_in", "AES_CM_128_HMAC_SHA1_80"),
        ("packets_out", "50"),
        ("packets_in", "48"),
        ("lost", "2"),
        ("replays", "1"),
        ("failures", "2"),
        ("roc_out", "0"),
        ("roc_in", ""),
        ("why.roc_in", "no packet came"),
        ("rekeys", "3"),
        ("in_clear", "no"),
    ];
    for (field, text) in wanted {
        assert_eq!(value(&encrypted(), field), text, "{field}");
    }
    for name in names() {
        assert!(
            name == "summary" || wanted.iter().any(|(wanted, _)| *wanted == name),
            "{name} is not looked at"
        );
    }
}

#[test]
fn what_is_not_known_is_empty_and_says_why() {
    for name in names() {
        let text = value(&plain(), name);
        let why = value(&plain(), &format!("why.{name}"));
        let is_known = [
            "word",
            "summary",
            "transport",
            "packets_out",
            "packets_in",
            "lost",
            "in_clear",
        ]
        .contains(&name);
        assert_eq!(text.is_empty(), !is_known, "{name} is '{text}'");
        assert_eq!(
            why.is_empty(),
            is_known,
            "{name} is not known because '{why}'"
        );
    }
    assert_eq!(value(&plain(), "word"), "plain");
    assert_eq!(value(&plain(), "in_clear"), "yes");
}

#[test]
fn words() {
    let two = |first: Stream, second: Stream| with_streams(vec![first, second]);
    let clear = || Stream {
        srtp: None,
        in_clear: Ok(true),
        ..stream()
    };
    assert_eq!(value(&two(stream(), stream()), "word"), "encrypted");
    assert_eq!(value(&two(stream(), clear()), "word"), "signaling-only");
    // SRTP now, and in clear before.
    let late = Stream {
        in_clear: Ok(true),
        ..stream()
    };
    assert_eq!(value(&with_streams(vec![late]), "word"), "signaling-only");
    let media_only = Facts {
        signaling: plain().signaling,
        ..encrypted()
    };
    assert_eq!(value(&media_only, "word"), "media-only");
    let none = with_streams(Vec::new());
    assert_eq!(value(&none, "word"), "");
    assert_eq!(value(&none, "why.word"), "the call has no media yet");
}

#[test]
fn one_stream_in_clear_is_enough_and_unknown_is_not_no() {
    let unknown = Stream {
        in_clear: Err("the engine was gone"),
        ..stream()
    };
    let clear = Stream {
        in_clear: Ok(true),
        ..stream()
    };
    let of = |streams| value(&with_streams(streams), "in_clear");
    assert_eq!(of(vec![stream(), stream()]), "no");
    assert_eq!(of(vec![stream(), unknown.clone()]), "");
    assert_eq!(of(vec![unknown, clear]), "yes");
}

#[test]
fn a_second_stream_of_a_kind_counts_and_is_in_the_line() {
    let clear = || Stream {
        srtp: None,
        packets: Ok([7, 8]),
        in_clear: Ok(true),
        ..stream()
    };
    let facts = with_streams(vec![stream(), clear()]);
    assert_eq!(value(&facts, "word"), "signaling-only");
    let line = facts.to_string();
    assert!(
        line.ends_with(
            " audio=SDES/AES_CM_128_HMAC_SHA1_80 sent=50 received=48 audio=none sent=7 received=8 in-clear"
        ),
        "{line}"
    );
    // The fields are the first one's.
    assert_eq!(value(&facts, "packets_out"), "50");
    let line = with_streams(vec![stream(), stream()]).to_string();
    assert!(line.ends_with(" never-in-clear"), "{line}");
}

#[test]
fn prefixes() {
    for good in [
        "bridged.word",
        "why.bridged.word",
        "bridged.video.suite_in",
        "video.why.lost",
    ] {
        assert!(Field::parse(good).is_some(), "{good}");
    }
    for bad in [
        "",
        "Word",
        "words",
        "bridged.",
        "bridged.bridged.word",
        "peer.word",
        "video.word",
        "video.tls_version",
    ] {
        assert!(Field::parse(bad).is_none(), "{bad}");
    }
    let video = Field::parse("why.video.suite_in").expect("it is a field");
    assert_eq!(video.value(&Ok(encrypted())), "the call has no such stream");
}

#[test]
fn the_line() {
    assert_eq!(
        encrypted().to_string(),
        "encrypted sip=TLS tls=TLSv1.3/TLS_AES_256_GCM_SHA384 verified=sip.example.com \
         audio=SDES/AES_CM_128_HMAC_SHA1_80 sent=50 received=48 never-in-clear"
    );
    assert_eq!(
        plain().to_string(),
        "plain sip=UDP audio=none sent=50 received=48 in-clear"
    );
    let nothing = Facts {
        signaling: Err("why"),
        media: Err("why"),
    };
    assert_eq!(nothing.to_string(), "unknown sip=unknown in-clear=unknown");
}

#[test]
fn a_peers_text_cannot_break_the_line() {
    let mut facts = encrypted();
    if let Ok(Signaling { tls: Ok(tls), .. }) = &mut facts.signaling {
        tls.verified_name = Ok("a b,\"c;\n".to_owned());
    }
    assert!(facts.to_string().contains(" verified=a?b??c?? "));
}

#[test]
fn a_message_in_clear_is_not_forgotten() {
    let mut facts = encrypted();
    assert_eq!(value(&facts, "word"), "encrypted");
    if let Ok(signaling) = &mut facts.signaling {
        signaling.was_in_clear = true;
    }
    assert_eq!(value(&facts, "word"), "media-only");
    let line = facts.to_string();
    assert!(line.starts_with("media-only sip=TLS "), "{line}");
    assert!(line.contains(" sip-was-in-clear "), "{line}");
}
