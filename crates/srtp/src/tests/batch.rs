//! The batch call does what the single calls do.

use super::*;
use crate::{ProtectRtp, UnprotectRtp, protect_rtp_batch, unprotect_rtp_batch};

/// Sessions of every kind, in an order that mixes them.
fn sessions(count: usize) -> Vec<Session> {
    (0..count)
        .map(|i| {
            let suite = Suite::ALL[i * 7 % Suite::ALL.len()];
            let params = SessionParams {
                unencrypted_srtp: i % 5 == 1,
                unauthenticated_srtp: i % 5 == 2 && suite.cipher() == crate::Cipher::AesCm,
                ..Default::default()
            };
            let mut session = Session::new(kernels());
            // Every eleventh has no key.
            if i % 11 != 10 {
                let key = MasterKey::new(suite, &vec![i as u8; suite.key_salt_len()]).unwrap();
                let mki = (i % 3 == 0).then(|| Mki::new(&[i as u8; 4]).unwrap());
                let policy = Policy::with_params(suite, key, mki, params).unwrap();
                session.set_local(LocalSsrc::Any, &policy).unwrap();
                session.set_remote(&[policy], false, 0).unwrap();
            }
            session
        })
        .collect()
}

/// Packets in a batch. Miri takes minutes for what takes milliseconds.
fn counts() -> impl Iterator<Item = usize> {
    let most = if cfg!(miri) { 6 } else { 70 };
    [0, 1, 2, 5, 6, 15, 16, 17, 33, 70]
        .into_iter()
        .filter(move |n| *n <= most)
}

#[test]
fn a_batch_is_what_its_packets_are_one_by_one() {
    for count in counts() {
        let (mut single, mut batch) = (sessions(count), sessions(count));
        // The same packet again; then, for some, another header or payload under a used index.
        for (seq, marker, payload) in [
            (1, 0, 0),
            (2, 0, 0),
            (2, 0, 0),
            (2, 1, 0),
            (2, 0, 1),
            (9, 0, 0),
        ] {
            let packets: Vec<_> = (0..count)
                .map(|i| match i % 13 {
                    12 => vec![0x40; 20],
                    kind => {
                        let octets = vec![i as u8 ^ (payload * (kind % 2) as u8); 8 + i * 37 % 400];
                        let mut p = rtp_from(i as u32, seq, &octets);
                        p[0] |= u8::from(kind % 3 == 0) << 4;
                        p[1] |= marker * (kind % 5) as u8;
                        // Without an extension this is payload.
                        p[12..16].copy_from_slice(&[0xbe, 0xde, 0, 1]);
                        p
                    }
                })
                .collect();
            let room = |i: usize| packets[i].len() + if i % 17 == 16 { 3 } else { MAX_TRAILER };
            let mut want: Vec<_> = (0..count).map(|i| vec![0xee; room(i)]).collect();
            let mut got = want.clone();
            let results: Vec<_> = single
                .iter_mut()
                .zip(&packets)
                .zip(&mut want)
                .map(|((session, packet), out)| session.protect_rtp(packet, out))
                .collect();
            let mut jobs: Vec<_> = batch
                .iter_mut()
                .zip(&packets)
                .zip(&mut got)
                .map(|((session, packet), out)| ProtectRtp::new(session, packet, out))
                .collect();
            protect_rtp_batch(&mut jobs);
            for (i, (job, result)) in jobs.iter().zip(&results).enumerate() {
                assert_eq!(job.result, *result, "{count} {seq} {i}");
            }
            assert_eq!(got, want, "{count} {seq}");
            for (a, b) in single.iter().zip(&batch) {
                assert_eq!(a.stats(), b.stats());
            }
        }
        let count_of = |which: fn(&crate::Counters) -> u64| {
            batch.iter().map(|s| which(s.counters())).sum::<u64>() as usize
        };
        let (again, refused) = (count_of(|c| c.reencryptions), count_of(|c| c.reuse_drops));
        // Both must have come up, or the test proves nothing.
        assert!(
            count < 15 || (again * 4 > count && refused * 4 > count),
            "{again} again, {refused} refused, of {count}"
        );
    }
}

/// What arrives in one round of the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Round {
    Good(u16),
    Again,
    Damaged(u16),
    NewKey(u16),
}

#[test]
fn a_received_batch_is_what_its_packets_are_one_by_one() {
    use Round::{Again, Damaged, Good, NewKey};
    let rounds = [
        Good(1),
        Good(2),
        Again,
        Damaged(3),
        Good(5),
        Good(4),
        NewKey(6),
        Good(7),
        Again,
        Good(20_000),
        Good(45_000),
        Good(8),
    ];
    for count in counts() {
        let (mut peers, mut single, mut batch) =
            (sessions(count), sessions(count), sessions(count));
        let mut sent = vec![vec![0x80; 12]; count];
        for (now, round) in (0..).step_by(700).zip(rounds) {
            for (i, (peer, sent)) in peers.iter_mut().zip(&mut sent).enumerate() {
                let seq = match round {
                    Again => continue,
                    NewKey(seq) => {
                        // Some change their key here.
                        if i % 4 == 0 {
                            let new = policy(CM, 100 + i as u8);
                            for s in [&mut single[i], &mut batch[i]] {
                                s.set_remote(std::slice::from_ref(&new), false, now)
                                    .unwrap();
                            }
                            peer.set_local(LocalSsrc::Any, &new).unwrap();
                        }
                        seq
                    }
                    Good(seq) | Damaged(seq) => seq,
                };
                let p = rtp_from(i as u32, seq, &vec![i as u8; i * 37 % 400]);
                // A peer without a key sends what cannot be right.
                *sent = protect(peer, &p).unwrap_or(p);
                match i % 5 {
                    _ if !matches!(round, Damaged(_)) => (),
                    0 | 1 => *sent.last_mut().unwrap() ^= 1,
                    3 => sent.truncate(14),
                    _ => (),
                }
            }
            let (mut want, mut got) = (sent.clone(), sent.clone());
            let results: Vec<_> = single
                .iter_mut()
                .zip(&mut want)
                .map(|(session, packet)| session.unprotect_rtp(packet, now))
                .collect();
            let mut jobs: Vec<_> = batch
                .iter_mut()
                .zip(&mut got)
                .map(|(session, packet)| UnprotectRtp::new(session, packet))
                .collect();
            unprotect_rtp_batch(&mut jobs, now);
            for (i, (job, result)) in jobs.iter().zip(&results).enumerate() {
                assert_eq!(job.result, *result, "{count} {round:?} {i}");
            }
            assert_eq!(got, want, "{count} {round:?}");
            for (a, b) in single.iter().zip(&batch) {
                assert_eq!(a.stats(), b.stats());
            }
            let refused = results.iter().filter(|r| r.is_err()).count();
            let most = match round {
                Good(_) | NewKey(_) => count / 4,
                Again => count,
                Damaged(_) => count * 3 / 4 + 2,
            };
            assert!(refused <= most, "{count} {round:?}: {refused} refused");
        }
        let replays: u64 = batch.iter().map(|s| s.counters().replays).sum();
        let forged: u64 = batch.iter().map(|s| s.counters().auth_failures).sum();
        assert!(
            count < 5 || (replays > 0 && forged > 0),
            "{replays} {forged}"
        );
    }
}
