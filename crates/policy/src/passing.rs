//! Another leg's packets that pass under a leg's key (a native bridge): when so many of them are refused that something has to be done.

use std::sync::atomic::{AtomicU32, Ordering};

/// A native bridge is left behind so many: a few come late, or twice.
pub const MANY: u32 = 10;
/// So many in a row, a second of audio, that are Asterisk's own: none with its SSRC gets through.
const ROW: u32 = 50;
/// As many that pass, 10 s of audio, make one forgotten that did not. Asterisk writes a WARNING for each that is refused in a native bridge,
/// and none in its core: where more come twice than that, the core has the call.
const FORGET: u32 = 500;

/// RTP packets that could not be encrypted.
#[derive(Debug, Default)]
pub struct Refused {
    /// Each counted as [`FORGET`] that could. Not 0 while there is a row.
    all: AtomicU32,
    row: AtomicU32,
}

/// Something has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enough {
    /// [`MANY`], with others in between that passed.
    Many,
    /// Of a row that is a second long.
    Row,
}

impl Refused {
    /// A packet was encrypted.
    #[inline]
    pub fn passed(&self) {
        let all = self.all.load(Ordering::Relaxed);
        if all != 0 {
            // Whoever counts at the same time may be lost: it is no more than one packet.
            self.all.store(all - 1, Ordering::Relaxed);
            self.row.store(0, Ordering::Relaxed);
        }
    }

    /// One was not. It is counted anew behind enough.
    pub fn refused(&self) -> Option<Enough> {
        let all = self.all.fetch_add(FORGET, Ordering::Relaxed) + FORGET;
        let enough = if self.row.fetch_add(1, Ordering::Relaxed) + 1 >= ROW {
            self.row.store(0, Ordering::Relaxed);
            Enough::Row
        } else if all >= MANY * FORGET {
            Enough::Many
        } else {
            return None;
        };
        self.all.store(1, Ordering::Relaxed);
        Some(enough)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many of 500 that are refused, with so many `good` ones behind each.
    fn after(refused: &Refused, good: u32, wanted: Enough) -> Option<u32> {
        (1..=500).find(|_| {
            let enough = refused.refused();
            (0..good).for_each(|_| refused.passed());
            enough == Some(wanted)
        })
    }

    #[test]
    fn a_few_are_nothing_and_many_are_enough() {
        let refused = Refused::default();
        for _ in 0..3 {
            assert_eq!(after(&refused, 0, Enough::Many), Some(MANY));
        }
        let refused = Refused::default();
        for _ in 0..3 {
            assert_eq!(after(&refused, 0, Enough::Row), Some(ROW));
        }
    }

    /// Each packet comes twice, and the second one is refused; or one of twenty does, which are two lines a second; one in ten seconds is nothing.
    #[test]
    fn good_ones_in_between_do_not_hide_many_and_end_a_row() {
        for (good, many) in [(1, Some(MANY + 1)), (20, Some(MANY + 1)), (FORGET, None)] {
            assert_eq!(after(&Refused::default(), good, Enough::Many), many);
            assert_eq!(after(&Refused::default(), good, Enough::Row), None);
        }
    }

    #[test]
    fn they_are_forgotten() {
        let refused = Refused::default();
        assert!((1..MANY).all(|_| refused.refused().is_none()));
        (0..MANY * FORGET).for_each(|_| refused.passed());
        assert_eq!(after(&refused, 0, Enough::Many), Some(MANY));
        // Just behind enough, too.
        for _ in 0..20 {
            assert_eq!(after(&refused, 0, Enough::Many), Some(MANY));
            refused.passed();
        }
    }
}
