//! The sliding window of indexes already used (RFC 3711 section 3.3.2).

use std::num::NonZero;

/// Indexes the window covers, the highest one included (RFC 3711 asks for at least 64).
pub(crate) const WINDOW: u64 = 128;

/// What the window knows about an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Not used so far.
    New,
    /// Already used.
    Used,
    /// Before the window: nobody knows.
    TooOld,
}

/// The highest index used and which of the [`WINDOW`] indexes up to it were.
#[derive(Clone)]
pub(crate) struct Window {
    highest: u64,
    /// Bit n stands for `highest - n`, which is why the first half is never zero. (A `u128` would
    /// be padded to its alignment, and leave no room for the `None` of an `Option`.)
    used: (NonZero<u64>, u64),
}

impl Window {
    #[inline]
    pub(crate) fn starting_at(index: u64) -> Self {
        Window {
            highest: index,
            used: (NonZero::<u64>::MIN, 0),
        }
    }

    /// With every index up to the highest one used.
    pub(crate) fn used_up_to(highest: u64) -> Self {
        Window {
            highest,
            used: (NonZero::<u64>::MAX, u64::MAX),
        }
    }

    #[inline]
    fn used(&self) -> u128 {
        u128::from(self.used.1) << 64 | u128::from(self.used.0.get())
    }

    #[inline]
    fn set_used(&mut self, used: u128) {
        self.used = (NonZero::<u64>::MIN | used as u64, (used >> 64) as u64);
    }

    #[inline]
    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }

    #[inline]
    pub(crate) fn look_up(&self, index: u64) -> Seen {
        match self.highest.checked_sub(index) {
            None => Seen::New,
            Some(age) if age >= WINDOW => Seen::TooOld,
            Some(age) if self.used() >> age & 1 == 1 => Seen::Used,
            Some(_) => Seen::New,
        }
    }

    /// The index behind the highest one, if `seq` is its sequence number.
    #[inline]
    pub(crate) fn next(&self, seq: u16) -> Option<u64> {
        let next = self.highest + 1;
        (next as u16 == seq).then_some(next)
    }

    /// Marks the index behind the highest one.
    #[inline]
    pub(crate) fn take_next(&mut self) {
        self.set_used(self.used() << 1);
        self.highest += 1;
    }

    /// Marks the index that lies so far ahead of the highest one, less than [`WINDOW`].
    #[inline]
    pub(crate) fn advance(&mut self, ahead: u64) {
        self.set_used(self.used() << (ahead % WINDOW));
        self.highest += ahead;
    }

    /// Looks an index up, and marks it if it is new.
    #[inline]
    pub(crate) fn take(&mut self, index: u64) -> Seen {
        let Some(ahead) = index.checked_sub(self.highest) else {
            let seen = self.look_up(index);
            if seen == Seen::New {
                self.set_used(self.used() | 1 << (self.highest - index));
            }
            return seen;
        };
        if ahead == 0 {
            return Seen::Used;
        }
        let shift = u32::try_from(ahead).unwrap_or(u32::MAX);
        self.set_used(self.used().checked_shl(shift).unwrap_or(0));
        self.highest = index;
        Seen::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_index_is_new_once() {
        let mut w = Window::starting_at(1000);
        assert_eq!(w.look_up(1000), Seen::Used);
        for index in [1001, 1005, 1003, 1127] {
            assert_eq!(w.look_up(index), Seen::New);
            assert_eq!(w.take(index), Seen::New);
            assert_eq!(w.look_up(index), Seen::Used);
            assert_eq!(w.take(index), Seen::Used);
        }
        assert_eq!(w.look_up(1000), Seen::Used);
        assert_eq!(w.look_up(1002), Seen::New);
        assert_eq!(w.look_up(999), Seen::TooOld);
        assert_eq!(w.take(999), Seen::TooOld);
        w.take(1128);
        assert_eq!(w.look_up(1000), Seen::TooOld);
        assert_eq!(w.look_up(1001), Seen::Used);
    }

    #[test]
    fn a_jump_forgets_what_lies_before() {
        for jump in [127, 128, 129, 1 << 15, 1 << 40] {
            let mut w = Window::starting_at(500);
            w.take(500 + jump);
            let want = if jump < WINDOW {
                Seen::Used
            } else {
                Seen::TooOld
            };
            assert_eq!(w.look_up(500), want, "{jump}");
            assert_eq!(w.look_up(500 + jump), Seen::Used);
            assert_eq!(w.look_up(499 + jump), Seen::New);
        }
    }

    #[test]
    fn the_next_index_is_the_one_that_is_guessed() {
        for highest in [0, 7, 0x7fff, 0x8000, 0xfffe, 0xffff, 0x1_ffff, 0x5_7fff] {
            let w = Window::starting_at(highest);
            for seq in 0..=u16::MAX {
                let next = w.next(seq);
                assert_eq!(next.is_some(), seq == (highest as u16).wrapping_add(1));
                assert!(next.is_none() || next == crate::index::guess(highest, seq));
            }
            let (mut one, mut other) = (w.clone(), w);
            for n in 1..200 {
                one.take_next();
                assert_eq!(other.take(highest + n), Seen::New);
                assert_eq!((one.highest, one.used), (other.highest, other.used));
            }
        }
    }

    #[test]
    fn agrees_with_a_set() {
        let mut w = Window::starting_at(10_000);
        let mut set = std::collections::HashSet::from([10_000_u64]);
        let mut highest = 10_000_u64;
        let mut x = 1_u64;
        for _ in 0..5_000 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let index = highest + 40 - (x >> 33) % 200;
            let want = if index + WINDOW <= highest {
                Seen::TooOld
            } else if set.contains(&index) {
                Seen::Used
            } else {
                Seen::New
            };
            assert_eq!(w.look_up(index), want);
            assert_eq!(w.take(index), want);
            if want == Seen::New {
                set.insert(index);
                highest = highest.max(index);
            }
            assert_eq!(w.highest(), highest);
        }
    }
}
