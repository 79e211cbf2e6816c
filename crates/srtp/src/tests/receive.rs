//! Receiving under one key: forgeries, replays, bounds.

use super::*;
use crate::{MAX_REMOTE_SOURCES, Malformed};

#[test]
fn a_flipped_bit_anywhere_is_noticed_and_changes_nothing() {
    for suite in Suite::ALL {
        let mut s = sender(&policy(suite, 1));
        let mut r = receiver(&policy(suite, 1));
        for seq in 1..4 {
            let out = protect(&mut s, &rtp(seq)).unwrap();
            unprotect(&mut r, &out).unwrap();
        }
        let out = protect(&mut s, &rtp(4)).unwrap();
        let mut before = r.stats();
        for bit in 0..8 * out.len() {
            let mut forged = out.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(unprotect(&mut r, &forged).is_err(), "{suite} bit {bit}");
        }
        let after = r.stats();
        before.counters = after.counters;
        assert_eq!(before, after);
        assert_eq!(unprotect(&mut r, &out), Ok(rtp(4)), "{suite}");
    }
}

#[test]
fn a_flipped_bit_in_rtcp_is_noticed() {
    for suite in Suite::ALL {
        let mut r = receiver(&policy(suite, 1));
        let out = protect_rtcp(&mut sender(&policy(suite, 1)), &rtcp(1)).unwrap();
        for bit in 0..8 * out.len() {
            let mut forged = out.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(
                unprotect_rtcp(&mut r, &forged).is_err(),
                "{suite} bit {bit}"
            );
        }
        assert_eq!(unprotect_rtcp(&mut r, &out), Ok(rtcp(1)), "{suite}");
        assert_eq!(
            unprotect_rtcp(&mut r, &out),
            Err(UnprotectError::Replayed),
            "{suite}"
        );
    }
}

#[test]
fn a_packet_is_received_once() {
    for suite in [CM, GCM] {
        let mut s = sender(&policy(suite, 1));
        let mut r = receiver(&policy(suite, 1));
        let packets: Vec<_> = (1..=130)
            .map(|seq| protect(&mut s, &rtp(seq)).unwrap())
            .collect();
        for p in packets[..129].iter().rev().chain(&packets[129..]) {
            // The first one to arrive opens the window; what is older than it has no place left.
            let _ = unprotect(&mut r, p);
        }
        assert_eq!(
            unprotect(&mut r, &packets[129]),
            Err(UnprotectError::Replayed)
        );
        assert_eq!(
            unprotect(&mut r, &packets[2]),
            Err(UnprotectError::Replayed)
        );
        assert_eq!(
            unprotect(&mut r, &packets[1]),
            Err(UnprotectError::IndexTooOld)
        );
        let counters = r.stats().counters;
        assert_eq!(counters.received_rtp, 129);
        assert_eq!(counters.replays, 1 + 3);
        assert_eq!(counters.auth_failures, 0);
    }
}

#[test]
fn a_forged_jump_does_not_move_the_counter() {
    let mut s = sender(&policy(CM, 1));
    let mut r = receiver(&policy(CM, 1));
    unprotect(&mut r, &protect(&mut s, &rtp(65_000)).unwrap()).unwrap();
    for seq in [0, 100, 30_000] {
        let mut forged = rtp(seq);
        forged.extend([0; 10]);
        assert_eq!(unprotect(&mut r, &forged), Err(UnprotectError::AuthFailed));
    }
    assert_eq!(r.stats().remote_roc, Some(0));
    assert!(unprotect(&mut r, &protect(&mut s, &rtp(65_001)).unwrap()).is_ok());
    assert_eq!(r.stats().counters.auth_failures, 3);
}

#[test]
fn forged_ssrcs_push_no_context_out() {
    let mut s = sender(&policy(CM, 1));
    let mut r = receiver(&policy(CM, 1));
    let out = protect(&mut s, &rtp(1)).unwrap();
    unprotect(&mut r, &out).unwrap();
    for ssrc in 0..500 {
        let mut forged = rtp_from(ssrc, 1, &[0; 20]);
        forged.extend([0; 10]);
        assert_eq!(unprotect(&mut r, &forged), Err(UnprotectError::AuthFailed));
    }
    assert_eq!(unprotect(&mut r, &out), Err(UnprotectError::Replayed));
}

