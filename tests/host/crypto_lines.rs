//! Malformed `a=crypto` lines (RFC 4568): each gets 488, one line in the log with the reason and its code, and is counted
//! under that code; and each stands beside an accepted one that differs in one property and is not.

use std::collections::BTreeMap;

use host_harness::asterisk::{Asterisk, Setup, User};
use host_harness::lab::Lab;
use host_harness::pjsip::{self, Encryption, UDP};
use host_harness::sipp::{Call, Plan};

use crate::world::OURS;

as_root_and_as_asterisk!(each_gets_488_and_a_reason);

const SIPP: &str = "127.0.0.40";
const ALLOWS: &str = "127.0.0.41";

/// 30 octets in base64: a master key and salt for AES_CM_128 (RFC 4568 section 6.2.1).
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";

/// What is wrong, lines that are accepted, lines that are refused, and the reason's code.
///
/// `{key}` stands for [`KEY`], and `{4096}` for so many octets. Several lines are separated by newlines.
const TABLE: &[(&str, &str, &str, &str)] = &[
    (
        "tag",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "one AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "tag-syntax",
    ),
    (
        "tag-length",
        "123456789 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "1234567890 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "tag-syntax",
    ),
    (
        "base64",
        "1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd",
        "1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGx*d",
        "key-encoding",
    ),
    (
        "short-key",
        "1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd",
        "1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBka",
        "key-length",
    ),
    (
        "long-key",
        "1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd",
        "1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g",
        "key-length",
    ),
    (
        "lifetime",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^20",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^19",
        "lifetime-too-short",
    ),
    (
        "lifetime-in-digits",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1048576",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1048575",
        "lifetime-too-short",
    ),
    (
        "mki",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:4",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|7:4",
        "mki-not-accepted",
    ),
    (
        "mki-length",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:1",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:0",
        "mki-length",
    ),
    (
        "suite",
        "1 AES_CM_128_HMAC_SHA1_81 inline:{key}\n2 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "1 AES_CM_128_HMAC_SHA1_81 inline:{key}",
        "suite-unknown",
    ),
    (
        "method",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "1 AES_CM_128_HMAC_SHA1_80 outline:{key}",
        "key-method",
    ),
    (
        "session-parameter",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key} WSH=64",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key} UNENCRYPTED_SRTP",
        "param-unencrypted-srtp",
    ),
    (
        "key-missing",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "1 AES_CM_128_HMAC_SHA1_80",
        "key-missing",
    ),
    // A key of a real peer (rtpengine PR #328): its last digit has spare bits.
    (
        "spare-bits",
        "1 AES_CM_256_HMAC_SHA1_80 inline:NazjxRMjncLYVcuMYzIK80qsiDFswLT70gDEYn1qW+QtqETm67c07hXD72WI1O==",
        "1 AES_CM_256_HMAC_SHA1_80 inline:NazjxRMjncLYVcuMYzIK80qsiDFswLT70gDEYn1qW+QtqETm67c07hXD72WI1OA==",
        "key-length",
    ),
    // Another (rtpengine issue #657): and no padding.
    (
        "spare-bits-unpadded",
        "1 AES_CM_256_HMAC_SHA1_80 inline:CYkq/gl8W1Bik8xvqlmJxnznqfDD5fGg13aLsjTOku/ILo8K3RgOQaxlq1KYFe",
        "1 AES_CM_256_HMAC_SHA1_80 inline:CYkq/gl8W1Bik8xvqlmJxnznqfDD5fGg13aLsjTOku/ILo8K3RgOQaxlq1KYF*",
        "key-encoding",
    ),
    (
        "padding",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}==",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}===",
        "key-encoding",
    ),
    (
        "lifetime-limit",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^48",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^49",
        "lifetime-too-long",
    ),
    (
        "lifetime-beyond-64-bits",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|281474976710656",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|18446744073709551616",
        "lifetime-too-long",
    ),
    (
        "lifetime-exponent",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^31",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^99999",
        "lifetime-too-long",
    ),
    (
        "order",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:4|2^31",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:4|1:4",
        "key-trailer",
    ),
    (
        "blanks-and-case",
        " 1 aes_cm_128_hmac_sha1_80 Inline: {key} | 2^31 wsh=64 ",
        " 1 aes_cm_128_hmac_sha1_80 Inline: {key} | 2 31 wsh=64 ",
        "lifetime-too-short",
    ),
    (
        "vendors-parameters",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key} WSH=64,-vendor=1",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key} WSH=64,vendor=1",
        "param-unknown",
    ),
    (
        "vendors-hiding",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key} -vendor=1,64",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key} -vendor=1,unencrypted_srtp",
        "param-unencrypted-srtp",
    ),
    (
        "garbage",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "%$&/()=?",
        "tag-syntax",
    ),
    (
        "suite-alone",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "1",
        "suite-missing",
    ),
    (
        "suite-that-accept-lacks",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "1 AEAD_AES_128_GCM_8 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw",
        "suite-not-accepted",
    ),
    (
        "long",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key} -{4096}",
        "line-too-long",
    ),
    (
        "lifetime-in-letters",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^31",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|long",
        "lifetime-syntax",
    ),
    (
        "mki-in-letters",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:4",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|one:4",
        "mki-syntax",
    ),
    (
        "mki-that-does-not-fit",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:1",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|256:1",
        "mki-value",
    ),
    (
        "mkis",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:4",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:4;inline:{key}|1:4",
        "mki-set",
    ),
    (
        "keys",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key};inline:{key};inline:{key};inline:{key};inline:{key};inline:{key};inline:{key};inline:{key};inline:{key}",
        "key-too-many",
    ),
    (
        "window",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key} WSH=64",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key} WSH=wide",
        "param-syntax",
    ),
    (
        "derivation-rate",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key} KDR=1",
        "param-kdr",
    ),
    (
        "forward-error-correction",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key} FEC_ORDER=FEC_SRTP",
        "param-fec",
    ),
    (
        "srtcp",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key} UNENCRYPTED_SRTCP",
        "param-unencrypted-srtcp",
    ),
    (
        "authentication",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key}",
        "1 AES_CM_128_HMAC_SHA1_80 inline:{key} UNAUTHENTICATED_SRTP",
        "param-unauthenticated-srtp",
    ),
];

