//! Keys that are made here and change by themselves.

use std::time::{Duration, Instant};

use super::Key;

/// A key signs for so long, and opens for as long again: OpenSSL's sessions last two hours.
pub(super) const PERIOD: Duration = Duration::from_secs(2 * 60 * 60);

/// The key for new tickets, and the one before it.
pub(super) struct Own {
    /// `None`: there was no new one to be had.
    signs: Option<Key>,
    since: Instant,
    before: Option<Key>,
}

impl Own {
    pub(super) fn new(key: Key, now: Instant) -> Own {
        Own {
            signs: Some(key),
            since: now,
            before: None,
        }
    }

    /// Changes the keys if it is time.
    pub(super) fn turn(&mut self, now: Instant, make: impl FnOnce() -> Option<Key>) {
        let age = now.saturating_duration_since(self.since);
        if age < PERIOD && self.signs.is_some() {
            return;
        }
        let old = self.signs.take();
        if age >= PERIOD {
            // Whoever was away for two periods has no ticket that is still good.
            self.before = old.filter(|_| age < 2 * PERIOD);
            self.since = now;
        }
        self.signs = make();
    }

    pub(super) fn signing(&self) -> Option<Key> {
        self.signs.clone()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Key> {
        self.signs.iter().chain(&self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_for_two_periods_at_most() {
        let start = Instant::now();
        let key = || Key::random().expect("random octets");
        let first = key();
        let mut own = Own::new(first.clone(), start);
        let opens = |own: &Own, key: &Key| own.all().any(|it| it == key);
        own.turn(start + PERIOD - Duration::from_secs(1), || unreachable!());
        assert!(own.signing().as_ref() == Some(&first));
        own.turn(start + PERIOD, || Some(key()));
        let second = own.signing().expect("a new one");
        assert!(second != first && opens(&own, &first));
        own.turn(start + 2 * PERIOD, || Some(key()));
        assert!(!opens(&own, &first) && opens(&own, &second));
        // After a long rest none of the old ones is good.
        let third = own.signing().expect("a new one");
        own.turn(start + 4 * PERIOD, || Some(key()));
        assert!(!opens(&own, &second) && !opens(&own, &third));
        assert_eq!(own.all().count(), 1);
    }

    #[test]
    fn without_random_octets_nothing_is_signed() {
        let start = Instant::now();
        let first = Key::random().expect("random octets");
        let mut own = Own::new(first.clone(), start);
        own.turn(start + PERIOD, || None);
        assert!(own.signing().is_none() && own.all().any(|it| *it == first));
        own.turn(start + PERIOD, || Key::random().ok());
        assert!(own.signing().is_some_and(|key| key != first));
        assert!(own.all().any(|it| *it == first));
    }
}
