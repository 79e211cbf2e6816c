//! HMAC-SHA1 of many packets at once, one packet in each 32-bit lane: 16 with AVX-512, 8 with AVX2.

use core::arch::x86_64::*;
use core::mem::offset_of;

use crate::table::{CmKey, HmacJob};

/// The messages of `W` lanes: for each its packet, and a copy of its end with trailer and padding.
struct Messages<const W: usize> {
    packet: [*const u8; W],
    /// Blocks that lie wholly in the packet, and all blocks.
    whole: [usize; W],
    blocks: [usize; W],
    /// The last one or two blocks begin at `END`; what is before them is not used.
    end: [[u8; END + 128]; W],
}

/// So many bytes in front let an end of any length be copied as 64 bytes.
const END: usize = 64;

impl<const W: usize> Messages<W> {
    /// The messages of `jobs`, of which the first also fills what lanes are left.
    ///
    /// # Safety
    /// There are 1 to `W` jobs and their packets are readable.
    #[inline]
    unsafe fn new(jobs: &[HmacJob]) -> Self {
        let (packet, whole, blocks) = ([jobs[0].packet; W], [jobs[0].len / 64; W], [0; W]);
        let mut new = Self {
            packet,
            whole,
            blocks,
            end: [[0; END + 128]; W],
        };
        for (i, job) in jobs.iter().enumerate() {
            let (whole, rest) = (job.len / 64, job.len % 64);
            let end = &mut new.end[i];
            if whole > 0 {
                // SAFETY: the last 64 bytes of the packet; `rest` is less than 64.
                unsafe {
                    let last = job.packet.add(job.len - 64).cast::<[u8; 64]>();
                    end.as_mut_ptr()
                        .add(END - 64 + rest)
                        .cast::<[u8; 64]>()
                        .write_unaligned(last.read_unaligned());
                }
            } else {
                // SAFETY: the whole packet, which is less than 64 bytes.
                unsafe {
                    job.packet
                        .copy_to_nonoverlapping(end[END..].as_mut_ptr(), rest)
                };
            }
            let (packet, whole, blocks) = (job.packet, whole, (job.len + 13).div_ceil(64));
            end[END + rest..END + rest + 4].copy_from_slice(&job.trailer);
            end[END + rest + 4] = 0x80;
            let bits = (64 + job.len as u64 + 4) * 8;
            let at = END + 64 * (blocks - whole) - 8;
            end[at..at + 8].copy_from_slice(&bits.to_be_bytes());
            (new.packet[i], new.whole[i], new.blocks[i]) = (packet, whole, blocks);
        }
        new
    }

    /// Where 64 readable bytes of block `n` of lane `i` are; a lane that is done gives any.
    #[inline]
    fn block(&self, i: usize, n: usize) -> *const u8 {
        if n < self.whole[i] {
            self.packet[i].wrapping_add(64 * n)
        } else {
            self.end[i]
                .as_ptr()
                .wrapping_add(END + 64 * (n - self.whole[i]).min(1))
        }
    }
}

