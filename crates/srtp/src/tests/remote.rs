//! Remote keys that change: pending, taken over, refused, come back.

use super::*;
use crate::OLD_KEY_MS;

fn set(r: &mut Session, policy: Policy, now: u64) {
    r.set_remote(&[policy], false, now).unwrap();
}

/// A peer and us, both past the first rollover.
fn past_the_wrap() -> (Session, Session) {
    let mut s = sender(&policy(CM, 1));
    let mut r = receiver(&policy(CM, 1));
    for seq in [0, 0x7000, 0xe000, 0x10] {
        unprotect(&mut r, &protect(&mut s, &rtp(seq)).unwrap()).unwrap();
    }
    assert_eq!(r.stats().remote_roc, Some(1));
    (s, r)
}

#[test]
fn the_same_key_again_keeps_counter_and_window() {
    let (mut s, mut r) = past_the_wrap();
    let used = protect(&mut s, &rtp(0x11)).unwrap();
    unprotect(&mut r, &used).unwrap();
    set(&mut r, policy(CM, 1), 5);
    assert_eq!(unprotect(&mut r, &used), Err(UnprotectError::Replayed));
    assert!(unprotect(&mut r, &protect(&mut s, &rtp(0x12)).unwrap()).is_ok());
    assert_eq!(r.stats().remote_roc, Some(1));
}

#[test]
fn old_and_new_key_are_tried_until_the_new_one_speaks() {
    let (mut s, mut r) = past_the_wrap();
    set(&mut r, policy(CM, 2), 1000);
    assert_eq!(
        unprotect_at(&mut r, &protect(&mut s, &rtp(0x11)).unwrap(), 9000),
        Ok(rtp(0x11))
    );
    assert_eq!(
        unprotect_at(&mut r, &protect(&mut s, &rtp(0x12)).unwrap(), 90_000),
        Ok(rtp(0x12))
    );
    let late = protect(&mut s, &rtp(0x13)).unwrap();
    let later = protect(&mut s, &rtp(0x14)).unwrap();
    let mut new = sender(&policy(CM, 2));
    let first = protect(&mut new, &rtp(0x15)).unwrap();
    assert_eq!(unprotect_at(&mut r, &first, 100_000), Ok(rtp(0x15)));
    assert_eq!(
        unprotect_at(&mut r, &late, 100_000 + OLD_KEY_MS - 1),
        Ok(rtp(0x13))
    );
    assert_eq!(
        unprotect_at(&mut r, &later, 100_000 + OLD_KEY_MS),
        Err(UnprotectError::AuthFailed)
    );
}

#[test]
fn rtcp_brings_the_new_key_into_force_too() {
    let (mut s, mut r) = past_the_wrap();
    set(&mut r, policy(CM, 2), 0);
    let out = protect_rtcp(&mut sender(&policy(CM, 2)), &rtcp(1)).unwrap();
    assert_eq!(unprotect_rtcp(&mut r, &out), Ok(rtcp(1)));
    let out = protect(&mut s, &rtp(0x11)).unwrap();
    assert_eq!(
        unprotect_at(&mut r, &out, OLD_KEY_MS),
        Err(UnprotectError::AuthFailed)
    );
}

#[test]
fn under_a_new_key_peers_keep_their_counter_or_start_at_zero() {
    for (peer_moved, keeps) in [(false, true), (false, false), (true, true), (true, false)] {
        let (_, mut r) = past_the_wrap();
        let mut peer = sender(&policy(CM, 2));
        if keeps {
            for seq in [0, 0x7000, 0xe000] {
                protect(&mut peer, &rtp(seq)).unwrap();
            }
        }
        r.set_remote(&[policy(CM, 2)], peer_moved, 0).unwrap();
        for seq in [0x11, 0x13, 0x12] {
            let out = protect(&mut peer, &rtp(seq)).unwrap();
            assert_eq!(
                unprotect(&mut r, &out),
                Ok(rtp(seq)),
                "{peer_moved} {keeps}"
            );
            assert_eq!(unprotect(&mut r, &out), Err(UnprotectError::Replayed));
        }
        assert_eq!(r.stats().remote_roc, Some(u32::from(keeps)));
        assert_eq!(r.stats().counters.auth_failures, 0);
    }
}

#[test]
fn a_forgery_brings_no_key_into_force() {
    let (mut s, mut r) = past_the_wrap();
    set(&mut r, policy(CM, 2), 0);
    let mut forged = protect(&mut sender(&policy(CM, 2)), &rtp(0x11)).unwrap();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(unprotect(&mut r, &forged), Err(UnprotectError::AuthFailed));
    let out = protect(&mut s, &rtp(0x11)).unwrap();
    assert_eq!(unprotect_at(&mut r, &out, 10 * OLD_KEY_MS), Ok(rtp(0x11)));
}

