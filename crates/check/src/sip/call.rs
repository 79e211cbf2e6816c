//! One INVITE for each SRTP suite, which is cancelled as soon as it is known what becomes of it; and one in clear.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use openssl::rand::rand_bytes;
use sip_tls::Reason;
use srtp::sdes::{CryptoLine, KeyParam, MediaLine, SdesError};
use srtp::{MasterKey, SessionParams, Suite};

use super::answer::{Answers, Heard};
use super::message::{Message, Request, Who};
use super::sdp::{Audio, RULES, audio, offer};
use crate::code::Code;
use crate::report::{Finding, Stage, Step};

/// The suites that are tried, each by itself.
const SUITES: [Suite; 6] = [
    Suite::AesCm128HmacSha1_80,
    Suite::AesCm128HmacSha1_32,
    Suite::AesCm256HmacSha1_80,
    Suite::AesCm256HmacSha1_32,
    Suite::AeadAes128Gcm,
    Suite::AeadAes256Gcm,
];

/// The tag of our only crypto line.
const TAG: u32 = 1;

/// What became of one INVITE.
#[derive(Debug)]
enum Fate {
    /// It was answered, or rings with a description.
    Described(Message),
    /// It rings, without a description.
    Rings(String),
    /// A final refusal: number and line.
    Refused(u16, String),
    Silence,
    Ended(Reason),
    /// No connection came about, or there is nothing to make a key of.
    NotTried(String),
}

/// Calls `number`, or the URI that it is. `connect` makes a new connection for each call.
pub(crate) fn calls(
    number: &str,
    timeout: Duration,
    mut connect: impl FnMut() -> Result<(Answers, Who), String>,
) -> (Step, Vec<Suite>) {
    let mut step = Step::new(Stage::Calls);
    let mut taken = Vec::new();
    let mut refused = Vec::new();
    for suite in SUITES {
        let Some(line) = crypto(suite) else {
            step.fact(format!(
                "{suite}: not tried, there are no random octets for a key"
            ));
            continue;
        };
        let fate = match connect() {
            Ok((mut answers, who)) => invite(&mut answers, &who, number, Some(&line), timeout),
            Err(why) => Fate::NotTried(why),
        };
        match judge(&mut step, suite, &line, fate) {
            Judged::Taken => taken.push(suite),
            Judged::Refused => refused.push(suite),
            Judged::Unknown => {}
            Judged::Enough => return (step, taken),
        }
    }
    if refused.len() == SUITES.len() {
        step.add(Finding::new(Code::CallNoSuite, ""));
    }
    match connect().map(|(mut answers, who)| invite(&mut answers, &who, number, None, timeout)) {
        Ok(Fate::Described(message)) => {
            step.add(Finding::new(Code::CallClearTaken, message.status_text()))
        }
        Ok(Fate::Rings(status)) => step.add(Finding::new(Code::CallClearTaken, status)),
        Ok(Fate::Refused(_, status)) => {
            step.fact(format!("in clear (RTP/AVP): refused with {status}"))
        }
        other => step.fact(format!("in clear (RTP/AVP): {}", told(other))),
    }
    (step, taken)
}

fn told(fate: Result<Fate, String>) -> String {
    match fate {
        Ok(Fate::Ended(reason)) => reason.to_string(),
        Ok(Fate::NotTried(why)) | Err(why) => why,
        _ => "no answer".to_owned(),
    }
}

/// A line of ours with a fresh key.
fn crypto(suite: Suite) -> Option<CryptoLine> {
    let mut octets = vec![0; suite.key_salt_len()];
    rand_bytes(&mut octets).ok()?;
    let key = MasterKey::new(suite, &octets).ok()?;
    Some(CryptoLine {
        tag: TAG,
        suite,
        old_name: false,
        keys: vec![KeyParam {
            key,
            lifetime: None,
            mki: None,
        }],
        params: SessionParams::default(),
    })
}

enum Judged {
    Taken,
    Refused,
    Unknown,
    /// The others would come to the same.
    Enough,
}

/// 488 and 606 say that the description is not acceptable, 415 and 406 that its kind is not (RFC 3261 21.4, 21.6).
fn is_about_description(status: u16) -> bool {
    matches!(status, 406 | 415 | 488 | 606)
}

