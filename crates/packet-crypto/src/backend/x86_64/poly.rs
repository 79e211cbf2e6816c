//! The polynomial hash with PCLMULQDQ. A packet does not wait for it: it runs beside what the packet's encryption leaves
//! idle, which is why it asks for few instructions more than for little latency.

use core::arch::x86_64::*;

use super::bytes::load_last;
use crate::key::PolyKey;

/// See `soft::poly::hash`.
#[inline]
#[target_feature(enable = "sse2,ssse3,pclmulqdq")]
pub(super) fn hash(key: &PolyKey, data: &[u8]) -> u64 {
    // SAFETY: a key is 24 readable bytes; the point is the last eight.
    let (squares, point) = unsafe {
        let at = (&raw const *key).cast::<__m128i>();
        (_mm_loadu_si128(at), _mm_loadl_epi64(at.add(1)))
    };
    let high = _mm_set_epi64x(-1, 0);
    let step = |sum, block| {
        let sum = _mm_xor_si128(
            _mm_clmulepi64_si128::<0x00>(sum, squares),
            _mm_clmulepi64_si128::<0x11>(sum, squares),
        );
        let block = _mm_xor_si128(
            _mm_clmulepi64_si128::<0x00>(block, point),
            _mm_and_si128(block, high),
        );
        _mm_xor_si128(sum, block)
    };
    let mut sum = _mm_setzero_si128();
    let (blocks, rest) = data.as_chunks::<16>();
    for block in blocks {
        // SAFETY: a block is 16 readable bytes.
        sum = step(sum, unsafe { _mm_loadu_si128(block.as_ptr().cast()) });
    }
    if !rest.is_empty() {
        // SAFETY: the rest is 1 to 15 of the data's bytes, and ends where they end.
        let last = unsafe { load_last(rest.as_ptr().add(rest.len()), rest.len(), data.len()) };
        sum = step(sum, last);
    }
    sum = step(sum, _mm_set_epi64x(0, data.len() as i64));
    let x64 = _mm_set_epi64x(0, 0x1b);
    let t = _mm_clmulepi64_si128::<0x01>(sum, x64);
    let u = _mm_clmulepi64_si128::<0x01>(t, x64);
    _mm_cvtsi128_si64(_mm_xor_si128(_mm_xor_si128(sum, t), u)) as u64
}
