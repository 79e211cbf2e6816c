//! What the hardware can do at best, measured in the same run.

use std::arch::x86_64::*;
use std::hint::black_box;

/// `blocks` of SHA-1, each waiting for the one before, and for the last block of the last call.
#[target_feature(enable = "sha,ssse3,sse4.1")]
pub fn chained_sha1(state: &mut [u32; 8], blocks: &[[u8; 64]]) {
    let swap = _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    // SAFETY: `state` is 32 readable and writable bytes.
    let (mut abcd, mut e) = unsafe {
        (
            _mm_loadu_si128(state.as_ptr().cast()),
            _mm_loadu_si128(state[4..].as_ptr().cast()),
        )
    };
    for block in blocks {
        // SAFETY: 64 readable bytes.
        let mut w: [__m128i; 4] = std::array::from_fn(|i| unsafe {
            _mm_shuffle_epi8(_mm_loadu_si128(block[16 * i..].as_ptr().cast()), swap)
        });
        let (abcd0, e0) = (abcd, e);
        let mut old = abcd;
        macro_rules! five {
            ($f:literal, $($g:literal)+) => { $(
                if $g >= 4 {
                    let x = _mm_xor_si128(_mm_sha1msg1_epu32(w[$g % 4], w[($g + 1) % 4]), w[($g + 2) % 4]);
                    w[$g % 4] = _mm_sha1msg2_epu32(x, w[($g + 3) % 4]);
                }
                let next =
                    if $g == 0 { _mm_add_epi32(e, w[0]) } else { _mm_sha1nexte_epu32(old, w[$g % 4]) };
                old = abcd;
                abcd = _mm_sha1rnds4_epu32::<$f>(abcd, next);
            )+ };
        }
        five!(0, 0 1 2 3 4);
        five!(1, 5 6 7 8 9);
        five!(2, 10 11 12 13 14);
        five!(3, 15 16 17 18 19);
        abcd = _mm_add_epi32(abcd, abcd0);
        e = _mm_sha1nexte_epu32(old, e0);
    }
    // SAFETY: as above.
    unsafe {
        _mm_storeu_si128(state.as_mut_ptr().cast(), abcd);
        _mm_storeu_si128(state[4..].as_mut_ptr().cast(), e);
    }
}

/// The ten rounds of AES-128 on 12 blocks (what 160 bytes of GCM take), four a vector.
#[target_feature(enable = "avx512f,vaes")]
pub fn aes12(keys: &[__m512i; 11]) {
    let mut b = black_box([_mm512_setzero_si512(); 3]);
    for k in keys {
        for b in &mut b {
            *b = _mm512_aesenc_epi128(*b, *k);
        }
    }
    black_box(b);
}

/// The products and the one reduction of GHASH on 12 blocks.
#[target_feature(enable = "avx512f,vpclmulqdq")]
pub fn ghash12(h: &[__m512i; 3]) {
    let x = black_box([_mm512_setzero_si512(); 3]);
    let mut sums = [_mm512_setzero_si512(); 3];
    for (x, h) in x.into_iter().zip(h) {
        sums[0] = _mm512_xor_si512(sums[0], _mm512_clmulepi64_epi128::<0x00>(x, *h));
        let (a, b) = (
            _mm512_clmulepi64_epi128::<0x01>(x, *h),
            _mm512_clmulepi64_epi128::<0x10>(x, *h),
        );
        sums[1] = _mm512_ternarylogic_epi64::<0x96>(sums[1], a, b);
        sums[2] = _mm512_xor_si512(sums[2], _mm512_clmulepi64_epi128::<0x11>(x, *h));
    }
    let t = _mm512_clmulepi64_epi128::<0x00>(sums[0], h[0]);
    let t = _mm512_clmulepi64_epi128::<0x00>(_mm512_xor_si512(t, sums[1]), h[0]);
    black_box(_mm512_xor_si512(t, sums[2]));
}
