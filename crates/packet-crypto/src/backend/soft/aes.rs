//! AES, eight blocks at once, bit by bit: no table and no branch on data, so its time does not depend on keys or
//! data. Plane `p` holds bit `p` of every state byte; byte `i` of a plane holds that bit of state byte `i` of each of
//! the eight blocks.

use crate::key::RoundKeys;

type Planes = [u128; 8];

/// Every byte of row `r` of the state (state byte `i` is row `i % 4`, column `i / 4`).
const fn row(r: u32) -> u128 {
    0x000000ff_000000ff_000000ff_000000ff << (8 * r)
}

/// Transposes an 8x8 bit matrix: bit `8r + c` goes to `8c + r`.
const fn transpose(mut x: u64) -> u64 {
    let t = (x ^ (x >> 7)) & 0x00aa_00aa_00aa_00aa;
    x ^= t ^ (t << 7);
    let t = (x ^ (x >> 14)) & 0x0000_cccc_0000_cccc;
    x ^= t ^ (t << 14);
    let t = (x ^ (x >> 28)) & 0x0000_0000_f0f0_f0f0;
    x ^ t ^ (t << 28)
}

fn pack(blocks: &[u128; 8]) -> Planes {
    let bytes = blocks.map(u128::to_le_bytes);
    let mut planes = [[0u8; 16]; 8];
    for i in 0..16 {
        let column = u64::from_le_bytes(core::array::from_fn(|b| bytes[b][i]));
        let turned = transpose(column).to_le_bytes();
        for p in 0..8 {
            planes[p][i] = turned[p];
        }
    }
    planes.map(u128::from_le_bytes)
}

fn unpack(planes: &Planes) -> [u128; 8] {
    // The transposition is its own inverse, and blocks and planes have the same shape.
    pack(planes)
}

/// Adds one round key to all eight blocks.
fn add_round_key(planes: &mut Planes, key: u128) {
    const LOW: u128 = u128::MAX / 255;
    for (p, plane) in planes.iter_mut().enumerate() {
        let bits = (key >> p) & LOW;
        // Each byte is 0 or 1: times 255 makes it 0 or 0xff, without a carry.
        *plane ^= (bits << 8).wrapping_sub(bits);
    }
}

fn shift_rows(planes: &mut Planes) {
    for x in planes.iter_mut() {
        *x = (*x & row(0))
            | (*x & row(1)).rotate_right(32)
            | (*x & row(2)).rotate_right(64)
            | (*x & row(3)).rotate_right(96);
    }
}

fn mix_columns(a: &mut Planes) {
    // `below(x)` brings each byte's lower neighbour in the same column into its place.
    let below = |x: u128| ((x >> 8) & !row(3)) | ((x << 24) & row(3));
    let below2 = |x: u128| ((x >> 16) & (row(0) | row(1))) | ((x << 16) & (row(2) | row(3)));
    let b = a.map(below);
    // 2 a0 + 3 a1 + a2 + a3 = 2 (a0 + a1) + a1 + (a2 + a3); doubling folds bit 7 back by x^8 = x^4 + x^3 + x + 1.
    let s: Planes = core::array::from_fn(|p| a[p] ^ b[p]);
    for p in 0..8 {
        let carried = if matches!(p, 1 | 3 | 4) { s[7] } else { 0 };
        let doubled = if p == 0 { s[7] } else { s[p - 1] ^ carried };
        a[p] = doubled ^ b[p] ^ below2(s[p]);
    }
}

