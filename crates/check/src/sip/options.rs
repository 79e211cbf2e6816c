//! OPTIONS, its answer, and a keepalive.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use sip_tls::{Code as Why, Reason, Stage as WhyStage, frame::FaultKind};

use super::answer::{Answers, Heard};
use super::message::{Message, Request, Who};
use crate::code::Code;
use crate::report::{Finding, Stage, Step};

/// The port of a Via that names none (RFC 3261 18.2.2).
const SIPS_PORT: u16 = 5061;

/// How an OPTIONS ended.
pub(crate) struct Asked {
    pub(crate) step: Step,
    /// The connection ended instead of an answer.
    pub(crate) ended: Option<Reason>,
    /// It was answered.
    pub(crate) answered: bool,
}

/// A pong, or the end of a connection that a server closes after its answer, is waited for so long at most.
const PING: Duration = Duration::from_secs(2);

/// Asks.
pub(crate) fn ask(answers: &mut Answers, who: &Who, timeout: Duration) -> Asked {
    let mut asked = Asked {
        step: Step::new(Stage::Sip),
        ended: None,
        answered: false,
    };
    let request = Request::new(
        "OPTIONS",
        format!("sip:{};transport=tls", who.peer),
        who.local,
    );
    let text = request.text(who, "Accept: application/sdp\r\n", "");
    let begun = Instant::now();
    let mut is_any_whole = false;
    if let Err(reason) = answers.send(text.as_bytes()) {
        asked.ended = Some(reason);
        return asked;
    }
    loop {
        match answers.next(timeout.saturating_sub(begun.elapsed())) {
            Heard::Message(message) => match message.status() {
                Some(100..=199) => is_any_whole = true,
                Some(status) => {
                    asked.answered = true;
                    asked.step.fact(format!(
                        "OPTIONS: {} after {} ms",
                        message.status_text(),
                        begun.elapsed().as_millis()
                    ));
                    if let Some(server) = message
                        .header("Server")
                        .or_else(|| message.header("User-Agent"))
                    {
                        asked.step.fact(format!("it calls itself {server}"));
                    }
                    judge(&mut asked.step, &request, &message, status);
                    return asked;
                }
                None if message.header("Call-ID").as_deref() == Some(&request.call_id) => {
                    asked
                        .step
                        .add(Finding::new(Code::AnswerEchoed, message.start_line()));
                    return asked;
                }
                None => {
                    is_any_whole = true;
                    asked
                        .step
                        .fact(format!("a request of its own: {}", message.start_line()));
                }
            },
            Heard::Malformed(kind, message) => {
                asked.step.add(malformed(kind, &message, answers.first()));
                return asked;
            }
            Heard::Pong => {}
            Heard::Silence => {
                let begun = first_line(answers.first());
                asked.step.add(if !is_any_whole && !begun.is_empty() {
                    Finding::new(
                        Code::AnswerMalformed,
                        format!(
                            "it sent \"{begun}\", and no end of it that can be told in {} s: lines without CR, or a Content-Length that is too long",
                            timeout.as_secs_f32()
                        ),
                    )
                } else {
                  Finding::new(
                    Code::OptionsUnanswered,
                    format!("waited {} s", timeout.as_secs_f32()),
                )});
                return asked;
            }
            Heard::End(reason) => {
                if reason.code == Why::NotSip || answers.first().starts_with(b"HTTP/") {
                    asked.step.add(not_sip(answers.first()));
                } else if reason.stage == WhyStage::Message {
                    // It was not ended there: what comes cannot be read on.
                    asked
                        .step
                        .add(Finding::new(Code::AnswerMalformed, reason.to_string()));
                } else {
                    asked.ended = Some(reason);
                }
                return asked;
            }
        }
    }
}

/// The first line that says something, as far as it can be shown.
fn first_line(first: &[u8]) -> String {
    first
        .iter()
        .skip_while(|byte| b"\r\n".contains(byte))
        .take_while(|byte| !b"\r\n".contains(byte))
        .map(|byte| char::from(*byte))
        .filter(char::is_ascii)
        .collect()
}

fn not_sip(first: &[u8]) -> Finding {
    let shown = first_line(first);
    let lower = first.to_ascii_lowercase();
    let web: [&[u8]; 3] = [b"http/", b"<!doctype", b"<html"];
    let code = if web.iter().any(|word| lower.starts_with(word)) {
        Code::AnswerHttp
    } else {
        Code::AnswerNotSip
    };
    Finding::new(code, format!("it sent \"{shown}\""))
}

