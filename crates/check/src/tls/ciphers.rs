//! Which ciphers it takes: what it chose is left out of the next hello, until nothing is left or there were enough.

use openssl::ssl::{SslContext, SslMethod, SslVersion};

use super::{Hello, Peer, Trust, handshake};
use crate::code::Code;
use crate::report::{Finding, Stage, Step};

/// Handshakes at most for each version.
const MOST: usize = 12;
/// All of TLS 1.3 that OpenSSL has switched on.
pub(super) const SUITES: [&str; 3] = [
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256",
];

/// The step.
pub(crate) fn ciphers(peer: Peer, base: &Hello, trust: &Trust, taken: &[SslVersion]) -> Step {
    let mut step = Step::new(Stage::Ciphers);
    if taken.is_empty() {
        return Step::not_tried(Stage::Ciphers, "no TLS version was taken");
    }
    let mut all = Vec::new();
    if taken.contains(&SslVersion::TLS1_3) {
        let found = of_1_3(peer, base, trust);
        step.fact(format!("TLS 1.3: {}", found.join(", ")));
    }
    let old = taken
        .iter()
        .rev()
        .find(|version| **version != SslVersion::TLS1_3);
    if let Some(version) = old {
        let (found, more) = of_1_2(peer, base, trust, *version);
        step.fact(format!(
            "{}: {}{}",
            super::plain::version_name(*version),
            found.join(", "),
            if more { ", and more" } else { "" }
        ));
        all.extend(found);
        let hello = Hello {
            ciphers: Some("eNULL:aNULL:@SECLEVEL=0".to_owned()),
            ..one_version(base, *version)
        };
        if let Ok(up) = handshake(peer, &hello, trust) {
            let cipher = up
                .link
                .ssl()
                .current_cipher()
                .map_or("", |cipher| cipher.name());
            step.add(Finding::new(Code::UnsafeCipherTaken, cipher));
        }
    }
    let secret = |cipher: &String| cipher.starts_with("ECDHE-") || cipher.starts_with("DHE-");
    if !taken.contains(&SslVersion::TLS1_3) && !all.is_empty() && !all.iter().any(secret) {
        step.add(Finding::new(Code::NoForwardSecrecy, all.join(", ")));
    }
    step
}

fn one_version(base: &Hello, version: SslVersion) -> Hello {
    Hello {
        min: Some(version),
        max: Some(version),
        ..base.leniently()
    }
}

fn of_1_3(peer: Peer, base: &Hello, trust: &Trust) -> Vec<String> {
    let mut left = SUITES.to_vec();
    let mut found = Vec::new();
    while !left.is_empty() {
        let hello = Hello {
            suites: Some(left.join(":")),
            ..one_version(base, SslVersion::TLS1_3)
        };
        let Ok(up) = handshake(peer, &hello, trust) else {
            break;
        };
        let chosen = up
            .link
            .ssl()
            .current_cipher()
            .map_or("", |cipher| cipher.name());
        found.push(chosen.to_owned());
        left.retain(|suite| *suite != chosen);
    }
    found
}

/// The ciphers, in the order in which they were chosen, and whether there may be more.
fn of_1_2(peer: Peer, base: &Hello, trust: &Trust, version: SslVersion) -> (Vec<String>, bool) {
    let mut found: Vec<String> = Vec::new();
    while found.len() < MOST {
        let mut list = "ALL:@SECLEVEL=0:!aNULL:!eNULL".to_owned();
        for cipher in &found {
            list.push_str(":!");
            list.push_str(cipher);
        }
        let hello = Hello {
            ciphers: Some(list),
            ..one_version(base, version)
        };
        let Ok(up) = handshake(peer, &hello, trust) else {
            return (found, false);
        };
        match up
            .link
            .ssl()
            .current_cipher()
            .map(|cipher| cipher.name().to_owned())
        {
            Some(cipher) if !found.contains(&cipher) => found.push(cipher),
            _ => return (found, false),
        }
    }
    (found, true)
}

/// Whether this OpenSSL has such a list.
pub(crate) fn has_groups(groups: &str) -> bool {
    SslContext::builder(SslMethod::tls_client())
        .is_ok_and(|mut context| context.set_groups_list(groups).is_ok())
}
