//! Sending: indexes, used indexes, limits, bad packets.

use super::*;
use crate::Malformed;

#[test]
fn the_callers_packet_stays_and_nothing_else_is_written() {
    for suite in Suite::ALL {
        let mut s = sender(&policy(suite, 1));
        let p = rtp(1);
        let before = p.clone();
        let mut out = vec![0xee; p.len() + MAX_TRAILER];
        let len = s.protect_rtp(&p, &mut out).unwrap();
        assert_eq!(p, before);
        assert_eq!(len, p.len() + suite.rtp_tag_len());
        assert!(out[len..].iter().all(|o| *o == 0xee));
        assert_ne!(out[12..32], p[12..32], "encrypted");
        assert_eq!(out[..12], p[..12], "the header is in clear");
    }
}

#[test]
fn rtcp_has_an_index_and_the_long_tag() {
    for suite in Suite::ALL {
        let mut s = sender(&policy(suite, 1));
        let mut r = receiver(&policy(suite, 1));
        for n in 0..3 {
            let p = rtcp(n);
            let out = protect_rtcp(&mut s, &p).unwrap();
            assert_eq!(out.len(), p.len() + 4 + suite.rtcp_tag_len());
            let word_at = match suite.cipher() {
                crate::Cipher::AesCm => p.len(),
                crate::Cipher::AesGcm => out.len() - 4,
            };
            assert_eq!(out[word_at..word_at + 4], [0x80, 0, 0, n]);
            assert_eq!(unprotect_rtcp(&mut r, &out).as_ref(), Ok(&p));
        }
    }
}

#[test]
fn reordering_at_the_wrap_loses_nothing() {
    for suite in [CM, GCM] {
        let mut s = sender(&policy(suite, 1));
        let mut r = receiver(&policy(suite, 1));
        for seq in [65_534, 2, 1, 65_535, 0] {
            let out = protect(&mut s, &rtp(seq)).unwrap();
            assert_eq!(
                unprotect(&mut r, &out).as_ref(),
                Ok(&rtp(seq)),
                "{suite} {seq}"
            );
        }
        assert_eq!(s.stats().local_roc, Some(1));
        assert_eq!(r.stats().remote_roc, Some(1));
    }
}

#[test]
fn what_came_before_the_first_packet_has_no_index() {
    let mut s = sender(&policy(CM, 1));
    let mut r = receiver(&policy(CM, 1));
    let mut send = |seq| {
        let out = protect(&mut s, &rtp(seq))?;
        assert_eq!(unprotect(&mut r, &out), Ok(rtp(seq)));
        Ok((s.stats().local_roc, r.stats().remote_roc))
    };
    assert_eq!(send(2), Ok((Some(0), Some(0))));
    assert_eq!(send(65_535), Err(ProtectError::IndexTooOld));
    assert_eq!(send(3), Ok((Some(0), Some(0))));
    // A source that really jumps ahead is followed as far as receivers follow it.
    assert_eq!(send(60_000), Err(ProtectError::IndexTooOld));
    for seq in [28_000, 56_000] {
        assert_eq!(send(seq), Ok((Some(0), Some(0))));
    }
    assert_eq!(send(3), Ok((Some(1), Some(1))));
}

/// As [`rtp_from`], with a header extension of one word.
fn extended(seq: u16, word: u8, payload: &[u8]) -> Vec<u8> {
    let mut p = rtp_from(SSRC, seq, payload);
    p[0] |= 0x10;
    p.splice(12..12, [0xbe, 0xde, 0, 1, word, word, word, word]);
    p
}

/// Refused, and the buffer holds nothing of it: what lies where it was sealed is zero.
fn assert_reused(s: &mut Session, packet: &[u8]) {
    let mut out = vec![0xee; packet.len() + MAX_TRAILER];
    let result = s.protect_rtp(packet, &mut out);
    assert_eq!(result, Err(ProtectError::ReusedIndex));
    let (sealed, behind) = out.split_at(packet.len());
    let untouched = sealed.iter().all(|o| *o == 0xee);
    assert!(untouched || sealed.iter().all(|o| *o == 0));
    assert!(behind.iter().all(|o| *o == 0xee));
}

