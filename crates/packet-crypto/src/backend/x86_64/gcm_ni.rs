//! AES-GCM with AES-NI and PCLMULQDQ.

use core::arch::x86_64::*;

use super::aes::{Counter, encrypt, encrypt_while, load, vector};
use super::bytes::{copy_clear, first, load_first, load_last, shift, store_last};
use super::ctr;
use super::ghash::{self, Hash, Sum, one_of_eight};
use super::sha1_ni::swap;
use crate::key::{Block, HashKeys, RoundKeys, Span};
use crate::table::GcmKey;
use crate::tag;

/// Bytes of eight blocks: a group.
const GROUP: usize = 128;

/// The counter of the nonce's blocks: number 0 masks the tag, number 1 begins the key stream (SP 800-38D, 7.1).
#[inline]
#[target_feature(enable = "sse2,ssse3")]
fn counter(nonce: Block) -> Counter {
    Counter::new(vector(nonce | 1 << 120))
}

/// The last block of associated data, `packet[..clear] || trailer`, with the hash of those before it, swapped: what is
/// multiplied first. Zero when there is none at all.
///
/// # Safety
/// `span` keeps its promise.
#[inline]
#[target_feature(enable = "sse2,ssse3,pclmulqdq")]
pub(super) unsafe fn associated(keys: &HashKeys, span: Span, trailer: &[u8]) -> __m128i {
    if trailer.is_empty() && span.clear <= 16 {
        // SAFETY: at most 16 of the packet's `len` bytes.
        return swap(unsafe { load_first(span.src, span.clear, span.len) });
    }
    // SAFETY: as the caller promises.
    unsafe { associated_blocks(keys, span, trailer) }
}

/// As [`associated`]. A function of its own, as the registers that it needs are wanted elsewhere.
///
/// # Safety
/// `span` keeps its promise, and there is associated data.
#[inline(never)]
#[target_feature(enable = "sse2,ssse3,pclmulqdq")]
unsafe fn associated_blocks(keys: &HashKeys, span: Span, trailer: &[u8]) -> __m128i {
    let all = span.clear + trailer.len();
    let mut hash = Hash::new(keys, all.div_ceil(16) - 1);
    let mut at = 0;
    while span.clear - at >= 16 && all - at > 16 {
        // SAFETY: 16 more of the clear bytes.
        hash.block(unsafe { _mm_loadu_si128(span.src.add(at).cast()) });
        at += 16;
    }
    if trailer.is_empty() {
        // SAFETY: 1 to 16 bytes are left of the clear ones, behind which is the rest of the packet.
        let last = unsafe { load_first(span.src.add(at), span.clear - at, span.len - at) };
        return _mm_xor_si128(swap(last), hash.value());
    }
    // SAFETY: the clear bytes are the packet's.
    let clear = unsafe { core::slice::from_raw_parts(span.src.add(at), span.clear - at) };
    let mut block = [0u8; 16];
    let mut used = 0;
    for mut part in [clear, trailer] {
        while !part.is_empty() {
            if used == 16 {
                hash.block(from_bytes(&block));
                block = [0; 16];
                used = 0;
            }
            let n = part.len().min(16 - used);
            block[used..used + n].copy_from_slice(&part[..n]);
            used += n;
            part = &part[n..];
        }
    }
    _mm_xor_si128(swap(from_bytes(&block)), hash.value())
}

/// How many blocks GHASH takes: the last one of associated data, data, lengths.
#[inline]
fn blocks(span: Span) -> usize {
    1 + (span.len - span.clear).div_ceil(16) + 1
}

