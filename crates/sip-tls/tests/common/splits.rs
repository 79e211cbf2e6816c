//! What holds for every stream, however it is split. Shared by the framing test and the fuzz target.

use std::ops::ControlFlow;

use sip_tls::frame::{FaultKind, FrameError, Framer, Item, MAX_MESSAGE};

/// What a framer made of a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Got {
    Message(Vec<u8>),
    Ping,
    /// The kind, the head, the answer, and whether its end is known.
    Fault(FaultKind, Vec<u8>, Option<Vec<u8>>, bool),
}

/// What came out of a stream, and how it ended.
pub type Outcome = (Vec<Got>, Option<FrameError>);

pub fn outcome<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let (mut framer, mut got) = (Framer::default(), Vec::new());
    for chunk in chunks {
        let pushed = framer.push(chunk, |item| {
            got.push(match item {
                Item::Message(message) => Got::Message(message.to_vec()),
                Item::Ping => Got::Ping,
                // Of lines that are none it is told how much of them had come.
                Item::Fault(fault) if fault.kind == FaultKind::NotSip => {
                    assert_eq!(fault.answer(), None);
                    Got::Fault(fault.kind, Vec::new(), None, fault.is_end_known)
                }
                Item::Fault(fault) => Got::Fault(
                    fault.kind,
                    fault.head.to_vec(),
                    fault.answer(),
                    fault.is_end_known,
                ),
            });
            ControlFlow::Continue(())
        });
        if let Err(error) = pushed {
            return (got, Some(error));
        }
        assert!(
            framer.held() <= MAX_MESSAGE,
            "more is held than a message can have"
        );
    }
    (got, None)
}

/// Behind a message whose end is not known, or whose long body may not come, the TLS records decide: what comes out up to there.
fn certain(mut outcome: Outcome) -> Outcome {
    let doubtful = |got: &Got| {
        matches!(
            got,
            Got::Fault(_, _, _, false) | Got::Fault(FaultKind::TooLong, ..)
        )
    };
    if let Some(at) = outcome.0.iter().position(doubtful) {
        outcome.0.truncate(at + 1);
        outcome.1 = None;
    }
    outcome
}

/// The splits change nothing; messages are parts of the stream in their order; each has an end of header and is no longer than
/// allowed; an answer is a whole response.
pub fn check(stream: &[u8], splits: &[u8]) {
    let whole = outcome(std::iter::once(stream));
    let mut rest = stream;
    let mut lengths = splits.iter().cycle();
    let chunks = std::iter::from_fn(|| {
        if rest.is_empty() {
            return None;
        }
        let length = lengths.next().map_or(rest.len(), |&length| {
            usize::from(length).clamp(1, rest.len())
        });
        let (chunk, after) = rest.split_at(length);
        rest = after;
        Some(chunk)
    });
    assert_eq!(
        certain(outcome(chunks)),
        certain(whole.clone()),
        "the splits change what comes out"
    );

    let mut rest = stream;
    for got in &whole.0 {
        match got {
            Got::Ping => {}
            Got::Fault(_, head, answer, _) => {
                rest = after(rest, head).expect("a head is a part of the stream");
                if let Some(answer) = answer {
                    let framed = outcome(std::iter::once(&answer[..]));
                    assert_eq!(framed, (vec![Got::Message(answer.clone())], None));
                }
            }
            Got::Message(message) => {
                let without = message.strip_suffix(b"Content-Length: 0\r\n\r\n");
                let without = without.map(|fields| [fields, b"\r\n"].concat());
                rest = [Some(message.clone()), without]
                    .into_iter()
                    .flatten()
                    .filter_map(|part| after(rest, &part))
                    .max_by_key(|after| after.len())
                    .expect("a message is a part of the stream");
                assert!(message.len() <= MAX_MESSAGE);
                assert!(message.windows(3).any(|three| three == b"\n\r\n"));
            }
        }
    }
}

/// What follows `part` in `stream`.
fn after<'a>(stream: &'a [u8], part: &[u8]) -> Option<&'a [u8]> {
    if part.is_empty() {
        return Some(stream);
    }
    let at = stream
        .windows(part.len())
        .position(|window| window == part)?;
    Some(&stream[at + part.len()..])
}
