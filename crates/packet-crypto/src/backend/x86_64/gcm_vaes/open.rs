//! Authentication, then decryption. To make key stream while a packet is hashed, and keep it, gains nothing: a
//! multiplication and AES take turns on the same ports of the CPU.

use core::arch::x86_64::*;

use super::super::ghash_vaes::{Alone, GROUP, PAIR, matches};
use super::packet::Packet;

impl<const R: usize> Packet<'_, R> {
    /// Hashes the first `whole` vectors.
    ///
    /// # Safety
    /// `src` is the packet's, and there are two vectors more.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
    unsafe fn hash_groups(&self, whole: usize) -> __m512i {
        let alone = Alone::new(&self.key.hash_keys);
        let mut y = self.before;
        for n in (0..whole).step_by(GROUP) {
            // SAFETY: these vectors are the packet's, as the caller promises, and none of the last two.
            y = alone.group(unsafe { self.load_whole(n) }, y);
        }
        y
    }

    /// Decrypts the first `whole` vectors.
    ///
    /// # Safety
    /// `src` and `dst` are the packet's, and there are two vectors more.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,vaes")]
    unsafe fn open_pairs(&self, whole: usize) {
        for n in (0..whole).step_by(PAIR) {
            // SAFETY: these vectors are the packet's, as the caller promises, and none of the last two.
            unsafe { self.add(n, self.stream::<PAIR>(n, |_| ())) };
        }
    }

    /// Checks and opens the packet, of which `V` vectors are behind the first `whole`: none, unless `LONG`.
    ///
    /// # Safety
    /// `src` and `dst` are the packet's, in place; `tag` has 1 to 16 bytes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vaes,vpclmulqdq")]
    pub unsafe fn open<const V: usize, const LONG: bool>(&self, whole: usize, tag: &[u8]) -> bool {
        let stream = self.stream::<V>(whole, |_| ());
        let mut before = self.before;
        let mut tag_mask = stream[0];
        if LONG && whole > 0 {
            [tag_mask] = self.stream::<1>(0, |_| ());
            // SAFETY: `src` is the packet's, as the caller promises; `V` vectors are more.
            before = unsafe { self.hash_groups(whole) };
        }
        let mut ciphertext = stream;
        for (i, c) in ciphertext.iter_mut().enumerate() {
            let mask = self.mask_of_last::<V>(whole, i);
            // SAFETY: `src` is the packet's, as the caller promises, and the vector is one of the packet's.
            *c = unsafe { self.load(whole + i, mask) };
        }
        let hash = self.finish::<V, LONG>(ciphertext, before);
        let mac = _mm_xor_si128(hash, _mm512_castsi512_si128(tag_mask));
        if !matches(mac, tag) {
            return false;
        }
        for (i, (c, k)) in ciphertext.into_iter().zip(stream).enumerate() {
            let mask = self.mask_of_last::<V>(whole, i);
            // SAFETY: `dst` is the packet's, as the caller promises, and the vector is one of the packet's.
            unsafe { self.store(whole + i, mask, _mm512_xor_si512(c, k)) };
        }
        if LONG && whole > 0 {
            // SAFETY: as above.
            unsafe { self.open_pairs(whole) };
        }
        true
    }
}