fn counted(s: &Session) -> [u64; 4] {
    let stats = s.stats();
    let c = stats.counters;
    [
        c.sent_rtp,
        c.reencryptions,
        c.reuse_drops,
        stats.local_key.rtp,
    ]
}

#[test]
fn a_used_index_is_encrypted_again_only_for_the_same_packet() {
    let tagless = SessionParams {
        unauthenticated_srtp: true,
        ..Default::default()
    };
    for policy in [
        policy(CM, 1),
        policy(CM_32, 1),
        policy_params(CM, 1, tagless),
    ] {
        let mut s = sender(&policy);
        let first = protect(&mut s, &rtp(10)).unwrap();
        assert_eq!(protect(&mut s, &rtp(10)).as_ref(), Ok(&first));
        protect(&mut s, &rtp(11)).unwrap();

        let mut marked = rtp(10);
        marked[1] |= 0x80;
        let others = [
            marked,
            rtp_from(SSRC, 10, &[9; 20]),
            rtp_from(SSRC, 10, &[10; 19]),
            rtp_from(SSRC, 10, &[]),
            extended(10, 1, &[10; 20]),
        ];
        for other in others {
            assert_reused(&mut s, &other);
        }
        // None of them has taken its place.
        assert_eq!(protect(&mut s, &rtp(10)), Ok(first));
        assert_eq!(counted(&s), [4, 2, 5, 4]);
    }
}

#[test]
fn with_an_extension_the_payload_decides() {
    let mut s = sender(&policy(CM, 1));
    let mut r = receiver(&policy(CM, 1));
    let first = protect(&mut s, &extended(10, 1, &[7; 20])).unwrap();
    protect(&mut s, &rtp(11)).unwrap();

    // Another time of sending, as in a NACK retransmission: the same ciphertext, another tag.
    let changed = extended(10, 2, &[7; 20]);
    let again = protect(&mut s, &changed).unwrap();
    assert_eq!(again[20..40], first[20..40]);
    assert_ne!(again[40..], first[40..]);
    assert_eq!(unprotect(&mut r, &again), Ok(changed));
    // And a longer one: the payload's key stream does not move.
    let mut longer = extended(10, 2, &[7; 20]);
    longer[15] += 1;
    longer.splice(20..20, [1, 2, 3, 4]);
    let again = protect(&mut s, &longer).unwrap();
    assert_eq!(again[24..44], first[20..40]);

    let others = [
        extended(10, 1, &[8; 20]),
        extended(10, 1, &[7; 19]),
        extended(10, 1, &[]),
        rtp_from(SSRC, 10, &[7; 20]),
    ];
    for other in others {
        assert_reused(&mut s, &other);
    }
    assert_eq!(counted(&s), [4, 2, 4, 4]);
}

#[test]
fn of_the_same_payload_under_another_index_nothing_follows() {
    // 10 and 74 share a place among the latest 64.
    let mut s = sender(&policy(CM, 1));
    protect(&mut s, &extended(10, 1, &[7; 20])).unwrap();
    protect(&mut s, &extended(73, 1, &[7; 20])).unwrap();
    assert!(protect(&mut s, &extended(10, 2, &[7; 20])).is_ok());
    protect(&mut s, &extended(74, 1, &[7; 20])).unwrap();
    assert_reused(&mut s, &extended(10, 3, &[7; 20]));
}

