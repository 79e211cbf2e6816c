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
        let square = mul(point, point);
        PayloadHash {
            point,
            point_4: mul(square, square),
        }
    }

    /// The hash of `payload`; its length counts too.
    pub(crate) fn of(&self, payload: &[u8]) -> u64 {
        let mut groups = payload.chunks_exact(LANES * OCTETS);
        let mut lanes = [0; LANES];
        for group in &mut groups {
            for (lane, octets) in lanes.iter_mut().zip(group.chunks_exact(OCTETS)) {
                *lane = add(mul(*lane, self.point_4), coefficient(octets));
            }
        }
        let mut hash = 0;
        for lane in lanes {
            hash = add(mul(hash, self.point), lane);
        }
        for octets in groups.remainder().chunks(OCTETS) {
            hash = add(mul(hash, self.point), coefficient(octets));
        }
        hash = add(mul(hash, self.point), payload.len() as u64);
        let hash = mul(hash, self.point);
        if hash >= P { hash - P } else { hash }
    }
}

/// Up to seven octets as a number.
fn coefficient(octets: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..octets.len()].copy_from_slice(octets);
    u64::from_le_bytes(word)
}

/// A product modulo P, below 2^61 + 8 for factors below 2^62.
fn mul(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    fold((product as u64 & P) + (product >> 61) as u64)
}

/// A sum modulo P.
fn add(a: u64, b: u64) -> u64 {
    fold(a + b)
}

fn fold(x: u64) -> u64 {
    (x & P) + (x >> 61)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The polynomial written down plainly, with full reductions.
    fn plain(point: u64, payload: &[u8]) -> u64 {
        let p = u128::from(P);
        let step = |h: u128, c: u64| (h * u128::from(point) + u128::from(c)) % p;
        let full = payload.len() / (LANES * OCTETS) * (LANES * OCTETS);
        let mut h = 0;
        for octets in payload[..full]
            .chunks(OCTETS)
            .chain(payload[full..].chunks(OCTETS))
        {
            h = step(h, coefficient(octets));
        }
        h = step(h, payload.len() as u64);
        step(h, 0) as u64
    }

    #[test]
    fn agrees_with_the_plain_polynomial() {
        let data: Vec<u8> = (0..1600_u32).map(|i| (i * 167 >> 3) as u8 | 0x80).collect();
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