fn malformed(kind: FaultKind, message: &Message, first: &[u8]) -> Finding {
    if message.start_line().starts_with("HTTP/") || first.starts_with(b"HTTP/") {
        return Finding::new(Code::AnswerHttp, message.start_line());
    }
    match kind {
        FaultKind::NotSip => not_sip(first),
        _ => Finding::new(
            Code::AnswerMalformed,
            format!("{kind} ({})", message.start_line()),
        ),
    }
}

/// Whether the answer is one to the request.
pub(crate) fn mismatch(request: &Request, answer: &Message) -> Option<Finding> {
    let via = answer.header("Via").unwrap_or_default();
    if Message::param(&via, "branch").as_deref() != Some(&request.branch) {
        return Some(Finding::new(
            Code::AnswerWrongVia,
            format!(
                "\"{via}\", and the branch asked with was {}",
                request.branch
            ),
        ));
    }
    if let Some(port) = other_port(request, &via) {
        return Some(Finding::new(
            Code::AnswerWrongVia,
            format!(
                "\"{via}\", and it was asked from {}: pjsip drops an answer with port {port}",
                request.local
            ),
        ));
    }
    let cseq = answer.header("CSeq").unwrap_or_default();
    let mut words = cseq.split_whitespace();
    if words.next().and_then(|number| number.parse().ok()) != Some(request.cseq)
        || words.next() != Some(request.method)
    {
        return Some(Finding::new(
            Code::AnswerWrongCseq,
            format!(
                "\"{cseq}\", and it was asked with \"{} {}\"",
                request.cseq, request.method
            ),
        ));
    }
    let from = answer.header("From").unwrap_or_default();
    let same_call = answer.header("Call-ID").as_deref() == Some(&request.call_id);
    if !same_call || Message::param(&from, "tag").as_deref() != Some(&request.tag) {
        return Some(Finding::new(
            Code::AnswerWrongDialog,
            format!(
                "From \"{from}\", Call-ID \"{}\"",
                answer.header("Call-ID").unwrap_or_default()
            ),
        ));
    }
    None
}

/// A port that is not the one that was asked from, where pjsip looks at it: beside our own address, with no `rport` that is right
/// (`endpt_on_rx_msg` in `sip_endpoint.c`, RFC 3261 18.1.2).
fn other_port(request: &Request, via: &str) -> Option<u16> {
    let sent_by = via.split_whitespace().nth(1)?.split(';').next()?;
    let local = request.local;
    let port = match sent_by.parse::<SocketAddr>() {
        Ok(sent_by) if sent_by.ip() == local.ip() => sent_by.port(),
        Ok(_) => return None,
        Err(_) => {
            let host = sent_by.trim_start_matches('[').trim_end_matches(']');
            let is_local = host.parse::<IpAddr>().is_ok_and(|ip| ip == local.ip());
            is_local.then_some(SIPS_PORT)?
        }
    };
    let rport = Message::param(via, "rport").and_then(|rport| rport.parse().ok());
    (port != local.port() && rport != Some(local.port())).then_some(port)
}

fn judge(step: &mut Step, request: &Request, answer: &Message, status: u16) {
    if let Some(finding) = mismatch(request, answer) {
        step.add(finding);
    }
    let text = answer.status_text();
    match status {
        200..=299 | 401 | 407 => {}
        403 => step.add(Finding::new(Code::OptionsForbidden, text)),
        // It serves, and not this (RFC 3261 21.5.2, 21.5.6, 21.6).
        300..=499 | 501 | 505 | 600..=699 => step.add(Finding::new(Code::OptionsRefused, text)),
        _ => step.add(Finding::new(Code::OptionsServerError, text)),
    }
}

/// A double CRLF; the step, and whether the connection is still there.
pub(crate) fn ping(answers: &mut Answers, timeout: Duration) -> (Step, Option<Reason>) {
    let mut step = Step::new(Stage::Ping);
    if let Err(reason) = answers.send(b"\r\n\r\n") {
        return (
            Step::not_tried(Stage::Ping, "the connection was closed"),
            Some(reason),
        );
    }
    let begun = Instant::now();
    let limit = PING.min(timeout);
    loop {
        match answers.next(limit.saturating_sub(begun.elapsed())) {
            Heard::Pong => {
                step.fact("a double CRLF is answered");
                return (step, None);
            }
            Heard::Silence => {
                step.add(Finding::new(Code::PingUnanswered, ""));
                return (step, None);
            }
            Heard::End(reason) => {
                return (
                    Step::not_tried(Stage::Ping, "the connection was closed"),
                    Some(reason),
                );
            }
            Heard::Message(_) | Heard::Malformed(..) => {}
        }
    }
}
