//! AES-CM with HMAC-SHA1: RFC 3711, 4.1.1 and 4.2.1; RFC 6188 for 192 and 256 bits.

use crate::error::{AuthFailed, KeyLength};
use crate::key::{HmacKey, Span, round_keys_for};
use crate::table::{CmKey, Kernels};
use crate::tag::LENGTHS_CM;
use crate::wipe::Blocks;

/// One direction's session keys of an RTP or RTCP stream: AES in counter mode and HMAC-SHA1. Zeroed when dropped.
///
/// The counter is the last 32 bits of the IV; RFC 3711 leaves the last 16 zero, which is enough for 2^16 blocks.
pub struct AesCmHmacSha1 {
    pub(crate) key: CmKey,
}

impl AesCmHmacSha1 {
    /// Expands the session keys. `cipher_key` has 16, 24 or 32 bytes.
    pub fn new(
        k: &'static Kernels,
        cipher_key: &[u8],
        auth_key: &[u8; 20],
    ) -> Result<Self, KeyLength> {
        let mut new = Self::unset(k);
        new.set(k, cipher_key, auth_key)?;
        Ok(new)
    }

    /// No secret yet, for [`Self::set`] where it is to stay: a key that is moved leaves a copy behind.
    pub fn unset(k: &'static Kernels) -> Self {
        Self {
            key: CmKey {
                hmac: HmacKey {
                    inner: [0; 5],
                    outer: [0; 5],
                },
                fns: &k.cm[0],
                keys: [0; 15],
            },
        }
    }

    /// Expands the session keys in place, as [`Self::new`].
    #[inline]
    pub fn set(
        &mut self,
        k: &'static Kernels,
        cipher_key: &[u8],
        auth_key: &[u8; 20],
    ) -> Result<(), KeyLength> {
        let rounds = round_keys_for(cipher_key.len()).ok_or(KeyLength)?;
        self.key.fns = k.cm.iter().find(|f| f.rounds == rounds).ok_or(KeyLength)?;
        // SAFETY: whoever has a `&'static Kernels` runs on a CPU that its `detect` accepted; the length was checked.
        unsafe {
            // In this order: few instructions that wait long, and behind them many that can begin meanwhile.
            (k.expand_key)(cipher_key, &mut self.key.keys);
            self.key.hmac = (k.hmac_key)(auth_key);
        }
        Ok(())
    }

    /// Encrypts and authenticates: `dst[..clear] = src[..clear]`, the rest of `src` is encrypted into `dst`. Returns
    /// HMAC-SHA1 of `dst[..src.len()] || trailer`, of which the caller sends the first bytes.
    ///
    /// `clear` is the length of what stays readable: the RTP header, or a whole SRTCP packet whose E bit is 0.
    /// `trailer` is the rollover counter, or E and the SRTCP index. Nothing behind `dst[..src.len()]` is written.
    ///
    /// # Panics
    /// When `clear > src.len()` or `dst.len() < src.len()`.
    #[must_use = "without its tag the packet cannot be authenticated"]
    #[inline(always)]
    pub fn seal(
        &self,
        iv: &[u8; 16],
        clear: usize,
        src: &[u8],
        dst: &mut [u8],
        trailer: &[u8; 4],
    ) -> [u8; 20] {
        let span = Span::copy(clear, src, dst);
        // SAFETY: this CPU runs the level (`new` had its `Kernels`); `span` was made from two slices.
        unsafe { (self.key.fns.seal)(&self.key, u128::from_le_bytes(*iv), span, *trailer) }.0
    }

    /// As [`Self::seal`], in place. An unauthenticated packet is also decrypted by this, leaving the tag unused:
    /// counter mode is its own inverse.
    ///
    /// # Panics
    /// When `clear > packet.len()`.
    #[inline]
    pub fn seal_in_place(
        &self,
        iv: &[u8; 16],
        clear: usize,
        packet: &mut [u8],
        trailer: &[u8; 4],
    ) -> [u8; 20] {
        let span = Span::in_place(clear, packet);
        // SAFETY: this CPU runs the level (`new` had its `Kernels`); `span` was made from a slice.
        unsafe { (self.key.fns.seal)(&self.key, u128::from_le_bytes(*iv), span, *trailer) }.0
    }

    /// Compares `tag` in constant time with the beginning of HMAC-SHA1 of `packet || trailer` and decrypts
    /// `packet[clear..]` if it is the same. On failure `packet` is byte for byte what it was. (Meanwhile a level may have
    /// decrypted it, and encrypted it again.)
    ///
    /// A tag has 4 to 20 bytes; any other length fails.
    ///
    /// # Panics
    /// When `clear > packet.len()`.
    #[inline]
    pub fn open_in_place(
        &self,
        iv: &[u8; 16],
        clear: usize,
        packet: &mut [u8],
        trailer: &[u8; 4],
        tag: &[u8],
    ) -> Result<(), AuthFailed> {
        if !LENGTHS_CM.contains(&tag.len()) {
            return Err(AuthFailed);
        }
        let span = Span::in_place(clear, packet);
        // SAFETY: this CPU runs the level (`new` had its `Kernels`); `span` was made from a slice; 4 to 20 bytes of tag.
        let good = unsafe {
            (self.key.fns.open)(&self.key, u128::from_le_bytes(*iv), span, *trailer, tag)
        };
        if good { Ok(()) } else { Err(AuthFailed) }
    }
}

/// The AES-CM key stream of the key derivation (RFC 3711, 4.3.3): each counter block becomes its block of key stream
/// under `master_key`. Blocks are little-endian integers: the first byte is the lowest. All are given together, so that
/// they are encrypted side by side.
pub fn aes_cm_prf(
    k: &'static Kernels,
    master_key: &[u8],
    blocks: &mut [u128],
) -> Result<(), KeyLength> {
    let rounds = round_keys_for(master_key.len()).ok_or(KeyLength)?;
    let mut keys = Blocks([0; 15]);
    // SAFETY: whoever has a `&'static Kernels` runs on a CPU that its `detect` accepted; the length was checked.
    unsafe {
        (k.expand_key)(master_key, &mut keys.0);
        (k.encrypt_blocks)(&keys.0, rounds, blocks);
    }
    Ok(())
}