/// SubBytes as the circuit of Boyar and Peralta ("A depth-16 circuit for the AES S-box", 2011); its names are theirs.
fn sub_bytes(q: &mut Planes) {
    let [x7, x6, x5, x4, x3, x2, x1, x0] = *q;

    let y14 = x3 ^ x5;
    let y13 = x0 ^ x6;
    let y9 = x0 ^ x3;
    let y8 = x0 ^ x5;
    let t0 = x1 ^ x2;
    let y1 = t0 ^ x7;
    let y4 = y1 ^ x3;
    let y12 = y13 ^ y14;
    let y2 = y1 ^ x0;
    let y5 = y1 ^ x6;
    let y3 = y5 ^ y8;
    let t1 = x4 ^ y12;
    let y15 = t1 ^ x5;
    let y20 = t1 ^ x1;
    let y6 = y15 ^ x7;
    let y10 = y15 ^ t0;
    let y11 = y20 ^ y9;
    let y7 = x7 ^ y11;
    let y17 = y10 ^ y11;
    let y19 = y10 ^ y8;
    let y16 = t0 ^ y11;
    let y21 = y13 ^ y16;
    let y18 = x0 ^ y16;

    let t2 = y12 & y15;
    let t4 = (y3 & y6) ^ t2;
    let t6 = (y4 & x7) ^ t2;
    let t7 = y13 & y16;
    let t9 = (y5 & y1) ^ t7;
    let t11 = (y2 & y7) ^ t7;
    let t12 = y9 & y11;
    let t14 = (y14 & y17) ^ t12;
    let t16 = (y8 & y10) ^ t12;
    let t21 = t4 ^ t14 ^ y20;
    let t22 = t6 ^ t16 ^ y19;
    let t23 = t9 ^ t14 ^ y21;
    let t24 = t11 ^ t16 ^ y18;
    let t25 = t21 ^ t22;
    let t26 = t21 & t23;
    let t27 = t24 ^ t26;
    let t29 = (t25 & t27) ^ t22;
    let t30 = t23 ^ t24;
    let t31 = t22 ^ t26;
    let t33 = (t31 & t30) ^ t24;
    let t34 = t23 ^ t33;
    let t35 = t27 ^ t33;
    let t36 = t24 & t35;
    let t37 = t36 ^ t34;
    let t38 = t27 ^ t36;
    let t40 = t25 ^ (t29 & t38);
    let t41 = t40 ^ t37;
    let t42 = t29 ^ t33;
    let t43 = t29 ^ t40;
    let t44 = t33 ^ t37;
    let t45 = t42 ^ t41;
    let z0 = t44 & y15;
    let z1 = t37 & y6;
    let z2 = t33 & x7;
    let z3 = t43 & y16;
    let z4 = t40 & y1;
    let z5 = t29 & y7;
    let z6 = t42 & y11;
    let z7 = t45 & y17;
    let z8 = t41 & y10;
    let z9 = t44 & y12;
    let z10 = t37 & y3;
    let z11 = t33 & y4;
    let z12 = t43 & y13;
    let z13 = t40 & y5;
    let z14 = t29 & y2;
    let z15 = t42 & y9;
    let z16 = t45 & y14;
    let z17 = t41 & y8;

    let t46 = z15 ^ z16;
    let t47 = z10 ^ z11;
    let t48 = z5 ^ z13;
    let t49 = z9 ^ z10;
    let t50 = z2 ^ z12;
    let t51 = z2 ^ z5;
    let t52 = z7 ^ z8;
    let t53 = z0 ^ z3;
    let t54 = z6 ^ z7;
    let t55 = z16 ^ z17;
    let t56 = z12 ^ t48;
    let t57 = t50 ^ t53;
    let t58 = z4 ^ t46;
    let t59 = z3 ^ t54;
    let t60 = t46 ^ t57;
    let t61 = z14 ^ t57;
    let t62 = t52 ^ t58;
    let t63 = t49 ^ t58;
    let t64 = z4 ^ t59;
    let t65 = t61 ^ t62;
    let t66 = z1 ^ t63;
    let t67 = t64 ^ t65;
    let s3 = t53 ^ t66;
    *q = [
        t48 ^ !t60, // s7
        t56 ^ !t62, // s6
        t47 ^ t65,  // s5
        t51 ^ t66,  // s4
        s3,
        t55 ^ !t67, // s2
        t64 ^ !s3,  // s1
        t59 ^ t63,  // s0
    ];
}

/// Encrypts eight blocks (little-endian integers) under `keys`: all round keys of the cipher, 11, 13 or 15.
pub(crate) fn encrypt8(keys: &[u128], blocks: &[u128; 8]) -> [u128; 8] {
    let mut planes = pack(blocks);
    let (last, rest) = keys.split_last().expect("AES has round keys");
    add_round_key(&mut planes, rest[0]);
    for &key in &rest[1..] {
        sub_bytes(&mut planes);
        shift_rows(&mut planes);
        mix_columns(&mut planes);
        add_round_key(&mut planes, key);
    }
    sub_bytes(&mut planes);
    shift_rows(&mut planes);
    add_round_key(&mut planes, *last);
    unpack(&planes)
}

/// The S-box for every byte of a word.
pub(crate) fn sub_word(word: u32) -> u32 {
    let mut planes = pack(&[u128::from(word), 0, 0, 0, 0, 0, 0, 0]);
    sub_bytes(&mut planes);
    unpack(&planes)[0] as u32
}

/// Key expansion (FIPS 197, 5.2) by whichever S-box the level has. `key` has 16, 24 or 32 bytes.
pub(crate) fn expand_key(key: &[u8], out: &mut RoundKeys, sub_word: impl Fn(u32) -> u32) {
    let nk = key.len() / 4;
    let total = 4 * (nk + 7);
    let mut words = zeroize::Zeroizing::new([0u32; 60]);
    for (w, bytes) in words.iter_mut().zip(key.chunks_exact(4)) {
        *w = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    let mut rcon = 1u32;
    for i in nk..total {
        let mut t = words[i - 1];
        if i % nk == 0 {
            t = sub_word(t.rotate_right(8)) ^ rcon;
            rcon = (rcon << 1) ^ ((rcon >> 7) * 0x11b);
        } else if nk == 8 && i % nk == 4 {
            t = sub_word(t);
        }
        words[i] = words[i - nk] ^ t;
    }
    for (block, w) in out.iter_mut().zip(words.chunks_exact(4)) {
        *block = w
            .iter()
            .rev()
            .fold(0, |acc, &w| (acc << 32) | u128::from(w));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The S-box by its definition (FIPS 197, 5.1.1): inverse in GF(2^8), then the affine map.
    fn sbox_by_definition(x: u8) -> u8 {
        fn mul(a: u8, b: u8) -> u8 {
            (0..8).fold(0u16, |acc, i| {
                let mut t = u16::from(a) << i;
                for bit in (8..16).rev() {
                    t ^= (t >> bit & 1) * (0x11b << (bit - 8));
                }
                acc ^ (t * u16::from(b >> i & 1))
            }) as u8
        }
        let inverse = (0..254).fold(1, |acc, _| mul(acc, x));
        (0..5).fold(0x63, |acc, i| acc ^ inverse.rotate_left(i))
    }

    #[test]
    fn the_circuit_is_the_s_box() {
        for x in 0..=255u8 {
            assert_eq!(
                sub_word(u32::from(x)) as u8,
                sbox_by_definition(x),
                "{x:#x}"
            );
        }
    }
}
