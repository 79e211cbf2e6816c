//! SDES lines, accepted and refused.

use super::*;

/// 30 octets 0, 1, 2, ...
const KEY_30: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";
/// 30 other octets.
const KEY_30_B: &str = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";

const RULES: Rules<'static> = Rules {
    suites: &Suite::ALL,
    mki: MkiRule::One,
    params: NO_PARAMS,
};
const NO_PARAMS: SessionParams = SessionParams {
    unencrypted_srtp: false,
    unencrypted_srtcp: false,
    unauthenticated_srtp: false,
};
const ALL_PARAMS: SessionParams = SessionParams {
    unencrypted_srtp: true,
    unencrypted_srtcp: true,
    unauthenticated_srtp: true,
};

fn parse(line: &str) -> Result<CryptoLine, SdesError> {
    CryptoLine::parse(line, &RULES)
}

fn parse_any(line: &str) -> Result<CryptoLine, SdesError> {
    CryptoLine::parse(
        line,
        &Rules {
            mki: MkiRule::Any,
            params: ALL_PARAMS,
            ..RULES
        },
    )
}

fn refused(line: &str, why: SdesError) {
    assert_eq!(parse(line).err(), Some(why), "{line}");
}

/// A line with this behind the key.
fn with(rest: &str) -> String {
    format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_30}{rest}")
}

#[test]
fn a_line_as_everybody_sends_it() {
    let line = parse(&with("")).unwrap();
    assert_eq!(
        (line.tag, line.suite, line.old_name),
        (1, Suite::AesCm128HmacSha1_80, false)
    );
    assert_eq!(line.keys.len(), 1);
    let want: Vec<u8> = (0..30).collect();
    assert_eq!(line.keys[0].key.key_salt(), want);
    assert!(line.keys[0].lifetime.is_none() && line.keys[0].mki.is_none());
    assert_eq!(line.params, NO_PARAMS);
    assert_eq!(line.policies().unwrap().len(), 1);
}

#[test]
fn the_example_of_the_rfc() {
    let line = "1 AES_CM_128_HMAC_SHA1_80 \
        inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20|1:32";
    let parsed = parse(line).unwrap();
    assert_eq!(parsed.keys[0].lifetime, Some(1 << 20));
    let mki = parsed.keys[0].mki.as_ref().unwrap();
    assert_eq!(mki.octets().len(), 32);
    assert_eq!(mki.octets()[31], 1);
    assert_eq!(*parsed.to_sdp(), line);
}

#[test]
fn tags() {
    for (tag, value) in [("0", 0), ("1", 1), ("01", 1), ("999999999", 999_999_999)] {
        let line = with("").replacen('1', tag, 1);
        assert_eq!(parse(&line).unwrap().tag, value);
    }
    for tag in ["", "x", "-1", "+1", "1.0", "1000000000", "0000000001"] {
        refused(&with("").replacen('1', tag, 1), SdesError::Tag);
    }
    refused("", SdesError::Tag);
    refused(" \t ", SdesError::Tag);
}

#[test]
fn suites_by_every_name() {
    for suite in Suite::ALL {
        let mut key = String::from(KEY_30);
        let n = suite.key_salt_len();
        key = match n {
            28 => "A".repeat(38) + "==",
            30 => key,
            38 => "A".repeat(51) + "=",
            44 => "A".repeat(59) + "=",
            _ => "A".repeat(62) + "==",
        };
        for (name, old) in [(Some(suite.name()), false), (suite.old_name(), true)] {
            let Some(name) = name else { continue };
            let line = format!("7 {name} inline:{key}");
            let parsed = parse(&line).unwrap();
            assert_eq!((parsed.suite, parsed.old_name), (suite, old));
            assert_eq!(*parsed.to_sdp(), line, "an answer has the offer's name");
            let unpadded = format!("7 {name} inline:{}", key.trim_end_matches('='));
            assert!(parse(&unpadded).is_ok());
        }
    }
}

#[test]
fn suites_that_are_not_for_us_leave_the_choice_to_a_later_line() {
    let unknown = with("").replace("_80", "_81");
    refused(&unknown, SdesError::UnknownSuite);
    let rules = Rules {
        suites: &[Suite::AeadAes128Gcm],
        ..RULES
    };
    let why = CryptoLine::parse(&with(""), &rules).err().unwrap();
    assert_eq!(why, SdesError::SuiteNotAccepted(Suite::AesCm128HmacSha1_80));
    assert!(why.is_other_suite() && SdesError::UnknownSuite.is_other_suite());
    assert!(!SdesError::KeyLength.is_other_suite());
    refused("1", SdesError::MissingSuite);
}

