//! A handshake as the module makes it; and where that fails, what it fails for, and another that lets the rest be looked at.

use openssl::ssl::SslVersion;
use sip_tls::{Code as Why, Reason};

use super::plain::{self, version_name};
use super::{Failed, Hello, Peer, Trust, Up, handshake};
use crate::code::Code;
use crate::report::{Finding, Stage, Step};

/// The way in.
pub(crate) struct Access {
    pub(crate) step: Step,
    /// A connection, and the hello that made it; by whatever way.
    pub(crate) up: Option<(Up, Hello)>,
    /// It demands a certificate of ours, and has not got one that it takes: whether we had one.
    pub(crate) wants_certificate: Option<Box<Failed>>,
    /// It is TLS, whatever has become of the handshake.
    pub(crate) is_tls: bool,
    /// No handshake came to its end in time, and none would.
    pub(crate) is_stuck: bool,
}

/// Key exchange groups of a hello that fits into one TCP segment.
const SHORT: &str = "X25519:P-256";

/// Makes the connection.
pub(crate) fn access(peer: Peer, name: Option<&str>, trust: &Trust) -> Access {
    let mut access = Access {
        step: Step::new(Stage::Tls),
        up: None,
        wants_certificate: None,
        is_tls: false,
        is_stuck: false,
    };
    let hello = Hello::of_module(name);
    let failed = match handshake(peer, &hello, trust) {
        Ok(up) => {
            access.describe(&up);
            access.up = Some((up, hello));
            access.is_tls = true;
            return access;
        }
        Err(failed) => failed,
    };
    access.because(peer, name, trust, failed);
    access
}

impl Access {
    fn describe(&mut self, up: &Up) {
        let ssl = up.link.ssl();
        let cipher = ssl.current_cipher().map_or("", |cipher| cipher.name());
        let group = sip_tls::negotiated_group(ssl)
            .map(|group| format!(", {group}"))
            .unwrap_or_default();
        self.step
            .fact(format!("{}, {cipher}{group}", ssl.version_str()));
    }

    fn because(&mut self, peer: Peer, name: Option<&str>, trust: &Trust, failed: Box<Failed>) {
        self.is_tls = !failed.first.is_empty()
            && plain::of_octets(&failed.first).is_none()
            && !is_plain(failed.reason.code);
        if let Some(finding) = plain::of_octets(&failed.first) {
            return self.step.add(finding);
        }
        if is_plain(failed.reason.code) {
            return self.step.add(failed.reason.clone().into());
        }
        // A box that drops what is long; or a server that does not answer what it does not know, or closes.
        if failed.is_mute() {
            if let Some(finding) = plain::ask(peer) {
                self.is_tls = false;
                return self.step.add(finding);
            }
            let short = Hello {
                groups: Some(SHORT.to_owned()),
                ..Hello::of_module(name)
            };
            if let Ok(up) = handshake(peer, &short, trust) {
                self.is_tls = true;
                self.describe(&up);
                self.up = Some((up, short));
                return self.step.add(Finding::new(Code::LargeHelloLost, ""));
            }
        }
        if failed.is_mute() && failed.reason.code == Why::Silent {
            return self.step.add(failed.reason.into());
        }
        // TLS 1.2 and older: without a certificate the handshake itself fails.
        if failed.trace.with(|seen| seen.asked_for_certificate) && is_about_certificates(&failed) {
            self.wants_certificate = Some(failed);
            return;
        }
        if name.is_some() && may_be_the_name(&failed) {
            let nameless = Hello::of_module(None);
            if let Ok(up) = handshake(peer, &nameless, trust) {
                self.is_tls = true;
                self.describe(&up);
                self.up = Some((up, nameless));
                return self.step.add(Finding::new(
                    Code::ServerNameRefused,
                    failed.reason.to_string(),
                ));
            }
        }
        // The system's ciphers, all of them, in the place of ours.
        if is_about_ciphers(failed.reason.code) {
            let usual = Hello {
                usual_ciphers: true,
                ciphers: Some("DEFAULT".to_owned()),
                ..Hello::of_module(name)
            };
            if let Ok(up) = handshake(peer, &usual, trust) {
                self.is_tls = true;
                self.step
                    .fact(format!("as the module makes it: {}", failed.reason));
                self.describe(&up);
                let cipher = up.link.ssl().current_cipher();
                let cipher = cipher.map_or("", |cipher| cipher.name()).to_owned();
                self.up = Some((up, usual));
                let code = match trust.config.cipher {
                    Some(_) => Code::OwnCipher,
                    None => Code::OnlyOldCiphers,
                };
                return self.step.add(Finding::new(code, cipher));
            }
        }
        let lenient = Hello::lenient(name);
        match handshake(peer, &lenient, trust) {
            Ok(up) => {
                self.is_tls = true;
                self.step
                    .fact(format!("as the module makes it: {}", failed.reason));
                self.describe(&up);
                // The same with the ciphers of every day: then the level bars something else, a signature of SHA-1 for one.
                let usual = Hello {
                    ciphers: Some("DEFAULT".to_owned()),
                    ..lenient.clone()
                };
                let finding = refined(&up, &failed, handshake(peer, &usual, trust).is_ok());
                self.up = Some((up, lenient));
                if let Some(finding) = finding {
                    self.step.add(finding);
                }
            }
            Err(other)
                if other.trace.with(|seen| seen.asked_for_certificate)
                    && is_about_certificates(&other) =>
            {
                self.wants_certificate = Some(other);
                self.step.add(failed.reason.clone().into());
            }
            Err(other) => {
                self.is_stuck = other.reason.code == Why::HandshakeTimeout;
                self.step.add(failed.reason.clone().into());
            }
        }
    }
}

