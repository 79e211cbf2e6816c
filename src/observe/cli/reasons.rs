//! `ciphertrunk show refusals`, `show reasons`, `reasons`, `explain`: why things failed.

use std::time::{SystemTime, UNIX_EPOCH};

use policy::date::Date;
use policy::reasons;

use crate::console;
use crate::ffi::cli::{Console, Outcome};
use crate::observe::refusals;

use super::Rows;

/// What has no value.
const NONE: &str = "-";

fn or_none(text: &str) -> &str {
    if text.is_empty() { NONE } else { text }
}

/// A moment, as a log has it.
pub fn when(time: SystemTime) -> Date {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Date(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

pub fn show_refusals(console: &mut Console<'_>) -> Outcome {
    let Some(rows) = Rows::of(console, 3) else {
        return Outcome::Usage;
    };
    let (latest, kept, total) = refusals::latest(rows.most());
    for entry in &latest {
        console!(
            console,
            "{} {} Peer: {} Endpoint: {} Call-ID: {} Reason: {}",
            when(entry.time),
            entry.code,
            or_none(&entry.peer),
            or_none(&entry.endpoint),
            or_none(&entry.call_id),
            entry.sentence
        );
    }
    console!(
        console,
        "{} of {kept} refusals that are kept, {total} since load",
        latest.len()
    );
    Outcome::Done
}

pub fn show_reasons(console: &mut Console<'_>) -> Outcome {
    let Some(rows) = Rows::of(console, 3) else {
        return Outcome::Usage;
    };
    let mut counts = refusals::counts();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (code, count) in counts.iter().take(rows.most()) {
        let row = reasons::find(code);
        console!(
            console,
            "{code}: {count} (to change: {}) {}",
            row.map_or(NONE, |row| row.side.word()),
            row.map_or("", |row| row.sentence)
        );
    }
    rows.end(console, counts.len(), "reasons since load");
    Outcome::Done
}

pub fn list(console: &mut Console<'_>) -> Outcome {
    if console.words.len() != 2 {
        return Outcome::Usage;
    }
    let all = reasons::all();
    for row in all {
        console!(console, "{}: {}", row.code, row.sentence);
    }
    console!(
        console,
        "{} reasons; `ciphertrunk explain CODE` says more of one",
        all.len()
    );
    Outcome::Done
}

pub fn explain(console: &mut Console<'_>) -> Outcome {
    let [_, _, code] = console.words else {
        return Outcome::Usage;
    };
    let Some(row) = reasons::find(&code.to_ascii_lowercase()) else {
        console!(
            console,
            "There is no reason '{code}'; `ciphertrunk reasons` lists all"
        );
        return Outcome::Done;
    };
    console!(console, "Reason: {}", row.code);
    console!(console, "When: {}", row.stage);
    console!(console, "What: {}", row.sentence);
    console!(console, "To change: {}", row.side.word());
    console!(console, "How: {}", or_none(row.change));
    let counts = refusals::counts();
    let count = counts.iter().find(|(other, _)| *other == row.code);
    console!(
        console,
        "Since load: {}",
        count.map_or(0, |(_, count)| *count)
    );
    Outcome::Done
}

/// The codes.
pub fn codes(_: usize) -> Vec<String> {
    let codes = reasons::all().iter().map(|row| row.code.to_owned());
    codes.collect()
}