/// Encrypts and hashes so many groups of eight blocks: each is hashed while the next one is encrypted. `y` is what was
/// hashed before. Returns the hash.
///
/// # Safety
/// At least one group, all readable at `src` and writable at `dst`, which are the same place or do not overlap.
#[inline(never)]
#[target_feature(enable = "sse2,ssse3,aes,pclmulqdq")]
unsafe fn seal_groups<const R: usize>(
    key: &GcmKey,
    counter: Counter,
    src: *const u8,
    dst: *mut u8,
    groups: usize,
    mut y: __m128i,
) -> __m128i {
    let mut stream = encrypt::<R, 8>(&key.keys, counter.several(1));
    for group in 0..groups {
        let at = GROUP * group;
        for (i, k) in stream.iter().enumerate() {
            // SAFETY: the block is one of the group's.
            unsafe {
                let v = _mm_loadu_si128(src.add(at + 16 * i).cast());
                _mm_storeu_si128(dst.add(at + 16 * i).cast(), _mm_xor_si128(v, *k));
            }
        }
        let mut sum = Sum::zero();
        // SAFETY: the group was written just now.
        let hash = |i| unsafe { one_of_eight(&mut sum, &key.hash_keys, dst.add(at), y, i) };
        if group + 1 < groups {
            let next = counter.several(1 + 8 * (group as i32 + 1));
            stream = encrypt_while::<R>(&key.keys, next, hash);
        } else {
            (0..8).for_each(hash);
        }
        y = sum.reduce();
    }
    y
}

/// Encrypts and authenticates.
///
/// # Safety
/// `span` keeps its promise.
#[inline]
#[target_feature(enable = "sse2,ssse3,aes,pclmulqdq")]
pub(super) unsafe fn seal<const R: usize>(
    key: &GcmKey,
    nonce: Block,
    span: Span,
    trailer: &[u8],
) -> [u8; 16] {
    let Span {
        src,
        dst,
        len,
        clear,
    } = span;
    let counter = counter(nonce);
    // SAFETY: `span` keeps its promise.
    let header = unsafe {
        let header = associated(&key.hash_keys, span, trailer);
        copy_clear(span);
        header
    };
    let mut at = clear;
    let mut n = 0;
    let mut mask = _mm_setzero_si128();
    let mut hash;
    let groups = (len - clear) / GROUP;
    if groups > 0 {
        let y = ghash::multiply(header, load(&key.hash_keys[15]));
        // SAFETY: so many groups are the packet's data.
        let y = unsafe { seal_groups::<R>(key, counter, src.add(at), dst.add(at), groups, y) };
        at += GROUP * groups;
        n = 1 + 8 * groups as i32;
        [mask] = encrypt::<R, 1>(&key.keys, [counter.at(0)]);
        hash = Hash::behind(&key.hash_keys, y, 1 + (len - at).div_ceil(16));
    } else {
        hash = Hash::new(&key.hash_keys, blocks(span));
        hash.swapped(header);
    }
    // The block that masks the tag is otherwise made with the first ones.
    let mut previous = _mm_setzero_si128();
    if at >= 16 {
        // SAFETY: `at` bytes are written at `dst`.
        previous = unsafe { _mm_loadu_si128(dst.add(at - 16).cast()) };
    }
    while n == 0 || at < len {
        let stream = encrypt::<R, 4>(&key.keys, counter.several(n));
        for (i, k) in stream.into_iter().enumerate() {
            if n == 0 && i == 0 {
                mask = k;
                continue;
            }
            let left = len - at;
            if left >= 16 {
                // SAFETY: 16 more bytes are inside the packet.
                unsafe {
                    previous = _mm_xor_si128(_mm_loadu_si128(src.add(at).cast()), k);
                    _mm_storeu_si128(dst.add(at).cast(), previous);
                }
                hash.block(previous);
                at += 16;
            } else if left > 0 {
                // SAFETY: the last 1 to 15 bytes of the packet, of which all before are written.
                unsafe {
                    let v = _mm_xor_si128(load_last(src.add(len), left, len), k);
                    let v = _mm_and_si128(v, first(left));
                    if at == clear && clear < 16 && len >= 16 {
                        previous = before(dst.add(len), left);
                    }
                    store_last(dst.add(len), left, len, previous, v);
                    hash.block(v);
                }
                at = len;
            }
        }
        n += 4;
    }
    let tag = _mm_xor_si128(hash.finish(clear + trailer.len(), len - clear), mask);
    to_bytes(tag)
}

