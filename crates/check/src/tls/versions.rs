//! Which TLS versions it takes: one handshake each.

use openssl::ssl::SslVersion;
use sip_tls::Code as Why;

use super::plain::version_name;
use super::{Hello, Peer, Trust, handshake};
use crate::code::Code;
use crate::report::{Finding, Stage, Step};

/// All there are.
pub(crate) const VERSIONS: [SslVersion; 4] = [
    SslVersion::TLS1,
    SslVersion::TLS1_1,
    SslVersion::TLS1_2,
    SslVersion::TLS1_3,
];

/// The step, and the versions that are taken.
pub(crate) fn versions(peer: Peer, base: &Hello, trust: &Trust) -> (Step, Vec<SslVersion>) {
    let mut step = Step::new(Stage::Versions);
    let mut taken = Vec::new();
    for version in VERSIONS {
        let hello = Hello {
            min: Some(version),
            max: Some(version),
            ..base.leniently()
        };
        let word = version_name(version);
        match handshake(peer, &hello, trust) {
            Ok(up) => {
                let cipher = up
                    .link
                    .ssl()
                    .current_cipher()
                    .map_or("", |cipher| cipher.name());
                step.fact(format!("{word}: taken ({cipher})"));
                taken.push(version);
            }
            Err(failed) if failed.trace.with(|seen| seen.asked_for_certificate) => {
                step.fact(format!(
                    "{word}: taken, and ended without a client certificate"
                ));
                taken.push(version);
            }
            // OpenSSL here cannot do it.
            Err(failed) if failed.reason.code == Why::Internal => step.fact(format!(
                "{word}: not tried, this machine's OpenSSL does not have it"
            )),
            Err(failed) => step.fact(format!("{word}: refused ({})", short(&failed.reason))),
        }
    }
    let old: Vec<&str> = taken
        .iter()
        .filter(|version| matches!(**version, SslVersion::TLS1 | SslVersion::TLS1_1))
        .map(|version| version_name(*version))
        .collect();
    let new = taken.contains(&SslVersion::TLS1_2) || taken.contains(&SslVersion::TLS1_3);
    if !old.is_empty() && new {
        step.add(Finding::new(Code::OldTlsTaken, old.join(", ")));
    }
    if new && !taken.contains(&SslVersion::TLS1_3) {
        step.add(Finding::new(Code::NoTls13, ""));
    }
    (step, taken)
}

/// The alert, or what else there was.
fn short(reason: &sip_tls::Reason) -> String {
    match reason.alert {
        Some(alert) => format!("alert {}", sip_tls::alert::name(alert)),
        None => match reason.code {
            Why::Version | Why::PeerVersion => "another version was chosen".to_owned(),
            Why::ClosedInHandshake => "it closed the connection".to_owned(),
            Why::ResetInHandshake => "it reset the connection".to_owned(),
            Why::Silent | Why::HandshakeTimeout => "no answer".to_owned(),
            _ => reason.to_string(),
        },
    }
}
