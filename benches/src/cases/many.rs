//! Many sessions taking turns: a batch of 16, and ten thousand.

use std::hint::black_box;
use std::time::{Duration, Instant};

use packet_crypto::{AesCmHmacSha1, CmSeal, Packet};
use srtp::{ProtectRtp, Suite, UnprotectRtp, protect_rtp_batch, unprotect_rtp_batch};

use super::{DISTRIBUTION, Libraries, ONE_BY_ONE, OPENSSL, OURS, OURS_BATCH, rtp};
use crate::Case;
use crate::rigs::{Ours, Rig, key_of, ours};

const SUITE: Suite = Suite::AesCm128HmacSha1_80;
const PAYLOAD: usize = 160;
/// A protected packet's length.
const SEALED: usize = 12 + PAYLOAD + 10;

/// Packets in a turn.
const RING: usize = 64;

/// Sources and outputs of a turn, the same in every turn: what is cold is the session. In Asterisk, too, the packet was
/// just written, the output is the thread's, and a session is an allocation of its own to which the caller has a
/// pointer. All sessions see one SSRC.
struct Ring {
    packets: Vec<Vec<u8>>,
    out: Vec<[u8; 400]>,
}

impl Ring {
    fn new(len: usize) -> Self {
        Ring {
            packets: vec![rtp(0, 9, PAYLOAD); len],
            out: vec![[0; 400]; len],
        }
    }
}

/// Which session is next, in an order without a pattern, and the sequence number of its packet.
struct Order {
    sessions: usize,
    at: usize,
    seq: u16,
}

/// No factor in common with the numbers of sessions.
const STRIDE: usize = 6_367;

impl Order {
    fn new(sessions: usize) -> Self {
        Order {
            sessions,
            at: 0,
            seq: 0,
        }
    }

    /// The sessions of a turn. The sequence numbers are written into the packets here and not when the time runs: a
    /// load of bytes that were stored in smaller pieces a moment ago waits until those stores are done.
    fn next(&mut self, packets: &mut [Vec<u8>]) -> Vec<usize> {
        let mut turn = Vec::with_capacity(packets.len());
        for packet in packets {
            packet[2..4].copy_from_slice(&self.seq.to_be_bytes());
            turn.push(self.at);
            self.at = (self.at + STRIDE) % self.sessions;
            self.seq = self.seq.wrapping_add(u16::from(self.at == 0));
        }
        turn
    }
}

pub fn batch<'a>(libraries: &Libraries, group: &str) -> Vec<Case<'a>> {
    of(
        libraries,
        group,
        16,
        [OURS, "ciphertrunk, kernels alone", ONE_BY_ONE],
    )
}

/// Sessions of the group that is about many.
pub const LIVE: usize = 10_000;

pub fn live<'a>(libraries: &Libraries, group: &str) -> Vec<Case<'a>> {
    let kernels = "ciphertrunk, batch call of 64, kernels alone";
    of(libraries, group, LIVE, [OURS_BATCH, kernels, OURS])
}

/// So many sessions; the names are those of the batch call, of the kernels' and of single calls.
fn of<'a>(
    libraries: &Libraries,
    group: &str,
    sessions: usize,
    [batch, kernels, single]: [&'static str; 3],
) -> Vec<Case<'a>> {
    let openssl = libraries.openssl;
    let mut cases = vec![
        singly(group, single, sessions, |key| ours(SUITE, key)),
        protect_batch(group, batch, sessions),
        seal_batch(group, kernels, sessions),
        singly(group, OPENSSL, sessions, |key| {
            openssl.rig(SUITE, key).expect("the default suite")
        }),
    ];
    if let Some(lib) = libraries.distribution {
        cases.push(singly(group, DISTRIBUTION, sessions, |key| {
            lib.rig(SUITE, key).expect("the default suite")
        }));
    }
    cases
}

/// One session after the other.
fn singly<'a, R: Rig + 'a>(
    group: &str,
    name: &'static str,
    sessions: usize,
    make: impl Fn(&[u8]) -> R,
) -> Case<'a> {
    // Leaked: ten thousand sessions on NSS take minutes to close.
    let rigs: Vec<*mut R> = (0..sessions)
        .map(|i| Box::into_raw(Box::new(make(&key_of(SUITE, i as u8)))))
        .collect();
    let mut ring = Ring::new(sessions.min(RING));
    let mut order = Order::new(sessions);
    Case::with_preparation(group, name, ring.packets.len(), move |calls| {
        let mut time = Duration::ZERO;
        for _ in 0..calls {
            let turn = order.next(&mut ring.packets);
            let turn: Vec<*mut R> = turn.into_iter().map(|at| rigs[at]).collect();
            let start = Instant::now();
            for ((rig, packet), out) in turn.into_iter().zip(&ring.packets).zip(&mut ring.out) {
                // SAFETY: from a box that is never freed, and used here only.
                black_box(unsafe { &mut *rig }.protect(packet, out));
            }
            time += start.elapsed();
        }
        time
    })
}