#[test]
fn a_session_that_keeps_what_it_sent_knows_the_latest_512() {
    let mut known = Vec::new();
    for keeps in [false, true] {
        let mut s = sender(&policy(CM, 1));
        if keeps {
            s.keep_sent();
        }
        // Past a wrap, every third one lost in front of us.
        let seqs: Vec<u16> = (0..700_u16)
            .map(|n| 64_900_u16.wrapping_add(3 * n / 2))
            .collect();
        let first: Vec<_> = seqs
            .iter()
            .map(|seq| protect(&mut s, &rtp(*seq)).unwrap())
            .collect();
        let latest = *seqs.last().unwrap();
        let mut oldest = 0;
        for (seq, first) in seqs.iter().zip(&first) {
            let behind = latest.wrapping_sub(*seq);
            let other = rtp_from(SSRC, *seq, b"other");
            assert!(protect(&mut s, &other).is_err(), "{keeps} {behind}");
            match protect(&mut s, &rtp(*seq)) {
                Ok(again) => {
                    assert_eq!(again, *first, "{keeps} {behind}");
                    oldest = oldest.max(behind);
                }
                Err(why) => assert!(
                    matches!(why, ProtectError::ReusedIndex | ProtectError::IndexTooOld),
                    "{keeps} {behind}: {why}"
                ),
            }
        }
        known.push(oldest);
        // An index that was left out, in the window and before it.
        let skipped = |behind: u16| {
            let left_out = |seq: &u16| !seqs.contains(seq);
            let before = (behind..).map(|behind| latest.wrapping_sub(behind));
            before.into_iter().find(left_out).unwrap()
        };
        assert!(protect(&mut s, &rtp(skipped(20))).is_ok());
        let late = protect(&mut s, &rtp(skipped(140)));
        assert_eq!(late, Err(ProtectError::IndexTooOld));
    }
    // Where packets were lost in front of us, places are kept for longer.
    assert_eq!(known[0], 63);
    assert!(known[1] >= 510, "{known:?}");
}

#[test]
fn keeping_takes_memory_for_streams_that_may_repeat() {
    let mut s = sender(&policy(GCM, 1));
    s.keep_sent();
    protect(&mut s, &rtp(10)).unwrap();
    for seq in 11..200 {
        protect(&mut s, &rtp(seq)).unwrap();
    }
    assert_eq!(protect(&mut s, &rtp(20)), Err(ProtectError::IndexTooOld));
    assert_eq!(protect(&mut s, &rtp(199)), Err(ProtectError::ReusedIndex));
    // Under another suite it may.
    s.set_local(LocalSsrc::Any, &policy(CM, 1)).unwrap();
    protect(&mut s, &rtp(200)).unwrap();
    assert!(protect(&mut s, &rtp(200)).is_ok());
}

#[test]
fn an_aead_never_sees_an_index_twice() {
    let mut s = sender(&policy(GCM, 1));
    protect(&mut s, &rtp(10)).unwrap();
    assert_eq!(protect(&mut s, &rtp(10)), Err(ProtectError::ReusedIndex));
    assert_eq!(s.stats().counters.reuse_drops, 1);
}

#[test]
fn the_window_is_128_packets() {
    for suite in [CM, GCM] {
        let mut s = sender(&policy(suite, 1));
        protect(&mut s, &rtp(1)).unwrap();
        protect(&mut s, &rtp(1000)).unwrap();
        assert_eq!(
            protect(&mut s, &rtp(1000 - 128)),
            Err(ProtectError::IndexTooOld)
        );
        assert!(protect(&mut s, &rtp(1000 - 127)).is_ok());
        assert_eq!(s.stats().counters.reuse_drops, 1);
    }
}

#[test]
fn each_ssrc_counts_for_itself() {
    let mut s = sender(&policy(GCM, 1));
    let mut r = receiver(&policy(GCM, 1));
    for ssrc in [1, 2, 3] {
        for seq in [65_535, 0] {
            let p = rtp_from(ssrc, seq, b"payload");
            let out = protect(&mut s, &p).unwrap();
            assert_eq!(unprotect(&mut r, &out), Ok(p));
        }
    }
    assert_eq!(s.stats().local_key.rtp, 6);
}

#[test]
fn ssrcs_are_bounded_and_none_is_forgotten() {
    let mut s = sender(&policy(GCM, 1));
    for ssrc in 0..crate::MAX_LOCAL_SOURCES as u32 {
        protect(&mut s, &rtp_from(ssrc, 1, b"x")).unwrap();
    }
    let more = rtp_from(9999, 1, b"x");
    assert_eq!(protect(&mut s, &more), Err(ProtectError::TooManySources));
    let used = rtp_from(0, 1, b"x");
    assert_eq!(protect(&mut s, &used), Err(ProtectError::ReusedIndex));
}

