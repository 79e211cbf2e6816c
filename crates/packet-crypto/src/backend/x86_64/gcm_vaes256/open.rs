//! Authentication, then decryption.

use core::arch::x86_64::*;
use core::mem::MaybeUninit;

use super::super::vaes256::{GROUP, Sum, high, low, matches, swap2};
use super::packet::{Packet, Stream};

/// The key stream of so many whole groups is kept while a packet is checked: enough for what an Ethernet frame holds.
const KEPT: usize = 6;

impl<const R: usize> Packet<'_, R> {
    /// Hashes the ciphertext of the first `whole` vectors, while the key stream is made. Returns the hash and the first
    /// vector of key stream.
    ///
    /// # Safety
    /// The packet is readable, and there is a vector more.
    #[inline(never)]
    #[target_feature(enable = "avx2,vaes,vpclmulqdq")]
    unsafe fn hash_groups(
        &self,
        whole: usize,
        kept: &mut [MaybeUninit<Stream>; KEPT],
    ) -> (__m128i, __m256i) {
        let mut y = self.before;
        for n in (0..whole).step_by(GROUP) {
            let mut sum = Sum::zero();
            let mut hash = |i: usize| {
                let i = (i + 1) % GROUP;
                // SAFETY: these vectors are the packet's, as the caller promises, and none is the last.
                let x = unsafe { self.hashed(self.src, n, i, y) };
                sum.add(&self.key.hash_keys, GROUP - i, x);
            };
            match kept.get_mut(n / GROUP) {
                Some(kept) => {
                    kept.write(self.stream::<GROUP>(n, hash));
                }
                None => (0..GROUP).for_each(&mut hash),
            }
            y = sum.reduce();
        }
        // SAFETY: there was a group, the key stream of which was written.
        (y, unsafe { kept[0].assume_init_ref()[0] })
    }

    /// Decrypts the first `whole` vectors. Returns the last vector of key stream.
    ///
    /// # Safety
    /// The packet is readable and writable, there is a vector more, and `kept` is what [`Self::hash_groups`] wrote.
    #[inline(never)]
    #[target_feature(enable = "avx2,vaes")]
    unsafe fn open_groups(&self, whole: usize, kept: &[MaybeUninit<Stream>; KEPT]) -> __m256i {
        let mut last = self.counters.0;
        for n in (0..whole).step_by(GROUP) {
            // SAFETY: these vectors are the packet's, as the caller promises, and none is the last; of the groups that
            // `kept` has a place for, it has the key stream.
            unsafe {
                let stream = match kept.get(n / GROUP) {
                    Some(kept) => kept.assume_init_ref(),
                    None => &self.stream::<GROUP>(n, |_| ()),
                };
                self.add(n, stream);
                last = stream[GROUP - 1];
            }
        }
        last
    }

    /// Checks and opens the packet, of which `V` vectors are behind the first `whole`.
    ///
    /// # Safety
    /// The packet is readable and writable, and in place; `tag` has 1 to 16 bytes.
    #[inline]
    #[target_feature(enable = "avx2,vaes,vpclmulqdq")]
    pub unsafe fn open<const V: usize>(&self, whole: usize, tag: &[u8]) -> bool {
        let mut kept = [const { MaybeUninit::uninit() }; KEPT];
        let stream = self.stream::<V>(whole, |_| ());
        let (mut y, mut first) = (self.before, stream[0]);
        if whole > 0 {
            // SAFETY: as the caller promises; `V` vectors are more.
            (y, first) = unsafe { self.hash_groups(whole, &mut kept) };
        }
        let mut x = stream;
        // SAFETY: the vectors between the first and the last are the packet's.
        let end = unsafe {
            for (i, x) in x.iter_mut().enumerate().take(V - 1) {
                *x = swap2(if i == 0 && whole == 0 {
                    self.load_first(self.src)
                } else {
                    self.load(whole + i)
                });
            }
            self.end()
        };
        x[V - 1] = self.last(end);
        let mac = _mm_xor_si128(self.finish(x, whole, y), self.tag_mask(first));
        if !matches(mac, tag) {
            return false;
        }
        let mut previous = stream[V.saturating_sub(2)];
        // SAFETY: all vectors are the packet's, whose bytes are ours to change; `hash_groups` wrote `kept`.
        unsafe {
            if whole > 0 {
                let last = self.open_groups(whole, &kept);
                if V == 1 {
                    previous = last;
                }
            }
            for (i, k) in stream.iter().enumerate().take(V - 1) {
                if i == 0 && whole == 0 {
                    self.store_first(_mm256_xor_si256(self.load_first(self.src), *k));
                } else {
                    self.store(whole + i, _mm256_xor_si256(self.load(whole + i), *k));
                }
            }
            if self.blocks > 0 {
                let k = self.stream_at_end(high(previous), low(stream[V - 1]));
                _mm_storeu_si128(self.dst_end.cast(), _mm_xor_si128(end, k));
            }
        }
        true
    }
}
