//! Where else the index of a packet may lie when it does not open where it should.
//!
//! What is sent while nothing arrives (a hold, a loss) moves the peer's counter, and after half a turn of the 16-bit
//! sequence number the guess of RFC 3711 appendix A is wrong for good. Other indexes are tried then. That is safe for each
//! that was never heard: the packet must authenticate under it, and a packet recorded under another index does not.
//!
//! It costs at most one HMAC more for a packet that fails anyway, or for one with a used index; one for every second such
//! packet where the guess itself is tried; and nothing while a stream is heard, but for the fourth and later of packets in
//! a row that fail. (A packet too old, which has no other try, gets one at once, and one for the index itself where the
//! peer may have gone back to it.)

use crate::index::{RTP_INDEXES, TURN};

/// Failed packets in a row after which other indexes are tried.
const PATIENCE: u16 = 4;

/// Turns of the sequence number that a stream is followed ahead: 17 hours of audio at 50 packets a second.
const AHEAD: u16 = 46;

/// Steps after which the search begins anew: two more, back. With every second packet 2 seconds of audio.
const STEPS: u16 = AHEAD + 2;

/// The step that is due after so many failed packets, where the guess is tried too.
pub(super) fn paced(missed: u16) -> Option<u16> {
    let beyond = missed.checked_sub(PATIENCE)?;
    beyond.is_multiple_of(2).then_some(beyond / 2)
}

/// One failed packet more. Behind the last number the search goes on.
pub(super) fn count(missed: u16) -> u16 {
    missed.checked_add(1).unwrap_or(PATIENCE)
}

/// The index to try at a step of the search, where `guess` does not fit: the next turn; no turn, for a peer that begins
/// anew; the turn before, for one whose sequence number jumped back without one; then turn after turn ahead.
pub(super) fn further(guess: u64, step: u16) -> Option<u64> {
    let index = match step % STEPS {
        0 => guess + TURN,
        1 => guess % TURN,
        2 => guess.checked_sub(TURN)?,
        turns => guess + TURN * u64::from(turns - 1),
    };
    (index != guess && index < RTP_INDEXES).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_turns_come_up_within_a_hundred_packets() {
        let guess = 5 * TURN + 17;
        let tried: Vec<_> = (0..100)
            .filter_map(paced)
            .filter_map(|s| further(guess, s))
            .collect();
        let ahead = (1..=u64::from(AHEAD)).map(|turns| guess + turns * TURN);
        for index in ahead.chain([17, 4 * TURN + 17]) {
            assert!(tried.contains(&index), "{index:#x}");
        }
        assert_eq!(tried.len(), usize::from(STEPS));
        assert_eq!(paced(PATIENCE - 1), None);
    }

    #[test]
    fn nothing_lies_outside_the_indexes() {
        assert_eq!(further(17, 1), None, "the guess itself");
        assert_eq!(further(17, 2), None);
        assert_eq!(further(RTP_INDEXES - 1, 0), None);
        assert_eq!(count(u16::MAX), PATIENCE);
    }
}