/// The bytes before the last `n`, at the end of the vector, when there are not sixteen of them.
///
/// # Safety
/// 16 bytes before `end` are readable; `n <= 16`.
#[inline]
#[target_feature(enable = "sse2,ssse3")]
unsafe fn before(end: *const u8, n: usize) -> __m128i {
    // SAFETY: 16 bytes before `end` are readable and `n` is a shift of at most 16, as the caller promises.
    unsafe {
        let all = _mm_loadu_si128(end.sub(16).cast());
        _mm_shuffle_epi8(all, shift(n as isize))
    }
}

#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn from_bytes(block: &[u8; 16]) -> __m128i {
    // SAFETY: `block` is 16 readable bytes.
    unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn to_bytes(v: __m128i) -> [u8; 16] {
    let mut out = [0; 16];
    // SAFETY: `out` is 16 writable bytes.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), v) };
    out
}

/// Authenticates, then decrypts. That the two passes are apart costs little: the second does not depend on the
/// first's result but by a branch, which the CPU foresees.
///
/// # Safety
/// `span` is in place and keeps its promise; `tag` has 1 to 16 bytes.
#[inline]
#[target_feature(enable = "sse2,ssse3,aes,pclmulqdq")]
pub(super) unsafe fn open<const R: usize>(
    key: &GcmKey,
    nonce: Block,
    span: Span,
    trailer: &[u8],
    tag: &[u8],
) -> bool {
    let Span {
        src,
        dst,
        len,
        clear,
    } = span;
    let counter = counter(nonce);
    let [mask] = encrypt::<R, 1>(&key.keys, [counter.at(0)]);
    // SAFETY: `span` keeps its promise.
    let header = unsafe { associated(&key.hash_keys, span, trailer) };
    let mut at = clear;
    let mut hash;
    let groups = (len - clear) / GROUP;
    if groups > 0 {
        let mut y = ghash::multiply(header, load(&key.hash_keys[15]));
        for _ in 0..groups {
            let mut sum = Sum::zero();
            for i in 0..8 {
                // SAFETY: so many groups are the packet's data.
                unsafe { one_of_eight(&mut sum, &key.hash_keys, src.add(at), y, i) };
            }
            y = sum.reduce();
            at += GROUP;
        }
        hash = Hash::behind(&key.hash_keys, y, 1 + (len - at).div_ceil(16));
    } else {
        hash = Hash::new(&key.hash_keys, blocks(span));
        hash.swapped(header);
    }
    while len - at >= 16 {
        // SAFETY: 16 more bytes are inside the packet.
        hash.block(unsafe { _mm_loadu_si128(src.add(at).cast()) });
        at += 16;
    }
    if at < len {
        // SAFETY: the last 1 to 15 bytes of the packet.
        hash.block(unsafe { load_last(src.add(len), len - at, len) });
    }
    let mac = to_bytes(_mm_xor_si128(
        hash.finish(clear + trailer.len(), len - clear),
        mask,
    ));
    let good = tag::matches(&mac, tag);
    if good {
        // SAFETY: the packet is ours to change; the clear bytes in front are final.
        unsafe {
            ctr::add::<R>(
                &key.keys,
                counter,
                1,
                dst.add(clear),
                dst.add(clear),
                len - clear,
                clear,
            );
        }
    }
    good
}

/// The powers of the hash key.
#[target_feature(enable = "sse2,ssse3,aes,pclmulqdq")]
pub(super) fn hash_keys(keys: &RoundKeys, rounds: usize, out: &mut HashKeys) {
    let zero = [_mm_setzero_si128()];
    let [h] = match rounds {
        11 => encrypt::<11, 1>(keys, zero),
        _ => encrypt::<15, 1>(keys, zero),
    };
    ghash::powers(h, out);
}
