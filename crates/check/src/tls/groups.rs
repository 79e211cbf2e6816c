//! Which key exchange groups it takes: one handshake each.

use openssl::error::ErrorStack;
use openssl::ssl::SslVersion;

use super::ciphers::has_groups;
use super::{Hello, Peer, Trust, handshake};
use crate::report::{Stage, Step};

/// OpenSSL's name, and the one to print.
const GROUPS: [(&str, &str); 4] = [
    ("X25519", "X25519"),
    ("P-256", "P-256"),
    ("P-384", "P-384"),
    ("X25519MLKEM768", "X25519MLKEM768"),
];

/// Of old and of few: asked for where none of the others is taken.
const RARE: [(&str, &str); 5] = [
    ("P-521", "P-521"),
    ("X448", "X448"),
    ("ffdhe2048", "ffdhe2048"),
    ("ffdhe3072", "ffdhe3072"),
    ("ffdhe4096", "ffdhe4096"),
];

/// The step.
pub(crate) fn groups(peer: Peer, base: &Hello, trust: &Trust, taken: &[SslVersion]) -> Step {
    let mut step = Step::new(Stage::Groups);
    let Some(version) = taken.last().copied() else {
        return Step::not_tried(Stage::Groups, "no TLS version was taken");
    };
    let mut is_any_taken = false;
    for (i, (group, shown)) in GROUPS.into_iter().chain(RARE).enumerate() {
        if i >= GROUPS.len() && (is_any_taken || version != SslVersion::TLS1_3) {
            break;
        }
        let known = has_groups(group);
        drop(ErrorStack::get());
        if !known {
            step.fact(format!(
                "{shown}: not tried, this machine's OpenSSL does not have it"
            ));
            continue;
        }
        let hello = Hello {
            groups: Some(group.to_owned()),
            ciphers: (version != SslVersion::TLS1_3).then(|| "ECDHE:@SECLEVEL=0".to_owned()),
            min: Some(version),
            max: Some(version),
            ..base.leniently()
        };
        let word = match handshake(peer, &hello, trust) {
            Ok(_) => "taken",
            Err(failed) if failed.trace.with(|seen| seen.asked_for_certificate) => "taken",
            Err(_) => "not taken",
        };
        is_any_taken |= word == "taken";
        step.fact(format!("{shown}: {word}"));
    }
    step
}
