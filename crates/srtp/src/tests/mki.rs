//! MKIs on packets.

use super::*;
use crate::PolicyError;

#[test]
fn an_mki_is_sent_only_if_our_policy_has_one() {
    let plain = protect(&mut sender(&policy(CM, 1)), &rtp(1)).unwrap();
    let with = protect(&mut sender(&policy_mki(1, &[0, 1])), &rtp(1)).unwrap();
    assert_eq!(with.len(), plain.len() + 2);
    assert_eq!(with[32..34], [0, 1]);
    assert_eq!(
        with[34..],
        plain[32..],
        "the tag does not cover it (RFC 3711 section 3.1)"
    );
}

#[test]
fn an_announced_mki_may_be_left_out() {
    let announced = policy_mki(1, &[0, 0, 0, 1]);
    for peer in [policy(CM, 1), announced.clone()] {
        let mut s = sender(&peer);
        let mut r = receiver(&announced);
        for seq in 1..5 {
            let out = protect(&mut s, &rtp(seq)).unwrap();
            assert_eq!(unprotect(&mut r, &out), Ok(rtp(seq)));
            let out = protect_rtcp(&mut s, &rtcp(1)).unwrap();
            assert_eq!(unprotect_rtcp(&mut r, &out), Ok(rtcp(1)));
        }
    }
    // One that was not announced is not understood.
    let out = protect(&mut sender(&announced), &rtp(1)).unwrap();
    assert!(unprotect(&mut receiver(&policy(CM, 1)), &out).is_err());
    // Nor is another value.
    let out = protect(&mut sender(&policy_mki(1, &[0, 0, 0, 2])), &rtp(1)).unwrap();
    assert!(unprotect(&mut receiver(&announced), &out).is_err());
}

#[test]
fn an_mki_left_out_is_heard_though_the_packet_seems_to_carry_it() {
    let announced = policy_mki(1, &[0x77]);
    let mut s = sender(&policy(CM, 1));
    let mut r = receiver(&announced);
    let mut ambiguous = 0;
    for seq in 0..2000 {
        let out = protect(&mut s, &rtp(seq)).unwrap();
        ambiguous += usize::from(out[out.len() - 11] == 0x77);
        assert_eq!(unprotect(&mut r, &out), Ok(rtp(seq)));
    }
    assert!(ambiguous > 0);
}

#[test]
fn several_keys_are_chosen_by_their_mki() {
    let keys = [
        policy_mki(1, &[1]),
        policy_mki(2, &[2]),
        policy_mki(3, &[3]),
    ];
    let mut r = Session::new(kernels());
    r.set_remote(&keys, false, 0).unwrap();
    for (seq, key) in keys.iter().enumerate() {
        let mut s = sender(key);
        let out = protect(&mut s, &rtp(seq as u16)).unwrap();
        assert_eq!(unprotect(&mut r, &out), Ok(rtp(seq as u16)));
        assert_eq!(unprotect(&mut r, &out), Err(UnprotectError::Replayed));
        let out = protect_rtcp(&mut s, &rtcp(1)).unwrap();
        assert_eq!(unprotect_rtcp(&mut r, &out), Ok(rtcp(1)));
    }
    // Key 1 under the MKI of key 2: whose it is, authentication decides.
    let out = protect(&mut sender(&policy_mki(1, &[2])), &rtp(9)).unwrap();
    assert_eq!(unprotect(&mut r, &out), Err(UnprotectError::AuthFailed));
}

#[test]
fn a_set_of_keys_needs_different_mkis_of_one_length() {
    let mut r = Session::new(kernels());
    let refused = |set: &[Policy], why| {
        assert_eq!(Session::new(kernels()).set_remote(set, false, 0), Err(why));
    };
    refused(&[], PolicyError::KeyCount);
    refused(&[policy(CM, 1), policy_mki(2, &[2])], PolicyError::MkiSet);
    refused(
        &[policy_mki(1, &[2]), policy_mki(2, &[2])],
        PolicyError::MkiSet,
    );
    refused(
        &[policy_mki(1, &[1]), policy_mki(2, &[0, 2])],
        PolicyError::MkiSet,
    );
    let set: Vec<_> = (0..9).map(|n| policy_mki(n, &[n])).collect();
    refused(&set, PolicyError::KeyCount);
    assert_eq!(r.set_remote(&set[..8], false, 0), Ok(()));
}
