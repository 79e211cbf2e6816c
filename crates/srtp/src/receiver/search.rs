//! Where else the index of a packet may lie when it does not open where it should.
//!
//! What is sent while nothing arrives (a hold, a loss) moves the peer's counter, and after half a turn of the 16-bit
//! sequence number the guess of RFC 3711 appendix A is wrong for good. Other indexes are tried then. That is safe for each
//! that was never heard: the packet must authenticate under it, and a packet recorded under another index does not.
//!
//! It costs a packet that fails anyway at most one HMAC more (two of a source under a new key), and one too old for the
//! window, of which nothing was computed, at most two. It costs nothing while a stream is heard, but for the fifth and later of packets in a row that fail.

use crate::index::{RTP_INDEXES, TURN};

/// Failed packets in a row after which other indexes are tried, where the guess is tried too.
const PATIENCE: u16 = 4;

/// Turns of the sequence number that a stream is followed, each way: 17 hours of audio at 50 packets a second. With every second
/// packet, those ahead are tried within 2 seconds of audio; a stream that lies behind, and of which no description came, may take 3.
const REACH: u16 = 46;

/// One failed packet more. Behind the last number the search goes on.
pub(super) fn count(missed: u16) -> u16 {
    missed.checked_add(1).unwrap_or(PATIENCE)
}

/// As many failed packets as the search goes by, where the guess is tried too. None before it begins.
pub(super) fn patient(missed: u16) -> Option<u16> {
    missed.checked_sub(PATIENCE)
}

/// The index to try after so many failed packets, where `guess` does not fit: turn after turn ahead. If the peer
/// `may_go_back`, every second one is behind: no turn, for a peer that begins anew; then turn after turn back, for one whose
/// sequence number jumped back and whose counter stayed, and for one that began anew and went on.
pub(super) fn further(guess: u64, missed: u16, may_go_back: bool) -> Option<u64> {
    let step = missed / 2;
    match (may_go_back, missed % 2) {
        (false, _) => ahead(guess, missed),
        (true, 0) => ahead(guess, step),
        (true, _) if step.is_multiple_of(REACH) => Some(guess % TURN).filter(|zero| *zero != guess),
        (true, _) => behind(guess, step - 1),
    }
}

/// The same for a source that was not heard under the key: around where it was under its last key, if it was, and ahead of
/// zero. Two indexes, for there is more to try, and whoever has heard of a new key has no packets of it to send again.
pub(super) fn first(kept: Option<u64>, zero: u64, missed: u16) -> [Option<u64>; 2] {
    let Some(kept) = kept else {
        return [ahead(zero, missed), None];
    };
    let other = match missed % 2 {
        0 => behind(kept, missed / 2),
        _ => ahead(zero, missed / 2),
    };
    [ahead(kept, missed), other]
}

fn ahead(of: u64, step: u16) -> Option<u64> {
    let index = of + TURN * u64::from(step % REACH + 1);
    (index < RTP_INDEXES).then_some(index)
}

fn behind(of: u64, step: u16) -> Option<u64> {
    of.checked_sub(TURN * u64::from(step % REACH + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_turns_come_up_within_a_hundred_packets() {
        let guess = 50 * TURN + 17;
        let turns = || 1..u64::from(REACH);
        let tried = |packets: u16, indexes: &dyn Fn(u16) -> [Option<u64>; 2]| {
            let tried = (0..packets).filter_map(patient).flat_map(indexes);
            tried.flatten().collect::<Vec<_>>()
        };
        let here = tried(50, &|missed| [further(guess, missed, false), None]);
        assert!(turns().all(|n| here.contains(&(guess + n * TURN))));
        let back = tried(100, &|missed| [further(guess, missed, true), None]);
        assert!(turns().all(|n| back.contains(&(guess + n * TURN))));
        assert!(turns().all(|n| back.contains(&(guess - n * TURN))));
        assert!(back.contains(&17));
        let kept = tried(100, &|missed| first(Some(guess), 17, missed));
        assert!(turns().all(|n| kept.contains(&(guess + n * TURN))));
        assert!(turns().all(|n| kept.contains(&(guess - n * TURN))));
        assert!(turns().all(|n| kept.contains(&(17 + n * TURN))));
        let new = tried(50, &|missed| first(None, 17, missed));
        assert!(turns().all(|n| new.contains(&(17 + n * TURN))));
        assert_eq!(patient(PATIENCE - 1), None);
    }

    #[test]
    fn nothing_lies_outside_the_indexes() {
        for missed in [1, 3] {
            assert_eq!(further(17, missed, true), None, "the guess itself");
        }
        assert_eq!(further(RTP_INDEXES - 1, 0, false), None);
        assert_eq!(count(u16::MAX), PATIENCE);
    }
}
