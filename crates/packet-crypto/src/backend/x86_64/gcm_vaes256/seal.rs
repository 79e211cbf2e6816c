//! Encryption, then authentication.

use core::arch::x86_64::*;

use super::super::gcm_ni::to_bytes;
use super::super::vaes256::{GROUP, Sum, high, low, swap2};
use super::packet::Packet;

impl<const R: usize> Packet<'_, R> {
    /// Encrypts and hashes the first `whole` vectors: each group is hashed while the next one is encrypted. Returns the
    /// hash, and the first and the last vector of key stream.
    ///
    /// # Safety
    /// The packet is readable and writable, and there is a vector more.
    #[inline(never)]
    #[target_feature(enable = "avx2,vaes,vpclmulqdq")]
    unsafe fn seal_groups(&self, whole: usize) -> (__m128i, __m256i, __m256i) {
        let mut stream = self.stream::<GROUP>(0, |_| ());
        let first = stream[0];
        let mut y = self.before;
        let mut n = 0;
        loop {
            // SAFETY: these vectors are the packet's, as the caller promises, and none is the last.
            unsafe { self.add(n, &stream) };
            let mut sum = Sum::zero();
            // The first vector last: what comes before it is the last to be known.
            let mut hash = |i: usize| {
                let i = (i + 1) % GROUP;
                // SAFETY: as above; it was written just now.
                let x = unsafe { self.hashed(self.dst, n, i, y) };
                sum.add(&self.key.hash_keys, GROUP - i, x);
            };
            if n + GROUP == whole {
                (0..GROUP).for_each(hash);
                return (sum.reduce(), first, stream[GROUP - 1]);
            }
            stream = self.stream::<GROUP>(n + GROUP, &mut hash);
            y = sum.reduce();
            n += GROUP;
        }
    }

    /// Seals the packet, of which `V` vectors are behind the first `whole`.
    ///
    /// # Safety
    /// The packet is readable and writable.
    #[inline]
    #[target_feature(enable = "avx2,vaes,vpclmulqdq")]
    pub unsafe fn seal<const V: usize>(&self, whole: usize) -> [u8; 16] {
        // SAFETY: the caller promises it.
        let end = unsafe { self.end() };
        let stream = self.stream::<V>(whole, |_| ());
        let (mut y, mut first, mut previous) =
            (self.before, stream[0], stream[V.saturating_sub(2)]);
        if whole > 0 {
            let last;
            // SAFETY: as the caller promises; `V` vectors are more.
            (y, first, last) = unsafe { self.seal_groups(whole) };
            if V == 1 {
                previous = last;
            }
        }
        let mut x = stream;
        // SAFETY: the vectors between the first and the last are the packet's, and what is loaded of its end is there when
        // there is data.
        unsafe {
            for (i, x) in x.iter_mut().enumerate().take(V - 1) {
                if i == 0 && whole == 0 {
                    *x = _mm256_xor_si256(self.load_first(self.src), *x);
                    self.store_first(*x);
                } else {
                    *x = _mm256_xor_si256(self.load(whole + i), *x);
                    self.store(whole + i, *x);
                }
                *x = swap2(*x);
            }
            if self.blocks > 0 {
                let k = self.stream_at_end(high(previous), low(stream[V - 1]));
                let end = _mm_xor_si128(end, k);
                _mm_storeu_si128(self.dst_end.cast(), end);
                x[V - 1] = self.last(end);
            }
        }
        to_bytes(_mm_xor_si128(
            self.finish(x, whole, y),
            self.tag_mask(first),
        ))
    }
}
