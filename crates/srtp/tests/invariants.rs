//! What must hold whatever a host does and a network brings, checked from outside on random
//! histories: no key stream is used for two payloads (an AEAD's: not twice at all), and no packet
//! is handed up twice.

#[path = "common/random.rs"]
mod random;

use std::collections::HashMap;

use random::Random;
use srtp::{
    Cipher, LocalSsrc, MAX_TRAILER, MasterKey, Policy, Session, Suite, UnprotectError, kernels,
};

const SUITES: [Suite; 4] = [
    Suite::AesCm128HmacSha1_80,
    Suite::AesCm128HmacSha1_32,
    Suite::AeadAes128Gcm,
    Suite::AeadAes128Gcm8,
];
const SSRCS: [u32; 3] = [1, 2, 3];

/// Three master keys, so that they come back often, under changing suites.
fn policy(r: &mut Random) -> Policy {
    let suite = SUITES[r.below(SUITES.len())];
    let key = vec![r.below(3) as u8; suite.key_salt_len()];
    Policy::new(suite, MasterKey::new(suite, &key).unwrap(), None).unwrap()
}

fn local_ssrc(r: &mut Random) -> LocalSsrc {
    match r.below(4) {
        0 => LocalSsrc::Any,
        n => LocalSsrc::Specific(SSRCS[n - 1]),
    }
}

/// A sequence number: the next one mostly, an old one, a jump, seldom one of half a turn and more.
fn step(r: &mut Random, seq: &mut u16) -> u16 {
    match r.below(10) {
        0 if r.one_in(10) => {
            *seq = seq.wrapping_add(r.next() as u16);
            *seq
        }
        0 => {
            let most = if r.one_in(3) { 600 } else { 150 };
            seq.wrapping_sub(r.below(most) as u16)
        }
        1 => {
            *seq = seq.wrapping_add(r.below(0x7000) as u16);
            *seq
        }
        2 => *seq,
        _ => {
            *seq = seq.wrapping_add(1);
            *seq
        }
    }
}

const PAYLOAD: usize = 24;

/// Few headers and few payloads, so that retransmissions come up; every second packet has an
/// (empty) header extension.
fn packet(r: &mut Random, ssrc: u32, seq: u16) -> Vec<u8> {
    let extended = r.one_in(2);
    let mut p = vec![0x80 | u8::from(extended) << 4, r.below(2) as u8];
    p.extend(seq.to_be_bytes());
    p.extend([0; 4]);
    p.extend(ssrc.to_be_bytes());
    p.extend(extended.then_some([0; 4]).iter().flatten());
    p.extend([r.below(2) as u8; PAYLOAD]);
    p
}

fn payload(packet: &[u8]) -> &[u8] {
    &packet[packet.len() - PAYLOAD..]
}

/// Octets of the header that [`packet`] made.
fn header_len(packet: &[u8]) -> usize {
    12 + usize::from(packet[0] >> 2 & 4)
}

/// The key stream under which `clear` became `protected`.
fn key_stream(clear: &[u8], protected: &[u8]) -> Vec<u8> {
    let payload = clear.len() - PAYLOAD..clear.len();
    clear[payload.clone()]
        .iter()
        .zip(&protected[payload])
        .map(|(a, b)| a ^ b)
        .collect()
}

#[test]
fn no_key_stream_is_used_twice() {
    let mut again = 0;
    for seed in 0..30 {
        let mut r = Random(seed);
        let mut s = Session::new(kernels());
        s.set_local(LocalSsrc::Any, &policy(&mut r)).unwrap();
        if seed % 2 == 1 {
            s.keep_sent();
        }
        let mut seqs = SSRCS.map(|_| r.next() as u16);
        let mut used: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
        let (mut sent, mut refused) = (0, 0);
        for _ in 0..1_500 {
            match r.below(60) {
                0 => s.set_local(local_ssrc(&mut r), &policy(&mut r)).unwrap(),
                1 => s.stage_local(local_ssrc(&mut r), &policy(&mut r)).unwrap(),
                2 => s.commit(),
                3 => s.cancel(0),
                4 => s.change_source(SSRCS[r.below(3)], SSRCS[r.below(3)]),
                5 => s.set_local(LocalSsrc::Any, &policy(&mut r)).unwrap(),
                _ => (),
            }
            let who = r.below(3);
            let seq = step(&mut r, &mut seqs[who]);
            let p = packet(&mut r, SSRCS[who], seq);
            let mut out = vec![0; p.len() + MAX_TRAILER];
            if s.protect_rtp(&p, &mut out).is_err() {
                refused += 1;
                continue;
            }
            sent += 1;
            let aead = s.stats().local_suite.unwrap().cipher() == Cipher::AesGcm;
            if let Some(before) = used.insert(key_stream(&p, &out), payload(&p).to_vec()) {
                assert!(!aead, "seed {seed}: a nonce twice");
                again += 1;
                assert_eq!(
                    before,
                    payload(&p),
                    "seed {seed}: a key stream for two payloads"
                );
            }
        }
        assert!(
            sent > 300 && refused > 50,
            "seed {seed}: {sent} sent, {refused} refused"
        );
    }
    assert!(again > 300, "{again} sent again");
}