#[test]
fn the_counter_known_under_a_key_is_not_reset_by_another_suite() {
    // A packet from before the first rollover, cut to the shorter tag, must stay a replay.
    let mut s = sender(&policy(CM, 1));
    let mut r = receiver(&policy(CM, 1));
    let recorded = protect(&mut s, &rtp(0x20)).unwrap();
    unprotect(&mut r, &recorded).unwrap();
    for seq in [0x7000, 0xe000, 0x10] {
        unprotect(&mut r, &protect(&mut s, &rtp(seq)).unwrap()).unwrap();
    }
    set(&mut r, policy(CM_32, 1), 0);
    let cut = &recorded[..recorded.len() - 6];
    assert_eq!(unprotect(&mut r, cut), Err(UnprotectError::AuthFailed));
    // It is a new policy all the same.
    s.set_local(LocalSsrc::Any, &policy(CM_32, 1)).unwrap();
    assert_eq!(
        unprotect(&mut r, &protect(&mut s, &rtp(0x11)).unwrap()),
        Ok(rtp(0x11))
    );
    assert_eq!(r.stats().remote_suite, Some(CM_32));
    assert_eq!(r.stats().remote_roc, Some(1));
}

#[test]
fn a_refused_offer_changes_nothing() {
    let (mut s, mut r) = past_the_wrap();
    set(&mut r, policy(CM, 2), 0);
    r.cancel(0);
    let out = protect(&mut sender(&policy(CM, 2)), &rtp(0x11)).unwrap();
    assert_eq!(unprotect(&mut r, &out), Err(UnprotectError::AuthFailed));
    assert_eq!(
        unprotect(&mut r, &protect(&mut s, &rtp(0x11)).unwrap()),
        Ok(rtp(0x11))
    );
}

#[test]
fn a_refusal_said_twice_is_one() {
    let (mut s, mut r) = past_the_wrap();
    set(&mut r, policy(CM, 2), 0);
    let early = protect(&mut sender(&policy(CM, 2)), &rtp(0x11)).unwrap();
    unprotect(&mut r, &early).unwrap();
    r.cancel(0);
    r.cancel(0);
    let out = protect(&mut s, &rtp(0x12)).unwrap();
    assert_eq!(unprotect_at(&mut r, &out, 20 * OLD_KEY_MS), Ok(rtp(0x12)));
}

#[test]
fn keys_never_heard_share_no_context() {
    let mut r = receiver(&policy(CM, 1));
    set(&mut r, policy(CM, 2), 0);
    for key in [1, 2] {
        let out = protect(&mut sender(&policy(CM, key)), &rtp(7)).unwrap();
        assert_eq!(unprotect(&mut r, &out), Ok(rtp(7)), "key {key}");
    }
    // The first of many keys is in force as long as no other one speaks.
    let mut r = receiver(&policy(CM, 1));
    for key in 2..50 {
        set(&mut r, policy(CM, key), 0);
    }
    let out = protect(&mut sender(&policy(CM, 1)), &rtp(7)).unwrap();
    assert_eq!(unprotect(&mut r, &out), Ok(rtp(7)));
    let out = protect(&mut sender(&policy(CM, 49)), &rtp(7)).unwrap();
    assert_eq!(unprotect(&mut r, &out), Ok(rtp(7)));
}

#[test]
fn another_mki_or_parameter_under_the_same_key_is_a_new_policy() {
    let clear = SessionParams {
        unencrypted_srtcp: true,
        ..Default::default()
    };
    for new in [policy_mki(1, &[1]), policy_params(CM, 1, clear)] {
        let (mut s, mut r) = past_the_wrap();
        set(&mut r, new.clone(), 0);
        s.set_local(LocalSsrc::Any, &new).unwrap();
        let out = protect(&mut s, &rtp(0x11)).unwrap();
        assert_eq!(unprotect(&mut r, &out), Ok(rtp(0x11)));
        let out = protect_rtcp(&mut s, &rtcp(1)).unwrap();
        assert_eq!(unprotect_rtcp(&mut r, &out), Ok(rtcp(1)));
    }
}

