//! When a certificate's end is told: once as each of [`DAYS`] comes near, and once when it is there.
//!
//! There is no clock inside: both times are seconds since 1970 UTC.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use crate::date::Date;

/// Days before a certificate's end at which it is told, the first first.
pub const DAYS: [u8; 5] = [30, 14, 7, 3, 1];
/// Certificates of which it is known what was told. Of more than so many the first is forgotten, and told of again.
pub const MAX_TOLD: usize = 1024;

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

/// How near a certificate's end is: the nearest of [`DAYS`] that has been reached, or the end. The nearer, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearness {
    /// So many of [`DAYS`] were reached; at least one.
    Days(u8),
    /// It has expired.
    Expired,
}

impl Nearness {
    /// At `now`, of a certificate that is good up to and with `not_after` (RFC 5280 section 4.1.2.5). `None`: none was reached.
    #[must_use]
    pub fn of(not_after: i64, now: i64) -> Option<Self> {
        let left = not_after.saturating_sub(now);
        if left < 0 {
            return Some(Self::Expired);
        }
        let reached = DAYS.iter().filter(|days| left <= i64::from(**days) * DAY);
        // At most as many as there are.
        let reached = reached.fold(0, |reached, _| reached + 1);
        (reached > 0).then_some(Self::Days(reached))
    }

    /// From 1; the nearer, the greater.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Days(reached) => reached,
            Self::Expired => u8::MAX,
        }
    }

    /// The threshold, in days; 0: the end.
    #[must_use]
    pub fn days(self) -> u8 {
        match self {
            Self::Days(reached) => DAYS[usize::from(reached.saturating_sub(1)).min(DAYS.len() - 1)],
            Self::Expired => 0,
        }
    }
}

/// What has been told of certificates, by their SHA-256.
#[derive(Debug, Default)]
pub struct Told {
    certificates: BTreeMap<[u8; 32], Nearness>,
    /// Its keys as they came.
    order: VecDeque<[u8; 32]>,
}

impl Told {
    /// Nothing was.
    pub const fn new() -> Self {
        Self {
            certificates: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Whether a certificate's end is to be told at `now`: it has come nearer than what was told of it. It counts as told from here on.
    pub fn is_due(&mut self, sha256: &[u8; 32], not_after: i64, now: i64) -> bool {
        let Some(nearness) = Nearness::of(not_after, now) else {
            return false;
        };
        if let Some(told) = self.certificates.get_mut(sha256) {
            let is_nearer = nearness > *told;
            *told = nearness.max(*told);
            return is_nearer;
        }
        if self.order.len() >= MAX_TOLD
            && let Some(first) = self.order.pop_front()
        {
            self.certificates.remove(&first);
        }
        self.certificates.insert(*sha256, nearness);
        self.order.push_back(*sha256);
        true
    }
}

/// A certificate's names for a line of a log, which is another's doing: the first [`NAMES`], each to its [`NAME`]th character, and what
/// is no text escaped.
#[must_use]
pub fn names(names: &[String]) -> String {
    let short = |name: &String| -> String {
        let text = name.chars().take(NAME).flat_map(char::escape_debug);
        text.collect()
    };
    let mut words: Vec<String> = names.iter().take(NAMES).map(short).collect();
    if names.len() > NAMES {
        words.push(format!("and {} more", names.len() - NAMES));
    }
    words.join(", ")
}

/// Names of a certificate that are told in a line.
const NAMES: usize = 4;
/// Characters of each: those of a domain name (RFC 1035 section 2.3.4).
const NAME: usize = 255;

/// How long a certificate has, told as `expires in 6 days, at 2026-12-03 14:00:00 UTC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The last second in which it is good.
    pub not_after: i64,
    /// The time it is.
    pub now: i64,
}

impl End {
    /// Whole days; negative: it has expired.
    #[must_use]
    pub fn days(self) -> i64 {
        self.left().div_euclid(DAY)
    }