macro_rules! lanes {
    (
        $d:tt, $module:ident, $vector:ty, $width:literal, [$($feature:literal),+],
        set: $set:ident, add: $add:ident, load: $load:ident, store: $store:ident,
        // Intrinsics that differ between the two, as functions of `super::$ops`.
        ops: $ops:ident
    ) => {
        pub(super) mod $module {
            use super::*;

            type Vectors<const N: usize> = [$vector; N];

            /// One block in every lane.
            #[inline]
            #[target_feature($(enable = $feature),+)]
            fn compress(state: Vectors<5>, mut w: Vectors<16>) -> Vectors<5> {
                let [mut a, mut b, mut c, mut d, mut e] = state;
                // Written out, so that every index is a constant and `w` stays in registers.
                macro_rules! rounds {
                    ($f:ident, $k:literal, $d($t:literal)+) => {
                        let k = $set($k as i32);
                        $d(
                            if $t >= 16 {
                                let x = $ops::xor3(w[($t + 13) % 16], w[($t + 8) % 16], w[($t + 2) % 16]);
                                w[$t % 16] = $ops::rotate::<1, 31>($ops::xor(x, w[$t % 16]));
                            }
                            let sum = $add($add(e, $add(w[$t % 16], k)), $ops::$f(b, c, d));
                            e = d;
                            d = c;
                            c = $ops::rotate::<30, 2>(b);
                            b = a;
                            a = $add(sum, $ops::rotate::<5, 27>(a));
                        )+
                    };
                }
                rounds!(choose, 0x5a82_7999u32, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
                rounds!(xor3, 0x6ed9_eba1u32, 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39);
                rounds!(majority, 0x8f1b_bcdcu32, 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59);
                rounds!(xor3, 0xca62_c1d6u32, 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79);
                [
                    $add(a, state[0]),
                    $add(b, state[1]),
                    $add(c, state[2]),
                    $add(d, state[3]),
                    $add(e, state[4]),
                ]
            }

            /// HMAC-SHA1 of up to as many packets as there are lanes, at the cost of as many.
            ///
            /// # Safety
            /// There is a job, there are no more than lanes or tags, and every job's packet is readable.
            #[target_feature($(enable = $feature),+)]
            pub unsafe fn hmac(jobs: &[HmacJob], tags: &mut [[u8; 20]]) {
                debug_assert!(!jobs.is_empty() && jobs.len() <= $width && jobs.len() <= tags.len());
                // SAFETY: there are 1 to as many jobs as lanes, with readable packets, as the caller promises.
                let messages = unsafe { Messages::<$width>::new(jobs) };
                // Both key states lie in the first 40 bytes of a key.
                let key = |i: usize| (&raw const *jobs.get(i).unwrap_or(&jobs[0]).key).cast();
                const { assert!(offset_of!(CmKey, hmac) == 0 && size_of::<CmKey>() >= 64) };
                // SAFETY: a key has more than 64 readable bytes.
                let keys = unsafe { $ops::transposed(core::array::from_fn(key)) };
                let [i0, i1, i2, i3, i4, o0, o1, o2, o3, o4, ..] = keys;
                let mut state = [i0, i1, i2, i3, i4];
                let mut blocks = messages.blocks[..jobs.len()].iter().copied();
                let most = blocks.clone().max().unwrap_or(0);
                let least = blocks.next().map_or(0, |first| blocks.fold(first, usize::min));
                for n in 0..most {
                    // SAFETY: `Messages::block` points to 64 readable bytes.
                    let mut w = unsafe {
                        $ops::transposed(core::array::from_fn(|i| messages.block(i, n)))
                    };
                    for w in &mut w {
                        *w = $ops::swap(*w);
                    }
                    let new = compress(state, w);
                    if n < least {
                        state = new;
                        continue;
                    }
                    // Lanes that are done keep what they have.
                    let live: [u32; $width] =
                        core::array::from_fn(|i| if n < messages.blocks[i] { u32::MAX } else { 0 });
                    // SAFETY: as many readable words as the vector has.
                    let live = unsafe { $load(live.as_ptr().cast()) };
                    for (s, new) in state.iter_mut().zip(new) {
                        *s = $ops::choose(live, new, *s);
                    }
                }
                // The outer hash: the inner digest, padding, the length of 64 + 20 bytes.
                let mut w = [$set(0); 16];
                w[..5].copy_from_slice(&state);
                w[5] = $set(i32::MIN);
                w[15] = $set((64 + 20) * 8);
                let mut words = [[0u32; $width]; 5];
                for (words, s) in words.iter_mut().zip(compress([o0, o1, o2, o3, o4], w)) {
                    // SAFETY: as many writable words as the vector has.
                    unsafe { $store(words.as_mut_ptr().cast(), $ops::swap(s)) };
                }
                for (i, tag) in tags.iter_mut().enumerate().take(jobs.len()) {
                    for (bytes, words) in tag.as_chunks_mut::<4>().0.iter_mut().zip(&words) {
                        *bytes = words[i].to_ne_bytes();
                    }
                }
            }
        }
    };
}

mod avx512 {
    use super::*;

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn xor(a: __m512i, b: __m512i) -> __m512i {
        _mm512_xor_si512(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        _mm512_ternarylogic_epi32::<0x96>(a, b, c)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn choose(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        _mm512_ternarylogic_epi32::<0xca>(a, b, c)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn majority(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
        _mm512_ternarylogic_epi32::<0xe8>(a, b, c)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub fn rotate<const LEFT: i32, const RIGHT: i32>(v: __m512i) -> __m512i {
        _mm512_rol_epi32::<LEFT>(v)
    }

    /// Reverses the bytes of every word.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    pub fn swap(v: __m512i) -> __m512i {
        let order = _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
        _mm512_shuffle_epi8(v, _mm512_broadcast_i32x4(order))
    }

    /// Word `i` of all sixteen blocks in vector `i`.
    ///
    /// # Safety
    /// Each pointer is to 64 readable bytes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    pub unsafe fn transposed(blocks: [*const u8; 16]) -> [__m512i; 16] {
        let mut rows = [_mm512_setzero_si512(); 16];
        for (row, at) in rows.iter_mut().zip(blocks) {
            // SAFETY: 64 bytes at `at` are readable, as the caller promises.
            *row = unsafe { _mm512_loadu_si512(at.cast()) };
        }
        // Four blocks' words side by side: `quads[4 q + i]` has word `i` (of each 128 bits) of blocks 4 q to 4 q + 3.
        let mut quads = rows;
        for q in 0..4 {
            let [r0, r1, r2, r3] = [
                rows[4 * q],
                rows[4 * q + 1],
                rows[4 * q + 2],
                rows[4 * q + 3],
            ];
            let (low01, high01) = (_mm512_unpacklo_epi32(r0, r1), _mm512_unpackhi_epi32(r0, r1));
            let (low23, high23) = (_mm512_unpacklo_epi32(r2, r3), _mm512_unpackhi_epi32(r2, r3));
            quads[4 * q] = _mm512_unpacklo_epi64(low01, low23);
            quads[4 * q + 1] = _mm512_unpackhi_epi64(low01, low23);
            quads[4 * q + 2] = _mm512_unpacklo_epi64(high01, high23);
            quads[4 * q + 3] = _mm512_unpackhi_epi64(high01, high23);
        }
        // Then the 128-bit lanes, transposed four by four.
        let mut words = rows;
        for i in 0..4 {
            let (a, b, c, d) = (quads[i], quads[4 + i], quads[8 + i], quads[12 + i]);
            let (ab_even, ab_odd) = (
                _mm512_shuffle_i32x4::<0x88>(a, b),
                _mm512_shuffle_i32x4::<0xdd>(a, b),
            );
            let (cd_even, cd_odd) = (
                _mm512_shuffle_i32x4::<0x88>(c, d),
                _mm512_shuffle_i32x4::<0xdd>(c, d),
            );
            words[i] = _mm512_shuffle_i32x4::<0x88>(ab_even, cd_even);
            words[4 + i] = _mm512_shuffle_i32x4::<0x88>(ab_odd, cd_odd);
            words[8 + i] = _mm512_shuffle_i32x4::<0xdd>(ab_even, cd_even);
            words[12 + i] = _mm512_shuffle_i32x4::<0xdd>(ab_odd, cd_odd);
        }
        words
    }
}

mod avx2 {
    use super::*;

    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn xor(a: __m256i, b: __m256i) -> __m256i {
        _mm256_xor_si256(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn xor3(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        xor(xor(a, b), c)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn choose(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        xor(c, _mm256_and_si256(a, xor(b, c)))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn majority(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
        _mm256_or_si256(
            _mm256_and_si256(a, b),
            _mm256_and_si256(c, _mm256_or_si256(a, b)),
        )
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn rotate<const LEFT: i32, const RIGHT: i32>(v: __m256i) -> __m256i {
        _mm256_or_si256(_mm256_slli_epi32::<LEFT>(v), _mm256_srli_epi32::<RIGHT>(v))
    }

    /// Reverses the bytes of every word.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub fn swap(v: __m256i) -> __m256i {
        let order = _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
        _mm256_shuffle_epi8(v, _mm256_broadcastsi128_si256(order))
    }

    /// Word `i` of all eight blocks in vector `i`.
    ///
    /// # Safety
    /// Each pointer is to 64 readable bytes.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub unsafe fn transposed(blocks: [*const u8; 8]) -> [__m256i; 16] {
        let mut words = [_mm256_setzero_si256(); 16];
        for half in 0..2 {
            let mut rows = [_mm256_setzero_si256(); 8];
            for (row, at) in rows.iter_mut().zip(blocks) {
                // SAFETY: 64 bytes at `at` are readable, as the caller promises; this is one half of them.
                *row = unsafe { _mm256_loadu_si256(at.add(32 * half).cast()) };
            }
            let mut quads = rows;
            for q in 0..2 {
                let [r0, r1, r2, r3] = [
                    rows[4 * q],
                    rows[4 * q + 1],
                    rows[4 * q + 2],
                    rows[4 * q + 3],
                ];
                let (low01, high01) =
                    (_mm256_unpacklo_epi32(r0, r1), _mm256_unpackhi_epi32(r0, r1));
                let (low23, high23) =
                    (_mm256_unpacklo_epi32(r2, r3), _mm256_unpackhi_epi32(r2, r3));
                quads[4 * q] = _mm256_unpacklo_epi64(low01, low23);
                quads[4 * q + 1] = _mm256_unpackhi_epi64(low01, low23);
                quads[4 * q + 2] = _mm256_unpacklo_epi64(high01, high23);
                quads[4 * q + 3] = _mm256_unpackhi_epi64(high01, high23);
            }
            for i in 0..4 {
                let (a, b) = (quads[i], quads[4 + i]);
                words[8 * half + i] = _mm256_permute2x128_si256::<0x20>(a, b);
                words[8 * half + 4 + i] = _mm256_permute2x128_si256::<0x31>(a, b);
            }
        }
        words
    }
}

lanes!(
    $, sixteen, __m512i, 16, ["avx512f", "avx512bw"],
    set: _mm512_set1_epi32, add: _mm512_add_epi32, load: _mm512_loadu_si512, store: _mm512_storeu_si512,
    ops: avx512
);

lanes!(
    $, eight, __m256i, 8, ["avx2"],
    set: _mm256_set1_epi32, add: _mm256_add_epi32, load: _mm256_loadu_si256, store: _mm256_storeu_si256,
    ops: avx2
);
