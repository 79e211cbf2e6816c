//! AES-GCM with AESE and PMULL: eight blocks a group, each group hashed with eight powers and one reduction while the
//! next one is encrypted.

use core::arch::aarch64::*;

use super::blocks::{BYTES, GROUP, add, encrypt, load, numbered, store, stream};
use super::{in_place, vector};
use crate::key::{Block, HashKeys, RoundKeys, Span};
use crate::table::{GcmFns, GcmKey};
use crate::tag;

/// The number of data block `n`: number 1 masks the tag, number 2 begins the key stream (SP 800-38D, 7.1).
#[inline]
fn number(n: usize) -> u32 {
    n as u32 + 2
}

pub(super) const fn fns<const R: usize>() -> GcmFns {
    GcmFns {
        seal: seal::<R>,
        open: open::<R>,
    }
}

#[inline]
#[target_feature(enable = "neon,aes")]
fn zero() -> uint8x16_t {
    vdupq_n_u8(0)
}

/// Reverses the sixteen bytes.
#[inline]
#[target_feature(enable = "neon")]
fn swap(v: uint8x16_t) -> uint8x16_t {
    let v = vrev64q_u8(v);
    vextq_u8::<8>(v, v)
}

/// The two halves exchanged.
#[inline]
#[target_feature(enable = "neon")]
fn turn(v: uint8x16_t) -> uint8x16_t {
    vextq_u8::<8>(v, v)
}

/// The product of the lower halves.
#[inline]
#[target_feature(enable = "neon,aes")]
fn multiply_low(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    let low = |v| vgetq_lane_p64::<0>(vreinterpretq_p64_u8(v));
    vreinterpretq_u8_p128(vmull_p64(low(a), low(b)))
}

/// The product of the upper halves.
#[inline]
#[target_feature(enable = "neon,aes")]
fn multiply_high(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    let (a, b) = (vreinterpretq_p64_u8(a), vreinterpretq_p64_u8(b));
    vreinterpretq_u8_p128(vmull_high_p64(a, b))
}

/// A sum of products that is not reduced yet (Karatsuba: `middle` has the two outer ones in it, too).
#[derive(Clone, Copy)]
struct Sum {
    low: uint8x16_t,
    middle: uint8x16_t,
    high: uint8x16_t,
}

impl Sum {
    #[inline]
    #[target_feature(enable = "neon,aes")]
    fn zero() -> Self {
        Self {
            low: zero(),
            middle: zero(),
            high: zero(),
        }
    }

    /// Adds `x` times the power of H for the block that is the `left`th from its group's end: 1 to 16.
    #[inline]
    #[target_feature(enable = "neon,aes")]
    fn add(&mut self, keys: &HashKeys, left: usize, x: uint8x16_t) {
        let h = vector(keys[keys.len() - left]);
        let crossed = multiply_low(veorq_u8(x, turn(x)), veorq_u8(h, turn(h)));
        self.low = veorq_u8(self.low, multiply_low(x, h));
        self.high = veorq_u8(self.high, multiply_high(x, h));
        self.middle = veorq_u8(self.middle, crossed);
    }

    /// The sum divided by x^128, modulo x^128 + x^127 + x^126 + x^121 + 1. Twice, the lowest 64 bits are cleared by
    /// adding that multiple of the modulus (whose lowest term is 1) and the rest moves down.
    #[inline]
    #[target_feature(enable = "neon,aes")]
    fn reduce(self) -> uint8x16_t {
        let q = vector(0xc200_0000_0000_0000);
        let middle = veorq_u8(self.middle, veorq_u8(self.low, self.high));
        let folded = veorq_u8(turn(self.low), multiply_low(self.low, q));
        let middle = veorq_u8(middle, folded);
        let folded = veorq_u8(turn(middle), multiply_low(middle, q));
        veorq_u8(self.high, folded)
    }
}

/// Adds block `i` of a group of ciphertext to its sum. The first block comes last: what was hashed before the group, `y`,
/// is the last to be known.
#[inline]
#[target_feature(enable = "neon,aes")]
fn hash(sum: &mut Sum, keys: &HashKeys, group: &[u8; BYTES], y: uint8x16_t, i: usize) {
    let i = (i + 1) % GROUP;
    let x = swap(load(&group.as_chunks::<16>().0[i]));
    let x = if i == 0 { veorq_u8(x, y) } else { x };
    sum.add(keys, GROUP - i, x);
}

/// The hash of the associated data, padded to whole blocks, swapped.
#[inline]
#[target_feature(enable = "neon,aes")]
fn associated(keys: &HashKeys, parts: [&[u8]; 2]) -> uint8x16_t {
    let mut y = zero();
    let mut absorb = |block: &[u8; 16]| {
        let mut sum = Sum::zero();
        sum.add(keys, 1, veorq_u8(y, swap(load(block))));
        y = sum.reduce();
    };
    let mut block = [0u8; 16];
    let mut used = 0;
    for mut part in parts {
        while !part.is_empty() {
            let n = part.len().min(16 - used);
            block[used..used + n].copy_from_slice(&part[..n]);
            used += n;
            part = &part[n..];
            if used == 16 {
                absorb(&block);
                block = [0; 16];
                used = 0;
            }
        }
    }
    if used > 0 {
        absorb(&block);
    }
    y
}

/// What is behind the whole groups: less than a group.
struct Tail {
    blocks: [[u8; 16]; GROUP],
    len: usize,
}

impl Tail {
    #[inline]
    fn new(bytes: &[u8]) -> Self {
        let mut blocks = [[0; 16]; GROUP];
        blocks.as_flattened_mut()[..bytes.len()].copy_from_slice(bytes);
        Self {
            blocks,
            len: bytes.len(),
        }
    }