/// Legs of a native bridge, which come, go and come back under one key, each with an SSRC and sequence numbers of its own, among them
/// the one that is ours; and ours in between.
#[test]
fn no_key_stream_is_used_twice_where_legs_come_and_go() {
    const OWN: u32 = 0;
    let (mut refused, mut again) = (0, 0);
    for seed in 0..12 {
        let mut r = Random(seed ^ 0x1e65);
        let mut s = Session::new(kernels());
        let first = policy(&mut r);
        s.set_local(LocalSsrc::Any, &first).unwrap();
        s.set_own_source(OWN);
        let mut own = OWN;
        let mut legs: HashMap<u32, u16> = HashMap::new();
        let mut used: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
        let mut is_aead = first.suite().cipher() == Cipher::AesGcm;
        // More legs than there are SSRCs of which all is known.
        let mut leg = 1;
        for _ in 0..4_000 {
            match r.below(200) {
                0 => {
                    let again = policy(&mut r);
                    s.set_local(LocalSsrc::Any, &again).unwrap();
                    is_aead = again.suite().cipher() == Cipher::AesGcm;
                }
                1 => {
                    let to = 10_000 + r.next() as u32 % 100;
                    s.change_source(own, to);
                    own = to;
                }
                2..=20 => leg = 1 + r.below(300) as u32,
                21 => leg = own,
                _ => (),
            }
            let ssrc = if r.one_in(12) { own } else { leg };
            let seq = legs.entry(ssrc).or_insert_with(|| r.next() as u16);
            let seq = step(&mut r, seq);
            let p = packet(&mut r, ssrc, seq);
            let mut out = vec![0; p.len() + MAX_TRAILER];
            if s.protect_rtp(&p, &mut out).is_err() {
                refused += 1;
                continue;
            }
            if let Some(before) = used.insert(key_stream(&p, &out), payload(&p).to_vec()) {
                assert!(!is_aead, "seed {seed}: a nonce twice");
                assert_eq!(before, payload(&p), "seed {seed}: for two payloads");
                again += 1;
            }
        }
        assert!(used.len() > 1_000, "seed {seed}: {} sent", used.len());
    }
    assert!(refused > 1_000, "{refused} refused");
    assert!(again > 30, "{again} sent again");
}

/// The detector of the tests above finds what it is for: contexts thrown away.
#[test]
fn a_key_stream_used_twice_would_be_found() {
    let mut r = Random(1);
    let suite = Suite::AesCm128HmacSha1_80;
    let policy = Policy::new(suite, MasterKey::new(suite, &[1; 30]).unwrap(), None).unwrap();
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut s = Session::new(kernels());
        s.set_local(LocalSsrc::Any, &policy).unwrap();
        let p = packet(&mut r, 1, 7);
        let mut out = vec![0; p.len() + MAX_TRAILER];
        s.protect_rtp(&p, &mut out).unwrap();
        streams.push(key_stream(&p, &out));
    }
    assert_eq!(streams[0], streams[1]);
}

#[test]
fn no_packet_is_handed_up_twice() {
    for seed in 0..30 {
        let mut r = Random(seed ^ 0xabcd);
        let mut tx = Session::new(kernels());
        let mut rx = Session::new(kernels());
        let first = policy(&mut r);
        tx.set_local(LocalSsrc::Any, &first).unwrap();
        rx.set_remote(std::slice::from_ref(&first), false, 0)
            .unwrap();
        let mut sending = first;
        let mut seqs = SSRCS.map(|_| r.next() as u16);
        // Everything ever sent, as an attacker would have recorded it.
        let mut recorded: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut heard: HashMap<Vec<u8>, u32> = HashMap::new();
        let mut now = 0;
        let mut refused_as_replays = 0;
        for _ in 0..1_500 {
            now += r.below(100) as u64;
            match r.below(80) {
                0 | 1 => {
                    let p = policy(&mut r);
                    rx.set_remote(std::slice::from_ref(&p), r.one_in(2), now)
                        .unwrap();
                    if r.one_in(4) {
                        rx.cancel(now);
                    } else {
                        tx.set_local(LocalSsrc::Any, &p).unwrap();
                        sending = p;
                    }
                }
                2 => rx.commit(),
                4 => rx.renew(),
                // Nothing arrives for long.
                5 => now += 1 << r.below(24),
                3 => rx
                    .set_remote(std::slice::from_ref(&sending), false, now)
                    .unwrap(),
                _ => (),
            }
            let who = r.below(3);
            let seq = step(&mut r, &mut seqs[who]);
            let p = packet(&mut r, SSRCS[who], seq);
            let mut out = vec![0; p.len() + MAX_TRAILER];
            if let Ok(len) = tx.protect_rtp(&p, &mut out) {
                out.truncate(len);
                recorded.push((key_stream(&p, &out), out));
            }
            for fresh in [true, false] {
                let at = if fresh {
                    recorded.len() - 1
                } else {
                    r.below(recorded.len())
                };
                let (stream, packet) = &recorded[at];
                let mut buffer = packet.clone();
                if !fresh && r.one_in(3) {
                    // An 80-bit tag, cut, is a 32-bit one.
                    buffer.truncate(header_len(&buffer) + PAYLOAD + 4);
                }
                match rx.unprotect_rtp(&mut buffer, now) {
                    Ok(_) => {
                        let times = heard.entry(stream.clone()).or_default();
                        *times += 1;
                        assert_eq!(*times, 1, "seed {seed}");
                    }
                    Err(UnprotectError::Replayed) => refused_as_replays += 1,
                    Err(_) => (),
                }
            }
        }
        assert!(heard.len() > 300, "seed {seed}: {} heard", heard.len());
        assert!(
            refused_as_replays > 100,
            "seed {seed}: {refused_as_replays}"
        );
    }
}
