//! Which indexes of a stream were heard: a window, and what lies beside it when the stream jumped.
//!
//! RFC 3711 asks for a window alone, before which everything counts as heard. A peer that sets its sequence number back
//! is never heard again then. To tell what was heard from what never was takes the lowest index too, and a run of indexes
//! for each stretch that the stream left by a jump.

use crate::replay::{Seen, WINDOW, Window};

/// Runs that are remembered. One more is joined with its nearest neighbour, and what lies between counts as heard.
const RUNS: usize = 8;

/// Indexes that count as heard, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    lowest: u64,
    highest: u64,
}

/// The indexes of one SSRC that were heard under one key.
#[repr(C)]
pub(super) struct Heard {
    window: Window,
    /// From here to the window everything counts as heard.
    lowest: u64,
    /// Other runs, ascending. None for a stream that never jumped, which is nearly every one.
    #[expect(clippy::box_collection, reason = "one word in each session, not three")]
    runs: Option<Box<Vec<Run>>>,
}

impl Heard {
    #[inline]
    pub(super) fn starting_at(index: u64) -> Self {
        Heard {
            window: Window::starting_at(index),
            lowest: index,
            runs: None,
        }
    }

    /// The highest index of the run that is heard now.
    #[inline]
    pub(super) fn highest(&self) -> u64 {
        self.window.highest()
    }

    /// The index behind the highest one, if `seq` is its sequence number and the stream never jumped: it was not heard then.
    #[inline]
    pub(super) fn next(&self, seq: u16) -> Option<u64> {
        self.window.next(seq).filter(|_| self.runs.is_none())
    }

    /// Marks the index behind the highest one.
    #[inline]
    pub(super) fn take_next(&mut self) {
        self.window.take_next();
    }

    /// What the window knows of an index; [`Seen::Used`] also for what another run has.
    #[inline]
    pub(super) fn look_up(&self, index: u64) -> Seen {
        match self.window.look_up(index) {
            Seen::New if self.runs.is_some() && self.in_runs(index) => Seen::Used,
            seen => seen,
        }
    }

    /// Whether an index that is too old for the window was never heard all the same.
    pub(super) fn is_new_behind(&self, index: u64) -> bool {
        index < self.lowest && !self.in_runs(index)
    }

    #[cold]
    fn in_runs(&self, index: u64) -> bool {
        let mut runs = self.runs.iter().flat_map(|runs| runs.iter());
        runs.any(|run| (run.lowest..=run.highest).contains(&index))
    }

    /// Marks an index that was never heard. `true`: the stream has gone back.
    #[inline]
    pub(super) fn take(&mut self, index: u64) -> bool {
        let ahead = index.wrapping_sub(self.window.highest());
        if ahead < WINDOW {
            self.window.advance(ahead);
            return false;
        }
        self.take_elsewhere(index)
    }

    /// As [`take`](Self::take), for what is late or a jump away.
    #[cold]
    fn take_elsewhere(&mut self, index: u64) -> bool {
        let highest = self.window.highest();
        if index <= highest && highest - index < WINDOW {
            self.window.take(index);
            self.lowest = self.lowest.min(index);
            return false;
        }
        let left = Run {
            lowest: self.lowest,
            highest,
        };
        let runs = self.runs.get_or_insert_default();
        runs.push(left);
        runs.sort_unstable_by_key(|run| run.lowest);
        runs.dedup_by(|next, run| {
            let joined = next.lowest <= run.highest + 1;
            if joined {
                run.highest = run.highest.max(next.highest);
            }
            joined
        });
        if runs.len() > RUNS {
            join_nearest(runs);
        }
        self.window = Window::starting_at(index);
        self.lowest = index;
        index < highest
    }
}

/// Joins the two runs between which the least lies.
fn join_nearest(runs: &mut Vec<Run>) {
    let between = |i: &usize| runs[i + 1].lowest - runs[*i].highest;
    if let Some(at) = (0..runs.len() - 1).min_by_key(between) {
        let next = runs.remove(at + 1);
        runs[at].highest = next.highest;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn what_lies_before_the_first_index_was_never_heard() {
        let mut h = Heard::starting_at(1000);
        h.take(1100);
        h.take(1200);
        assert_eq!(h.look_up(1000), Seen::TooOld);
        for (index, new) in [(999, true), (0, true), (1000, false), (1050, false)] {
            assert_eq!(h.is_new_behind(index), new, "{index}");
        }
        // Late, and before the first one: it is the first one now.
        let mut h = Heard::starting_at(1000);
        h.take(990);
        h.take(1200);
        assert!(h.is_new_behind(989) && !h.is_new_behind(990) && !h.is_new_behind(995));
    }

    #[test]
    fn a_run_that_was_left_stays_heard() {
        let mut h = Heard::starting_at(33_000);
        for index in 33_001..=33_074 {
            h.take(index);
        }
        h.take(23_080);
        for index in 23_081..33_000 {
            assert_eq!(h.look_up(index), Seen::New);
            h.take(index);
        }
        for index in 33_000..=33_074 {
            assert_eq!(h.look_up(index), Seen::Used, "{index}");
        }
        assert_eq!(h.look_up(33_075), Seen::New);
        h.take(33_075);
        assert_eq!(
            h.look_up(33_074),
            Seen::Used,
            "in the window, and heard before it"
        );
        assert!(h.is_new_behind(23_079) && !h.is_new_behind(23_080));
    }

    #[test]
    fn what_a_jump_left_out_was_never_heard() {
        let mut h = Heard::starting_at(1000);
        h.take(50_000);
        assert!(h.is_new_behind(1001) && h.is_new_behind(49_000) && !h.is_new_behind(1000));
        assert_eq!(h.look_up(49_999), Seen::New, "late");
    }

    #[test]
    fn runs_are_bounded_and_joining_them_forgets_nothing() {
        let mut h = Heard::starting_at(0);
        let mut heard = HashSet::from([0]);
        let mut x = 7_u64;
        for _ in 0..20_000 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let index = if x >> 60 == 0 {
                (x >> 20) % 100_000
            } else {
                h.highest() + (x >> 33) % 3
            };
            let new = match h.look_up(index) {
                Seen::New => true,
                Seen::Used => false,
                Seen::TooOld => h.is_new_behind(index),
            };
            if new {
                assert!(heard.insert(index), "{index} twice");
                h.take(index);
            }
            assert!(h.runs.as_ref().is_none_or(|runs| runs.len() <= RUNS));
        }
        assert!(heard.len() > 5_000, "{}", heard.len());
    }
}