    /// Adds the key stream from block `n` on, which leaves zeros behind the data. Returns the mask of the tag, E(J0).
    #[inline]
    #[target_feature(enable = "neon,aes")]
    fn add<const R: usize, const N: usize>(
        &mut self,
        keys: &RoundKeys,
        nonce: uint8x16_t,
        n: usize,
    ) -> uint8x16_t {
        let mut blocks = numbered::<N>(nonce, number(n).wrapping_sub(1));
        [blocks[0]] = numbered(nonce, 1);
        let stream = encrypt::<R, N>(keys, blocks, |_| ());
        for (block, k) in self.blocks.iter_mut().zip(&stream[1..]) {
            store(block, veorq_u8(load(block), *k));
        }
        self.blocks.as_flattened_mut()[self.len..].fill(0);
        stream[0]
    }

    /// As `add`, with no more blocks side by side than there are (and the one of the tag).
    #[inline]
    #[target_feature(enable = "neon,aes")]
    fn add_few<const R: usize>(
        &mut self,
        keys: &RoundKeys,
        nonce: uint8x16_t,
        n: usize,
    ) -> uint8x16_t {
        match self.len.div_ceil(16) {
            0 => self.add::<R, 1>(keys, nonce, n),
            1..=3 => self.add::<R, 4>(keys, nonce, n),
            _ => self.add::<R, 9>(keys, nonce, n),
        }
    }

    /// The hash of the whole packet in wire order: of the blocks of ciphertext and the one of lengths, behind `y`.
    #[inline]
    #[target_feature(enable = "neon,aes")]
    fn hash(&self, keys: &HashKeys, mut y: uint8x16_t, aad: usize, data: usize) -> uint8x16_t {
        let mut sum = Sum::zero();
        let count = self.len.div_ceil(16);
        for (i, block) in self.blocks[..count].iter().enumerate() {
            sum.add(keys, count - i + 1, veorq_u8(swap(load(block)), y));
            y = zero();
        }
        let lengths = vector((aad as u128 * 8) << 64 | data as u128 * 8);
        sum.add(keys, 1, veorq_u8(lengths, y));
        swap(sum.reduce())
    }
}

#[inline]
#[target_feature(enable = "neon,aes")]
fn to_bytes(v: uint8x16_t) -> [u8; 16] {
    vreinterpretq_p128_u8(v).to_le_bytes()
}

/// Encrypts and authenticates.
///
/// # Safety
/// `span` keeps its promise.
#[target_feature(enable = "neon,aes")]
unsafe fn seal<const R: usize>(key: &GcmKey, nonce: Block, span: Span, trailer: &[u8]) -> [u8; 16] {
    // SAFETY: the bytes are ours until this call ends, as the caller promises.
    let packet = unsafe { in_place(span) };
    let (clear, data) = packet.split_at_mut(span.clear);
    let (keys, nonce) = (&key.hash_keys, vector(nonce));
    let mut y = associated(keys, [clear, trailer]);
    let len = data.len();
    let (groups, rest) = data.as_chunks_mut::<BYTES>();
    let n = GROUP * groups.len();
    let mut before: Option<&[u8; BYTES]> = None;
    for (i, group) in groups.iter_mut().enumerate() {
        let number = number(GROUP * i);
        let mut sum = Sum::zero();
        let keys_of_group = match before {
            Some(before) => {
                let hash = |i| hash(&mut sum, keys, before, y, i);
                let stream = stream::<R>(&key.keys, nonce, number, hash);
                y = sum.reduce();
                stream
            }
            None => stream::<R>(&key.keys, nonce, number, |_| ()),
        };
        add(group, &keys_of_group);
        before = Some(group);
    }
    if let Some(before) = before {
        let mut sum = Sum::zero();
        (0..GROUP).for_each(|i| hash(&mut sum, keys, before, y, i));
        y = sum.reduce();
    }
    let mut tail = Tail::new(rest);
    let mask = tail.add_few::<R>(&key.keys, nonce, n);
    rest.copy_from_slice(&tail.blocks.as_flattened()[..tail.len]);
    let hash = tail.hash(keys, y, span.clear + trailer.len(), len);
    to_bytes(veorq_u8(hash, mask))
}

/// Authenticates, then decrypts.
///
/// # Safety
/// `span` is in place and keeps its promise; `tag` has 1 to 16 bytes.
#[target_feature(enable = "neon,aes")]
unsafe fn open<const R: usize>(
    key: &GcmKey,
    nonce: Block,
    span: Span,
    trailer: &[u8],
    tag: &[u8],
) -> bool {
    // SAFETY: the bytes are ours until this call ends, as the caller promises.
    let packet = unsafe { in_place(span) };
    let (clear, data) = packet.split_at_mut(span.clear);
    let (keys, nonce) = (&key.hash_keys, vector(nonce));
    let mut y = associated(keys, [clear, trailer]);
    let len = data.len();
    let (groups, rest) = data.as_chunks_mut::<BYTES>();
    for group in &*groups {
        let mut sum = Sum::zero();
        (0..GROUP).for_each(|i| hash(&mut sum, keys, group, y, i));
        y = sum.reduce();
    }
    let mut tail = Tail::new(rest);
    let hash = tail.hash(keys, y, span.clear + trailer.len(), len);
    let mask = tail.add_few::<R>(&key.keys, nonce, GROUP * groups.len());
    let good = tag::matches(&to_bytes(veorq_u8(hash, mask)), tag);
    if good {
        for (i, group) in groups.iter_mut().enumerate() {
            let number = number(GROUP * i);
            add(group, &stream::<R>(&key.keys, nonce, number, |_| ()));
        }
        rest.copy_from_slice(&tail.blocks.as_flattened()[..tail.len]);
    }
    good
}