fn is_plain(code: Why) -> bool {
    matches!(code, Why::PlainSip | Why::PlainHttp | Why::NotTls)
}

fn is_about_certificates(failed: &Failed) -> bool {
    matches!(
        failed.reason.code,
        Why::PeerHandshakeFailure
            | Why::PeerWantsCertificate
            | Why::PeerBadCertificate
            | Why::PeerUnknownCa
            | Why::PeerCertExpired
            | Why::PeerCertRevoked
            | Why::PeerDenied
            | Why::PeerAlert
            | Why::ClosedInHandshake
            | Why::ClosedAtHello
            | Why::ResetInHandshake
    )
}

fn may_be_the_name(failed: &Failed) -> bool {
    matches!(
        failed.reason.code,
        Why::PeerUnknownName
            | Why::PeerHandshakeFailure
            | Why::PeerDenied
            | Why::PeerAlert
            | Why::ClosedInHandshake
            | Why::ClosedAtHello
            | Why::ResetInHandshake
    )
}

fn is_about_ciphers(code: Why) -> bool {
    matches!(
        code,
        Why::PeerHandshakeFailure
            | Why::NoSharedCipher
            | Why::ClosedInHandshake
            | Why::ClosedAtHello
            | Why::ResetInHandshake
    )
}

/// What the way in that worked says about the one that did not.
fn refined(up: &Up, failed: &Failed, takes_usual_ciphers: bool) -> Option<Finding> {
    let ssl = up.link.ssl();
    let version = ssl.version2().unwrap_or(SslVersion::TLS1_2);
    let cipher = ssl.current_cipher().map_or("", |cipher| cipher.name());
    if matches!(
        version,
        SslVersion::TLS1 | SslVersion::TLS1_1 | SslVersion::SSL3
    ) {
        return Some(Finding::new(Code::OnlyOldTls, version_name(version)));
    }
    match failed.reason.code {
        // The chain is judged by itself.
        Why::CertWeak => None,
        code if is_about_ciphers(code) => Some(if takes_usual_ciphers {
            let reason = Reason::from(Why::NoSharedAlgorithm);
            Finding {
                detail: format!("it answers what this system allows with: {}", failed.reason),
                ..Finding::from(reason)
            }
        } else {
            Finding::new(Code::OnlyWeakCiphers, cipher)
        }),
        _ => Some(failed.reason.clone().into()),
    }
}