#[test]
fn the_counter_kept_is_that_of_the_last_key() {
    // ROC 1 under the first key, 3 under the second one; then a third key.
    let (_, mut r) = past_the_wrap();
    let mut second = sender(&policy(CM, 2));
    let mut third = sender(&policy(CM, 3));
    set(&mut r, policy(CM, 2), 0);
    for seq in [
        0, 0x7000, 0xe000, 0x4000, 0xb000, 0x2000, 0x9000, 0xf000, 0x100,
    ] {
        let out = protect(&mut second, &rtp(seq)).unwrap();
        let _ = unprotect(&mut r, &out);
        protect(&mut third, &rtp(seq)).unwrap();
    }
    assert_eq!(r.stats().remote_roc, Some(3));
    set(&mut r, policy(CM, 3), 0);
    let out = protect(&mut third, &rtp(0x110)).unwrap();
    assert_eq!(unprotect(&mut r, &out), Ok(rtp(0x110)));

    set(&mut r, policy(CM, 4), 0);
    let mut fourth = sender(&policy(CM, 4));
    // The fourth starts again from zero; a fifth follows it, not the third.
    unprotect(&mut r, &protect(&mut fourth, &rtp(0x120)).unwrap()).unwrap();
    for seq in [0x7000, 0xe000, 0x130] {
        unprotect(&mut r, &protect(&mut fourth, &rtp(seq)).unwrap()).unwrap();
    }
    set(&mut r, policy(CM, 5), 0);
    let mut fifth = sender(&policy(CM, 5));
    for seq in [0, 0x7000, 0xe000] {
        protect(&mut fifth, &rtp(seq)).unwrap();
    }
    let out = protect(&mut fifth, &rtp(0x140)).unwrap();
    assert_eq!(unprotect(&mut r, &out), Ok(rtp(0x140)));
    assert_eq!(r.stats().remote_roc, Some(1));
}

#[test]
fn a_refused_offer_whose_key_was_already_used_is_taken_back() {
    let (mut s, mut r) = past_the_wrap();
    set(&mut r, policy(CM, 2), 0);
    let early = protect(&mut sender(&policy(CM, 2)), &rtp(0x11)).unwrap();
    unprotect_at(&mut r, &early, 10).unwrap();
    r.cancel(20);
    let out = protect(&mut s, &rtp(0x12)).unwrap();
    assert_eq!(unprotect_at(&mut r, &out, 20 * OLD_KEY_MS), Ok(rtp(0x12)));
}

#[test]
fn a_key_that_stands_and_was_not_heard_survives_a_refused_offer() {
    // A hold with a new key, under which nothing is sent; then an offer with another one, which is refused.
    let (mut s, mut r) = past_the_wrap();
    set(&mut r, policy(CM, 2), 0);
    r.commit();
    set(&mut r, policy(CM, 3), 60_000);
    let late = protect(&mut s, &rtp(0x11)).unwrap();
    assert_eq!(unprotect_at(&mut r, &late, 60_000), Ok(rtp(0x11)));
    r.cancel(60_000);
    let refused = protect(&mut sender(&policy(CM, 3)), &rtp(0x12)).unwrap();
    let refused = unprotect_at(&mut r, &refused, 70_000);
    assert_eq!(refused, Err(UnprotectError::AuthFailed));
    let out = protect(&mut sender(&policy(CM, 2)), &rtp(0x12)).unwrap();
    assert_eq!(unprotect_at(&mut r, &out, 70_000), Ok(rtp(0x12)));
}

#[test]
fn what_stands_cannot_be_refused() {
    let (mut s, mut r) = past_the_wrap();
    set(&mut r, policy(CM, 2), 0);
    let mut new = sender(&policy(CM, 2));
    unprotect(&mut r, &protect(&mut new, &rtp(0x11)).unwrap()).unwrap();
    r.commit();
    r.cancel(10);
    assert_eq!(
        unprotect_at(&mut r, &protect(&mut new, &rtp(0x12)).unwrap(), 9000),
        Ok(rtp(0x12))
    );
    let old = protect(&mut s, &rtp(0x20)).unwrap();
    assert_eq!(
        unprotect_at(&mut r, &old, 9000),
        Err(UnprotectError::AuthFailed)
    );
    // An offer without a new key has nothing to take back either.
    set(&mut r, policy(CM, 2), 9000);
    r.cancel(9000);
    assert!(unprotect_at(&mut r, &protect(&mut new, &rtp(0x13)).unwrap(), 20_000).is_ok());
}

#[test]
fn a_refused_offer_without_a_new_key_takes_nothing_back() {
    // The host never committed the offer before, and the old key is still there.
    let (_, mut r) = past_the_wrap();
    set(&mut r, policy(CM, 2), 0);
    let mut new = sender(&policy(CM, 2));
    unprotect(&mut r, &protect(&mut new, &rtp(0x11)).unwrap()).unwrap();
    set(&mut r, policy(CM, 2), 10);
    r.cancel(10);
    let out = protect(&mut new, &rtp(0x12)).unwrap();
    assert_eq!(unprotect_at(&mut r, &out, 10 * OLD_KEY_MS), Ok(rtp(0x12)));
}

