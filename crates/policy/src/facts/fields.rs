//! The fields of the dialplan function `CIPHERTRUNK(...)`: their names, and their texts.

use std::fmt::Write;

use super::{Certificate, Facts, Known, Signaling, Srtp, Stream, Tls};
use crate::date::Date;

/// Whose fact, or what of it.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// `bridged.`: of the channel that the channel is bridged with.
    pub is_bridged: bool,
    /// `why.`: why it is not known.
    pub is_why: bool,
    /// `audio`, or with `video.` the stream of that kind.
    kind: &'static str,
    name: &'static str,
    text: Text,
}

/// What makes a field's text.
#[derive(Debug, Clone, Copy)]
enum Text {
    Leg(fn(&Facts) -> Known<String>),
    Signaling(fn(&Signaling) -> Known<String>),
    Tls(fn(&Tls) -> Known<String>),
    Certificate(fn(&Certificate) -> Known<String>),
    Stream(fn(&Stream) -> Known<String>),
    Srtp(fn(&Srtp) -> Known<String>),
}

const FIELDS: &[(&str, Text)] = &[
    (
        "word",
        Text::Leg(|leg| leg.word().map(|word| word.to_string())),
    ),
    ("summary", Text::Leg(|leg| Ok(leg.to_string()))),
    (
        "transport",
        Text::Signaling(|signaling| Ok(signaling.transport.clone())),
    ),
    ("tls_version", Text::Tls(|tls| Ok(tls.version.clone()))),
    ("tls_cipher", Text::Tls(|tls| Ok(tls.cipher.clone()))),
    ("tls_group", Text::Tls(|tls| tls.group.clone())),
    ("tls_resumed", Text::Tls(|tls| Ok(yes(tls.is_resumed)))),
    ("verified", Text::Tls(|tls| Ok(yes(tls.is_verified)))),
    ("verified_name", Text::Tls(|tls| tls.verified_name.clone())),
    (
        "cert_subject",
        Text::Certificate(|certificate| Ok(certificate.subject.clone())),
    ),
    (
        "cert_san",
        Text::Certificate(|certificate| match certificate.alt_names.is_empty() {
            true => Err("the certificate has no subjectAltName"),
            false => Ok(certificate.alt_names.join(" ")),
        }),
    ),
    (
        "cert_issuer",
        Text::Certificate(|certificate| Ok(certificate.issuer.clone())),
    ),
    (
        "cert_serial",
        Text::Certificate(|certificate| Ok(hex(&certificate.serial))),
    ),
    (
        "cert_sha256",
        Text::Certificate(|certificate| Ok(hex(&certificate.sha256))),
    ),
    (
        "cert_not_after",
        Text::Certificate(|certificate| Ok(date(certificate.not_after))),
    ),
    ("key_source", Text::Srtp(|srtp| Ok(srtp.source.to_string()))),
    (
        "suite_out",
        Text::Srtp(|srtp| srtp.suites[0].map(str::to_owned)),
    ),
    (
        "suite_in",
        Text::Srtp(|srtp| srtp.suites[1].map(str::to_owned)),
    ),
    (
        "packets_out",
        Text::Stream(|stream| stream.packets.map(|packets| packets[0].to_string())),
    ),
    (
        "packets_in",
        Text::Stream(|stream| stream.packets.map(|packets| packets[1].to_string())),
    ),
    (
        "lost",
        Text::Stream(|stream| stream.lost.map(|lost| lost.to_string())),
    ),
    ("replays", Text::Srtp(|srtp| Ok(srtp.replays.to_string()))),
    ("failures", Text::Srtp(|srtp| Ok(srtp.failures.to_string()))),
    (
        "roc_out",
        Text::Srtp(|srtp| srtp.roc[0].map(|roc| roc.to_string())),
    ),
    (
        "roc_in",
        Text::Srtp(|srtp| srtp.roc[1].map(|roc| roc.to_string())),
    ),
    ("rekeys", Text::Srtp(|srtp| Ok(srtp.rekeys.to_string()))),
    ("in_clear", Text::Leg(|leg| leg.in_clear().map(yes))),
];

/// The names of all fields.
pub fn names() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|(name, _)| *name)
}

impl Field {
    /// Reads a field as the dialplan writes it: a name, and before it `bridged.`, `video.` and `why.` in any order. `None`: there
    /// is no such field.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim();
        let (mut is_bridged, mut is_why, mut is_video) = (false, false, false);
        while let Some((prefix, behind)) = rest.split_once('.') {
            let flag = match prefix {
                "bridged" => &mut is_bridged,
                "why" => &mut is_why,
                "video" => &mut is_video,
                _ => return None,
            };
            // Twice is a typo.
            if std::mem::replace(flag, true) {
                return None;
            }
            rest = behind;
        }
        let (name, text) = FIELDS.iter().find(|(name, _)| *name == rest)?;
        if is_video && !matches!(text, Text::Stream(_) | Text::Srtp(_)) {
            return None;
        }
        Some(Self {
            is_bridged,
            is_why,
            kind: if is_video { "video" } else { "audio" },
            name,
            text: *text,
        })
    }

    /// Its name, without what stood before it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its text for a leg, or why there is none.
    ///
    /// # Errors
    ///
    /// Why it is not known.
    pub fn of(&self, facts: &Facts) -> Known<String> {
        let signaling = || facts.signaling.as_ref().map_err(|why| *why);
        let tls = || signaling()?.tls.as_ref().map_err(|why| *why);
        let stream = || facts.stream(self.kind);
        match self.text {
            Text::Leg(text) => text(facts),
            Text::Signaling(text) => text(signaling()?),
            Text::Tls(text) => text(tls()?),
            Text::Certificate(text) => text(tls()?.certificate.as_ref().map_err(|why| *why)?),
            Text::Stream(text) => text(stream()?),
            Text::Srtp(text) => text(stream()?.srtp.as_ref().ok_or("the stream has no SRTP")?),
        }
    }

    /// What the dialplan gets: the text, or with `why.` the reason that there is none; empty where there is the other.
    #[must_use]
    pub fn value(&self, facts: &Known<Facts>) -> String {
        let known = match facts {
            Ok(facts) => self.of(facts),
            Err(why) => Err(*why),
        };
        match (known, self.is_why) {
            (Ok(text), false) => text,
            (Err(why), true) => why.to_owned(),
            _ => String::new(),
        }
    }
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

/// Upper case, as `openssl x509 -fingerprint` without its colons.
fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02X}").expect("writing to a String cannot fail");
        text
    })
}

/// `2026-11-27T08:15:00Z`.
fn date(seconds: i64) -> String {
    let (year, month, day) = Date(seconds).day();
    let (hour, minute, second) = Date(seconds).time();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
