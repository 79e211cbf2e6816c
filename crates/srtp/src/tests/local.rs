//! Local keys: set, staged, changed, used again, in the next session.

use super::*;

/// Whether `b` was made with the key stream, thus the index, of `a`.
fn same_key_stream(a: &[u8], b: &[u8]) -> bool {
    a[12..32] == b[12..32]
}

#[test]
fn the_same_key_again_goes_on_counting() {
    for again in [policy(CM, 1), policy(CM_32, 1), policy_mki(1, &[1])] {
        let mut s = sender(&policy(CM, 1));
        wrap(&mut s, 0);
        protect(&mut s, &rtp(0)).unwrap();
        assert_eq!(s.stats().local_roc, Some(1));
        s.set_local(LocalSsrc::Any, &again).unwrap();
        assert_eq!(
            protect(&mut s, &rtp_from(SSRC, 0, b"another payload")),
            Err(ProtectError::ReusedIndex)
        );
        protect(&mut s, &rtp(1)).unwrap();
        assert_eq!(s.stats().local_roc, Some(1));
        assert_eq!(s.stats().local_suite, Some(again.suite()));
    }
}

#[test]
fn srtcp_indexes_go_on_as_well() {
    let mut s = sender(&policy(CM, 1));
    protect_rtcp(&mut s, &rtcp(0)).unwrap();
    s.set_local(LocalSsrc::Any, &policy(CM, 1)).unwrap();
    assert_eq!(
        protect_rtcp(&mut s, &rtcp(0)).unwrap()[12..16],
        [0x80, 0, 0, 1]
    );
    s.set_local(LocalSsrc::Any, &policy(CM, 2)).unwrap();
    assert_eq!(
        protect_rtcp(&mut s, &rtcp(0)).unwrap()[12..16],
        [0x80, 0, 0, 0]
    );
}

#[test]
fn a_new_key_starts_at_zero() {
    let mut s = sender(&policy(CM, 1));
    wrap(&mut s, 0);
    protect(&mut s, &rtp(0)).unwrap();
    s.set_local(LocalSsrc::Any, &policy(CM, 2)).unwrap();
    let out = protect(&mut s, &rtp(0)).unwrap();
    assert_eq!(s.stats().local_roc, Some(0));
    assert_eq!(unprotect(&mut receiver(&policy(CM, 2)), &out), Ok(rtp(0)));
}

#[test]
fn a_key_that_comes_back_remembers_its_indexes() {
    let mut s = sender(&policy(GCM, 1));
    protect(&mut s, &rtp(5)).unwrap();
    for other in 2..20 {
        s.set_local(LocalSsrc::Any, &policy(GCM, other)).unwrap();
        protect(&mut s, &rtp(5)).unwrap();
    }
    s.set_local(LocalSsrc::Any, &policy(GCM, 1)).unwrap();
    assert_eq!(protect(&mut s, &rtp(5)), Err(ProtectError::ReusedIndex));
    assert!(protect(&mut s, &rtp(6)).is_ok());
}

#[test]
fn keys_out_of_use_are_forgotten_at_last() {
    let mut s = Session::new(kernels());
    for key in 0..100 {
        s.set_local(LocalSsrc::Any, &policy(GCM, key)).unwrap();
        protect(&mut s, &rtp(5)).unwrap();
    }
    s.set_local(LocalSsrc::Any, &policy(GCM, 60)).unwrap();
    assert_eq!(protect(&mut s, &rtp(5)), Err(ProtectError::ReusedIndex));
    s.set_local(LocalSsrc::Any, &policy(GCM, 0)).unwrap();
    assert!(protect(&mut s, &rtp(5)).is_ok());
}

#[test]
fn keys_that_sent_nothing_push_none_out() {
    let mut s = sender(&policy(GCM, 0));
    protect(&mut s, &rtp(5)).unwrap();
    for key in 1..200 {
        s.set_local(LocalSsrc::Any, &policy(GCM, key)).unwrap();
    }
    s.set_local(LocalSsrc::Any, &policy(GCM, 0)).unwrap();
    assert_eq!(protect(&mut s, &rtp(5)), Err(ProtectError::ReusedIndex));
}

#[test]
fn of_many_keys_the_ones_set_last_are_remembered() {
    let mut s = Session::new(kernels());
    let use_key = |s: &mut Session, key| {
        s.set_local(LocalSsrc::Any, &policy(GCM, key)).unwrap();
        protect(s, &rtp(5))
    };
    for key in 0..50 {
        use_key(&mut s, key).unwrap();
    }
    // Key 0 again: no longer the oldest. Then more keys.
    assert!(use_key(&mut s, 0).is_err());
    for key in 50..100 {
        use_key(&mut s, key).unwrap();
    }
    for key in (50..100).chain([0]) {
        assert_eq!(
            use_key(&mut s, key),
            Err(ProtectError::ReusedIndex),
            "key {key}"
        );
    }
    assert!(use_key(&mut s, 1).is_ok(), "the oldest is forgotten");
}

