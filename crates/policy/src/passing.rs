//! Another leg's packets that pass under a leg's key (a native bridge): when so many of them are refused that something has to be done.

use std::sync::atomic::{AtomicU32, Ordering};

/// Something is done after so many: a few come late, or twice.
pub const MANY: u32 = 10;
/// And after so many more, a second of audio, when that did not help.
const MORE: u32 = 50;
/// As many that pass, 10 s of audio, make one forgotten that did not. Asterisk writes a WARNING for each that is refused in a native bridge,
/// and none in its core: where more come twice than that, the core has the call.
const FORGET: u32 = 500;

/// RTP packets that could not be encrypted, each counted as [`FORGET`] that could.
#[derive(Debug, Default)]
pub struct Refused(AtomicU32);

impl Refused {
    /// A packet was encrypted.
    #[inline]
    pub fn passed(&self) {
        let refused = self.0.load(Ordering::Relaxed);
        if refused != 0 {
            // Whoever counts at the same time may be lost: it is no more than one packet.
            self.0.store(refused - 1, Ordering::Relaxed);
        }
    }

    /// One was not. Whether something has to be done; it is counted anew then. `again`: something was done before.
    pub fn are_enough(&self, again: bool) -> bool {
        let refused = self.0.fetch_add(FORGET, Ordering::Relaxed) + FORGET;
        let enough = if again { MORE } else { MANY };
        let are_enough = refused >= enough * FORGET;
        if are_enough {
            self.0.store(0, Ordering::Relaxed);
        }
        are_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many of 500 that are refused, with so many `good` ones behind each.
    fn after(refused: &Refused, good: u32, again: bool) -> Option<u32> {
        (1..=500).find(|_| {
            let are_enough = refused.are_enough(again);
            (0..good).for_each(|_| refused.passed());
            are_enough
        })
    }

    #[test]
    fn a_few_are_nothing_and_many_are_enough() {
        let refused = Refused::default();
        for again in [false, true, true] {
            let enough = if again { MORE } else { MANY };
            assert_eq!(after(&refused, 0, again), Some(enough));
        }
    }

    /// Each packet comes twice, and the second one is refused; or one of twenty does, which are two lines a second; one in ten seconds is nothing.
    #[test]
    fn good_ones_in_between_do_not_hide_many() {
        assert_eq!(after(&Refused::default(), 1, false), Some(MANY + 1));
        assert_eq!(after(&Refused::default(), 20, false), Some(MANY + 1));
        assert_eq!(after(&Refused::default(), FORGET, false), None);
    }

    #[test]
    fn they_are_forgotten() {
        let refused = Refused::default();
        assert!((1..MANY).all(|_| !refused.are_enough(false)));
        (0..MANY * FORGET).for_each(|_| refused.passed());
        assert_eq!(after(&refused, 0, false), Some(MANY));
    }
}
