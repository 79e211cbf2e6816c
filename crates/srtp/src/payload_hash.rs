//! A keyed hash of a payload, to know a retransmission from a second packet under one index.
//!
//! The payload is read as a polynomial over the field of 2^61 - 1 elements, 7 octets per
//! coefficient, and evaluated at a secret point: two different payloads of n octets have equal
//! hashes for at most n/7 + 2 of the 2^61 points (Carter and Wegman's universal hashing), so with
//! probability below 2^-52 for any packet, whoever chose the payloads.

use zeroize::{Zeroize, ZeroizeOnDrop};

const P: u64 = (1 << 61) - 1;
/// Octets per coefficient.
const OCTETS: usize = 7;
/// Coefficients evaluated side by side, so that their multiplications overlap.
const LANES: usize = 4;
/// Octets of one step of all lanes.
const GROUP: usize = LANES * OCTETS;

/// The secret point, and its fourth power for the lanes.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct PayloadHash {
    point: u64,
    point_4: u64,
}

impl PayloadHash {
    pub(crate) fn new(secret: &[u8; 16]) -> Self {
        // 128 bits reduced modulo 2^61 - 1 are uniform but for 2^-67.
        let point = (u128::from_be_bytes(*secret) % u128::from(P)) as u64;
        let square = step(point, point, 0);
        PayloadHash {
            point,
            point_4: step(square, square, 0),
        }
    }

    /// The hash of `payload`; its length counts too.
    pub(crate) fn of(&self, payload: &[u8]) -> u64 {
        let (groups, rest) = payload.as_chunks::<GROUP>();
        let mut lanes = [0; LANES];
        for group in groups {
            for (lane, coefficient) in lanes.iter_mut().zip(coefficients(group)) {
                *lane = step(*lane, self.point_4, coefficient);
            }
        }
        let mut hash = 0;
        for lane in lanes {
            hash = step(hash, self.point, lane);
        }
        let mut last = [0; GROUP];
        last[..rest.len()].copy_from_slice(rest);
        for coefficient in coefficients(&last)
            .into_iter()
            .take(rest.len().div_ceil(OCTETS))
        {
            hash = step(hash, self.point, coefficient);
        }
        let hash = step(hash, self.point, payload.len() as u64);
        let hash = step(hash, self.point, 0);
        if hash >= P { hash - P } else { hash }
    }
}

/// Seven octets each, little-endian; written so that each is one load.
fn coefficients(group: &[u8; GROUP]) -> [u64; LANES] {
    const MASK: u64 = (1 << (8 * OCTETS)) - 1;
    let word = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&group[at..at + 8]);
        u64::from_le_bytes(word)
    };
    [
        word(0) & MASK,
        word(7) & MASK,
        word(14) & MASK,
        word(20) >> 8,
    ]
}

/// `hash * point + coefficient` modulo P, not fully reduced: below P + 4 for any `hash`,
/// `point` and `coefficient` below P + 4.
fn step(hash: u64, point: u64, coefficient: u64) -> u64 {
    let sum = u128::from(hash) * u128::from(point) + u128::from(coefficient);
    let once = (sum as u64 & P) + (sum >> 61) as u64;
    (once & P) + (once >> 61)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The polynomial written down plainly, with full reductions.
    fn plain(point: u64, payload: &[u8]) -> u64 {
        let p = u128::from(P);
        let step = |h: u128, c: u128| (h * u128::from(point) + c) % p;
        let coefficient = |octets: &[u8]| {
            octets
                .iter()
                .rev()
                .fold(0, |c, octet| c << 8 | u128::from(*octet))
        };
        let h = payload
            .chunks(OCTETS)
            .fold(0, |h, octets| step(h, coefficient(octets)));
        step(step(h, payload.len() as u128), 0) as u64
    }

    #[test]
    fn agrees_with_the_plain_polynomial() {
        let data: Vec<u8> = (0..1600_u32)
            .map(|i| ((i * 167) >> 3) as u8 | 0x80)
            .collect();
        for secret in [[0xff; 16], [0x5a; 16], [1; 16]] {
            let hash = PayloadHash::new(&secret);
            for len in (0..200).chain([1499, 1600]) {
                assert_eq!(
                    hash.of(&data[..len]),
                    plain(hash.point, &data[..len]),
                    "{len}"
                );
            }
            let ones = [0xff; 300];
            assert_eq!(hash.of(&ones), plain(hash.point, &ones));
        }
    }

    #[test]
    fn each_octet_and_the_length_count() {
        let hash = PayloadHash::new(&[0x37; 16]);
        let data = [0; 161];
        let base = hash.of(&data[..160]);
        for i in 0..160 {
            let mut other = data;
            other[i] = 1;
            assert_ne!(hash.of(&other[..160]), base, "octet {i}");
        }
        assert_ne!(hash.of(&data), base);
        assert_ne!(hash.of(&data[..159]), base);
        assert_ne!(
            PayloadHash::new(&[0x38; 16]).of(&[1; 160]),
            hash.of(&[1; 160])
        );
    }
}
