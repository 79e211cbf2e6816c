//! Single `a=crypto` lines: ours as they are made, and two compared.

use srtp::sdes::{CryptoLine, KeyParam};
use srtp::{MasterKey, SessionParams, Suite};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The suites of an offer: as configured, with the short tag where the endpoint wants it.
pub fn offer(configured: &[Suite], tag_32: bool) -> Vec<Suite> {
    let mut suites = Vec::new();
    for suite in configured {
        let suite = match suite {
            Suite::AesCm128HmacSha1_80 if tag_32 => Suite::AesCm128HmacSha1_32,
            Suite::AesCm192HmacSha1_80 if tag_32 => Suite::AesCm192HmacSha1_32,
            Suite::AesCm256HmacSha1_80 if tag_32 => Suite::AesCm256HmacSha1_32,
            other => *other,
        };
        if !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    suites
}

/// A line of ours with a fresh key; `None` (logged) without randomness.
pub fn new_line(tag: u32, suite: Suite, lifetime: Option<u64>) -> Option<CryptoLine> {
    let mut key_salt = Zeroizing::new(vec![0; suite.key_salt_len()]);
    if let Err(error) = openssl::rand::rand_bytes(&mut key_salt) {
        log::error!("OpenSSL has no random octets for a key: {error}");
        return None;
    }
    let key = MasterKey::new(suite, &key_salt).ok()?;
    let keys = vec![KeyParam {
        key,
        lifetime,
        mki: None,
    }];
    Some(CryptoLine {
        tag,
        suite,
        old_name: false,
        keys,
        params: SessionParams::default(),
    })
}

/// `local` as the answer to `remote`.
pub fn reply_with(local: &CryptoLine, remote: &CryptoLine) -> CryptoLine {
    CryptoLine {
        tag: remote.tag,
        old_name: remote.old_name,
        params: remote.params,
        ..local.clone()
    }
}

/// Whether two lines lead to the same policies. Tag and lifetime do not matter.
pub fn same(one: &CryptoLine, other: &CryptoLine) -> bool {
    one.suite == other.suite
        && one.params == other.params
        && one.keys.len() == other.keys.len()
        && one.keys.iter().zip(&other.keys).all(|(one, other)| {
            one.mki == other.mki && bool::from(one.key.key_salt().ct_eq(other.key.key_salt()))
        })
}

/// A line for the log: its tag and suite if they look like such. What follows may be a key.
pub fn shown(value: &str) -> String {
    let plain = |word: &&str| {
        word.len() <= 32 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let mut words = value.split(' ').filter(|word| !word.is_empty());
    let tag = words
        .next()
        .filter(plain)
        .filter(|tag| tag.len() <= 12)
        .unwrap_or("?");
    let suite = words.next().filter(plain).unwrap_or("?");
    format!("tag {tag}, suite {suite}")
}