#[test]
fn keys() {
    let line = |param: &str| format!("1 AES_CM_128_HMAC_SHA1_80 {param}");
    refused("1 AES_CM_128_HMAC_SHA1_80", SdesError::MissingKey);
    refused(&line("inline:"), SdesError::MissingKey);
    refused(&line("inline"), SdesError::KeyMethod);
    refused(&line(&format!("uri:{KEY_30}")), SdesError::KeyMethod);
    refused(&line(KEY_30), SdesError::KeyMethod);
    assert!(
        parse(&line(&format!("INLINE:{KEY_30}"))).is_ok(),
        "ABNF ignores case"
    );
    // One character less, one octet more, another suite's length, far too long.
    refused(
        &line(&format!("inline:{}", &KEY_30[..36])),
        SdesError::KeyLength,
    );
    refused(&line(&format!("inline:{KEY_30}AA==")), SdesError::KeyLength);
    refused(
        &line(&format!("inline:{}", "A".repeat(64))),
        SdesError::KeyLength,
    );
    refused(
        &line(&format!("inline:{}", "A".repeat(3000))),
        SdesError::KeyLength,
    );
    // Not base64.
    for (at, bad) in [(0, "*"), (10, "-"), (39, "_"), (20, "="), (5, "\u{e9}")] {
        let mut key = String::from(KEY_30);
        key.replace_range(at..at + bad.len(), bad);
        let why = parse(&line(&format!("inline:{key}"))).err().unwrap();
        assert_eq!(why, SdesError::KeyEncoding, "{bad}");
    }
}

/// Both are keys of real peers (rtpengine PR #328 and issue #657).
#[test]
fn keys_as_others_write_them() {
    for (name, key, canonical) in [
        (
            "AES_CM_256_HMAC_SHA1_80",
            "NazjxRMjncLYVcuMYzIK80qsiDFswLT70gDEYn1qW+QtqETm67c07hXD72WI1O==",
            "NazjxRMjncLYVcuMYzIK80qsiDFswLT70gDEYn1qW+QtqETm67c07hXD72WI1A==",
        ),
        (
            "AES_CM_256_HMAC_SHA1_80",
            "CYkq/gl8W1Bik8xvqlmJxnznqfDD5fGg13aLsjTOku/ILo8K3RgOQaxlq1KYFe",
            "CYkq/gl8W1Bik8xvqlmJxnznqfDD5fGg13aLsjTOku/ILo8K3RgOQaxlq1KYFQ==",
        ),
        (
            "AES_CM_128_HMAC_SHA1_80",
            "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj==",
            "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
        ),
    ] {
        let line = |key: &str| format!("1 {name} inline:{key}");
        let read = parse(&line(key)).unwrap();
        assert!(read.same_keys(&parse(&line(canonical)).unwrap()), "{key}");
        assert_eq!(*read.to_sdp(), line(canonical), "strict in what leaves");
        // The last digit counts: the octet in it does, and a digit less or more is another length.
        let digits = key.trim_end_matches('=');
        for (other, why) in [
            (format!("{digits}==="), SdesError::KeyEncoding),
            (format!("{digits}A"), SdesError::KeyLength),
            (digits[1..].to_owned(), SdesError::KeyLength),
            (format!("{}*", &digits[1..]), SdesError::KeyEncoding),
            (format!("={digits}"), SdesError::KeyEncoding),
        ] {
            refused(&line(&other), why);
        }
    }
    // All sixteen ways to write the last octet of 28: two digits, four spare bits.
    let gcm = |last: char| format!("1 AEAD_AES_128_GCM inline:{}{last}", "A".repeat(37));
    let zero = parse(&gcm('A')).unwrap();
    for last in 'A'..='P' {
        assert!(parse(&gcm(last)).unwrap().same_keys(&zero), "{last}");
    }
    assert!(!parse(&gcm('Q')).unwrap().same_keys(&zero));
}

