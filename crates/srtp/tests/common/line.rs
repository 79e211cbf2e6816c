//! A crypto attribute and the rules it is read by: what must hold of whatever is read. For the property test and the fuzz target.
//!
//! Input: rules in one octet, then the attribute. What is accepted is written and read again without a change, and the strict
//! rules accept no more than the lenient ones.

use srtp::sdes::{CryptoLine, MAX_LIFETIME, MIN_LIFETIME, MkiRule, Rules};
use srtp::{SessionParams, Suite};

/// Panics where something does not hold.
pub fn run(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let params = SessionParams {
        unencrypted_srtp: choice & 1 != 0,
        unencrypted_srtcp: choice & 2 != 0,
        unauthenticated_srtp: choice & 4 != 0,
    };
    let mki = if choice & 8 != 0 {
        MkiRule::Any
    } else {
        MkiRule::One
    };
    let rules = Rules {
        suites: &Suite::ALL,
        mki,
        params,
    };
    let strict = Rules {
        suites: &Suite::ALL[..2],
        mki: MkiRule::One,
        params: SessionParams::default(),
    };

    let parsed = CryptoLine::parse(text, &rules);
    if let Err(e) = &parsed {
        assert!(!e.to_string().is_empty());
        assert!(CryptoLine::parse(text, &strict).is_err());
        return;
    }
    let line = parsed.expect("checked");
    assert!(!line.policies().expect("parsed policies stand").is_empty());
    let written = line.to_sdp();
    let again = CryptoLine::parse(&written, &rules).expect("what we write we read");
    assert_eq!(*again.to_sdp(), *written);
    assert_eq!(
        (again.tag, again.suite, again.params, again.old_name),
        (line.tag, line.suite, line.params, line.old_name)
    );
    assert!(again.same_keys(&line), "the same keys");
    let lifetimes =
        |line: &CryptoLine| -> Vec<_> { line.keys.iter().map(|key| key.lifetime).collect() };
    assert_eq!(lifetimes(&again), lifetimes(&line));
    for lifetime in lifetimes(&line).into_iter().flatten() {
        assert!((MIN_LIFETIME..=MAX_LIFETIME).contains(&lifetime));
    }
    // What leaves needs no leniency.
    assert!(
        !written.contains(['\t', ',']) && !written.contains("  ") && written.trim() == *written
    );
    // Nothing weakens that was not allowed, however it was written.
    let refuses = |set: bool, allowed: bool| !set || allowed;
    assert!(refuses(
        line.params.unencrypted_srtp,
        params.unencrypted_srtp
    ));
    assert!(refuses(
        line.params.unencrypted_srtcp,
        params.unencrypted_srtcp
    ));
    assert!(refuses(
        line.params.unauthenticated_srtp,
        params.unauthenticated_srtp
    ));
    // Behind the key nobody can hide a word that weakens.
    let weakens = text
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .any(|word| word.eq_ignore_ascii_case("UNENCRYPTED_SRTP"));
    assert!(!weakens || line.params.unencrypted_srtp || text.contains('-'));
}
