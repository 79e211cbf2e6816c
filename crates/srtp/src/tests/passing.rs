//! Another leg's packets that leave under our key with its own SSRCs and sequence numbers, as in a native bridge.

use super::*;
use crate::index::guess;
use crate::{MAX_LOCAL_SOURCES, MAX_PASSING_SOURCES};

const OWN: u32 = 1;
const FAR: u32 = 2;

fn bridge(policy: &Policy) -> (Session, Session) {
    let mut s = sender(policy);
    s.set_own_source(OWN);
    (s, receiver(policy))
}

/// Whether the packet leaves; what leaves is heard.
fn pass(s: &mut Session, r: &mut Session, ssrc: u32, seq: u16) -> Result<(), ProtectError> {
    let packet = rtp_from(ssrc, seq, &seq.to_be_bytes());
    let out = protect(s, &packet)?;
    assert_eq!(unprotect(r, &out), Ok(packet), "SSRC {ssrc}, {seq}");
    Ok(())
}

#[test]
fn each_legs_rollover_counter_is_its_own() {
    for suite in [CM, GCM] {
        let (mut s, mut r) = bridge(&policy(suite, 1));
        pass(&mut s, &mut r, OWN, 100).unwrap();
        // Two turns of the far leg's, one of ours, and another leg in between.
        for turn in 0..2 {
            for seq in [0x1000, 0x5000, 0x9000, 0xd000, 0xffff] {
                pass(&mut s, &mut r, FAR, seq).unwrap();
            }
            assert_eq!(s.stats().local_roc, Some(turn));
        }
        for seq in [101, 0x6000, 0xb000, 50] {
            pass(&mut s, &mut r, OWN, seq).unwrap();
        }
        assert_eq!(s.stats().local_roc, Some(1));
        pass(&mut s, &mut r, 3, 65_535).unwrap();
        assert_eq!(s.stats().local_roc, Some(0));
        pass(&mut s, &mut r, 3, 0).unwrap();
        pass(&mut s, &mut r, FAR, 0).unwrap();
        assert_eq!(s.stats().local_roc, Some(2));
    }
}

#[test]
fn a_leg_that_comes_back_behind_is_refused_until_it_is_ahead() {
    for suite in [CM, GCM] {
        let (mut s, mut r) = bridge(&policy(suite, 1));
        for seq in 1000..1200 {
            pass(&mut s, &mut r, FAR, seq).unwrap();
        }
        pass(&mut s, &mut r, OWN, 7).unwrap();
        // Before the window, at its edge, inside it with another payload; the key that is set again changes nothing.
        for seq in [0, 1000, 1071, 1072, 1150, 1199] {
            s.set_local(LocalSsrc::Any, &policy(suite, 1)).unwrap();
            let other = rtp_from(FAR, seq, b"another payload");
            let refused = protect(&mut s, &other).unwrap_err();
            assert!(
                matches!(
                    refused,
                    ProtectError::ReusedIndex | ProtectError::IndexTooOld
                ),
                "{seq}: {refused}"
            );
        }
        pass(&mut s, &mut r, FAR, 1200).unwrap();
        // A new key has no past.
        s.set_local(LocalSsrc::Any, &policy(suite, 2)).unwrap();
        r.set_remote(&[policy(suite, 2)], false, 0).unwrap();
        pass(&mut s, &mut r, FAR, 1000).unwrap();
    }
}

#[test]
fn a_far_ssrc_that_is_our_own_shares_its_indexes() {
    let (mut s, mut r) = bridge(&policy(GCM, 1));
    for seq in 500..600 {
        pass(&mut s, &mut r, OWN, seq).unwrap();
    }
    // The far leg's, which has ours: behind, then where we were, then ahead.
    for seq in [550, 599] {
        let far = rtp_from(OWN, seq, b"the far leg's");
        assert_eq!(protect(&mut s, &far), Err(ProtectError::ReusedIndex));
    }
    pass(&mut s, &mut r, OWN, 900).unwrap();
    // And ours again, behind it: refused, and what changes its SSRC is heard.
    let own = rtp_from(OWN, 600, b"ours");
    assert_eq!(protect(&mut s, &own), Err(ProtectError::IndexTooOld));
    s.change_source(OWN, 77);
    pass(&mut s, &mut r, 77, 601).unwrap();
}