#[test]
fn blanks_are_where_others_put_them() {
    let plain = parse(&with("|2^20|1:4 WSH=64")).unwrap();
    for line in [
        format!(" \t{}  ", with("|2^20|1:4 WSH=64")),
        with("|2^20|1:4 WSH=64").replace(' ', " \t "),
        with("|2^20|1:4 WSH=64").replace("inline:", "inline: "),
        with(" | 2^20 | 1:4 WSH=64"),
        with("| 2^20 |1:4 WSH=64"),
        with(" |1:4 |2^20 WSH=64"),
    ] {
        let read = parse(&line).unwrap_or_else(|why| panic!("{line}: {why}"));
        assert_eq!(*read.to_sdp(), *plain.to_sdp(), "{line}");
    }
    // Within a number or a key there are none.
    refused(&with("|2^ 20"), SdesError::Lifetime);
    refused(
        &with("").replace("inline:AAEC", "inline:AA EC"),
        SdesError::KeyLength,
    );
    refused("1 AES_CM_128_HMAC_SHA1_80 inline: ", SdesError::MissingKey);
    let two = format!("|1:4 ; inline:{KEY_30_B}|2:4");
    assert_eq!(parse_any(&with(&two)).unwrap().keys.len(), 2);
    let not_joined = format!("|1:4 inline:{KEY_30_B}|2:4");
    assert_eq!(
        parse_any(&with(&not_joined)).err(),
        Some(SdesError::UnknownParam)
    );
}

#[test]
fn names_are_read_in_any_case_and_written_in_theirs() {
    let line = with("").replace(
        "AES_CM_128_HMAC_SHA1_80 inline",
        "aes_cm_128_hmac_sha1_80 Inline",
    );
    assert_eq!(*parse(&line).unwrap().to_sdp(), with(""));
    refused(&line.replace("sha1_80", "sha1_81"), SdesError::UnknownSuite);
    assert!(parse(&with(" wsh=64")).is_ok());
    // A key is its digits.
    let other = with("").replace("AAEC", "aaec");
    assert!(!parse(&other).unwrap().same_keys(&parse(&with("")).unwrap()));
}

#[test]
fn lifetimes() {
    let rows = [
        ("2^20", 1 << 20),
        ("1048576", 1 << 20),
        ("1048577", (1 << 20) + 1),
        ("2^31", 1 << 31),
        ("2^48", 1 << 48),
        ("281474976710656", 1 << 48),
        ("281474976710655", (1 << 48) - 1),
        ("2^048", 1 << 48),
    ];
    for (text, packets) in rows {
        let line = parse(&with(&format!("|{text}"))).unwrap();
        assert_eq!(line.keys[0].lifetime, Some(packets), "{text}");
    }
    for text in ["2^19", "1048575", "0", "2^0"] {
        refused(&with(&format!("|{text}")), SdesError::LifetimeTooShort);
    }
    for text in [
        "2^49",
        "2^63",
        "2^64",
        "2^65",
        "2^99999",
        "2^4294967316",
        "2^99999999999999999999",
        "281474976710657",
        "18446744073709551615",
        "18446744073709551616",
    ] {
        refused(&with(&format!("|{text}")), SdesError::LifetimeTooLong);
    }
    for text in [
        "", "2^", "x", "2^2x", "-1", "+1048576", "2^+20", "3^20", "1e9",
    ] {
        refused(&with(&format!("|{text}")), SdesError::Lifetime);
    }
}

#[test]
fn mkis() {
    for text in ["1:1", "1:4", "1:128", "01:4", "2^20|1:4"] {
        let line = parse(&with(&format!("|{text}"))).unwrap();
        let octets = line.keys[0].mki.as_ref().unwrap().octets();
        assert_eq!(octets.last(), Some(&1), "{text}");
        assert!(octets[..octets.len() - 1].iter().all(|o| *o == 0));
    }
    for text in ["2:1", "0:1", "11:4", "256:2", "257:2"] {
        refused(&with(&format!("|{text}")), SdesError::MkiNotAccepted);
        assert!(parse_any(&with(&format!("|{text}"))).is_ok(), "{text}");
    }
    let octets = |text: &str| {
        let line = parse_any(&with(&format!("|{text}"))).unwrap();
        line.keys[0].mki.as_ref().unwrap().octets().to_vec()
    };
    assert_eq!(octets("258:2"), [1, 2]);
    assert_eq!(octets("4294967295:4"), [255; 4]);
    for (text, why) in [
        ("256:1", SdesError::MkiValue),
        ("4294967296:4", SdesError::MkiValue),
        ("1:0", SdesError::MkiLength),
        ("1:129", SdesError::MkiLength),
        ("1:999", SdesError::MkiLength),
        ("1:1000", SdesError::Mki),
        ("1:", SdesError::Mki),
        (":1", SdesError::Mki),
        ("x:1", SdesError::Mki),
        ("1:x", SdesError::Mki),
        ("-1:4", SdesError::Mki),
        ("1:4:4", SdesError::Mki),
    ] {
        refused(&with(&format!("|{text}")), why);
        assert_eq!(parse_any(&with(&format!("|{text}"))).err(), Some(why));
    }
    refused(&with("|2^20|1:4|1:4"), SdesError::KeyTrailer);
    refused(&with("|2^20|2^20"), SdesError::KeyTrailer);
    refused(&with("|1:4|2^20|2^20"), SdesError::KeyTrailer);
    let swapped = parse(&with("|1:4|2^20")).unwrap();
    assert_eq!(*swapped.to_sdp(), with("|2^20|1:4"));
    refused(&with("|"), SdesError::Lifetime);
}

