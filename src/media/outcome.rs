//! What became of the `a=crypto` lines of the peer's answers, for each live call: by it is judged whether an answer counts.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use zeroize::Zeroizing;

use crate::ffi::call::SessionKey;
use crate::ffi::sync::Mutex;

use super::refusal::Refusal;

/// How many refused lines of a stream are remembered: a description has few.
const MOST: usize = 16;

/// A line, without its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line(u64);

impl Line {
    fn of(value: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// A line of an answer that was refused.
#[derive(Debug, Clone)]
pub struct RefusedLine {
    line: Line,
    /// Why.
    pub reason: Refusal,
    /// Which, and what would have been taken, for the log.
    pub details: Details,
}

/// What a line of the log says of a line that was refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// Its tag and suite.
    pub shown: String,
    /// What would have been taken; empty, or to be put behind a sentence.
    pub needed: String,
}

#[derive(Debug, Default)]
struct Stream {
    /// The one whose keys are in force.
    taken: Option<Line>,
    refused: Vec<RefusedLine>,
}

#[derive(Debug, Default)]
struct Answers {
    streams: BTreeMap<usize, Stream>,
    /// For what an answer was refused last, if that was told.
    told: Option<Refusal>,
}

static CALLS: Mutex<BTreeMap<SessionKey, Answers>> = Mutex::new(BTreeMap::new());

fn with_stream<R>(key: SessionKey, stream: usize, change: impl FnOnce(&mut Stream) -> R) -> R {
    let mut calls = CALLS.lock();
    let answers = calls.entry(key).or_default();
    change(answers.streams.entry(stream).or_default())
}

/// A line of the stream's answer was taken. What was refused before it in the same answer does no harm: to be told as that.
pub fn took(key: SessionKey, stream: usize, value: &str) -> Vec<RefusedLine> {
    with_stream(key, stream, |stream| {
        stream.taken = Some(Line::of(value));
        std::mem::take(&mut stream.refused)
    })
}

/// A line of the stream's answer was refused.
pub fn refused(key: SessionKey, stream: usize, value: &str, reason: Refusal, details: Details) {
    let line = Line::of(value);
    with_stream(key, stream, |stream| {
        // It was taken once, and is not any more.
        stream.taken.take_if(|taken| *taken == line);
        stream.refused.retain(|other| other.line != line);
        stream.refused.truncate(MOST - 1);
        stream.refused.insert(
            0,
            RefusedLine {
                line,
                reason,
                details,
            },
        );
    });
}

/// Whether this line is the one that the stream's latest answer was taken for.
pub fn is_taken(key: SessionKey, stream: usize, value: &str) -> bool {
    let calls = CALLS.lock();
    let taken = calls
        .get(&key)
        .and_then(|answers| answers.streams.get(&stream)?.taken);
    taken == Some(Line::of(value))
}

/// Why the latest of these lines was refused, if one was.
pub fn why(key: SessionKey, stream: usize, values: &[Zeroizing<String>]) -> Option<RefusedLine> {
    let calls = CALLS.lock();
    let stream = calls.get(&key)?.streams.get(&stream)?;
    let refused = stream
        .refused
        .iter()
        .find(|refused| values.iter().any(|value| Line::of(value) == refused.line));
    refused.cloned()
}

/// Whether it is news that an answer of the call is refused for this.
pub fn is_first(key: SessionKey, reason: Refusal) -> bool {
    let mut calls = CALLS.lock();
    let before = calls.entry(key).or_default().told.replace(reason);
    before != Some(reason)
}

/// The call has ended.
pub fn forget(key: SessionKey) {
    CALLS.lock().remove(&key);
}
