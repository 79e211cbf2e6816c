//! When a change is over: files are written in parts, and a key comes before its certificate.

use std::time::{Duration, Instant};

/// Nothing has changed for so long: it is over.
const QUIET: Duration = Duration::from_secs(1);
/// What changes all the time is looked at all the same.
const LONGEST: Duration = Duration::from_secs(10);

/// Changes that came, until they are looked at.
#[derive(Debug, Default)]
pub(super) struct Settle {
    /// The first and the last of them.
    since: Option<(Instant, Instant)>,
}

impl Settle {
    /// Something has changed.
    pub(super) fn event(&mut self, now: Instant) {
        let first = self.since.map_or(now, |(first, _)| first);
        self.since = Some((first, now));
    }

    /// How long to wait until it is to be looked at; `None`: nothing has changed.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        let (first, last) = self.since?;
        let due = (last + QUIET).min(first + LONGEST);
        Some(due.saturating_duration_since(now))
    }

    /// It is being looked at.
    pub(super) fn done(&mut self) {
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_rest() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut settle = Settle::default();
        assert_eq!(settle.wait(start), None);
        settle.event(start);
        settle.event(at(700));
        assert_eq!(settle.wait(at(800)), Some(Duration::from_millis(900)));
        assert_eq!(settle.wait(at(1699)), Some(Duration::from_millis(1)));
        assert_eq!(settle.wait(at(1700)), Some(Duration::ZERO));
        assert_eq!(settle.wait(at(9000)), Some(Duration::ZERO));
        settle.done();
        assert_eq!(settle.wait(at(9000)), None);
    }

    #[test]
    fn what_never_rests() {
        let start = Instant::now();
        let mut settle = Settle::default();
        let mut looked = Vec::new();
        for tenth in 0..250 {
            let now = start + Duration::from_millis(tenth * 100);
            settle.event(now);
            if settle.wait(now) == Some(Duration::ZERO) {
                settle.done();
                looked.push(tenth);
            }
        }
        assert_eq!(looked, [100, 201]);
    }
}
