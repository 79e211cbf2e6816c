use super::*;
use std::collections::BTreeSet;

use srtp::Suite;
use srtp::sdes::SdesError;

#[test]
fn codes_are_unique_and_of_one_form() {
    let mut codes = BTreeSet::new();
    for row in all() {
        assert!(codes.insert(row.code), "{} is there twice", row.code);
        let is_good = !row.code.is_empty()
            && row.code.split('-').all(|word| {
                !word.is_empty()
                    && word
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            });
        assert!(is_good, "{}", row.code);
        assert_eq!(find(row.code), Some(row));
    }
    assert_eq!(find("no-such-code"), None);
}

#[test]
fn whoever_is_to_change_something_is_told_what() {
    for row in all() {
        assert!(!row.sentence.is_empty() && !row.stage.is_empty(), "{row:?}");
        assert_eq!(
            row.change.is_empty(),
            row.side == Side::Nobody,
            "{}",
            row.code
        );
        for text in [row.sentence, row.change] {
            assert!(!text.ends_with('.') && !text.contains("  "), "{text}");
        }
    }
}

/// Each type has as many rows as it has codes; which value has which row the compiler has seen to.
#[test]
fn a_line_is_told_in_the_log_as_in_the_table() {
    for (error, code) in [
        (SdesError::TooLong, "line-too-long"),
        (
            SdesError::SuiteNotAccepted(Suite::AesCm128HmacSha1_32),
            "suite-not-accepted",
        ),
        (SdesError::LifetimeTooLong, "lifetime-too-long"),
        (SdesError::UnknownParam, "param-unknown"),
    ] {
        let row = crypto::of_line(&error);
        assert_eq!(row.code, code);
        let told = error.to_string().replace(" AES_CM_128_HMAC_SHA1_32", "");
        assert_eq!(told, row.sentence);
        assert_eq!(find(code), Some(row));
    }
}

#[test]
fn a_demand_has_the_code_of_its_row() {
    use crate::demand::Unmet;
    for unmet in [
        Unmet::NotOurs,
        Unmet::Unseen,
        Unmet::Technology("IAX2".to_owned()),
        Unmet::MediaInClear("audio".to_owned()),
        Unmet::Impossible("x".to_owned()),
    ] {
        assert_eq!(unmet.code(), demand::of(&unmet).code);
        assert_eq!(find(unmet.code()), Some(demand::of(&unmet)));
    }
}

#[cfg(feature = "tls")]
#[test]
fn every_end_of_a_connection_is_there() {
    for code in sip_tls::Code::ALL {
        let row = tls::of(*code);
        assert_eq!(find(row.code), Some(&row));
    }
}

/// `docs/reasons.md` is what this table makes of itself.
#[cfg(feature = "tls")]
#[test]
fn the_document_is_of_this_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reasons.md");
    let there = std::fs::read_to_string(path).expect("docs/reasons.md");
    assert!(
        there == document(),
        "docs/reasons.md is old: cargo run -p policy --features tls --example reasons > docs/reasons.md"
    );
}
