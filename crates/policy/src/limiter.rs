//! Which log lines are written when a peer can cause as many as it likes.
//!
//! A line has a kind (its reason code) and a source (whose doing it is: an address, an endpoint). The first lines of a kind
//! are written at once; those after them are counted by source, and a [`Summary`] says how many there were when the
//! interval ends. Intervals grow while it goes on, and a kind that was quiet for one is forgotten. What is kept is bounded
//! whatever comes.
//!
//! There is no clock inside: the time is the duration since any fixed moment, and does not go back.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Lines of one kind and one source that are written at once in an interval.
pub const PER_SOURCE: u32 = 3;
/// Lines of one kind that are written at once in its first interval, whoever caused them.
pub const PER_KIND: u32 = 12;
/// The same in each further interval while lines of that kind are suppressed; only for sources that were not loud before.
pub const PER_KIND_LATER: u32 = 3;
/// The first interval of a kind. Each further one is twice as long.
pub const FIRST_INTERVAL: Duration = Duration::from_secs(10);
/// The longest interval.
pub const LAST_INTERVAL: Duration = Duration::from_secs(320);

/// Kinds that are told apart; further ones are counted as [`OTHER`].
pub const MAX_KINDS: usize = 128;
/// Sources of a kind that are told apart.
pub const MAX_SOURCES: usize = 64;
/// Octets that are kept of a kind's or a source's name.
pub const MAX_NAME: usize = 64;
/// The kind of lines that found [`MAX_KINDS`] others there.
pub const OTHER: &str = "other";

/// Sources that a summary names.
const NAMED: usize = 4;

/// Decides. One for the whole module.
#[derive(Debug, Default)]
pub struct Limiter {
    kinds: BTreeMap<String, Kind>,
    suppressed: u64,
}

#[derive(Debug)]
struct Kind {
    /// The beginning and the length of its interval.
    since: Duration,
    interval: Duration,
    /// Lines that can still be written in it.
    left: u32,
    sources: BTreeMap<String, Source>,
    /// Lines suppressed of sources that found no room in `sources`.
    of_others: u64,
}

#[derive(Debug, Default)]
struct Source {
    written: u32,
    suppressed: u64,
}

/// What was suppressed of a kind in an interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The kind.
    pub kind: String,
    /// Lines that were not written; at least one.
    pub lines: u64,
    /// In how long.
    pub time: Duration,
    /// The sources of most of them, the loudest first, and how many lines were of each.
    pub sources: Vec<(String, u64)>,
    /// Lines of all other sources.
    pub of_others: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} more of the kind '{}' in {} s:",
            self.lines,
            self.kind,
            self.time.as_secs().max(1)
        )?;
        let mut separator = " ";
        for (source, lines) in &self.sources {
            write!(f, "{separator}{lines} from {source}")?;
            separator = ", ";
        }
        if self.of_others > 0 {
            write!(f, "{separator}{} from others", self.of_others)?;
        }
        Ok(())
    }
}

/// At most [`MAX_NAME`] octets of `name`.
fn short(name: &str) -> &str {
    &name[..name.floor_char_boundary(MAX_NAME)]
}

impl Limiter {
    /// A limiter that has seen nothing.
    pub const fn new() -> Self {
        Self {
            kinds: BTreeMap::new(),
            suppressed: 0,
        }
    }

    /// Whether a line of this kind and source is to be written at `now`. It is counted otherwise.
    pub fn admits(&mut self, kind: &str, source: &str, now: Duration) -> bool {
        let mut kind = short(kind);
        if !self.kinds.contains_key(kind) {
            if self.kinds.len() >= MAX_KINDS {
                kind = OTHER;
            }
            // One more than MAX_KINDS: OTHER.
            self.kinds
                .entry(kind.to_owned())
                .or_insert_with(|| Kind::new(now));
        }
        let admitted = self
            .kinds
            .get_mut(kind)
            .is_none_or(|kind| kind.admits(short(source)));
        self.suppressed += u64::from(!admitted);
        admitted
    }

