//! AES-NI: key expansion and blocks.

use core::arch::x86_64::*;

use crate::key::RoundKeys;

/// Round key `i` as a vector: a little-endian integer has the block's byte order here.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn round_key(keys: &RoundKeys, i: usize) -> __m128i {
    load(&keys[i])
}

#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn load(block: &u128) -> __m128i {
    // SAFETY: a `u128` is 16 readable bytes.
    unsafe { _mm_loadu_si128((&raw const *block).cast()) }
}

/// From an integer in registers.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn vector(block: u128) -> __m128i {
    _mm_set_epi64x((block >> 64) as i64, block as i64)
}

#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn store(block: &mut u128, value: __m128i) {
    // SAFETY: a `u128` is 16 writable bytes.
    unsafe { _mm_storeu_si128((&raw mut *block).cast(), value) }
}

/// The same keys, of which the compiler does not know that they are: otherwise it loads all of them before a packet's
/// loop and, having too few registers, copies them to the stack.
#[inline]
pub(super) fn same(keys: &RoundKeys) -> &RoundKeys {
    let mut at: *const RoundKeys = keys;
    // SAFETY: there is no instruction, the register keeps its value: `at` is still the reference it was made from.
    unsafe {
        core::arch::asm!("/* {0} */", inout(reg) at, options(readonly, nostack, preserves_flags));
        &*at
    }
}

/// Encrypts `N` blocks side by side under the first `R` round keys.
#[inline]
#[target_feature(enable = "sse2,aes")]
pub(super) fn encrypt<const R: usize, const N: usize>(
    keys: &RoundKeys,
    mut blocks: [__m128i; N],
) -> [__m128i; N] {
    let first = round_key(keys, 0);
    for b in &mut blocks {
        *b = _mm_xor_si128(*b, first);
    }
    for i in 1..R - 1 {
        let key = round_key(keys, i);
        for b in &mut blocks {
            *b = _mm_aesenc_si128(*b, key);
        }
    }
    let last = round_key(keys, R - 1);
    for b in &mut blocks {
        *b = _mm_aesenclast_si128(*b, last);
    }
    blocks
}

/// Encrypts eight blocks. Between the rounds, so that both are under way together, `meanwhile` is called with 0 to 7.
#[inline]
#[target_feature(enable = "sse2,aes")]
pub(super) fn encrypt_while<const R: usize>(
    keys: &RoundKeys,
    mut blocks: [__m128i; 8],
    mut meanwhile: impl FnMut(usize),
) -> [__m128i; 8] {
    let first = round_key(keys, 0);
    for b in &mut blocks {
        *b = _mm_xor_si128(*b, first);
    }
    for i in 1..R - 1 {
        let key = round_key(keys, i);
        for b in &mut blocks {
            *b = _mm_aesenc_si128(*b, key);
        }
        if i <= 8 {
            meanwhile(i - 1);
        }
    }
    let last = round_key(keys, R - 1);
    for b in &mut blocks {
        *b = _mm_aesenclast_si128(*b, last);
    }
    blocks
}

/// A counter block whose last word is in the CPU's byte order, so that it can be counted with an addition.
#[derive(Clone, Copy)]
pub(super) struct Counter {
    block: __m128i,
    swap: __m128i,
}

impl Counter {
    #[inline]
    #[target_feature(enable = "sse2,ssse3")]
    pub fn new(iv: __m128i) -> Self {
        let swap = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 14, 13, 12);
        Self {
            block: _mm_shuffle_epi8(iv, swap),
            swap,
        }
    }

    /// The counter block `n` after the first, in wire order.
    #[inline]
    #[target_feature(enable = "sse2,ssse3")]
    pub fn at(self, n: i32) -> __m128i {
        let sum = _mm_add_epi32(self.block, _mm_set_epi32(n, 0, 0, 0));
        _mm_shuffle_epi8(sum, self.swap)
    }

    /// `N` counter blocks from `n` on.
    #[inline]
    #[target_feature(enable = "sse2,ssse3")]
    pub fn several<const N: usize>(self, n: i32) -> [__m128i; N] {
        let mut out = [self.block; N];
        let base = _mm_add_epi32(self.block, _mm_set_epi32(n, 0, 0, 0));
        for (b, i) in out.iter_mut().zip(0..) {
            let sum = _mm_add_epi32(base, _mm_set_epi32(i, 0, 0, 0));
            *b = _mm_shuffle_epi8(sum, self.swap);
        }
        out
    }
}

/// Encrypts single blocks, as many side by side as there are.
#[target_feature(enable = "sse2,aes")]
pub(super) fn encrypt_blocks(keys: &RoundKeys, rounds: usize, blocks: &mut [u128]) {
    match rounds {
        11 => encrypt_slice::<11>(keys, blocks),
        13 => encrypt_slice::<13>(keys, blocks),
        _ => encrypt_slice::<15>(keys, blocks),
    }
}