#[test]
fn a_staged_policy_waits_for_the_answer() {
    let mut s = sender(&policy(CM, 1));
    let mut old = receiver(&policy(CM, 1));
    let mut new = receiver(&policy(CM, 2));
    s.stage_local(LocalSsrc::Any, &policy(CM, 2)).unwrap();
    let out = protect(&mut s, &rtp(1)).unwrap();
    assert!(unprotect(&mut old, &out).is_ok());
    assert!(unprotect(&mut new, &out).is_err());
    s.commit();
    let out = protect(&mut s, &rtp(2)).unwrap();
    assert!(unprotect(&mut old, &out).is_err());
    assert!(unprotect(&mut new, &out).is_ok());
    // Nothing is staged any more.
    s.commit();
    assert!(unprotect(&mut new, &protect(&mut s, &rtp(3)).unwrap()).is_ok());
}

#[test]
fn a_staged_policy_that_is_refused_changes_nothing() {
    let mut s = sender(&policy(CM, 1));
    let mut r = receiver(&policy(CM, 1));
    s.stage_local(LocalSsrc::Any, &policy(CM, 2)).unwrap();
    s.cancel(0);
    s.commit();
    assert!(unprotect(&mut r, &protect(&mut s, &rtp(1)).unwrap()).is_ok());
    // The last one staged counts.
    s.stage_local(LocalSsrc::Any, &policy(CM, 2)).unwrap();
    s.stage_local(LocalSsrc::Any, &policy(CM_32, 1)).unwrap();
    s.commit();
    assert_eq!(s.stats().local_suite, Some(CM_32));
}

#[test]
fn an_ssrc_has_its_own_policy_or_the_one_for_any() {
    let mut s = sender(&policy(CM, 1));
    s.set_local(LocalSsrc::Specific(SSRC), &policy(CM, 2))
        .unwrap();
    let out = protect(&mut s, &rtp(1)).unwrap();
    assert!(unprotect(&mut receiver(&policy(CM, 2)), &out).is_ok());
    let out = protect(&mut s, &rtp_from(1, 1, b"x")).unwrap();
    assert!(unprotect(&mut receiver(&policy(CM, 1)), &out).is_ok());
}

#[test]
fn local_policies_are_bounded() {
    let mut s = Session::new(kernels());
    for ssrc in 0..crate::MAX_LOCAL_POLICIES as u32 {
        s.set_local(LocalSsrc::Specific(ssrc), &policy(CM, 1))
            .unwrap();
    }
    let more = LocalSsrc::Specific(77_777);
    let refused = Err(crate::PolicyError::TooManyLocal);
    assert_eq!(s.set_local(more, &policy(CM, 1)), refused);
    assert_eq!(s.stage_local(more, &policy(CM, 1)), refused);
    assert_eq!(s.set_local(LocalSsrc::Specific(7), &policy(CM, 2)), Ok(()));
}

#[test]
fn a_changed_source_counts_from_zero_and_an_old_one_goes_on() {
    let (a, b) = (1, 2);
    let mut s = Session::new(kernels());
    s.set_local(LocalSsrc::Specific(a), &policy(CM, 1)).unwrap();
    let send = |s: &mut Session, ssrc, seq| protect(s, &rtp_from(ssrc, seq, &[seq as u8; 20]));
    for seq in [0, 0x7000, 0xe000, 0x10] {
        send(&mut s, a, seq).unwrap();
    }
    assert_eq!(s.stats().local_roc, Some(1));

    s.change_source(a, b);
    assert_eq!(send(&mut s, a, 0x11), Err(ProtectError::NoKey));
    send(&mut s, b, 0x11).unwrap();
    assert_eq!(s.stats().local_roc, Some(0));

    s.change_source(b, a);
    let other = rtp_from(a, 0x10, b"other");
    assert_eq!(protect(&mut s, &other), Err(ProtectError::ReusedIndex));
    send(&mut s, a, 0x11).unwrap();
    assert_eq!(s.stats().local_roc, Some(1));

    // The policy of `from` takes the place of one that `to` had.
    let (c, d) = (3, 4);
    s.set_local(LocalSsrc::Specific(d), &policy(CM, 3)).unwrap();
    s.set_local(LocalSsrc::Specific(c), &policy(CM, 2)).unwrap();
    s.change_source(c, d);
    let out = send(&mut s, d, 1).unwrap();
    assert!(unprotect(&mut receiver(&policy(CM, 2)), &out).is_ok());

    // No policy of its own: nothing to change.
    s.change_source(99, 98);
    assert_eq!(send(&mut s, 98, 1), Err(ProtectError::NoKey));
    s.change_source(a, a);
    assert!(send(&mut s, a, 0x12).is_ok());
}

#[test]
fn in_another_session_the_same_key_would_use_its_key_stream_twice() {
    // Why `sdes::negotiation` never gives a used key to a new session.
    let a = protect(&mut sender(&policy(CM, 1)), &rtp(1)).unwrap();
    let b = protect(&mut sender(&policy(CM, 1)), &rtp(1)).unwrap();
    assert!(same_key_stream(&a, &b));
}