#[test]
fn the_largest_mki_is_written_as_it_was_read() {
    // 2^1024 - 1, computed on decimal digits.
    let mut digits = vec![1_u8];
    for _ in 0..1024 {
        let mut carry = 0;
        for d in &mut digits {
            let n = *d * 2 + carry;
            *d = n % 10;
            carry = n / 10;
        }
        if carry > 0 {
            digits.push(carry);
        }
    }
    let text = |digits: &[u8]| {
        digits
            .iter()
            .rev()
            .map(|d| char::from(b'0' + d))
            .collect::<String>()
    };
    let power = text(&digits);
    digits[0] -= 1;
    let most = text(&digits);
    let line = with(&format!("|{most}:128"));
    let parsed = parse_any(&line).unwrap();
    assert_eq!(parsed.keys[0].mki.as_ref().unwrap().octets(), [255; 128]);
    assert_eq!(*parsed.to_sdp(), line);
    let too_much = with(&format!("|{power}:128"));
    assert_eq!(parse_any(&too_much).err(), Some(SdesError::MkiValue));
    let zero = with("|0:3");
    assert_eq!(*parse_any(&zero).unwrap().to_sdp(), zero);
}

#[test]
fn several_keys() {
    let two = |a: &str, b: &str| with(&format!("{a};inline:{KEY_30_B}{b}"));
    let good = two("|2^20|1:4", "|2^20|2:4");
    let line = parse_any(&good).unwrap();
    assert_eq!(line.keys.len(), 2);
    assert_eq!(*line.to_sdp(), good);
    refused(&good, SdesError::MkiNotAccepted);
    for bad in [
        two("", ""),
        two("|1:4", ""),
        two("|1:4", "|1:4"),
        two("|1:4", "|2:3"),
    ] {
        assert_eq!(parse_any(&bad).err(), Some(SdesError::MkiSet), "{bad}");
    }
    let many = |n: usize| {
        let keys: Vec<_> = (0..n).map(|i| format!("inline:{KEY_30}|{i}:4")).collect();
        format!("1 AES_CM_128_HMAC_SHA1_80 {}", keys.join(";"))
    };
    assert!(parse_any(&many(8)).is_ok());
    assert_eq!(parse_any(&many(9)).err(), Some(SdesError::TooManyKeys));
    refused(&with(";"), SdesError::KeyMethod);
}

#[test]
fn harmless_session_parameters_are_accepted() {
    for rest in [
        " WSH=64",
        " WSH=128",
        " -x",
        " -x=y WSH=64",
        "  WSH=64",
        "\tWSH=64 ",
        " ",
        " WSH=64,",
        " WSH=64,-x=1",
        " -vendor=1,2",
        " -x,WSH=64,y",
    ] {
        let line = parse(&with(rest)).unwrap();
        assert_eq!(line.params, NO_PARAMS, "{rest}");
    }
}