#[inline]
#[target_feature(enable = "sse2,aes")]
fn encrypt_slice<const R: usize>(keys: &RoundKeys, blocks: &mut [u128]) {
    // So many has a key derivation (`aes_cm_prf`).
    let (twelves, rest) = blocks.as_chunks_mut::<12>();
    twelves
        .iter_mut()
        .for_each(|b| encrypt_array::<R, 12>(keys, b));
    let (fours, rest) = rest.as_chunks_mut::<4>();
    fours
        .iter_mut()
        .for_each(|b| encrypt_array::<R, 4>(keys, b));
    let (ones, _) = rest.as_chunks_mut::<1>();
    ones.iter_mut().for_each(|b| encrypt_array::<R, 1>(keys, b));
}

#[inline]
#[target_feature(enable = "sse2,aes")]
fn encrypt_array<const R: usize, const N: usize>(keys: &RoundKeys, blocks: &mut [u128; N]) {
    // SAFETY: `blocks` is 16 N readable and writable bytes, and `loadu`/`storeu` take any address.
    unsafe {
        let at = blocks.as_mut_ptr().cast::<__m128i>();
        let mut v = [_mm_setzero_si128(); N];
        for (i, v) in v.iter_mut().enumerate() {
            *v = _mm_loadu_si128(at.add(i));
        }
        for (i, v) in encrypt::<R, N>(keys, v).into_iter().enumerate() {
            _mm_storeu_si128(at.add(i), v);
        }
    }
}

/// Key expansion (FIPS 197, 5.2). `key` has 16, 24 or 32 bytes.
#[target_feature(enable = "sse2,ssse3,aes")]
pub(super) fn expand_key(key: &[u8], out: &mut RoundKeys) {
    match key.len() {
        16 => expand_128(key, out),
        24 => expand_192(key, out),
        _ => expand_256(key, out),
    }
}

/// SubWord(RotWord(word)) + rcon, or SubWord(word) when `ROTATE` is not set, of `v`'s last word, in all four words.
/// The last AES round does SubBytes on four equal columns, where ShiftRows changes nothing; this is quicker than
/// AESKEYGENASSIST, which is microcode on most CPUs.
#[inline]
#[target_feature(enable = "sse2,ssse3,aes")]
fn sub_last_word<const ROTATE: bool>(v: __m128i, rcon: i32) -> __m128i {
    let word = if ROTATE { 0x0c0f_0e0d } else { 0x0f0e_0d0c };
    let columns = _mm_shuffle_epi8(v, _mm_set1_epi32(word));
    _mm_aesenclast_si128(columns, _mm_set1_epi32(rcon))
}

/// Word i of the result is the sum of words 0 to i.
#[inline]
#[target_feature(enable = "sse2")]
fn running_sum(v: __m128i) -> __m128i {
    let v = _mm_xor_si128(v, _mm_slli_si128::<4>(v));
    _mm_xor_si128(v, _mm_slli_si128::<8>(v))
}

const RCON: [i32; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 0x1b, 0x36];

#[inline]
#[target_feature(enable = "sse2,ssse3,aes")]
fn expand_128(key: &[u8], out: &mut RoundKeys) {
    let mut k = load_key(key, 0);
    store(&mut out[0], k);
    for (out, rcon) in out[1..].iter_mut().zip(RCON) {
        k = _mm_xor_si128(running_sum(k), sub_last_word::<true>(k, rcon));
        store(out, k);
    }
}

#[inline]
#[target_feature(enable = "sse2,ssse3,aes")]
fn expand_256(key: &[u8], out: &mut RoundKeys) {
    let (mut a, mut b) = (load_key(key, 0), load_key(key, 16));
    store(&mut out[0], a);
    store(&mut out[1], b);
    let (pairs, last) = out[2..].as_chunks_mut::<2>();
    for ([even, odd], rcon) in pairs.iter_mut().zip(RCON) {
        a = _mm_xor_si128(running_sum(a), sub_last_word::<true>(b, rcon));
        b = _mm_xor_si128(running_sum(b), sub_last_word::<false>(a, 0));
        store(even, a);
        store(odd, b);
    }
    a = _mm_xor_si128(running_sum(a), sub_last_word::<true>(b, RCON[6]));
    store(&mut last[0], a);
}

/// Six words a step, written as words: 192-bit keys are rare and this path is not worth a vector one.
#[inline]
#[target_feature(enable = "sse2,ssse3,aes")]
fn expand_192(key: &[u8], out: &mut RoundKeys) {
    let mut words = zeroize::Zeroizing::new([0u32; 54]);
    for (w, bytes) in words.iter_mut().zip(key.as_chunks::<4>().0) {
        *w = u32::from_le_bytes(*bytes);
    }
    for (step, rcon) in (6..54).step_by(6).zip(RCON) {
        let last = _mm_set_epi32(words[step - 1] as i32, 0, 0, 0);
        let mut t = _mm_cvtsi128_si32(sub_last_word::<true>(last, rcon)) as u32;
        for i in step..step + 6 {
            t ^= words[i - 6];
            words[i] = t;
        }
    }
    for (block, w) in out.iter_mut().zip(words.as_chunks::<4>().0) {
        *block = w
            .iter()
            .rev()
            .fold(0, |acc, &w| (acc << 32) | u128::from(w));
    }
}

#[inline]
#[target_feature(enable = "sse2")]
fn load_key(key: &[u8], at: usize) -> __m128i {
    load(&u128::from_le_bytes(
        *key[at..]
            .first_chunk()
            .expect("the key's length was checked"),
    ))
}