#[test]
fn a_far_leg_that_changes_its_ssrc_without_end_leaves_room_for_ours() {
    let (mut s, _) = bridge(&policy(GCM, 1));
    for ssrc in 1000..1000 + MAX_PASSING_SOURCES as u32 {
        protect(&mut s, &rtp_from(ssrc, 1, b"x")).unwrap();
    }
    let more = rtp_from(9999, 1, b"x");
    assert_eq!(protect(&mut s, &more), Err(ProtectError::TooManySources));
    let mut report = rtcp(1);
    report[4..8].copy_from_slice(&9999_u32.to_be_bytes());
    assert_eq!(
        protect_rtcp(&mut s, &report),
        Err(ProtectError::TooManySources)
    );
    // Ours has never sent yet; nor has the next one.
    protect(&mut s, &rtp_from(OWN, 1, b"x")).unwrap();
    s.change_source(OWN, 2);
    protect(&mut s, &rtp_from(2, 1, b"x")).unwrap();
    // A new key has room for all.
    s.set_local(LocalSsrc::Any, &policy(GCM, 2)).unwrap();
    protect(&mut s, &more).unwrap();
    // None was forgotten.
    s.set_local(LocalSsrc::Any, &policy(GCM, 1)).unwrap();
    for ssrc in [1000, OWN, 2] {
        let used = rtp_from(ssrc, 1, b"x");
        assert_eq!(protect(&mut s, &used), Err(ProtectError::ReusedIndex));
    }
}

/// Has as many others pass as may.
fn fill(s: &mut Session) {
    for ssrc in 1000..1000 + MAX_PASSING_SOURCES as u32 {
        protect(s, &rtp_from(ssrc, 1, b"x")).unwrap();
    }
    let more = rtp_from(9999, 1, b"x");
    assert_eq!(protect(s, &more), Err(ProtectError::TooManySources));
}

/// In a native bridge Asterisk takes another SSRC, for a digit or because the channel has joined, and goes back to the one that it had behind
/// it; meanwhile it takes the far leg's for its own.
#[test]
fn the_ssrc_that_asterisk_goes_back_to_has_room() {
    let (mut s, mut r) = bridge(&policy(GCM, 1));
    s.change_source(OWN, 77);
    for digit in 0..6 {
        s.change_source(FAR, 100 + digit);
    }
    fill(&mut s);
    pass(&mut s, &mut r, OWN, 1).unwrap();
    s.change_source(OWN, 78);
    pass(&mut s, &mut r, 78, 2).unwrap();
}

/// However often it changed meanwhile, which the far leg can bring about, it has another one that is heard.
#[test]
fn another_ssrc_of_asterisks_has_room() {
    let (mut s, mut r) = bridge(&policy(GCM, 1));
    for digit in 0..100 {
        s.change_source(FAR, 10_000 + digit);
    }
    fill(&mut s);
    // Nothing was ever sent with it, and it is not known any more.
    let own = rtp_from(OWN, 1, b"x");
    assert_eq!(protect(&mut s, &own), Err(ProtectError::TooManySources));
    s.change_source(OWN, 78);
    pass(&mut s, &mut r, 78, 2).unwrap();
}

