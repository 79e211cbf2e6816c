//! Malformed `a=crypto` lines (RFC 4568): each gets 488 and one line in the log that says why, and stands beside an
//! accepted one that differs in one property.

use host_harness::asterisk::{Asterisk, Setup, User};
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption, UDP};
use host_harness::sipp::{Call, Plan};

use crate::world::OURS;

as_root_and_as_asterisk!(each_gets_488_and_a_reason);

const SIPP: &str = "127.0.0.40";

/// 30 octets in base64: a master key and salt for AES_CM_128 (RFC 4568 section 6.2.1).
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";

/// What is wrong, lines that are accepted, lines that are refused, and a word that the reason must have.
///
/// `{key}` stands for [`KEY`]. Several lines are separated by newlines.
const TABLE: &[(&str, &str, &str, &str)] = &[
    (
        "tag",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "one AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "tag",
    ),
    (
        "tag-length",
        "123456789 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "1234567890 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "tag",
    ),
    (
        "base64",
        "1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd",
        "1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGx*d",
        "base64",
    ),
    (
        "short-key",
        "1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd",
        "1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBka",
        "key",
    ),
    (
        "long-key",
        "1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd",
        "1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g",
        "key",
    ),
    (
        "lifetime",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^20",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^19",
        "lifetime",
    ),
    (
        "lifetime-in-digits",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1048576",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1048575",
        "lifetime",
    ),
    (
        "mki",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:4",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|7:4",
        "MKI",
    ),
    (
        "mki-length",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:1",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:0",
        "MKI",
    ),
    (
        "suite",
        "1 AES_CM_128_HMAC_SHA1_81 inline:{key}\n2 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "1 AES_CM_128_HMAC_SHA1_81 inline:{key}",
        "suite",
    ),
    (
        "method",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "1 AES_CM_128_HMAC_SHA1_80 outline:{key}",
        "inline",
    ),
    (
        "session-parameter",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key} WSH=64",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key} UNENCRYPTED_SRTP",
        "UNENCRYPTED_SRTP",
    ),
    (
        "key-missing",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "1 AES_CM_128_HMAC_SHA1_80",
        "key",
    ),
    (
        "garbage",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "%$&/()=?",
        "crypto",
    ),
];

fn offer(name: &str, lines: &str) -> Call {
    let crypto: Vec<String> = lines
        .replace("{key}", KEY)
        .lines()
        .map(|line| format!("a=crypto:{line}"))
        .collect();
    Call {
        id: name.to_owned(),
        address: SIPP.to_owned(),
        asterisk: OURS.to_owned(),
        media: format!(
            "m=audio [media_port] RTP/SAVP 0\na=rtpmap:0 PCMU/8000\n{}",
            crypto.join("\n")
        ),
    }
}

fn each_gets_488_and_a_reason(lab: &Lab, user: User) {
    let setup = Setup::ours("ours", OURS)
        .user(user)
        .pjsip(UDP)
        .pjsip(&pjsip::trunk("sipp", SIPP, Encryption::Sdes))
        .dialplan(pjsip::ECHO);
    let ours = Asterisk::start(lab, &setup);
    for (what, accepted, refused, reason) in TABLE {
        let name = format!("{what}-accepted");
        offer(&name, accepted).run(lab, &Plan::Expect(200));
        let about = ours.log_lines(&format!("Call-ID {name}"));
        // A line with an unknown suite is skipped, and that is told, when another line is chosen.
        let skipped = accepted.matches("_81").count();
        assert_eq!(
            about.len(),
            skipped,
            "{what}: accepted, yet the log says {about:#?}"
        );

        let name = format!("{what}-refused");
        offer(&name, refused).run(lab, &Plan::Expect(488));
        let about = ours.log_lines(&format!("Call-ID {name}"));
        assert_eq!(
            about.len(),
            1,
            "{what}: one line of the log is about it, not {about:#?}"
        );
        assert!(
            about[0].contains("'sipp'") && about[0].contains(reason),
            "{what}: {}",
            about[0]
        );
        assert!(
            !ours.log().contains(&KEY[..16]),
            "{what}: a key is in the log"
        );
    }
    assert_eq!(ours.status("SRTP engine"), "ours");
    assert_eq!(ours.count("Panics caught"), 0);
}
