//! A conference's fan-out: one mixed packet, sealed for every participant in one call.

use std::time::Instant;

use packet_crypto::{AesCmHmacSha1, CmSeal, Packet, kernels};

const PARTICIPANTS: usize = 48;

fn main() {
    let keys: Vec<_> = (0..PARTICIPANTS as u8)
        .map(|i| AesCmHmacSha1::new(kernels(), &[i; 16], &[i; 20]).expect("16 bytes are a key"))
        .collect();
    // In a real mixer each participant has a header (and so a packet) of its own; here all share one.
    let packet = [0x80; 172];
    let mut sent = vec![[0u8; 172 + 10]; PARTICIPANTS];

    let start = Instant::now();
    let mut jobs: Vec<_> = keys
        .iter()
        .zip(&mut sent)
        .map(|(key, dst)| CmSeal {
            key,
            iv: [0; 16],
            clear: 12,
            packet: Packet::Copy { src: &packet, dst },
            trailer: [0; 4],
            tag: [0; 20],
        })
        .collect();
    AesCmHmacSha1::seal_batch(&mut jobs);
    let tags: Vec<_> = jobs.iter().map(|job| job.tag).collect();
    for (packet, tag) in sent.iter_mut().zip(tags) {
        packet[172..].copy_from_slice(&tag[..10]);
    }
    let time = start.elapsed();

    println!(
        "{PARTICIPANTS} packets in {time:?} with {}",
        kernels().name()
    );
    let (body, tag) = sent[1].split_at_mut(172);
    keys[1]
        .open_in_place(&[0; 16], 12, body, &[0; 4], tag)
        .expect("just sealed");
    assert_eq!(*body, packet);
}