/// The batch call.
fn protect_batch<'a>(group: &str, name: &'static str, sessions: usize) -> Case<'a> {
    let all: Vec<*mut Ours> = (0..sessions)
        .map(|i| Box::into_raw(Box::new(ours(SUITE, &key_of(SUITE, i as u8)))))
        .collect();
    let mut ring = Ring::new(sessions.min(RING));
    let mut order = Order::new(sessions);
    Case::with_preparation(group, name, ring.packets.len(), move |calls| {
        let mut time = Duration::ZERO;
        for _ in 0..calls {
            let turn = order.next(&mut ring.packets);
            let turn: Vec<*mut Ours> = turn.into_iter().map(|at| all[at]).collect();
            let mut jobs: Vec<ProtectRtp> = Vec::with_capacity(turn.len());
            let start = Instant::now();
            let places = turn.into_iter().zip(&ring.packets).zip(&mut ring.out);
            jobs.extend(places.map(|((session, packet), out)| {
                // SAFETY: from a box that is never freed, and used here only; the sessions of one turn differ, as the
                // stride has no factor in common with their number and a turn is no longer than that.
                let Ours(session, _) = unsafe { &mut *session };
                ProtectRtp::new(session, packet, out)
            }));
            protect_rtp_batch(&mut jobs);
            time += start.elapsed();
            assert!(jobs.iter().all(|job| job.result == Ok(SEALED)));
        }
        time
    })
}

/// Packets for 16 sessions, each protected before the time runs.
pub fn batch_unprotect<'a>(libraries: &Libraries, group: &str) -> Vec<Case<'a>> {
    let openssl = libraries.openssl;
    vec![
        received(
            group,
            OURS,
            |key| ours(SUITE, key),
            |rigs, packets| {
                let rigs = rigs.iter_mut().zip(packets);
                let mut jobs: Vec<_> = rigs
                    .map(|(Ours(_, session), packet)| UnprotectRtp::new(session, packet))
                    .collect();
                unprotect_rtp_batch(&mut jobs, 0);
                assert!(jobs.iter().all(|job| job.result == Ok(12 + PAYLOAD)));
            },
        ),
        received(group, ONE_BY_ONE, |key| ours(SUITE, key), one_by_one),
        received(
            group,
            OPENSSL,
            |key| openssl.rig(SUITE, key).expect("the default suite"),
            one_by_one,
        ),
    ]
}

fn one_by_one<R: Rig>(rigs: &mut [R], packets: &mut [Vec<u8>]) {
    for (rig, packet) in rigs.iter_mut().zip(packets) {
        black_box(rig.unprotect(packet));
    }
}

fn received<'a, R: Rig + 'a>(
    group: &str,
    name: &'static str,
    make: impl Fn(&[u8]) -> R,
    unprotect: impl Fn(&mut [R], &mut [Vec<u8>]) + 'a,
) -> Case<'a> {
    let mut rigs: Vec<R> = (0..16).map(|i| make(&key_of(SUITE, i))).collect();
    let mut ring = Ring::new(rigs.len());
    let mut sealed = vec![vec![0; 400]; rigs.len()];
    let mut seq = 0u16;
    Case::with_preparation(group, name, rigs.len(), move |calls| {
        let mut time = Duration::ZERO;
        for _ in 0..calls {
            seq = seq.wrapping_add(1);
            for ((rig, packet), sealed) in rigs.iter_mut().zip(&mut ring.packets).zip(&mut sealed) {
                packet[2..4].copy_from_slice(&seq.to_be_bytes());
                sealed.resize(400, 0);
                let len = rig.protect(packet, sealed);
                sealed.truncate(len);
            }
            let start = Instant::now();
            unprotect(&mut rigs, &mut sealed);
            time += start.elapsed();
        }
        time
    })
}

/// The kernels' batch call, and the tags put where they belong.
fn seal_batch<'a>(group: &str, name: &'static str, sessions: usize) -> Case<'a> {
    let k = crate::level::level();
    let keys: Vec<_> = (0..sessions)
        .map(|i| AesCmHmacSha1::new(k, &[i as u8; 16], &[(i >> 8) as u8; 20]).unwrap())
        .collect();
    let mut ring = Ring::new(sessions.min(RING));
    let mut order = Order::new(sessions);
    Case::with_preparation(group, name, ring.packets.len(), move |calls| {
        let mut time = Duration::ZERO;
        for _ in 0..calls {
            let turn = order.next(&mut ring.packets);
            let mut jobs: Vec<CmSeal> = Vec::with_capacity(turn.len());
            let start = Instant::now();
            let places = turn.iter().zip(&ring.packets).zip(&mut ring.out);
            jobs.extend(places.map(|((at, src), dst)| CmSeal {
                key: &keys[*at],
                iv: [5; 16],
                clear: 12,
                packet: Packet::Copy { src, dst },
                trailer: [0; 4],
                tag: [0; 20],
            }));
            AesCmHmacSha1::seal_batch(&mut jobs);
            for job in &mut jobs {
                if let Packet::Copy { dst, .. } = &mut job.packet {
                    dst[12 + PAYLOAD..SEALED].copy_from_slice(&job.tag[..10]);
                }
            }
            time += start.elapsed();
            black_box(&jobs);
        }
        time
    })
}