fn judge(step: &mut Step, suite: Suite, line: &CryptoLine, fate: Fate) -> Judged {
    match fate {
        Fate::Described(message) => match described(suite, line, &message) {
            None => {
                step.add(Finding::new(
                    Code::CallSuiteTaken,
                    format!("{suite} ({})", message.status_text()),
                ));
                Judged::Taken
            }
            Some(finding) if finding.code == Code::CallOtherTag => {
                step.add(finding);
                Judged::Taken
            }
            Some(finding) => {
                step.add(finding);
                Judged::Unknown
            }
        },
        Fate::Rings(status) => {
            step.add(Finding::new(
                Code::CallSuiteTaken,
                format!("{suite} ({status}, without a description yet)"),
            ));
            Judged::Taken
        }
        Fate::Refused(status, text) if is_about_description(status) => {
            step.add(Finding::new(
                Code::CallSuiteRefused,
                format!("{suite} ({text})"),
            ));
            Judged::Refused
        }
        Fate::Refused(401 | 407, text) => {
            step.add(Finding::new(Code::CallUnauthorized, text));
            Judged::Enough
        }
        Fate::Refused(_, text) => {
            step.add(Finding::new(Code::CallRefused, text));
            Judged::Enough
        }
        Fate::Silence => {
            step.add(Finding::new(Code::CallUnanswered, suite.name()));
            Judged::Unknown
        }
        Fate::Ended(reason) => {
            step.add(Finding::new(
                Code::CallUnanswered,
                format!("{suite}: {reason}"),
            ));
            Judged::Unknown
        }
        Fate::NotTried(why) => {
            step.fact(format!("{suite}: not tried, {why}"));
            Judged::Unknown
        }
    }
}

/// What is wrong with the answer's audio line.
fn described(suite: Suite, ours: &CryptoLine, message: &Message) -> Option<Finding> {
    let Some(answer) = audio(message.body()) else {
        return Some(Finding::new(
            Code::CallBadKey,
            format!("{suite}: its answer has no audio"),
        ));
    };
    if answer.port == 0 {
        return Some(Finding::new(
            Code::CallSuiteRefused,
            format!("{suite} (port 0)"),
        ));
    }
    let line = MediaLine {
        kind: "audio".to_owned(),
        port: answer.port,
        transport: answer.transport.clone(),
        offered: "RTP/SAVP".to_owned(),
        is_offered_sdes: true,
        crypto: answer
            .crypto
            .iter()
            .map(|value| value.clone().into())
            .collect(),
        is_bundled: false,
    };
    if line
        .fault(|value| {
            of_line(suite, ours, value).is_none_or(|finding| finding.code == Code::CallOtherTag)
        })
        .is_none()
    {
        return answer
            .crypto
            .iter()
            .find_map(|value| of_line(suite, ours, value));
    }
    Some(in_clear_or_unusable(suite, ours, &answer))
}

fn in_clear_or_unusable(suite: Suite, ours: &CryptoLine, answer: &Audio) -> Finding {
    let found = answer
        .crypto
        .iter()
        .find_map(|value| of_line(suite, ours, value));
    found.unwrap_or_else(|| {
        Finding::new(
            Code::CallFallsBack,
            format!(
                "{suite} was offered, and answered with {} without a=crypto",
                answer.transport
            ),
        )
    })
}

/// What is wrong with one crypto line.
fn of_line(suite: Suite, ours: &CryptoLine, value: &str) -> Option<Finding> {
    match CryptoLine::parse(value, &RULES) {
        Ok(line) if line.suite != suite => Some(Finding::new(
            Code::CallOtherSuite,
            format!("{suite} was offered, {} came", line.suite),
        )),
        Ok(line) if line.same_keys(ours) => Some(Finding::new(
            Code::CallBadKey,
            format!("{suite}: it answers with our own key"),
        )),
        Ok(line) if line.tag != TAG => Some(Finding::new(
            Code::CallOtherTag,
            format!("{suite}: tag {} for our {TAG}", line.tag),
        )),
        Ok(_) => None,
        Err(SdesError::UnknownSuite) => {
            let name = value.split_whitespace().nth(1).unwrap_or_default();
            Some(Finding::new(
                Code::CallOtherSuite,
                format!("{suite} was offered, {name} came"),
            ))
        }
        Err(error) => Some(Finding::new(Code::CallBadKey, format!("{suite}: {error}"))),
    }
}

