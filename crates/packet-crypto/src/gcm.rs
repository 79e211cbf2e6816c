//! AES-GCM as SRTP uses it: RFC 7714.

use crate::error::{AuthFailed, KeyLength};
use crate::key::{Block, Span, round_keys_for};
use crate::table::{GcmKey, Kernels};
use crate::tag::LENGTHS_GCM;

/// One direction's session key of an RTP or RTCP stream: AEAD_AES_128_GCM or AEAD_AES_256_GCM. Zeroed when dropped.
///
/// The associated data is `packet[..clear] || trailer`: the RTP header alone, or for SRTCP the header and the word of E
/// and index (RFC 7714, 9.2); for an unencrypted SRTCP packet `clear` is its whole length.
pub struct AesGcm {
    pub(crate) key: GcmKey,
}

impl AesGcm {
    /// Expands the session key. `cipher_key` has 16 or 32 bytes.
    pub fn new(k: &'static Kernels, cipher_key: &[u8]) -> Result<Self, KeyLength> {
        let mut new = Self::unset(k);
        new.set(k, cipher_key)?;
        Ok(new)
    }

    /// No secret yet, for [`Self::set`] where it is to stay: a key that is moved leaves a copy behind.
    pub fn unset(k: &'static Kernels) -> Self {
        Self {
            key: GcmKey {
                hash_keys: [0; 16],
                keys: [0; 15],
                fns: &k.gcm[0],
            },
        }
    }

    /// Expands the session key in place, as [`Self::new`].
    #[inline]
    pub fn set(&mut self, k: &'static Kernels, cipher_key: &[u8]) -> Result<(), KeyLength> {
        let (fns, rounds) = match (cipher_key.len(), round_keys_for(cipher_key.len())) {
            (16, Some(rounds)) => (&k.gcm[0], rounds),
            (32, Some(rounds)) => (&k.gcm[1], rounds),
            _ => return Err(KeyLength),
        };
        self.key.fns = fns;
        // SAFETY: whoever has a `&'static Kernels` runs on a CPU that its `detect` accepted; the length was checked.
        unsafe {
            (k.expand_key)(cipher_key, &mut self.key.keys);
            (k.hash_keys)(&self.key.keys, rounds, &mut self.key.hash_keys);
        }
        Ok(())
    }

    /// Encrypts and authenticates: `dst[..clear] = src[..clear]`, the rest of `src` is encrypted into `dst`. Returns
    /// the tag. Nothing behind `dst[..src.len()]` is written.
    ///
    /// # Panics
    /// When `clear > src.len()` or `dst.len() < src.len()`.
    #[must_use = "without its tag the packet cannot be opened"]
    #[inline]
    pub fn seal(
        &self,
        nonce: &[u8; 12],
        clear: usize,
        src: &[u8],
        dst: &mut [u8],
        trailer: &[u8],
    ) -> [u8; 16] {
        let span = Span::copy(clear, src, dst);
        // SAFETY: this CPU runs the level (`new` had its `Kernels`); `span` was made from two slices.
        unsafe { (self.key.fns.seal)(&self.key, block(nonce), span, trailer) }
    }

    /// As [`Self::seal`], in place.
    ///
    /// # Panics
    /// When `clear > packet.len()`.
    #[must_use = "without its tag the packet cannot be opened"]
    #[inline]
    pub fn seal_in_place(
        &self,
        nonce: &[u8; 12],
        clear: usize,
        packet: &mut [u8],
        trailer: &[u8],
    ) -> [u8; 16] {
        let span = Span::in_place(clear, packet);
        // SAFETY: this CPU runs the level (`new` had its `Kernels`); `span` was made from a slice.
        unsafe { (self.key.fns.seal)(&self.key, block(nonce), span, trailer) }
    }

    /// Compares `tag` in constant time and decrypts `packet[clear..]` only if it is right. On failure `packet` is byte
    /// for byte what it was.
    ///
    /// A tag has 8 or 16 bytes; any other length fails.
    ///
    /// # Panics
    /// When `clear > packet.len()`.
    #[inline]
    pub fn open_in_place(
        &self,
        nonce: &[u8; 12],
        clear: usize,
        packet: &mut [u8],
        trailer: &[u8],
        tag: &[u8],
    ) -> Result<(), AuthFailed> {
        if !LENGTHS_GCM.contains(&tag.len()) {
            return Err(AuthFailed);
        }
        let span = Span::in_place(clear, packet);
        // SAFETY: this CPU runs the level (`new` had its `Kernels`); `span` was made from a slice; 8 or 16 bytes of tag.
        let good = unsafe { (self.key.fns.open)(&self.key, block(nonce), span, trailer, tag) };
        if good { Ok(()) } else { Err(AuthFailed) }
    }
}

#[inline]
fn block(nonce: &[u8; 12]) -> Block {
    let mut block = [0; 16];
    block[..12].copy_from_slice(nonce);
    u128::from_le_bytes(block)
}
