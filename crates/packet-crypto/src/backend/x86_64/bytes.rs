//! Byte shifts by an amount known at run time (a public one: a length), and the ragged ends of packets.

use core::arch::x86_64::*;

use crate::key::Span;

/// 16 times "nothing", the 16 bytes in order, 16 times "nothing": the shuffle mask at offset 16 - n shifts up by n.
static SHIFTS: [u8; 48] = {
    let mut t = [0x80; 48];
    let mut i = 0;
    while i < 16 {
        t[16 + i] = i as u8;
        i += 1;
    }
    t
};

static ONES: [u8; 32] = {
    let mut t = [0; 32];
    let mut i = 0;
    while i < 16 {
        t[i] = 0xff;
        i += 1;
    }
    t
};

/// The mask for `_mm_shuffle_epi8` that moves each byte `n` places up (towards the higher address), or down when `n`
/// is negative, and fills with zero.
///
/// # Safety
/// `-16 <= n <= 16`.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) unsafe fn shift(n: isize) -> __m128i {
    debug_assert!((-16..=16).contains(&n));
    // SAFETY: -16 <= n <= 16, so 16 bytes from offset 16 - n are inside the 48.
    unsafe { _mm_loadu_si128(SHIFTS.as_ptr().offset(16 - n).cast()) }
}

/// The first `n` bytes set, the others zero.
///
/// # Safety
/// `n <= 16`.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) unsafe fn first(n: usize) -> __m128i {
    debug_assert!(n <= 16);
    // SAFETY: n <= 16, so 16 bytes from offset 16 - n are inside the 32.
    unsafe { _mm_loadu_si128(ONES.as_ptr().add(16 - n).cast()) }
}

/// The last `n` bytes before `end`, at the vector's beginning, zeros behind. `total` says how many bytes before `end`
/// are readable at all.
///
/// # Safety
/// `1 <= n <= 15`, `n <= total`, and `total` bytes before `end` are readable.
#[inline]
#[target_feature(enable = "sse2,ssse3")]
pub(super) unsafe fn load_last(end: *const u8, n: usize, total: usize) -> __m128i {
    if total >= 16 {
        // SAFETY: 16 bytes before `end` are readable, as `total` says; `n` is 1 to 15, so the shift is -15 to -1.
        unsafe {
            let v = _mm_loadu_si128(end.sub(16).cast());
            return _mm_shuffle_epi8(v, shift(n as isize - 16));
        }
    }
    // SAFETY: `n` bytes before `end` are readable, at most 15.
    unsafe { load_few(end.sub(n), n) }
}

/// `n` bytes of a packet that has no sixteen, zeros behind.
///
/// # Safety
/// `n` bytes at `at` are readable, `n <= 16`.
#[cold]
#[target_feature(enable = "sse2")]
unsafe fn load_few(at: *const u8, n: usize) -> __m128i {
    let mut bytes = [0u8; 16];
    // SAFETY: `n` bytes are readable and `n <= 16`, as the caller promises; `bytes` has room for 16.
    unsafe {
        at.copy_to_nonoverlapping(bytes.as_mut_ptr(), n);
        _mm_loadu_si128(bytes.as_ptr().cast())
    }
}

/// Stores the first `n` bytes of `last` so that they end at `end`. `previous` is what was stored in the 16 bytes
/// before them (some of which are stored again, unchanged) when there are so many.
///
/// # Safety
/// `1 <= n <= 15`, `n <= total`, `total` bytes before `end` are writable, and if `total >= 16` the 16 bytes before
/// the last `n` that are inside the packet are `previous`'s.
#[inline]
#[target_feature(enable = "sse2,ssse3")]
pub(super) unsafe fn store_last(
    end: *mut u8,
    n: usize,
    total: usize,
    previous: __m128i,
    last: __m128i,
) {
    if total >= 16 {
        let n = n as isize;
        // SAFETY: 16 bytes before `end` are writable, as `total` says; `n` is 1 to 15, so the shifts are -15 to 15.
        unsafe {
            let joined = _mm_or_si128(
                _mm_shuffle_epi8(previous, shift(-n)),
                _mm_shuffle_epi8(last, shift(16 - n)),
            );
            _mm_storeu_si128(end.sub(16).cast(), joined);
        }
        return;
    }
    // SAFETY: `n` bytes before `end` are writable, at most 15.
    unsafe { store_few(end.sub(n), n, last) };
}

/// The first `n` bytes of `v` into a packet that has no sixteen.
///
/// # Safety
/// `n` bytes at `at` are writable, `n <= 16`.
#[cold]
#[target_feature(enable = "sse2")]
unsafe fn store_few(at: *mut u8, n: usize, v: __m128i) {
    let mut bytes = [0u8; 16];
    // SAFETY: `n` bytes are writable and `n <= 16`, as the caller promises; `bytes` has 16.
    unsafe {
        _mm_storeu_si128(bytes.as_mut_ptr().cast(), v);
        bytes.as_ptr().copy_to_nonoverlapping(at, n);
    }
}

/// The first `n` bytes at `at`, zeros behind. `total` says how many bytes from `at` are readable at all.
///
/// # Safety
/// `n <= 16`, `n <= total`, and `total` bytes from `at` are readable.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) unsafe fn load_first(at: *const u8, n: usize, total: usize) -> __m128i {
    if total >= 16 {
        // SAFETY: 16 bytes from `at` are readable, as `total` says, and `n <= 16`.
        return unsafe { _mm_and_si128(_mm_loadu_si128(at.cast()), first(n)) };
    }
    // SAFETY: `n` bytes from `at` are readable, at most 15.
    unsafe { load_few(at, n) }
}

/// Copies the clear bytes at a packet's front when `dst` is another place. May also write bytes behind them that are
/// inside the packet: those must be written after this.
///
/// # Safety
/// `span` keeps its promise.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) unsafe fn copy_clear(span: Span) {
    let Span {
        src,
        dst,
        len,
        clear,
    } = span;
    if core::ptr::eq(src, dst) {
        return;
    }
    if clear <= 16 && len >= 16 {
        // SAFETY: 16 bytes are inside the packet.
        unsafe { _mm_storeu_si128(dst.cast(), _mm_loadu_si128(src.cast())) };
    } else {
        // SAFETY: `clear` bytes are inside the packet, and the places do not overlap, not being the same.
        unsafe { src.copy_to_nonoverlapping(dst, clear) };
    }
}
