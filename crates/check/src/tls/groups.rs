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

/// The step.
pub(crate) fn groups(peer: Peer, base: &Hello, trust: &Trust, taken: &[SslVersion]) -> Step {
    let mut step = Step::new(Stage::Groups);
    let Some(version) = taken.last().copied() else {
        return Step::not_tried(Stage::Groups, "no TLS version was taken");
    };
    for (group, shown) in GROUPS {
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
        step.fact(format!("{shown}: {word}"));
    }
    step
}
