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

/// Curves of certificates, and the same names as OpenSSL prints them.
const CURVES: [(&str, &str); 3] = [
    ("P-256", "prime256v1"),
    ("P-384", "secp384r1"),
    ("P-521", "secp521r1"),
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
        let hello = |groups: &str| Hello {
            groups: Some(groups.to_owned()),
            ciphers: (version != SslVersion::TLS1_3).then(|| "ECDHE:@SECLEVEL=0".to_owned()),
            min: Some(version),
            max: Some(version),
            ..base.leniently()
        };
        let word = match handshake(peer, &hello(group), trust) {
            Ok(_) => "taken",
            Err(failed) if failed.trace.with(|seen| seen.asked_for_certificate) => "taken",
            Err(_) if version == SslVersion::TLS1_3 => "not taken",
            Err(_) => beside(group, |groups| {
                let up = handshake(peer, &hello(groups), trust).ok()?;
                Some(sip_tls::negotiated_group(up.link.ssl()).unwrap_or_default())
            }),
        };
        is_any_taken |= word == "taken";
        step.fact(format!("{shown}: {word}"));
    }
    step
}

/// Up to TLS 1.2 the groups are those of a certificate's key too (RFC 8422 5.1.1): beside each curve that it may be on. `try_with` says
/// which group was chosen of those, if any.
fn beside(group: &str, try_with: impl Fn(&str) -> Option<String>) -> &'static str {
    for curve in CURVES.iter().map(|(curve, _)| *curve) {
        if curve != group
            && let Some(chosen) = try_with(&format!("{group}:{curve}"))
        {
            let name = CURVES.iter().find(|(curve, _)| *curve == group);
            return if chosen == name.map_or(group, |(_, name)| *name) {
                "taken"
            } else {
                "not chosen where there is another"
            };
        }
    }
    "not taken"
}