#[test]
fn the_key_in_force_offered_again_takes_back_the_pending_one() {
    let (mut s, mut r) = past_the_wrap();
    set(&mut r, policy(CM, 2), 0);
    set(&mut r, policy(CM, 1), 0);
    let out = protect(&mut sender(&policy(CM, 2)), &rtp(0x11)).unwrap();
    assert_eq!(unprotect(&mut r, &out), Err(UnprotectError::AuthFailed));
    assert!(unprotect(&mut r, &protect(&mut s, &rtp(0x11)).unwrap()).is_ok());
}

#[test]
fn a_second_offer_replaces_the_pending_one() {
    let (mut s, mut r) = past_the_wrap();
    set(&mut r, policy(CM, 2), 0);
    set(&mut r, policy(CM, 2), 1);
    set(&mut r, policy(CM, 3), 2);
    let second = protect(&mut sender(&policy(CM, 2)), &rtp(0x11)).unwrap();
    assert_eq!(unprotect(&mut r, &second), Err(UnprotectError::AuthFailed));
    assert!(unprotect(&mut r, &protect(&mut s, &rtp(0x11)).unwrap()).is_ok());
    let third = protect(&mut sender(&policy(CM, 3)), &rtp(0x12)).unwrap();
    assert!(unprotect(&mut r, &third).is_ok());
}

#[test]
fn a_peer_that_goes_back_to_a_key_is_known() {
    // Hold and retrieve behind a gateway: the phone's key, the music's, the phone's again.
    let (mut phone, mut r) = past_the_wrap();
    let recorded = protect(&mut phone, &rtp(0x11)).unwrap();
    unprotect(&mut r, &recorded).unwrap();
    let mut music = sender(&policy(CM, 2));
    let hold = |seq| rtp_from(0x0eee_eeee, seq, b"music");
    set(&mut r, policy(CM, 2), 0);
    unprotect_at(&mut r, &protect(&mut music, &hold(1)).unwrap(), 0).unwrap();
    unprotect_at(&mut r, &protect(&mut music, &hold(2)).unwrap(), 60_000).unwrap();
    set(&mut r, policy(CM, 1), 60_000);
    assert_eq!(
        unprotect_at(&mut r, &recorded, 60_000),
        Err(UnprotectError::Replayed)
    );
    let out = protect(&mut phone, &rtp(0x12)).unwrap();
    assert_eq!(unprotect_at(&mut r, &out, 60_000), Ok(rtp(0x12)));
    assert_eq!(r.stats().remote_roc, Some(1));
}

#[test]
fn keys_out_of_use_are_forgotten_at_last() {
    let mut r = Session::new(kernels());
    let first: Vec<_> = (0..40)
        .map(|key| protect(&mut sender(&policy(CM, key)), &rtp(1)).unwrap())
        .collect();
    for (key, packet) in (0..40).zip(&first) {
        let now = 10_000 * u64::from(key);
        set(&mut r, policy(CM, key), now);
        unprotect_at(&mut r, packet, now).unwrap();
    }
    set(&mut r, policy(CM, 36), 1_000_000);
    assert_eq!(
        unprotect_at(&mut r, &first[36], 1_000_000),
        Err(UnprotectError::Replayed)
    );
    set(&mut r, policy(CM, 2), 2_000_000);
    assert_eq!(unprotect_at(&mut r, &first[2], 2_000_000), Ok(rtp(1)));
}

#[test]
fn a_key_without_tags_comes_after_all_others() {
    let tagless = SessionParams {
        unauthenticated_srtp: true,
        ..Default::default()
    };
    let open = |n| policy_params(CM, n, tagless);
    // From a tag to none: packets with a tag are not taken for the new key's.
    let mut s = sender(&policy(CM, 1));
    let mut r = receiver(&policy(CM, 1));
    unprotect(&mut r, &protect(&mut s, &rtp(1)).unwrap()).unwrap();
    set(&mut r, open(2), 0);
    assert_eq!(
        unprotect(&mut r, &protect(&mut s, &rtp(2)).unwrap()),
        Ok(rtp(2))
    );
    let out = protect(&mut sender(&open(2)), &rtp(3)).unwrap();
    assert_eq!(unprotect(&mut r, &out), Ok(rtp(3)));
    // From none to none: nothing could tell them apart, so the new one is in force at once.
    set(&mut r, open(3), 0);
    let out = protect(&mut sender(&open(3)), &rtp(4)).unwrap();
    assert_eq!(unprotect(&mut r, &out), Ok(rtp(4)));
    // And back to tags.
    set(&mut r, policy(CM, 4), 0);
    let out = protect(&mut sender(&policy(CM, 4)), &rtp(5)).unwrap();
    assert_eq!(unprotect(&mut r, &out), Ok(rtp(5)));
    assert_eq!(r.stats().remote_suite, Some(CM));
}
