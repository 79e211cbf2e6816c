//! HMAC-SHA1 for CPUs without SHA extensions: the rounds in integer registers, the message schedule beside them in vectors
//! of four words (M. Locktyukhin, "Improving the performance of the Secure Hash Algorithm"). The rounds wait for each
//! other, two cycles each at best; the schedule waits for nothing of theirs. With AVX2 and BMI the compiler makes no better code
//! of it: on Zen 4 it was slower by a quarter.

use core::arch::x86_64::*;
use core::mem::MaybeUninit;

use crate::backend::soft::sha1::{INITIAL, digest};
use crate::key::HmacKey;

/// What is added to the words of each twenty rounds (FIPS 180-4, 4.2.1).
const K: [u32; 4] = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6];

/// The 80 words of a block's message schedule, each with its round's constant added.
#[repr(align(64))]
struct Schedule(MaybeUninit<[u32; 80]>);

#[inline]
#[target_feature(enable = "sse2")]
fn rotate<const LEFT: i32, const RIGHT: i32>(v: __m128i) -> __m128i {
    _mm_or_si128(_mm_slli_epi32::<LEFT>(v), _mm_srli_epi32::<RIGHT>(v))
}

/// The next four words of the schedule, from the eight vectors before; the first four vectors are the block itself.
macro_rules! four_words {
    ($i:literal, $w:ident, $block:ident, $store:ident) => {
        if $i < 4 {
            let order = _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
            // SAFETY: one quarter of the 64 readable bytes.
            let bytes = unsafe { _mm_loadu_si128($block.cast::<__m128i>().add($i)) };
            $w[$i] = _mm_shuffle_epi8(bytes, order);
        } else if $i < 8 {
            // W[t] = (W[t-3] ^ W[t-8] ^ W[t-14] ^ W[t-16]) <<< 1; the last of four words needs the first of them.
            let near = _mm_srli_si128::<4>($w[$i - 1]);
            let far = _mm_alignr_epi8::<8>($w[$i - 3], $w[$i - 4]);
            let x = _mm_xor_si128(
                _mm_xor_si128(near, $w[$i - 2]),
                _mm_xor_si128(far, $w[$i - 4]),
            );
            let first = _mm_slli_si128::<12>(x);
            $w[$i] = _mm_xor_si128(rotate::<1, 31>(x), rotate::<2, 30>(first));
        } else if $i < 20 {
            // W[t] = (W[t-6] ^ W[t-16] ^ W[t-28] ^ W[t-32]) <<< 2
            let near = _mm_alignr_epi8::<8>($w[$i - 1], $w[$i - 2]);
            let far = _mm_xor_si128(_mm_xor_si128($w[$i - 4], $w[$i - 7]), $w[$i - 8]);
            $w[$i] = rotate::<2, 30>(_mm_xor_si128(far, near));
        }
        if $i < 20 {
            let sum = _mm_add_epi32($w[$i], _mm_set1_epi32(K[$i / 5 % 4] as i32));
            // SAFETY: four of the 80 words, which are aligned to 64 bytes.
            unsafe { _mm_store_si128($store.cast::<__m128i>().add($i), sum) };
        }
    };
}

/// The same place, of which the compiler does not know that it is: otherwise it takes the words out of the vectors one by
/// one, which is slower than by way of memory.
#[inline]
fn same(at: *const u32) -> *const u32 {
    let mut at = at;
    // SAFETY: there is no instruction, the register keeps its value.
    unsafe {
        core::arch::asm!("/* {0} */", inout(reg) at, options(readonly, nostack, preserves_flags));
    }
    at
}

/// The two HMAC key states.
#[target_feature(enable = "sse2,ssse3")]
pub(super) fn hmac_key(key: &[u8; 20]) -> HmacKey {
    let mut states = [INITIAL; 2];
    for (state, fill) in states.iter_mut().zip([0x36, 0x5c]) {
        let mut block = zeroize::Zeroizing::new([fill; 64]);
        for (b, k) in block.iter_mut().zip(key) {
            *b ^= k;
        }
        let mut schedule = Schedule(MaybeUninit::uninit());
        // SAFETY: 64 readable bytes.
        unsafe { compress(state, block.as_ptr(), &mut schedule) };
        // The key can be read off it.
        // SAFETY: `compress` has written all words.
        crate::wipe::wipe(unsafe { schedule.0.assume_init_mut() });
    }
    let [inner, outer] = states;
    HmacKey { inner, outer }
}