/// A leg that stays up for days: Asterisk takes another SSRC whenever it joins or leaves a bridge.
#[test]
fn a_leg_that_changes_its_own_ssrc_without_end_is_heard() {
    for suite in [CM, GCM] {
        let (mut s, mut r) = bridge(&policy(suite, 1));
        let mut own = OWN;
        let far = |n| 1_000_000 + n as u32;
        for n in 1..MAX_LOCAL_SOURCES {
            pass(&mut s, &mut r, own, 7).unwrap();
            if n < MAX_PASSING_SOURCES {
                pass(&mut s, &mut r, far(n), 7).unwrap();
            }
            let to = own + 10;
            s.change_source(own, to);
            own = to;
        }
        assert_eq!(s.stats().local_sources, MAX_LOCAL_SOURCES - 1);
        pass(&mut s, &mut r, own, 7).unwrap();
        s.change_source(own, own + 10);
        let more = rtp_from(own + 10, 7, b"x");
        assert_eq!(protect(&mut s, &more), Err(ProtectError::TooManySources));
        // None was forgotten; each may go on where it was.
        for ssrc in [OWN, OWN + 500, own, far(1), far(1000)] {
            let used = rtp_from(ssrc, 7, b"another payload");
            assert_eq!(protect(&mut s, &used), Err(ProtectError::ReusedIndex));
            pass(&mut s, &mut r, ssrc, 8).unwrap();
        }
        s.set_local(LocalSsrc::Any, &policy(suite, 2)).unwrap();
        protect(&mut s, &more).unwrap();
        assert_eq!(s.stats().local_sources, 1);
    }
}

/// The reports' indexes of an SSRC go on, however many others there were in between.
#[test]
fn reports_go_on_behind_many_others() {
    let (mut s, mut r) = bridge(&policy(GCM, 1));
    let mut tell = |s: &mut Session, ssrc: u32| {
        let mut report = rtcp(1);
        report[4..8].copy_from_slice(&ssrc.to_be_bytes());
        let out = protect_rtcp(s, &report).unwrap();
        assert_eq!(unprotect_rtcp(&mut r, &out), Ok(report));
        u32::from_be_bytes(out[out.len() - 4..].try_into().unwrap()) & 0x7fff_ffff
    };
    assert_eq!((tell(&mut s, OWN), tell(&mut s, OWN)), (0, 1));
    for ssrc in 1000..1200 {
        assert_eq!(tell(&mut s, ssrc), 0);
    }
    assert_eq!(tell(&mut s, OWN), 2);
}

/// The index that a receiver has of a packet by RFC 3711 appendix A as it stands, as libre does; `None`: the packet is lost.
fn by_the_rfc(highest: u64, seq: u16) -> Option<u64> {
    let (roc, last, seq) = (highest >> 16, (highest & 0xffff) as i64, i64::from(seq));
    let roc = if last < 0x8000 && seq - last > 0x8000 {
        roc.checked_sub(1)?
    } else {
        roc + u64::from(last >= 0x8000 && last - 0x8000 > seq)
    };
    Some(roc << 16 | seq as u64)
}

/// A leg that was natively bridged, in the core for more than half a turn, and is back: what leaves is heard by whoever follows the RFC and has lost
/// the last minute; what is not does not leave.
#[test]
fn a_jump_is_one_that_receivers_follow() {
    let mut passed = 0;
    for suite in [CM, GCM] {
        for (before, after) in [
            (2000_u16, 40_000_u16),
            (10, 60_000),
            (0x7000, 0xf100),
            (0, 0x7000),
            (0, 0x7001),
            (0x9000, 0x0000),
            (0x9000, 0x0001),
        ] {
            let (mut s, _) = bridge(&policy(suite, 1));
            protect(&mut s, &rtp_from(FAR, before, b"x")).unwrap();
            let jumped = protect(&mut s, &rtp_from(FAR, after, b"x"));
            let ahead = after.wrapping_sub(before);
            if ahead > 0x7000 {
                assert_eq!(jumped, Err(ProtectError::IndexTooOld), "{before} {after}");
                continue;
            }
            jumped.unwrap();
            passed += 1;
            let index = u64::from(before) + u64::from(ahead);
            for lost in [0, 0x800] {
                let highest = u64::from(before).saturating_sub(lost);
                assert_eq!(by_the_rfc(highest, after), Some(index), "{before} {after}");
                assert_eq!(guess(highest, after), Some(index), "{before} {after}");
            }
        }
    }
    assert_eq!(passed, 4);
}