#[test]
fn other_session_parameters_are_refused() {
    for (rest, why) in [
        (" WSH", SdesError::ParamSyntax),
        (" WSH=", SdesError::ParamSyntax),
        (" WSH=x", SdesError::ParamSyntax),
        (" WSH=9999999999", SdesError::ParamSyntax),
        (" KDR=0", SdesError::Kdr),
        (" KDR=24", SdesError::Kdr),
        (" FEC_ORDER=FEC_SRTP", SdesError::Fec),
        (" FEC_KEY=inline:x", SdesError::Fec),
        (" UNENCRYPTED_SRTP", SdesError::UnencryptedSrtp),
        (" UNENCRYPTED_SRTCP", SdesError::UnencryptedSrtcp),
        (" UNAUTHENTICATED_SRTP", SdesError::UnauthenticatedSrtp),
        (" x", SdesError::UnknownParam),
        (" -", SdesError::UnknownParam),
        (" WSH=64,x=1", SdesError::UnknownParam),
        (" -x,-", SdesError::UnknownParam),
        (" unencrypted_srtp", SdesError::UnencryptedSrtp),
        // What weakens is no vendor's: it may not hide.
        (" WSH=64,UNENCRYPTED_SRTP", SdesError::UnencryptedSrtp),
        (" -x=1,UNAUTHENTICATED_SRTP", SdesError::UnauthenticatedSrtp),
        (" -x,-UNENCRYPTED_SRTCP", SdesError::UnencryptedSrtcp),
        (" -UNENCRYPTED_SRTP", SdesError::UnencryptedSrtp),
        (" -KDR=1", SdesError::Kdr),
        (" WSH=64 x=y", SdesError::UnknownParam),
    ] {
        refused(&with(rest), why);
    }
}

#[test]
fn allowed_session_parameters_are_taken_and_written() {
    let line = with(" UNENCRYPTED_SRTP UNENCRYPTED_SRTCP");
    let parsed = parse_any(&line).unwrap();
    assert!(parsed.params.unencrypted_srtp && parsed.params.unencrypted_srtcp);
    assert_eq!(*parsed.to_sdp(), line);
    let line = with(" UNAUTHENTICATED_SRTP");
    assert_eq!(*parse_any(&line).unwrap().to_sdp(), line);

    let nothing_left = with(" UNAUTHENTICATED_SRTP UNENCRYPTED_SRTP");
    assert_eq!(
        parse_any(&nothing_left).err(),
        Some(SdesError::ParamConflict)
    );
    let aead = format!(
        "1 AEAD_AES_128_GCM inline:{}== UNAUTHENTICATED_SRTP",
        "A".repeat(38)
    );
    assert_eq!(parse_any(&aead).err(), Some(SdesError::ParamConflict));
    let valued = with(" UNENCRYPTED_SRTP=1");
    assert_eq!(parse_any(&valued).err(), Some(SdesError::ParamSyntax));
    // One allowed parameter allows no other.
    let one = SessionParams {
        unencrypted_srtcp: true,
        ..NO_PARAMS
    };
    let rules = Rules {
        params: one,
        ..RULES
    };
    assert!(CryptoLine::parse(&with(" UNENCRYPTED_SRTCP"), &rules).is_ok());
    let other = CryptoLine::parse(&with(" UNENCRYPTED_SRTP"), &rules);
    assert_eq!(other.err(), Some(SdesError::UnencryptedSrtp));
}

#[test]
fn input_is_bounded() {
    let fits = with(&" -x".repeat((MAX_LINE - with("").len()) / 3));
    assert!(parse(&fits).is_ok());
    refused(&format!("{fits} -x"), SdesError::TooLong);
}

#[test]
fn each_refusal_is_a_sentence_of_its_own_without_the_key() {
    let all = [
        SdesError::TooLong,
        SdesError::Tag,
        SdesError::MissingSuite,
        SdesError::UnknownSuite,
        SdesError::SuiteNotAccepted(Suite::AeadAes256Gcm),
        SdesError::MissingKey,
        SdesError::KeyMethod,
        SdesError::KeyEncoding,
        SdesError::KeyLength,
        SdesError::TooManyKeys,
        SdesError::KeyTrailer,
        SdesError::Lifetime,
        SdesError::LifetimeTooShort,
        SdesError::LifetimeTooLong,
        SdesError::Mki,
        SdesError::MkiLength,
        SdesError::MkiValue,
        SdesError::MkiNotAccepted,
        SdesError::MkiSet,
        SdesError::ParamSyntax,
        SdesError::Kdr,
        SdesError::Fec,
        SdesError::UnencryptedSrtp,
        SdesError::UnencryptedSrtcp,
        SdesError::UnauthenticatedSrtp,
        SdesError::ParamConflict,
        SdesError::UnknownParam,
    ];
    let sentences: std::collections::HashSet<_> = all.iter().map(ToString::to_string).collect();
    assert_eq!(sentences.len(), all.len());
    assert!(sentences.iter().all(|s| s.split(' ').count() >= 4));
    let parsed = format!("{:?}", parse(&with("|2^20|1:4")).unwrap());
    assert!(
        !parsed.contains("AAEC") && !parsed.contains("1, 2, 3"),
        "{parsed}"
    );
}
