//! The latest refusals, and how often each reason occurred since the beginning.
//!
//! What is kept is bounded whatever comes: [`KEPT`] entries of a few short texts each. A new entry takes the place, and the memory, of
//! the oldest, so that a flood allocates nothing.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::SystemTime;

/// Entries that are kept.
pub const KEPT: usize = 1000;
/// Octets that are kept of a name: of a peer, an endpoint, a Call-ID.
pub const MAX_NAME: usize = 128;
/// Octets that are kept of a sentence.
pub const MAX_SENTENCE: usize = 512;

/// A refusal that is to be entered; what is not known is empty.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// When it was.
    pub time: SystemTime,
    /// Its code in [`reasons`](crate::reasons).
    pub code: &'static str,
    /// The peer's address, or the name or URI that was asked for.
    pub peer: &'a str,
    /// The endpoint of PJSIP's, the peer of chan_sip's, or the transport of a connection that belongs to none.
    pub endpoint: &'a str,
    /// The call's Call-ID.
    pub call_id: &'a str,
    /// What happened.
    pub sentence: fmt::Arguments<'a>,
}

/// A refusal that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was.
    pub time: SystemTime,
    /// Its code.
    pub code: &'static str,
    /// The peer's address, or the name or URI that was asked for.
    pub peer: String,
    /// The endpoint, or the transport.
    pub endpoint: String,
    /// The call's Call-ID.
    pub call_id: String,
    /// What happened.
    pub sentence: String,
}

/// The record. One for the whole module.
#[derive(Debug, Default)]
pub struct Record {
    /// Filled up to [`KEPT`], and then a ring.
    entries: Vec<Entry>,
    /// Where the oldest is, once it is one.
    oldest: usize,
    total: u64,
    counts: BTreeMap<&'static str, u64>,
}

/// A text that takes so many octets and no more, and nothing that a terminal would take for its own.
struct Bounded<'a> {
    text: &'a mut String,
    most: usize,
}

impl Write for Bounded<'_> {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        for c in more.chars() {
            if self.text.len() + c.len_utf8() > self.most {
                // The rest is left out; that is not a failure.
                self.most = self.text.len();
                return Ok(());
            }
            self.text.push(if c.is_control() { '?' } else { c });
        }
        Ok(())
    }
}

fn set(text: &mut String, most: usize, value: fmt::Arguments<'_>) {
    text.clear();
    // A `Display` that fails leaves what it has written.
    let _ = Bounded { text, most }.write_fmt(value);
}

impl Entry {
    const EMPTY: Self = Self {
        time: SystemTime::UNIX_EPOCH,
        code: "",
        peer: String::new(),
        endpoint: String::new(),
        call_id: String::new(),
        sentence: String::new(),
    };

    /// The entry that a record would keep.
    pub fn of(new: New<'_>) -> Self {
        let mut entry = Self::EMPTY;
        entry.become_new(new);
        entry
    }

    fn become_new(&mut self, new: New<'_>) {
        self.time = new.time;
        self.code = new.code;
        set(&mut self.peer, MAX_NAME, format_args!("{}", new.peer));
        set(
            &mut self.endpoint,
            MAX_NAME,
            format_args!("{}", new.endpoint),
        );
        set(&mut self.call_id, MAX_NAME, format_args!("{}", new.call_id));
        set(&mut self.sentence, MAX_SENTENCE, new.sentence);
    }
}

impl Record {
    /// An empty one.
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
            oldest: 0,
            total: 0,
            counts: BTreeMap::new(),
        }
    }

    /// Enters a refusal.
    pub fn enter(&mut self, new: New<'_>) {
        self.total += 1;
        *self.counts.entry(new.code).or_default() += 1;
        if self.entries.len() < KEPT {
            let mut entry = Entry::EMPTY;
            entry.become_new(new);
            self.entries.push(entry);
        } else {
            self.entries[self.oldest].become_new(new);
            self.oldest = (self.oldest + 1) % KEPT;
        }
    }

    /// The latest `most`, the newest first.
    pub fn latest(&self, most: usize) -> impl Iterator<Item = &Entry> {
        let (newer, older) = self.entries.split_at(self.oldest);
        newer.iter().rev().chain(older.iter().rev()).take(most)
    }

    /// How many are kept.
    pub fn kept(&self) -> usize {
        self.entries.len()
    }

    /// How many there were since the beginning.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How often each reason occurred since the beginning, for those that did.
    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(record: &mut Record, code: &'static str, peer: &str, number: usize) {
        record.enter(New {
            time: SystemTime::UNIX_EPOCH,
            code,
            peer,
            endpoint: "carrier",
            call_id: "",
            sentence: format_args!("number {number}"),
        });
    }

    fn sentences(record: &Record, most: usize) -> Vec<String> {
        record
            .latest(most)
            .map(|entry| entry.sentence.clone())
            .collect()
    }

    #[test]
    fn the_newest_come_first_and_the_oldest_go() {
        let mut record = Record::new();
        assert_eq!(sentences(&record, 100), [] as [&str; 0]);
        for number in 0..3 {
            enter(&mut record, "not-tls", "192.0.2.1", number);
        }
        assert_eq!(sentences(&record, 2), ["number 2", "number 1"]);
        for number in 3..KEPT + 2 {
            enter(&mut record, "tls-silent", "192.0.2.1", number);
        }
        assert_eq!(record.kept(), KEPT);
        assert_eq!(record.total(), KEPT as u64 + 2);
        let all = sentences(&record, usize::MAX);
        assert_eq!(all.len(), KEPT);
        let expected = (2..KEPT + 2).rev().map(|number| format!("number {number}"));
        assert!(all.into_iter().eq(expected));
        let counts = record.counts();
        assert_eq!(
            (counts["not-tls"], counts["tls-silent"]),
            (3, KEPT as u64 - 1)
        );
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let mut record = Record::new();
        let long = "ä\u{1b}[31m".repeat(1000);
        for number in 0..3 * KEPT {
            enter(&mut record, "not-tls", &long, number);
        }
        assert_eq!(record.kept(), KEPT);
        for entry in record.latest(usize::MAX) {
            assert!(entry.peer.len() <= MAX_NAME && entry.peer.capacity() <= 2 * MAX_NAME);
            assert!(!entry.peer.contains('\u{1b}'));
        }
    }

    #[test]
    fn a_flood_allocates_nothing() {
        let mut record = Record::new();
        for number in 0..KEPT {
            enter(&mut record, "not-tls", "192.0.2.100", number);
        }
        let places = |record: &Record| {
            let mut places: Vec<_> = record
                .entries
                .iter()
                .map(|entry| (entry.peer.as_ptr(), entry.sentence.as_ptr()))
                .collect();
            places.sort();
            places
        };
        let before = places(&record);
        for number in 0..KEPT {
            enter(&mut record, "not-tls", "192.0.2.1", number);
        }
        assert_eq!(places(&record), before);
    }
}