/// The same for an endpoint at another address, whose section allows what weakens: both together leave nothing.
const ALLOWED: &[(&str, &str, &str, &str)] = &[(
    "nothing-left",
    "1 AES_CM_128_HMAC_SHA1_80 inline:{key} UNAUTHENTICATED_SRTP",
    "1 AES_CM_128_HMAC_SHA1_80 inline:{key} UNAUTHENTICATED_SRTP UNENCRYPTED_SRTP",
    "param-conflict",
)];

/// Rows that are tried as whichever user: the others would say the same again.
const AS_EACH_USER: usize = 8;

fn offer(address: &str, name: &str, lines: &str) -> Call {
    let crypto: Vec<String> = lines
        .replace("{key}", KEY)
        .replace("{4096}", &"x".repeat(4096))
        .lines()
        .map(|line| format!("a=crypto:{line}"))
        .collect();
    Call {
        id: name.to_owned(),
        address: address.to_owned(),
        asterisk: OURS.to_owned(),
        media: format!(
            "m=audio [media_port] RTP/SAVP 0\na=rtpmap:0 PCMU/8000\n{}",
            crypto.join("\n")
        ),
    }
}

/// The lines about a call. That SIPp speaks UDP is told once.
fn lines_about(ours: &Asterisk<'_>, call_id: &str) -> Vec<String> {
    let mut lines = ours.all_log_lines(&format!("Call-ID {call_id}"));
    lines.retain(|line| !line.contains("keys-in-clear"));
    lines
}

/// How many lines were refused for each reason so far.
fn counts(ours: &Asterisk<'_>) -> BTreeMap<String, u64> {
    ours.cli("ciphertrunk show status")
        .lines()
        .filter_map(|line| line.strip_prefix("Refused ")?.split_once(": "))
        .map(|(code, count)| (code.to_owned(), count.trim().parse().expect("a number")))
        .collect()
}

fn each_gets_488_and_a_reason(lab: &Lab, user: User) {
    let setup = Setup::ours("ours", OURS)
        .user(user)
        .pjsip(UDP)
        .pjsip(&pjsip::trunk("sipp", SIPP, Encryption::Sdes))
        .pjsip(&pjsip::trunk("allows", ALLOWS, Encryption::Sdes))
        .file(
            "ciphertrunk.conf",
            "[allows]\ntype = endpoint\nallow = UNENCRYPTED_SRTP, UNAUTHENTICATED_SRTP\n",
        )
        .dialplan(pjsip::ECHO);
    let ours = Asterisk::start(lab, &setup);
    let mut expected = counts(&ours);
    assert_eq!(expected, BTreeMap::new());
    let rows = match user {
        User::Root => TABLE,
        User::Asterisk => &TABLE[..AS_EACH_USER],
    };
    let rows = rows.iter().map(|row| ("sipp", SIPP, row));
    let rows = rows.chain(ALLOWED.iter().map(|row| ("allows", ALLOWS, row)));
    for (endpoint, address, (what, accepted, refused, code)) in rows {
        let name = format!("{what}-accepted");
        offer(address, &name, accepted).run(lab, &Plan::Expect(200));
        let about = lines_about(&ours, &name);
        // A line with an unknown suite is skipped, and that is told, when another line is chosen.
        let skipped = accepted.matches("_81").count();
        if skipped > 0 {
            *expected.entry("suite-unknown".to_owned()).or_default() += skipped as u64;
        }
        assert_eq!(
            about.len(),
            skipped,
            "{what}: accepted, yet the log says {about:#?}"
        );
        assert_eq!(counts(&ours), expected, "{what}: accepted");

        let name = format!("{what}-refused");
        offer(address, &name, refused).run(lab, &Plan::Expect(488));
        let about = lines_about(&ours, &name);
        assert_eq!(
            about.len(),
            1,
            "{what}: one line of the log is about it, not {about:#?}"
        );
        assert!(
            about[0].contains(&format!("'{endpoint}' refused, reason {code}: ")),
            "{what}: {}",
            about[0]
        );
        // Who, and where; and what would have been taken, where that is the question.
        for part in [
            "Media line audio 0, peer ",
            "sip:",
            &format!(" at {address}:"),
        ] {
            assert!(about[0].contains(part), "{what}: {}", about[0]);
        }
        assert_eq!(
            about[0].contains("; needed: AES_CM_128_HMAC_SHA1_80 or "),
            code.starts_with("suite-") && *code != "suite-missing",
            "{what}: {}",
            about[0]
        );
        *expected.entry((*code).to_owned()).or_default() += 1;
        assert_eq!(counts(&ours), expected, "{what}: refused");
        assert!(
            !ours.log().contains(&KEY[..16]),
            "{what}: a key is in the log"
        );
    }
    assert_eq!(ours.status("SRTP engine"), "ours");
    assert_eq!(ours.count("Panics caught"), 0);
}
