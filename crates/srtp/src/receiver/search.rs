//! Where else the index of a packet may lie when it does not open where it should.
//!
//! What is sent while nothing arrives (a hold, a loss) moves the peer's counter, and after half a turn of the 16-bit
//! sequence number the guess of RFC 3711 appendix A is wrong for good. Other indexes are tried then. That is safe for each
//! that was never heard: the packet must authenticate under it, and a packet recorded under another index does not.
//!
//! It costs a packet that fails anyway at most one HMAC more, and one too old for the window, of which nothing was computed,
//! at most two. It costs nothing while a stream is heard, but for the fifth and later of packets in a row that fail.

use crate::index::{RTP_INDEXES, TURN};

/// Failed packets in a row after which other indexes are tried, where the guess is tried too.
const PATIENCE: u16 = 4;

/// Turns of the sequence number that a stream is followed ahead: 17 hours of audio at 50 packets a second. With every second
/// packet, all are tried within 2 seconds of audio.
const AHEAD: u16 = 46;

/// One failed packet more. Behind the last number the search goes on.
pub(super) fn count(missed: u16) -> u16 {
    missed.checked_add(1).unwrap_or(PATIENCE)
}

/// As many failed packets as the search goes by, where the guess is tried too. None before it begins.
pub(super) fn patient(missed: u16) -> Option<u16> {
    missed.checked_sub(PATIENCE)
}

/// The index to try after so many failed packets, where `guess` does not fit: turn after turn ahead. Every second time one
/// behind: that of a peer which begins anew without a turn, or whose sequence number jumped back and its counter stayed.
pub(super) fn further(guess: u64, missed: u16) -> Option<u64> {
    let step = missed / 2;
    let index = match (missed % 2, step % 2) {
        (0, _) => guess + TURN * u64::from(step % AHEAD + 1),
        (_, 0) => guess % TURN,
        _ => guess.checked_sub(TURN)?,
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
            .filter_map(patient)
            .filter_map(|missed| further(guess, missed))
            .collect();
        let ahead = (1..=u64::from(AHEAD)).map(|turns| guess + turns * TURN);
        for index in ahead.chain([17, 4 * TURN + 17]) {
            assert!(tried.contains(&index), "{index:#x}");
        }
        assert_eq!(patient(PATIENCE - 1), None);
        assert_eq!(
            further(guess, 0),
            Some(6 * TURN + 17),
            "the likeliest first"
        );
    }

    #[test]
    fn nothing_lies_outside_the_indexes() {
        assert_eq!(further(17, 1), None, "the guess itself");
        assert_eq!(further(17, 3), None);
        assert_eq!(further(RTP_INDEXES - 1, 0), None);
        assert_eq!(count(u16::MAX), PATIENCE);
    }
}