    /// The summaries that are due at `now`. To be asked every now and then.
    pub fn due(&mut self, now: Duration) -> Vec<Summary> {
        self.summaries(now, false)
    }

    /// The summaries of everything that was not told yet: nothing will be asked any more.
    pub fn flush(&mut self, now: Duration) -> Vec<Summary> {
        let summaries = self.summaries(now, true);
        self.kinds.clear();
        summaries
    }

    fn summaries(&mut self, now: Duration, all: bool) -> Vec<Summary> {
        let mut summaries = Vec::new();
        self.kinds.retain(|name, kind| {
            let time = now.saturating_sub(kind.since);
            if !all && time < kind.interval {
                return true;
            }
            let summary = kind.summary(name, time);
            kind.begin_again(now);
            let goes_on = summary.is_some();
            summaries.extend(summary);
            goes_on
        });
        summaries
    }

    /// Lines that were not written, since the beginning.
    pub fn suppressed(&self) -> u64 {
        self.suppressed
    }
}

impl Kind {
    fn new(now: Duration) -> Self {
        Self {
            since: now,
            interval: FIRST_INTERVAL,
            left: PER_KIND,
            sources: BTreeMap::new(),
            of_others: 0,
        }
    }

    fn admits(&mut self, name: &str) -> bool {
        if !self.sources.contains_key(name) && self.sources.len() < MAX_SOURCES {
            self.sources.insert(name.to_owned(), Source::default());
        }
        let written = self.sources.get(name).map_or(0, |source| source.written);
        let admitted = self.left > 0 && written < PER_SOURCE;
        match self.sources.get_mut(name) {
            Some(source) if admitted => source.written += 1,
            Some(source) => source.suppressed += 1,
            None if admitted => {}
            None => self.of_others += 1,
        }
        self.left -= u32::from(admitted);
        admitted
    }

    fn summary(&self, name: &str, time: Duration) -> Option<Summary> {
        let mut sources: Vec<(String, u64)> = self
            .sources
            .iter()
            .filter(|(_, source)| source.suppressed > 0)
            .map(|(name, source)| (name.clone(), source.suppressed))
            .collect();
        sources.sort_by_key(|(_, lines)| std::cmp::Reverse(*lines));
        let unnamed = sources.split_off(NAMED.min(sources.len()));
        let sum = |sources: &[(String, u64)]| sources.iter().map(|(_, lines)| lines).sum::<u64>();
        let of_others = self.of_others + sum(&unnamed);
        let lines = sum(&sources) + of_others;
        (lines > 0).then(|| Summary {
            kind: name.to_owned(),
            lines,
            time,
            sources,
            of_others,
        })
    }

