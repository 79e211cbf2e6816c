//! One packet after the other, in one session.

use std::hint::black_box;
use std::time::{Duration, Instant};

use srtp::Suite;

use super::{DISTRIBUTION, Libraries, OPENSSL, OURS, ipsec_mb, rigs, rtp};
use crate::Case;
use crate::rigs::{Rig, SUITES, key_of, ours};

const SSRC: u32 = 0x1234_5678;

/// So many packets are protected, then unprotected, in a turn; small enough for the first-level cache.
const RING: usize = 64;

/// The rigs of a suite, which were seen to make the same packet.
fn equal_rigs(
    libraries: &Libraries,
    suite: Suite,
    payload: usize,
) -> Vec<(&'static str, Box<dyn Rig>)> {
    let key = key_of(suite, 1);
    let plain = rtp(7, SSRC, payload);
    let mut outputs = rigs(libraries, suite, &key)
        .into_iter()
        .map(|(name, mut rig)| {
            let mut out = vec![0; plain.len() + 200];
            let len = rig.protect(&plain, &mut out);
            out.truncate(len);
            let sealed = out.clone();
            let len = rig.unprotect(&mut out);
            assert!(out[..len] == plain, "{name}: not what went in");
            sealed
        });
    let reference = outputs.next().unwrap();
    assert!(
        outputs.all(|out| out == reference),
        "{suite:?}: outputs differ"
    );

    rigs(libraries, suite, &key)
}

pub fn protect<'a>(
    libraries: &Libraries,
    group: &str,
    suite: usize,
    payload: usize,
) -> Vec<Case<'a>> {
    let suite = SUITES[suite].0;
    let rigs = equal_rigs(libraries, suite, payload).into_iter();
    let mut cases: Vec<_> = rigs
        .map(|(name, mut rig)| {
            let mut seq = 0u16;
            let mut packets = vec![rtp(0, SSRC, payload); RING];
            let mut out = vec![vec![0u8; payload + 12 + 200]; RING];
            // The sequence numbers are written before, as a packet's header is: a load of bytes that were stored
            // in smaller pieces a moment ago waits until those stores are done, and with them the packet before.
            Case::with_preparation(group, name, RING, move |calls| {
                let mut time = Duration::ZERO;
                for _ in 0..calls {
                    for packet in &mut packets {
                        seq = seq.wrapping_add(1);
                        packet[2..4].copy_from_slice(&seq.to_be_bytes());
                    }
                    let start = Instant::now();
                    for (packet, out) in packets.iter().zip(&mut out) {
                        black_box(rig.protect(packet, out));
                    }
                    time += start.elapsed();
                }
                time
            })
        })
        .collect();
    cases.extend(ipsec_mb::cases(group, suite, payload));
    cases
}

pub fn unprotect<'a>(
    libraries: &Libraries,
    group: &str,
    suite: usize,
    payload: usize,
) -> Vec<Case<'a>> {
    let rigs = equal_rigs(libraries, SUITES[suite].0, payload).into_iter();
    rigs.map(|(name, mut rig)| {
        let mut seq = 0u16;
        let mut packets = vec![rtp(0, SSRC, payload); RING];
        let mut out = vec![vec![0u8; payload + 12 + 200]; RING];
        let mut lens = [0; RING];
        Case::with_preparation(group, name, RING, move |calls| {
            let mut time = Duration::ZERO;
            for _ in 0..calls {
                for ((packet, out), len) in packets.iter_mut().zip(&mut out).zip(&mut lens) {
                    seq = seq.wrapping_add(1);
                    packet[2..4].copy_from_slice(&seq.to_be_bytes());
                    *len = rig.protect(packet, out);
                }
                let start = Instant::now();
                for (out, len) in out.iter_mut().zip(lens) {
                    black_box(rig.unprotect(&mut out[..len]));
                }
                time += start.elapsed();
            }
            time
        })
    })
    .collect()
}

/// Octets of a sender report with one report block.
pub const RTCP: usize = 52;

/// RTCP, whose keys this project expands for each packet.
pub fn rtcp<'a>(libraries: &Libraries, group: &str) -> Vec<Case<'a>> {
    let suite = Suite::AesCm128HmacSha1_80;
    let key = key_of(suite, 1);
    let mut report = [7; RTCP];
    report[..4].copy_from_slice(&[0x81, 200, 0, (RTCP / 4 - 1) as u8]);
    let mut ours = ours(suite, &key);
    // libsrtp's first index is 1, ours 0 (RFC 3711, 3.4).
    ours.protect_rtcp(&report, &mut [0; RTCP + 200]);
    let mut rigs: Vec<(&str, Box<dyn Rig>)> = vec![(OURS, Box::new(ours))];
    let openssl = libraries.openssl.rig(suite, &key);
    rigs.push((OPENSSL, Box::new(openssl.expect("the default suite"))));
    if let Some(rig) = libraries.distribution.and_then(|lib| lib.rig(suite, &key)) {
        rigs.push((DISTRIBUTION, Box::new(rig)));
    }
    let mut reference = None;
    rigs.into_iter()
        .map(|(name, mut rig)| {
            let mut out = [0; RTCP + 200];
            let len = rig.protect_rtcp(&report, &mut out);
            let reference = reference.get_or_insert_with(|| out[..len].to_vec());
            assert!(out[..len] == *reference, "{name}: outputs differ");
            Case::new(group, name, 1, move || {
                black_box(rig.protect_rtcp(black_box(&report), &mut out));
            })
        })
        .collect()
}