    /// Days and parts of one, for a measurement; negative: it has expired.
    #[must_use]
    pub fn exact_days(self) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a double counts seconds exactly for longer than there are dates in certificates"
        )]
        let seconds = self.left() as f64;
        seconds / 86_400.0
    }

    fn left(self) -> i64 {
        self.not_after.saturating_sub(self.now)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = Date(self.not_after);
        let (number, unit) = match self.left() {
            ..0 => return write!(f, "has expired, at {at}"),
            left @ ..HOUR => (left / 60, "minute"),
            left @ ..DAY => (left / HOUR, "hour"),
            left => (left / DAY, "day"),
        };
        let plural = if number == 1 { "" } else { "s" };
        write!(f, "expires in {number} {unit}{plural}, at {at}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn in_days(days: f64) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "days of this century")]
        let seconds = (days * 86_400.0) as i64;
        NOW + seconds
    }

    #[test]
    fn thresholds() {
        for (days, told) in [
            (10_000.0, None),
            (31.0, None),
            (30.000_1, None),
            (30.0, Some(30)),
            (29.0, Some(30)),
            (14.1, Some(30)),
            (14.0, Some(14)),
            (13.0, Some(14)),
            (6.0, Some(7)),
            (2.5, Some(3)),
            (1.0, Some(1)),
            (0.5, Some(1)),
            (0.0, Some(1)),
            (-0.000_1, Some(0)),
            (-400.0, Some(0)),
        ] {
            let nearness = Nearness::of(in_days(days), NOW);
            assert_eq!(nearness.map(Nearness::days), told, "{days} days");
        }
        assert_eq!(Nearness::of(i64::MIN, NOW), Some(Nearness::Expired));
        assert_eq!(Nearness::of(i64::MAX, NOW), None);
        assert_eq!(Nearness::of(i64::MAX, i64::MIN), None);
    }

    #[test]
    fn each_is_told_once_as_time_passes() {
        let mut told = Told::new();
        let end = in_days(40.0);
        let mut at = Vec::new();
        // A look at every hour.
        for hour in 0..24 * 45 {
            let now = NOW + hour * HOUR;
            if told.is_due(&[1; 32], end, now) {
                at.push(
                    End {
                        not_after: end,
                        now,
                    }
                    .days(),
                );
            }
        }
        assert_eq!(at, [30, 14, 7, 3, 1, -1]);
    }

    #[test]
    fn what_was_passed_while_nobody_looked_is_told_as_one() {
        let mut told = Told::new();
        let end = in_days(40.0);
        assert!(!told.is_due(&[1; 32], end, NOW));
        assert!(told.is_due(&[1; 32], end, in_days(38.0)), "2 days are left");
        assert!(!told.is_due(&[1; 32], end, in_days(38.1)));
        assert!(told.is_due(&[1; 32], end, in_days(39.5)));
    }

    #[test]
    fn a_clock_that_goes_back_tells_nothing_twice() {
        let mut told = Told::new();
        assert!(told.is_due(&[1; 32], in_days(2.0), NOW));
        assert!(!told.is_due(&[1; 32], in_days(2.0), NOW - 5 * DAY));
        assert!(!told.is_due(&[1; 32], in_days(2.0), NOW));
    }

    #[test]
    fn a_renewed_certificate_begins_anew() {
        let mut told = Told::new();
        assert!(told.is_due(&[1; 32], in_days(2.0), NOW));
        assert!(!told.is_due(&[2; 32], in_days(90.0), NOW));
        assert!(told.is_due(&[2; 32], in_days(90.0), in_days(61.0)));
        assert!(told.is_due(&[3; 32], in_days(2.0), NOW));
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let mut told = Told::new();
        let name = |number: u32| {
            let mut name = [0; 32];
            name[28..].copy_from_slice(&number.to_be_bytes());
            name
        };
        for number in 0..100_000 {
            assert!(told.is_due(&name(number), in_days(6.0), NOW));
            // Those that are not near their end take no room.
            assert!(!told.is_due(&name(1_000_000 + number), in_days(60.0), NOW));
        }
        assert_eq!(
            (told.certificates.len(), told.order.len()),
            (MAX_TOLD, MAX_TOLD)
        );
        assert!(!told.is_due(&name(99_999), in_days(6.0), NOW), "it is kept");
        assert!(told.is_due(&name(0), in_days(6.0), NOW), "it was forgotten");
    }

    #[test]
    fn names_cannot_forge_a_line() {
        let list = |all: &[&str]| names(&all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
        assert_eq!(list(&["a.example", "b.example"]), "a.example, b.example");
        assert_eq!(list(&["a\nERROR: b"]), "a\\nERROR: b");
        assert_eq!(
            list(&["a", "b", "c", "d", "e", "f"]),
            "a, b, c, d, and 2 more"
        );
        assert_eq!(list(&["ä".repeat(1000).as_str()]).chars().count(), NAME);
    }

    #[test]
    fn in_words() {
        let words = |seconds: i64| {
            let not_after = NOW + seconds;
            End {
                not_after,
                now: NOW,
            }
            .to_string()
        };
        assert_eq!(
            words(6 * DAY + HOUR),
            "expires in 6 days, at 2027-01-21 09:00:00 UTC"
        );
        assert_eq!(words(DAY), "expires in 1 day, at 2027-01-16 08:00:00 UTC");
        assert_eq!(
            words(DAY - 1),
            "expires in 23 hours, at 2027-01-16 07:59:59 UTC"
        );
        assert_eq!(
            words(59),
            "expires in 0 minutes, at 2027-01-15 08:00:59 UTC"
        );
        assert_eq!(words(-1), "has expired, at 2027-01-15 07:59:59 UTC");
        let exact = End {
            not_after: NOW + DAY / 2,
            now: NOW,
        }
        .exact_days();
        assert!((exact - 0.5).abs() < 1e-9, "{exact}");
        assert_eq!(
            End {
                not_after: NOW - 1,
                now: NOW
            }
            .days(),
            -1
        );
    }
}
