//! What real peers send (tests/peers, docs/peers.md): offers and answers through the parser and the negotiation, packet
//! patterns through sessions. tests/host/peers.rs puts the offers into a real Asterisk.

#[path = "../../../tests/peers/case.rs"]
mod case;
#[path = "common/pattern.rs"]
mod pattern;

use case::{Case, Verdict, same};
use srtp::sdes::negotiation::{Action, Exchange, Negotiation, Refusal, Terms};
use srtp::sdes::{CryptoLine, Entropy, MkiRule, NoEntropy, Rules, SdesError};
use srtp::{SessionParams, Suite};

/// Those that the module accepts by default: conf/ciphertrunk.conf.sample.
const ACCEPTED: &[Suite] = &[
    Suite::AesCm128HmacSha1_80,
    Suite::AesCm128HmacSha1_32,
    Suite::AesCm192HmacSha1_80,
    Suite::AesCm192HmacSha1_32,
    Suite::AesCm256HmacSha1_80,
    Suite::AesCm256HmacSha1_32,
    Suite::AeadAes128Gcm,
    Suite::AeadAes256Gcm,
];

fn terms(offer: &[Suite]) -> Terms<'_> {
    Terms {
        rules: Rules {
            suites: ACCEPTED,
            mki: MkiRule::One,
            params: SessionParams::default(),
        },
        offer,
        lifetime: None,
    }
}

/// No octets twice.
struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, octets: &mut [u8]) -> Result<(), NoEntropy> {
        self.0 += 1;
        octets.fill(self.0);
        Ok(())
    }
}

/// A stream of audio: whether it is declined, and the values of its `a=crypto` lines.
struct Stream {
    declined: bool,
    crypto: Vec<String>,
}

/// The first audio with keys, or else the first.
fn audio(case: &Case) -> Stream {
    let mut streams: Vec<Option<Stream>> = Vec::new();
    for line in &case.lines {
        if let Some(media) = line.strip_prefix("m=") {
            streams.push(media.starts_with("audio ").then(|| Stream {
                declined: media.starts_with("audio 0 "),
                crypto: Vec::new(),
            }));
        } else if let (Some(value), Some(Some(stream))) =
            (line.strip_prefix("a=crypto:"), streams.last_mut())
        {
            stream.crypto.push(value.to_owned());
        }
    }
    let mut audio: Vec<Stream> = streams.into_iter().flatten().collect();
    let with_keys = audio.iter().position(|stream| !stream.crypto.is_empty());
    audio.swap_remove(with_keys.unwrap_or(0))
}

/// The codes of the log (src/media/refusal.rs) that the collection has.
fn code(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NotOffered => "not-offered",
        Refusal::Line(SdesError::UnknownSuite) => "suite-unknown",
        Refusal::Line(SdesError::SuiteNotAccepted(_)) => "suite-not-accepted",
        Refusal::Line(SdesError::KeyLength) => "key-length",
        Refusal::Line(SdesError::KeyEncoding) => "key-encoding",
        Refusal::Line(SdesError::LifetimeTooShort) => "lifetime-too-short",
        Refusal::Line(SdesError::UnencryptedSrtp) => "param-unencrypted-srtp",
        Refusal::Line(SdesError::UnencryptedSrtcp) => "param-unencrypted-srtcp",
        Refusal::Line(SdesError::UnknownParam) => "param-unknown",
        _ => "another",
    }
}

/// Whether `got` is what the file says. `refuse` alone leaves the reason open.
fn as_expected(case: &Case, got: &str) -> Result<(), String> {
    match case.get("expect") {
        "refuse" if got.starts_with("refuse ") => Ok(()),
        expected => same(got, expected),
    }
}

/// As Asterisk reads an offer: line by line, until one is taken.
fn outcome_of_offer(case: &Case) -> String {
    let negotiation = Negotiation::new();
    let mut last = "refuse none".to_owned();
    for value in audio(case).crypto {
        let received = negotiation.receive(
            Exchange::TheirOffer,
            &value,
            None,
            &terms(&[]),
            &mut Counting(0),
        );
        match received {
            Ok(step) => {
                assert!(matches!(step.action, Action::Begin(_)), "{}", case.name);
                let line = CryptoLine::parse(&value, &terms(&[]).rules).expect("it was taken");
                return format!("accept {} {}", line.tag, line.suite);
            }
            Err(refusal) => last = format!("refuse {}", code(refusal)),
        }
    }
    last
}

#[test]
fn offers() {
    let mut verdict = Verdict::default();
    for case in case::all("offers") {
        verdict.add(&case, as_expected(&case, &outcome_of_offer(&case)));
    }
    verdict.end();
}

/// What our offer makes of the answer. `accept TAG SUITE`: the line of ours whose key is in force.
fn outcome_of_answer(case: &Case) -> String {
    let offered: Vec<Suite> = match case.get("offered") {
        "none" => Vec::new(),
        lines => lines
            .split(", ")
            .zip(1..)
            .map(|(line, tag): (&str, u32)| {
                let (is, suite) = line.split_once(' ').expect("a tag and a suite");
                assert_eq!(is, tag.to_string(), "{}: our tags count from 1", case.name);
                Suite::from_name(suite).expect("a suite")
            })
            .collect(),
    };
    let answer = audio(case);
    if answer.declined {
        return "declined".to_owned();
    }
    // Of the profile, Asterisk and src/media decide: tests/host/peers.rs.
    if answer.crypto.is_empty() {
        return "in-clear".to_owned();
    }
    let mut negotiation = Negotiation::new();
    let mut entropy = Counting(0);
    let terms = terms(&offered);
    let mut ours = Vec::new();
    if !offered.is_empty() {
        let offer = negotiation
            .describe(
                Exchange::OurOffer,
                &terms,
                srtp::sdes::KeyAge::Fresh,
                &mut entropy,
            )
            .expect("an offer");
        ours = offer.lines;
        negotiation.enter(offer.step);
    }
    let mut last = "refuse none".to_owned();
    for value in answer.crypto {
        match negotiation.receive(Exchange::TheirAnswer, &value, None, &terms, &mut entropy) {
            Ok(step) => {
                let Action::Begin(keys) = step.action else {
                    panic!("{}: {:?}", case.name, step.action)
                };
                let local = keys.local.key().key_salt();
                let line = ours
                    .iter()
                    .find(|line| line.keys[0].key.key_salt() == local)
                    .expect("a key of our offer is in force");
                return format!("accept {} {}", line.tag, line.suite);
            }
            Err(refusal) => last = format!("refuse {}", code(refusal)),
        }
    }
    last
}

#[test]
fn answers() {
    let mut verdict = Verdict::default();
    for case in case::all("answers") {
        verdict.add(&case, as_expected(&case, &outcome_of_answer(&case)));
    }
    verdict.end();
}

#[test]
fn packets() {
    let mut verdict = Verdict::default();
    for case in case::all("packets") {
        verdict.add(&case, pattern::run(&case.lines));
    }
    verdict.end();
}
