//! Comparison of tags whose time depends on the length only.

use subtle::ConstantTimeEq;

/// Whether `tag` is the beginning of `mac`. Lengths are public.
#[inline]
pub(crate) fn matches<const N: usize>(mac: &[u8; N], tag: &[u8]) -> bool {
    debug_assert!(!tag.is_empty() && tag.len() <= N);
    // Words first: 10 and 16 bytes, the usual lengths, are then two comparisons.
    let mut difference = 0u64;
    let (words, rest) = tag.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let ours: [u8; 8] = mac[8 * i..8 * i + 8].try_into().expect("eight bytes");
        difference |= u64::from_ne_bytes(ours) ^ u64::from_ne_bytes(*word);
    }
    for (ours, theirs) in mac[8 * words.len()..].iter().zip(rest) {
        difference |= u64::from(ours ^ theirs);
    }
    difference.ct_eq(&0).into()
}

/// HMAC-SHA1 tags: 4 and 10 bytes in SRTP; shorter ones would be guessed.
pub(crate) const LENGTHS_CM: core::ops::RangeInclusive<usize> = 4..=20;

/// AES-GCM tags of RFC 7714 and its 8-byte profile.
pub(crate) const LENGTHS_GCM: [usize; 2] = [8, 16];