/// One call, from INVITE to its end.
fn invite(
    answers: &mut Answers,
    who: &Who,
    number: &str,
    line: Option<&CryptoLine>,
    timeout: Duration,
) -> Fate {
    // A port that is ours while the call lasts. Nothing is sent from it.
    let Ok(socket) = UdpSocket::bind((who.local.ip(), 0)) else {
        return Fate::NotTried("there is no free UDP port".to_owned());
    };
    let port = socket.local_addr().map_or(0, |address| address.port());
    let uri = if number.contains(':') {
        number.to_owned()
    } else {
        format!("sip:{number}@{};transport=tls", who.peer)
    };
    let mut request = Request::new("INVITE", uri, who.local);
    let body = offer(who.local.ip(), port, line);
    let text = request.text(
        who,
        "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\nContent-Type: application/sdp\r\n",
        &body,
    );
    if let Err(reason) = answers.send(text.as_bytes()) {
        return Fate::Ended(reason);
    }
    let begun = Instant::now();
    loop {
        let message = match answers.next(timeout.saturating_sub(begun.elapsed())) {
            Heard::Message(message)
                if message.header("Call-ID").as_deref() == Some(&request.call_id) =>
            {
                message
            }
            Heard::Message(_) | Heard::Malformed(..) | Heard::Pong => continue,
            Heard::Silence => {
                cancel(answers, who, &mut request, timeout);
                return Fate::Silence;
            }
            Heard::End(reason) => return Fate::Ended(reason),
        };
        match message.status() {
            None | Some(100) => {}
            Some(101..=199) => {
                let described = !message.body().trim().is_empty();
                let after = cancel(answers, who, &mut request, timeout);
                return match after {
                    Some(later) if !later.body().trim().is_empty() => Fate::Described(later),
                    _ if described => Fate::Described(message),
                    _ => Fate::Rings(message.status_text().to_owned()),
                };
            }
            Some(200..=299) => {
                hang_up(answers, who, &mut request, &message, timeout);
                return Fate::Described(message);
            }
            Some(status) => {
                acknowledge(answers, who, &request, &message);
                return Fate::Refused(status, message.status_text().to_owned());
            }
        }
    }
}

/// CANCEL (RFC 3261 9.1); the answer to INVITE, if it came all the same and was taken back by BYE.
fn cancel(
    answers: &mut Answers,
    who: &Who,
    request: &mut Request,
    timeout: Duration,
) -> Option<Message> {
    let cancel = Request {
        method: "CANCEL",
        ..request.clone()
    };
    answers.send(cancel.text(who, "", "").as_bytes()).ok()?;
    let begun = Instant::now();
    loop {
        match answers.next(timeout.saturating_sub(begun.elapsed())) {
            Heard::Message(message)
                if message
                    .header("CSeq")
                    .is_some_and(|cseq| cseq.ends_with("INVITE")) =>
            {
                match message.status() {
                    Some(200..=299) => {
                        hang_up(answers, who, request, &message, timeout);
                        return Some(message);
                    }
                    Some(300..) => {
                        acknowledge(answers, who, request, &message);
                        return None;
                    }
                    _ => {}
                }
            }
            Heard::Message(_) | Heard::Malformed(..) | Heard::Pong => {}
            Heard::Silence | Heard::End(_) => return None,
        }
    }
}

/// ACK of a refusal: of the same transaction (RFC 3261 17.1.1.3).
fn acknowledge(answers: &mut Answers, who: &Who, request: &Request, refusal: &Message) {
    let ack = Request {
        method: "ACK",
        to: refusal.header("To").unwrap_or_else(|| request.to.clone()),
        ..request.clone()
    };
    // Whoever is gone needs none.
    let _ = answers.send(ack.text(who, "", "").as_bytes());
}

/// ACK and BYE of a call that was answered (RFC 3261 13.2.2.4, 15).
fn hang_up(
    answers: &mut Answers,
    who: &Who,
    request: &mut Request,
    answer: &Message,
    timeout: Duration,
) {
    let contact = answer.header("Contact").and_then(|contact| {
        let uri = contact
            .split_once('<')
            .map_or(contact.as_str(), |(_, rest)| {
                rest.split('>').next().unwrap_or_default()
            });
        (!uri.is_empty()).then(|| uri.to_owned())
    });
    // The route is in the Record-Route of a response, from its end to its beginning (RFC 3261 12.1.2).
    let routes: String = answer
        .headers("Record-Route")
        .iter()
        .rev()
        .map(|route| format!("Route: {route}\r\n"))
        .collect();
    let to = answer.header("To").unwrap_or_else(|| request.to.clone());
    for (method, cseq) in [("ACK", request.cseq), ("BYE", request.cseq + 1)] {
        let next = Request {
            method,
            uri: contact.clone().unwrap_or_else(|| request.uri.clone()),
            to: to.clone(),
            cseq,
            branch: format!("z9hG4bK{}", super::message::token()),
            ..request.clone()
        };
        if answers
            .send(next.text(who, &routes, "").as_bytes())
            .is_err()
        {
            return;
        }
    }
    let begun = Instant::now();
    loop {
        match answers.next(timeout.saturating_sub(begun.elapsed())) {
            Heard::Message(message)
                if message
                    .header("CSeq")
                    .is_some_and(|cseq| cseq.ends_with("BYE")) =>
            {
                return;
            }
            Heard::Message(_) | Heard::Malformed(..) | Heard::Pong => {}
            Heard::Silence | Heard::End(_) => return,
        }
    }
}
