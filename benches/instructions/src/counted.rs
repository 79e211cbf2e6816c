//! What is counted: packets of RTP of three sizes, of every suite.

use std::collections::BTreeMap;
use std::hint::black_box;

use srtp::{Kernels, LocalSsrc, MAX_TRAILER, MasterKey, Policy, Session, Suite};

use crate::callgrind::{count_from_here, counted};

/// Instructions per packet, by what was counted.
pub type Counts = BTreeMap<String, u64>;

/// Named, so that counts do not depend on the CPU: valgrind shows a program the first one on every CPU with AES and AVX2.
const LEVELS: [&str; 2] = ["x86_64 AES-NI+AVX2", "portable"];

const HEADER: usize = 12;

/// Octets: 20 ms of a narrow codec and of G.711, and video.
const PAYLOADS: [usize; 3] = [20, 160, 1200];

/// Packets that a count is the mean of.
pub const PACKETS: usize = 32;

/// Packets before those: a stream's first ones do more.
const BEFORE: usize = 8;

/// Runs under callgrind; each count is a dump of its.
pub fn run() {
    for level in LEVELS.into_iter().filter_map(Kernels::by_name) {
        for suite in Suite::ALL {
            for payload in PAYLOADS {
                one(level, suite, payload);
            }
        }
    }
}

fn one(level: &'static Kernels, suite: Suite, payload: usize) {
    let key = vec![7; suite.key_salt_len()];
    let key = MasterKey::new(suite, &key).expect("a key of the suite's length");
    let policy = Policy::new(suite, key, None).expect("a policy that every suite has");
    let (mut sender, mut receiver) = (Session::new(level), Session::new(level));
    sender
        .set_local(LocalSsrc::Any, &policy)
        .expect("the first key");
    receiver
        .set_remote(&[policy], false, 0)
        .expect("the first key");

    let packets: Vec<_> = (0..(BEFORE + PACKETS) as u16)
        .map(|seq| rtp(seq, payload))
        .collect();
    let mut protected = vec![vec![0; HEADER + payload + MAX_TRAILER]; packets.len()];
    let mut lengths = vec![0; packets.len()];
    let mut protect = |range: std::ops::Range<usize>| {
        for i in range {
            let sent = sender.protect_rtp(black_box(&packets[i]), &mut protected[i]);
            lengths[i] = sent.expect("a packet of a new index");
        }
    };
    let name = |way: &str| format!("{} {} {way} {payload}", level.name(), suite.name());
    protect(0..BEFORE);
    count_from_here();
    protect(BEFORE..BEFORE + PACKETS);
    counted(&name("protect"));

    let mut unprotect = |range: std::ops::Range<usize>| {
        for i in range {
            let packet = &mut protected[i][..lengths[i]];
            let received = receiver.unprotect_rtp(black_box(packet), 0);
            assert_eq!(received, Ok(HEADER + payload));
        }
    };
    unprotect(0..BEFORE);
    count_from_here();
    unprotect(BEFORE..BEFORE + PACKETS);
    counted(&name("unprotect"));

    for (packet, protected) in packets.iter().zip(&protected) {
        assert_eq!(packet[..], protected[..packet.len()]);
    }
}

fn rtp(seq: u16, payload: usize) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(seq.to_be_bytes());
    packet.extend((u32::from(seq) * 160).to_be_bytes());
    packet.extend([0xca, 0xfe, 0xf0, 0x0d]);
    packet.extend((0..payload).map(|i| i as u8 ^ seq as u8));
    packet
}
