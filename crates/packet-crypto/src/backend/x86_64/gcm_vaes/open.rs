//! Authentication, then decryption.

use core::arch::x86_64::*;
use core::mem::MaybeUninit;

use super::super::ghash_vaes::{Alone, GROUP, Hash, PAIR, matches};
use super::packet::{Packet, Pair};

impl<const R: usize> Packet<'_, R> {
    /// Hashes the first `whole` vectors, and makes the key stream of the first pair, `kept`, meanwhile.
    ///
    /// # Safety
    /// `src` is the packet's, and there are two vectors more.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,vaes,vpclmulqdq")]
    unsafe fn hash_pairs(&self, whole: usize, kept: &mut MaybeUninit<Pair>) -> __m512i {
        // SAFETY: these vectors are the packet's, as the caller promises, and none of the last two.
        let x = unsafe { self.load_whole(0) };
        let mut hash = Hash::new(&self.key.hash_keys, self.before);
        kept.write(self.stream::<PAIR>(0, |i| hash.pair(&x, i)));
        let mut y = hash.y;
        let alone = Alone::new(&self.key.hash_keys);
        for n in (PAIR..whole).step_by(GROUP) {
            // SAFETY: as above.
            y = alone.group(unsafe { self.load_whole(n) }, y);
        }
        y
    }

    /// Decrypts the first `whole` vectors, of which the first pair's key stream is known.
    ///
    /// # Safety
    /// `src` and `dst` are the packet's, and there are two vectors more.
    #[inline(never)]
    #[target_feature(enable = "avx512f,avx512bw,vaes")]
    unsafe fn open_pairs(&self, whole: usize, first: &Pair) {
        // SAFETY: these vectors are the packet's, as the caller promises, and none of the last two.
        unsafe {
            self.add(0, *first);
            for n in (PAIR..whole).step_by(PAIR) {
                self.add(n, self.stream::<PAIR>(n, |_| ()));
            }
        }
    }

    /// Checks and opens the packet, of which `V` vectors are behind the first `whole`: none, unless `LONG`.
    ///
    /// # Safety
    /// `src` and `dst` are the packet's, in place; `tag` has 1 to 16 bytes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vaes,vpclmulqdq")]
    pub unsafe fn open<const V: usize, const LONG: bool>(&self, whole: usize, tag: &[u8]) -> bool {
        let mut before = self.before;
        let mut kept = MaybeUninit::uninit();
        let mut first = None;
        if LONG && whole > 0 {
            // SAFETY: `src` is the packet's, as the caller promises; `V` vectors are more.
            before = unsafe { self.hash_pairs(whole, &mut kept) };
            // SAFETY: that wrote it.
            first = Some(unsafe { kept.assume_init_ref() });
        }
        let stream = self.stream::<V>(whole, |_| ());
        let tag_mask = _mm512_castsi512_si128(first.map_or(stream[0], |first| first[0]));
        let mut ciphertext = stream;
        for (i, c) in ciphertext.iter_mut().enumerate() {
            let mask = self.mask_of_last::<V>(whole, i);
            // SAFETY: `src` is the packet's, as the caller promises, and the vector is one of the packet's.
            *c = unsafe { self.load(whole + i, mask) };
        }
        let hash = self.finish::<V, LONG>(ciphertext, before);
        if !matches(_mm_xor_si128(hash, tag_mask), tag) {
            return false;
        }
        for (i, (c, k)) in ciphertext.into_iter().zip(stream).enumerate() {
            let mask = self.mask_of_last::<V>(whole, i);
            // SAFETY: `dst` is the packet's, as the caller promises, and the vector is one of the packet's.
            unsafe { self.store(whole + i, mask, _mm512_xor_si512(c, k)) };
        }
        if let Some(first) = first {
            // SAFETY: as above.
            unsafe { self.open_pairs(whole, first) };
        }
        true
    }
}
