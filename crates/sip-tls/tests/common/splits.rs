//! What holds for every stream, however it is split. Shared by the framing test and the fuzz target.

use std::ops::ControlFlow;

use sip_tls::frame::{FrameError, Framer, Item, MAX_MESSAGE};

/// What a framer made of a stream: the messages, the number of keepalives, the end.
type Outcome = (Vec<Vec<u8>>, usize, Option<FrameError>);

fn outcome<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let (mut framer, mut messages, mut pings) = (Framer::default(), Vec::new(), 0);
    for chunk in chunks {
        let pushed = framer.push(chunk, |item| {
            match item {
                Item::Message(message) => messages.push(message.to_vec()),
                Item::Ping => pings += 1,
            }
            ControlFlow::Continue(())
        });
        if let Err(error) = pushed {
            return (messages, pings, Some(error));
        }
        assert!(
            framer.held() <= MAX_MESSAGE,
            "more is held than a message can have"
        );
    }
    (messages, pings, None)
}

/// The splits change nothing; messages are parts of the stream in their order, with nothing but CR and LF between them;
/// each has an end of header and is no longer than allowed.
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
    assert_eq!(outcome(chunks), whole, "the splits change what comes out");

    let mut rest = stream;
    for message in &whole.0 {
        while let [b'\r' | b'\n', after @ ..] = rest {
            rest = after;
        }
        rest = rest
            .strip_prefix(&message[..])
            .expect("a message is a part of the stream");
        assert!(message.len() <= MAX_MESSAGE);
        assert!(
            message.windows(4).any(|four| four == b"\r\n\r\n")
                || message.windows(3).any(|three| three == b"\n\r\n")
        );
    }
}