    /// The next interval. Who was loud in this one is not heard at once in that one.
    fn begin_again(&mut self, now: Duration) {
        self.since = now;
        self.interval = (self.interval * 2).min(LAST_INTERVAL);
        self.left = PER_KIND_LATER;
        self.of_others = 0;
        self.sources.retain(|_, source| source.suppressed > 0);
        for source in self.sources.values_mut() {
            *source = Source {
                written: PER_SOURCE,
                suppressed: 0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1000);

    fn at(seconds: u64) -> Duration {
        START + Duration::from_secs(seconds)
    }

    #[test]
    fn one_line_is_written_at_once_and_nothing_follows() {
        let mut limiter = Limiter::new();
        assert!(limiter.admits("not-tls", "192.0.2.1", START));
        assert_eq!(limiter.suppressed(), 0);
        assert_eq!(limiter.due(at(3600)), []);
    }

    #[test]
    fn a_flood_is_some_lines_and_a_summary_by_source() {
        let mut limiter = Limiter::new();
        let mut written = 0;
        for n in 0..100_000_u64 {
            let source = if n % 4 == 0 { "192.0.2.2" } else { "192.0.2.1" };
            written += u64::from(limiter.admits("not-tls", source, START));
        }
        assert_eq!(written, u64::from(2 * PER_SOURCE));
        assert_eq!(limiter.suppressed(), 100_000 - written);
        assert_eq!(limiter.due(at(9)), [], "the interval has not ended");
        let summaries = limiter.due(at(10));
        assert_eq!(summaries.len(), 1);
        assert_eq!(
            summaries[0].to_string(),
            "99994 more of the kind 'not-tls' in 10 s: 74997 from 192.0.2.1, 24997 from 192.0.2.2"
        );
        assert_eq!(limiter.due(at(10)), [], "it is told once");
    }

    #[test]
    fn the_first_of_another_kind_is_written_in_a_flood() {
        let mut limiter = Limiter::new();
        for _ in 0..1000 {
            limiter.admits("not-tls", "192.0.2.1", START);
        }
        assert!(limiter.admits("no-certificate", "192.0.2.1", START));
        assert!(!limiter.admits("not-tls", "192.0.2.1", START));
    }

    #[test]
    fn another_source_is_heard_in_a_flood_that_goes_on() {
        let mut limiter = Limiter::new();
        let flood = |limiter: &mut Limiter, now| {
            (0..1000)
                .filter(|_| limiter.admits("not-tls", "192.0.2.1", now))
                .count()
        };
        assert_eq!(flood(&mut limiter, START), PER_SOURCE as usize);
        assert_eq!(limiter.due(at(10)).len(), 1);
        assert_eq!(flood(&mut limiter, at(11)), 0, "it was loud before");
        assert!(limiter.admits("not-tls", "198.51.100.7", at(11)));
        // The second interval is twice as long.
        assert_eq!(limiter.due(at(29)), []);
        let summaries = limiter.due(at(30));
        assert_eq!(summaries[0].sources, [("192.0.2.1".to_owned(), 1000)]);
    }

    #[test]
    fn it_begins_anew_when_it_was_quiet_for_an_interval() {
        let mut limiter = Limiter::new();
        for _ in 0..100 {
            limiter.admits("not-tls", "192.0.2.1", START);
        }
        assert_eq!(limiter.due(at(10)).len(), 1);
        assert_eq!(limiter.due(at(30)), []);
        assert!(limiter.admits("not-tls", "192.0.2.1", at(31)));
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let mut limiter = Limiter::new();
        let mut written = 0;
        for n in 0..20_000 {
            let long = "ä".repeat(1000);
            written += u32::from(limiter.admits("kind", &format!("{n}{long}"), START));
            limiter.admits(&format!("{n}{long}"), "192.0.2.1", START);
        }
        assert_eq!(written, PER_KIND);
        assert_eq!(limiter.kinds.len(), MAX_KINDS + 1);
        for (name, kind) in &limiter.kinds {
            assert!(name.len() <= MAX_NAME);
            assert!(kind.sources.len() <= MAX_SOURCES);
            assert!(kind.sources.keys().all(|name| name.len() <= MAX_NAME));
        }
        let counted: u64 = limiter
            .flush(at(1))
            .iter()
            .map(|summary| summary.lines)
            .sum();
        assert_eq!(counted, limiter.suppressed(), "every line is counted");
        assert!(limiter.kinds.is_empty());
    }

    #[test]
    fn a_flood_without_an_end_is_a_line_every_few_minutes() {
        let mut limiter = Limiter::new();
        let mut lines = 0;
        for second in 0..86_400 {
            for _ in 0..10 {
                lines += usize::from(limiter.admits("not-tls", "192.0.2.1", at(second)));
            }
            lines += limiter.due(at(second)).len();
        }
        assert!(lines < 300, "{lines} lines in a day");
    }

    #[test]
    fn nothing_that_was_counted_is_lost_at_the_end() {
        let mut limiter = Limiter::new();
        for _ in 0..10 {
            limiter.admits("not-tls", "192.0.2.1", START);
        }
        assert_eq!(limiter.flush(at(1))[0].lines, 10 - u64::from(PER_SOURCE));
    }
}
