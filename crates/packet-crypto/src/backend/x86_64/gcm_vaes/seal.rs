//! Encryption, then authentication.

use core::arch::x86_64::*;

use super::super::gcm_ni::to_bytes;
use super::super::ghash_vaes::{Hash, PAIR};
use super::packet::{Packet, Pair};

/// Whole pairs that were sealed.
struct Sealed {
    /// The last pair, which is not hashed yet.
    last: Pair,
    /// The hash of what is before it.
    before: __m512i,
    /// The mask of the tag.
    mask: __m128i,
}

impl<const R: usize> Packet<'_, R> {
    /// Encrypts the first `whole` vectors and hashes them but for the last pair: each pair is hashed while the next one
    /// is encrypted.
    ///
    /// # Safety
    /// `src` and `dst` are the packet's, and there are two vectors more.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,vaes,vpclmulqdq")]
    unsafe fn seal_pairs(&self, whole: usize) -> Sealed {
        let stream = self.stream::<PAIR>(0, |_| ());
        // SAFETY: these vectors are the packet's, as the caller promises, and none of the last two.
        let mut last = unsafe { self.add(0, stream) };
        let mut hash = Hash::new(&self.key.hash_keys, self.before);
        for n in (PAIR..whole).step_by(PAIR) {
            let next = self.stream::<PAIR>(n, |i| hash.pair(&last, i));
            // SAFETY: as above.
            last = unsafe { self.add(n, next) };
        }
        Sealed {
            last,
            before: hash.y,
            mask: _mm512_castsi512_si128(stream[0]),
        }
    }

    /// Seals the packet, of which `V` vectors are behind the first `whole`: none, unless `LONG`.
    ///
    /// # Safety
    /// `src` and `dst` are the packet's.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vaes,vpclmulqdq")]
    pub unsafe fn seal<const V: usize, const LONG: bool>(&self, whole: usize) -> [u8; 16] {
        let mut before = self.before;
        let mut x;
        let tag_mask;
        if LONG && whole > 0 {
            // SAFETY: `src` and `dst` are the packet's, as the caller promises; `V` vectors are more.
            let sealed = unsafe { self.seal_pairs(whole) };
            let mut hash = Hash::new(&self.key.hash_keys, sealed.before);
            x = self.stream::<V>(whole, |i| hash.pair(&sealed.last, i));
            (before, tag_mask) = (hash.y, sealed.mask);
        } else {
            x = self.stream::<V>(0, |_| ());
            tag_mask = _mm512_castsi512_si128(x[0]);
        }
        for (i, x) in x.iter_mut().enumerate() {
            let mask = self.mask_of_last::<V>(whole, i);
            // SAFETY: both places are the packet's, as the caller promises, and the vector is one of the packet's.
            unsafe {
                *x = _mm512_xor_si512(*x, self.load(whole + i, mask));
                self.store(whole + i, mask, *x);
            }
            // What is not data must be zero for the hash.
            let hashed = if LONG { mask } else { self.end::<V>(i) };
            *x = _mm512_maskz_mov_epi8(hashed, *x);
        }
        to_bytes(_mm_xor_si128(self.finish::<V, LONG>(x, before), tag_mask))
    }
}