#[test]
fn the_ssrc_not_heard_for_longest_goes_first() {
    let n = MAX_REMOTE_SOURCES as u32;
    let mut s = sender(&policy(CM, 1));
    let mut r = receiver(&policy(CM, 1));
    let first: Vec<_> = (0..=n)
        .map(|ssrc| protect(&mut s, &rtp_from(ssrc, 1, b"first")).unwrap())
        .collect();
    for p in &first[..n as usize] {
        unprotect(&mut r, p).unwrap();
    }
    // SSRC 0 is heard again, so the new SSRC takes the place of 1.
    unprotect(
        &mut r,
        &protect(&mut s, &rtp_from(0, 2, b"second")).unwrap(),
    )
    .unwrap();
    unprotect(&mut r, &first[n as usize]).unwrap();
    assert_eq!(unprotect(&mut r, &first[0]), Err(UnprotectError::Replayed));
    assert_eq!(unprotect(&mut r, &first[2]), Err(UnprotectError::Replayed));
    assert!(unprotect(&mut r, &first[1]).is_ok());
}

#[test]
fn a_stream_that_wrapped_before_it_was_heard_is_heard() {
    let mut s = sender(&policy(CM, 1));
    protect(&mut s, &rtp(65_535)).unwrap();
    let out = protect(&mut s, &rtp(0)).unwrap();
    let mut r = receiver(&policy(CM, 1));
    assert_eq!(unprotect(&mut r, &out), Ok(rtp(0)));
    assert_eq!(r.stats().remote_roc, Some(1));
    // Two rollovers ahead, nobody could know.
    wrap(&mut s, 0);
    let out = protect(&mut s, &rtp(0)).unwrap();
    assert_eq!(
        unprotect(&mut receiver(&policy(CM, 1)), &out),
        Err(UnprotectError::AuthFailed)
    );
}

#[test]
fn too_short_packets_are_malformed() {
    for suite in Suite::ALL {
        let mut r = receiver(&policy(suite, 1));
        let out = protect(&mut sender(&policy(suite, 1)), &rtp_from(SSRC, 1, &[])).unwrap();
        for cut in 0..out.len() {
            assert_eq!(
                unprotect(&mut r, &out[..cut]),
                Err(UnprotectError::Malformed(Malformed::TooShort)),
                "{suite} {cut}"
            );
        }
        assert!(unprotect(&mut r, &out).is_ok());
        assert_eq!(r.stats().counters.malformed_received, out.len() as u64);
        for cut in 0..12 {
            let out = protect_rtcp(&mut sender(&policy(suite, 1)), &rtcp(1)).unwrap();
            assert!(matches!(
                unprotect_rtcp(&mut r, &out[..cut]),
                Err(UnprotectError::Malformed(_))
            ));
        }
    }
}

#[test]
fn without_a_key_nothing_is_received() {
    let out = protect(&mut sender(&policy(CM, 1)), &rtp(1)).unwrap();
    let mut r = Session::new(kernels());
    assert_eq!(unprotect(&mut r, &out), Err(UnprotectError::NoKey));
    assert_eq!(unprotect_rtcp(&mut r, &rtcp(1)), Err(UnprotectError::NoKey));
    assert_eq!(r.stats().counters.no_key_received, 2);
}

#[test]
fn plain_rtp_is_not_taken_for_srtp() {
    for suite in Suite::ALL {
        let mut r = receiver(&policy(suite, 1));
        assert!(unprotect(&mut r, &rtp_from(SSRC, 1, &[0; 160])).is_err());
        let mut plain = rtcp(1);
        plain.extend([0; 40]);
        assert_eq!(
            unprotect_rtcp(&mut r, &plain),
            Err(UnprotectError::Unencrypted)
        );
    }
}

#[test]
fn unencrypted_srtcp_only_if_allowed() {
    for suite in [CM, GCM] {
        let clear = SessionParams {
            unencrypted_srtcp: true,
            ..Default::default()
        };
        let allowed = policy_params(suite, 1, clear);
        let out = protect_rtcp(&mut sender(&allowed), &rtcp(1)).unwrap();
        let refused = unprotect_rtcp(&mut receiver(&policy(suite, 1)), &out);
        assert_eq!(refused, Err(UnprotectError::Unencrypted));
        assert_eq!(unprotect_rtcp(&mut receiver(&allowed), &out), Ok(rtcp(1)));
        // What is better than asked for is welcome.
        let encrypted = protect_rtcp(&mut sender(&policy(suite, 1)), &rtcp(1)).unwrap();
        assert_eq!(
            unprotect_rtcp(&mut receiver(&allowed), &encrypted),
            Ok(rtcp(1))
        );
    }
}
