//! What is done with secrets: with each level of the kernels, and in sessions around them.

use std::fmt::Display;
use std::hint::black_box;

use packet_crypto::{AesCmHmacSha1, AesGcm, Kernels, PayloadHash, aes_cm_prf};

/// Who looks on.
pub trait Watch {
    /// Makes a secret of these octets.
    fn secret(&mut self, octets: &mut [u8]);

    /// Does this work, which may know secrets, and looks.
    fn watch(&mut self, what: &dyn Display, work: &mut dyn FnMut());

    /// Whether what is decided by a tag may be done: it depends on secrets, and everybody may know it.
    fn decisions(&self) -> bool;
}

/// Octets of the longest packet.
const LONGEST: usize = 1212;

/// Where packets lie, the same place in every run.
pub struct Room {
    packet: [u8; LONGEST],
    other: [u8; LONGEST],
}

impl Room {
    pub fn new() -> Box<Self> {
        Box::new(Self {
            packet: [0; LONGEST],
            other: [0; LONGEST],
        })
    }
}

/// (clear, length): shorter than a block, ends of vectors and of groups of them, and real packets.
const SHAPES: [(usize, usize); 10] = [
    (12, 12),
    (0, 13),
    (12, 60),
    (20, 101),
    (12, 172),
    (72, 236),
    (12, 268),
    (12, 300),
    (12, 600),
    (12, 1212),
];

/// For key sizes whose code differs in the number of rounds alone.
const FEW_SHAPES: [(usize, usize); 3] = [(0, 13), (12, 172), (12, 300)];

fn shapes(key: &[u8]) -> &'static [(usize, usize)] {
    if key.len() == 16 {
        &SHAPES
    } else {
        &FEW_SHAPES
    }
}

/// All that a level does.
pub fn kernels(k: &'static Kernels, room: &mut Room, w: &mut dyn Watch) {
    for key_len in [16, 24, 32] {
        let (mut key, mut auth) = ([0; 32], [0; 20]);
        let key = &mut key[..key_len];
        w.secret(key);
        w.secret(&mut auth);
        derivation(k, key, w);
        aes_cm(k, key, &auth, room, w);
        if key_len != 24 {
            aes_gcm(k, key, room, w);
        }
    }
    let mut point = [0; 8];
    w.secret(&mut point);
    let mut hash = None;
    w.watch(&"payload hash, key", &mut || {
        hash = Some(PayloadHash::new(k, black_box(&point)));
    });
    let hash = hash.expect("made above");
    for (_, len) in FEW_SHAPES {
        w.secret(&mut room.packet[..len]);
        w.watch(&format_args!("payload hash of {len} octets"), &mut || {
            black_box(hash.of(&room.packet[..len]));
        });
    }
}

fn derivation(k: &'static Kernels, key: &[u8], w: &mut dyn Watch) {
    for count in [1, 12] {
        let mut blocks = [0u128; 12];
        for block in &mut blocks {
            let mut octets = [0; 16];
            w.secret(&mut octets);
            *block = u128::from_ne_bytes(octets);
        }
        let bits = 8 * key.len();
        w.watch(
            &format_args!("PRF of AES-{bits}, {count} blocks"),
            &mut || {
                aes_cm_prf(k, key, &mut blocks[..count]).expect("a length that AES has");
            },
        );
        black_box(blocks);
    }
}

fn aes_cm(k: &'static Kernels, key: &[u8], auth: &[u8; 20], room: &mut Room, w: &mut dyn Watch) {
    let bits = 8 * key.len();
    let mut cm = AesCmHmacSha1::unset(k);
    w.watch(&format_args!("AES-CM-{bits}, key"), &mut || {
        cm.set(k, key, auth).expect("a length that AES has");
    });
    for &(clear, len) in shapes(key) {
        let mut iv = [0; 16];
        // The salt is one.
        w.secret(&mut iv[..14]);
        w.secret(&mut room.packet[clear..len]);
        let (packet, other) = (&mut room.packet[..len], &mut room.other[..len]);
        let mut tag = [0; 20];
        w.watch(
            &format_args!("AES-CM-{bits}, {len} octets sealed"),
            &mut || {
                tag = cm.seal(&iv, clear, packet, other, &[0; 4]);
            },
        );
        w.watch(
            &format_args!("AES-CM-{bits}, {len} octets sealed in place"),
            &mut || {
                tag = cm.seal_in_place(&iv, clear, packet, &[0; 4]);
            },
        );
        black_box((&mut *packet, other, tag));
        if !w.decisions() {
            continue;
        }
        let mut wrong = tag;
        wrong[3] ^= 1;
        w.watch(
            &format_args!("AES-CM-{bits}, {len} octets refused"),
            &mut || {
                let opened = cm.open_in_place(&iv, clear, packet, &[0; 4], &wrong[..4]);
                assert!(opened.is_err());
            },
        );
        w.watch(
            &format_args!("AES-CM-{bits}, {len} octets opened"),
            &mut || {
                let opened = cm.open_in_place(&iv, clear, packet, &[0; 4], &tag[..10]);
                assert!(opened.is_ok());
            },
        );
    }
}

fn aes_gcm(k: &'static Kernels, key: &[u8], room: &mut Room, w: &mut dyn Watch) {
    let bits = 8 * key.len();
    let mut gcm = AesGcm::unset(k);
    w.watch(&format_args!("AES-GCM-{bits}, key"), &mut || {
        gcm.set(k, key).expect("a length that AES has");
    });
    for &(clear, len) in shapes(key) {
        let mut nonce = [0; 12];
        w.secret(&mut nonce);
        w.secret(&mut room.packet[clear..len]);
        let (packet, other) = (&mut room.packet[..len], &mut room.other[..len]);
        // SRTP has nothing behind the packet, SRTCP its index.
        let trailer = &[0; 4][..len % 2 * 4];
        let mut tag = [0; 16];
        w.watch(
            &format_args!("AES-GCM-{bits}, {len} octets sealed"),
            &mut || {
                tag = gcm.seal(&nonce, clear, packet, other, trailer);
            },
        );
        w.watch(
            &format_args!("AES-GCM-{bits}, {len} octets sealed in place"),
            &mut || {
                tag = gcm.seal_in_place(&nonce, clear, packet, trailer);
            },
        );
        black_box((&mut *packet, other, tag));
        if !w.decisions() {
            continue;
        }
        let mut wrong = tag;
        wrong[7] ^= 1;
        w.watch(
            &format_args!("AES-GCM-{bits}, {len} octets refused"),
            &mut || {
                let opened = gcm.open_in_place(&nonce, clear, packet, trailer, &wrong[..8]);
                assert!(opened.is_err());
            },
        );
        w.watch(
            &format_args!("AES-GCM-{bits}, {len} octets opened"),
            &mut || {
                let opened = gcm.open_in_place(&nonce, clear, packet, trailer, &tag);
                assert!(opened.is_ok());
            },
        );
    }
}