/// One block. All of the schedule is written.
///
/// # Safety
/// 64 bytes at `block` are readable.
#[inline(never)]
#[target_feature(enable = "sse2,ssse3")]
unsafe fn compress(state: &mut [u32; 5], block: *const u8, schedule: &mut Schedule) {
    let store: *mut u32 = schedule.0.as_mut_ptr().cast();
    let load = same(store);
    let mut w = [_mm_setzero_si128(); 25];
    four_words!(0, w, block, store);
    four_words!(1, w, block, store);
    four_words!(2, w, block, store);
    four_words!(3, w, block, store);
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    // Written out, so that no value is moved from one variable to the next. Four rounds, and the words of those
    // that come sixteen later.
    macro_rules! rounds {
        ($f:expr, $($ahead:literal: $($t:literal)+),+) => {$(
            four_words!($ahead, w, block, store);
            $(
                // SAFETY: one of the 80 words, stored sixteen rounds ago or before the first one.
                let word = unsafe { load.add($t).read() };
                let next = e
                    .wrapping_add(word)
                    .wrapping_add($f(b, c, d))
                    .wrapping_add(a.rotate_left(5));
                (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
            )+
        )+};
    }
    // Sums of what has no bit in common are quicker than what they equal: the additions are there anyway.
    let choose = |b: u32, c: u32, d: u32| (b & c).wrapping_add(!b & d);
    let parity = |b: u32, c: u32, d: u32| b ^ c ^ d;
    let majority = |b: u32, c: u32, d: u32| (c & d).wrapping_add(b & (c ^ d));
    rounds!(choose, 4: 0 1 2 3, 5: 4 5 6 7, 6: 8 9 10 11, 7: 12 13 14 15, 8: 16 17 18 19);
    rounds!(parity, 9: 20 21 22 23, 10: 24 25 26 27, 11: 28 29 30 31, 12: 32 33 34 35, 13: 36 37 38 39);
    rounds!(majority, 14: 40 41 42 43, 15: 44 45 46 47, 16: 48 49 50 51, 17: 52 53 54 55, 18: 56 57 58 59);
    rounds!(parity, 19: 60 61 62 63, 20: 64 65 66 67, 21: 68 69 70 71, 22: 72 73 74 75, 23: 76 77 78 79);
    for (s, v) in state.iter_mut().zip([a, b, c, d, e]) {
        *s = s.wrapping_add(v);
    }
}

/// HMAC-SHA1 of a packet and its trailer.
///
/// # Safety
/// `len` bytes at `packet` are readable.
#[inline(never)]
#[target_feature(enable = "sse2,ssse3")]
pub(super) unsafe fn hmac(
    key: &HmacKey,
    packet: *const u8,
    len: usize,
    trailer: [u8; 4],
) -> [u8; 20] {
    let (whole, rest) = (len / 64, len % 64);
    let inner = (len + 4 + 1 + 8).div_ceil(64);
    // What does not fill a block, trailer, end bit and length; then the outer hash's one block.
    let mut end = [0u8; 192];
    // SAFETY: `rest` bytes behind the whole blocks are inside the packet.
    unsafe {
        packet
            .add(64 * whole)
            .copy_to_nonoverlapping(end.as_mut_ptr(), rest);
    }
    end[rest..rest + 4].copy_from_slice(&trailer);
    end[rest + 4] = 0x80;
    let bits = (64 + len as u64 + 4) * 8;
    let outer = 64 * (inner - whole);
    end[outer - 8..outer].copy_from_slice(&bits.to_be_bytes());
    end[outer + 62..outer + 64].copy_from_slice(&((64u16 + 20) * 8).to_be_bytes());
    let mut state = key.inner;
    let mut schedule = Schedule(MaybeUninit::uninit());
    for n in 0..=inner {
        if n == inner {
            // In whole vectors: they are loaded again at once, and a load of what was stored in pieces waits.
            let [a, b, c, d, e] = state.map(|word| word.swap_bytes() as i32);
            // SAFETY: the outer hash's block has 64 bytes.
            unsafe {
                let at: *mut __m128i = end.as_mut_ptr().add(outer).cast();
                _mm_storeu_si128(at, _mm_setr_epi32(a, b, c, d));
                _mm_storeu_si128(at.add(1), _mm_setr_epi32(e, 0x80, 0, 0));
            }
            state = key.outer;
        }
        let block = if n < whole {
            packet.wrapping_add(64 * n)
        } else {
            end.as_ptr().wrapping_add(64 * (n - whole))
        };
        // SAFETY: a whole block of the packet, or one of the up to three of `end`.
        unsafe { compress(&mut state, block, &mut schedule) };
    }
    digest(state)
}