#[test]
fn without_a_key_nothing_leaves() {
    let mut s = Session::new(kernels());
    assert_eq!(protect(&mut s, &rtp(1)), Err(ProtectError::NoKey));
    assert_eq!(protect_rtcp(&mut s, &rtcp(1)), Err(ProtectError::NoKey));
    s.set_local(LocalSsrc::Specific(SSRC), &policy(CM, 1))
        .unwrap();
    assert!(protect(&mut s, &rtp(1)).is_ok());
    assert_eq!(
        protect(&mut s, &rtp_from(SSRC + 1, 1, b"x")),
        Err(ProtectError::NoKey)
    );
    assert_eq!(s.stats().counters.no_key_sent, 3);
}

#[test]
fn malformed_packets_and_small_buffers_are_refused() {
    let mut s = sender(&policy(CM, 1));
    assert_eq!(
        protect(&mut s, &rtp(1)[..11]),
        Err(ProtectError::Malformed(Malformed::TooShort))
    );
    assert_eq!(
        protect_rtcp(&mut s, &rtp(1)),
        Err(ProtectError::Malformed(Malformed::PacketType))
    );
    let p = rtp(1);
    let mut out = vec![0; p.len() + 9];
    assert_eq!(
        s.protect_rtp(&p, &mut out),
        Err(ProtectError::BufferTooSmall)
    );
    let p2 = rtcp(1);
    let mut out2 = vec![0; p2.len() + 13];
    assert_eq!(
        s.protect_rtcp(&p2, &mut out2),
        Err(ProtectError::BufferTooSmall)
    );
    // A refusal uses no index up.
    out.push(0);
    out2.push(0);
    assert_eq!(s.protect_rtp(&p, &mut out), Ok(out.len()));
    assert_eq!(s.protect_rtcp(&p2, &mut out2), Ok(out2.len()));
    assert_eq!(out2[p2.len()..p2.len() + 4], [0x80, 0, 0, 0]);
    assert_eq!(s.stats().counters.malformed_sent, 4);
}

#[test]
fn an_empty_payload_is_a_packet_too() {
    for suite in Suite::ALL {
        let mut s = sender(&policy(suite, 1));
        let mut r = receiver(&policy(suite, 1));
        let p = rtp_from(SSRC, 1, &[]);
        let out = protect(&mut s, &p).unwrap();
        assert_eq!(unprotect(&mut r, &out), Ok(p));
    }
}

#[test]
fn session_parameters_weaken_what_they_name_only() {
    let all = SessionParams::default();
    let p = rtp(7);
    let clear = SessionParams {
        unencrypted_srtp: true,
        ..all
    };
    for suite in [CM, GCM] {
        let out = protect(&mut sender(&policy_params(suite, 1, clear)), &p).unwrap();
        assert!(out.starts_with(&p));
        assert_eq!(out.len(), p.len() + suite.rtp_tag_len());
        let rtcp = protect_rtcp(&mut sender(&policy_params(suite, 1, clear)), &rtcp(1)).unwrap();
        assert_ne!(rtcp[8..12], [1; 4]);
    }
    let tagless = SessionParams {
        unauthenticated_srtp: true,
        ..all
    };
    let out = protect(&mut sender(&policy_params(CM, 1, tagless)), &p).unwrap();
    assert_eq!(out.len(), p.len());
    assert_ne!(out[12..], p[12..]);
    let clear_rtcp = SessionParams {
        unencrypted_srtcp: true,
        ..all
    };
    let out = protect_rtcp(&mut sender(&policy_params(GCM, 1, clear_rtcp)), &rtcp(1)).unwrap();
    assert!(out.starts_with(&rtcp(1)));
    assert_eq!(out[out.len() - 4..], [0, 0, 0, 0], "the E flag is off");
}
