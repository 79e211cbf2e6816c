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

    /// Opens with a tag, and looks: what the tag decides depends on secrets, and everybody may know it. Who cannot tell that
    /// from a leak does nothing.
    fn open(&mut self, tag: Tag, what: &dyn Display, work: &mut dyn FnMut());
}

/// A tag that came with a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// The same octets of it are wrong whatever the secrets are, or none.
    Known,
    /// Which of its octets are wrong is secret, and so is what the decision computes beside the flag that it reads.
    Forged,
}

/// Octets of the longest packet.
const LONGEST: usize = 1812;

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

/// (clear, length): shorter than a block, ends of vectors and of groups of them, a part of a block behind 0 to 7 whole ones, and real
/// packets.
const SHAPES: [(usize, usize); 18] = [
    (12, 17),
    (12, 33),
    (12, 49),
    (12, 65),
    (12, 81),
    (12, 97),
    (12, 113),
    (12, 129),
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

/// For code that is loops, with no variants by length.
const FEW_SHAPES: [(usize, usize); 2] = [(0, 13), (12, 172)];

/// Whether such packets are opened: what is portable has few variants, and each of its packets tens of thousands of steps.
fn is_opened(k: &Kernels, shape: (usize, usize)) -> bool {
    k.name() != "portable" || FEW_SHAPES.contains(&shape)
}

/// Of AES-CM: the longest packets with one key size, as they do again what shorter ones do.
fn cm_shapes(key: &[u8]) -> &'static [(usize, usize)] {
    match key.len() {
        16 => &SHAPES,
        _ => &SHAPES[..16],
    }
}

/// Of AES-GCM. With VAES there is code of its own for each number of vectors that a packet is, or that are behind its whole
/// groups; a vector of AVX-512 has four blocks.
fn gcm_shapes(k: &Kernels) -> impl Iterator<Item = (usize, usize)> {
    // 1 to 9 vectors at once, 10 to 17 with one pair of groups before the last 2 to 9, 18 with two pairs. A block is the
    // associated data's, and one the lengths'.
    let vectors = (1..=18).flat_map(|vectors: usize| {
        let most = 16 * (4 * vectors - 2);
        // One block in the last vector, and an odd length, so a trailer: short packets have code of their own for that.
        let least = (16 * 4 * vectors).saturating_sub(16 * 5 + 3);
        [(12, 12 + most), (20, 20 + least)]
    });
    // More key stream than is kept in vectors of 32 octets while a packet is checked.
    let kept = [(12, 12 + 1800)];
    let vaes = k.name().contains("VAES");
    SHAPES
        .into_iter()
        .chain(vectors.chain(kept).filter(move |_| vaes))
}

/// What is looked at of a level.
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
    for &(clear, len) in cm_shapes(key) {
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
        if !is_opened(k, (clear, len)) {
            continue;
        }
        openings(
            w,
            &format_args!("AES-CM-{bits}, {len} octets"),
            &tag[..10],
            4,
            &mut |tag| cm.open_in_place(&iv, clear, packet, &[0; 4], tag).is_ok(),
        );
    }
}

fn aes_gcm(k: &'static Kernels, key: &[u8], room: &mut Room, w: &mut dyn Watch) {
    let bits = 8 * key.len();
    let mut gcm = AesGcm::unset(k);
    w.watch(&format_args!("AES-GCM-{bits}, key"), &mut || {
        gcm.set(k, key).expect("a length that AES has");
    });
    for (clear, len) in gcm_shapes(k) {
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
        if !is_opened(k, (clear, len)) {
            continue;
        }
        openings(
            w,
            &format_args!("AES-GCM-{bits}, {len} octets"),
            &tag,
            8,
            &mut |tag| {
                gcm.open_in_place(&nonce, clear, packet, trailer, tag)
                    .is_ok()
            },
        );
    }
}

/// Opens with a wrong tag of `short` octets, with one whose wrong octets are secret, and with the right one; `open` says whether it
/// took the tag.
pub fn openings(
    w: &mut dyn Watch,
    what: &dyn Display,
    right: &[u8],
    short: usize,
    open: &mut dyn FnMut(&[u8]) -> bool,
) {
    let mut wrong = [0; 20];
    let wrong = &mut wrong[..right.len()];
    wrong.copy_from_slice(right);
    wrong[short - 1] ^= 1;
    w.open(Tag::Known, &format_args!("{what} refused"), &mut || {
        assert!(!open(&wrong[..short]));
    });
    // Zeros have the last octet wrong, and ones the first.
    w.secret(wrong);
    wrong[right.len() - 1] |= 1;
    for (wrong, right) in wrong.iter_mut().zip(right) {
        *wrong ^= right;
    }
    w.open(Tag::Forged, &format_args!("{what} forged"), &mut || {
        assert!(!open(wrong));
    });
    w.open(Tag::Known, &format_args!("{what} opened"), &mut || {
        assert!(open(right));
    });
}
