//! The x86-64 levels.

mod aes;
mod aes_vaes;
mod bytes;
mod cm_sha_ni;
mod cm_split;
mod cm_vaes;
mod cm_wide;
mod ctr;
#[cfg(feature = "batch")]
mod ctr_vaes;
mod gcm_ni;
mod gcm_vaes;
mod gcm_vaes256;
mod ghash;
mod ghash_vaes;
mod poly;
#[cfg(feature = "batch")]
mod sha1_lanes;
mod sha1_ni;
mod sha1_scalar;
mod vaes256;

use crate::table::Kernels;
#[cfg(feature = "batch")]
use crate::table::Lanes;

/// Makes a level from a list of CPU features, stated here only: it is what `detect` asks the CPU for and what the
/// entry functions are compiled with. The functions behind them name the features they need themselves; the compiler
/// refuses a call to one that needs more than the level has. `ctr` and `lanes` are what a batch takes.
macro_rules! level {
    (
        $module:ident, $name:literal, [$($feature:tt),+ $(,)?],
        cm: $cm:ident, hmac_key: $hmac_key:path, gcm: $gcm:ident,
        ctr: $ctr:ident, lanes: $lanes:expr $(,)?
    ) => {
        mod $module {
            use super::*;
            use crate::table::{CmFns, CmKey, GcmFns, GcmKey, Mac};
            use crate::key::{Block, HashKeys, HmacKey, PolyKey, RoundKeys, Span};

            pub(super) static KERNELS: Kernels = Kernels {
                name: $name,
                detect: || $(is_x86_feature_detected!($feature))&&+,
                expand_key,
                hmac_key,
                hash_keys,
                encrypt_blocks,
                poly_hash,
                cm: [cm::<11>(), cm::<13>(), cm::<15>()],
                gcm: [gcm::<11>(), gcm::<15>()],
            };

            const fn cm<const R: usize>() -> CmFns {
                CmFns {
                    rounds: R,
                    seal: cm_seal::<R>,
                    open: cm_open::<R>,
                    #[cfg(feature = "batch")]
                    ctr: cm_ctr::<R>,
                    #[cfg(feature = "batch")]
                    lanes: $lanes,
                }
            }

            const fn gcm<const R: usize>() -> GcmFns {
                GcmFns { seal: gcm_seal::<R>, open: gcm_open::<R> }
            }

            #[target_feature($(enable = $feature),+)]
            fn expand_key(key: &[u8], out: &mut RoundKeys) {
                aes::expand_key(key, out);
            }

            #[target_feature($(enable = $feature),+)]
            fn hmac_key(key: &[u8; 20]) -> HmacKey {
                $hmac_key(key)
            }

            #[target_feature($(enable = $feature),+)]
            fn hash_keys(keys: &RoundKeys, rounds: usize, out: &mut HashKeys) {
                gcm_ni::hash_keys(keys, rounds, out);
            }

            #[target_feature($(enable = $feature),+)]
            fn encrypt_blocks(keys: &RoundKeys, rounds: usize, blocks: &mut [u128]) {
                aes::encrypt_blocks(keys, rounds, blocks);
            }

            #[target_feature($(enable = $feature),+)]
            fn poly_hash(key: &PolyKey, data: &[u8]) -> u64 {
                poly::hash(key, data)
            }

            /// # Safety
            /// See [`CmFns`].
            #[target_feature($(enable = $feature),+)]
            unsafe fn cm_seal<const R: usize>(
                key: &CmKey, iv: Block, span: Span, trailer: [u8; 4],
            ) -> Mac {
                // SAFETY: the caller keeps what `CmFns` states, and that is all this asks; that the level has the CPU
                // features of the function is checked by the compiler.
                Mac(unsafe { $cm::seal::<R>(key, iv, span, trailer) })
            }

            /// # Safety
            /// See [`CmFns`].
            #[target_feature($(enable = $feature),+)]
            unsafe fn cm_open<const R: usize>(
                key: &CmKey, iv: Block, span: Span, trailer: [u8; 4], tag: &[u8],
            ) -> bool {
                // SAFETY: the caller keeps what `CmFns` states, and that is all this asks: a span in place, a tag of 1
                // to 20 bytes. The compiler checks the CPU features.
                unsafe { $cm::open::<R>(key, iv, span, trailer, tag) }
            }

            /// # Safety
            /// See [`CmFns`].
            #[cfg(feature = "batch")]
            #[target_feature($(enable = $feature),+)]
            unsafe fn cm_ctr<const R: usize>(key: &CmKey, iv: Block, span: Span) {
                // SAFETY: the caller keeps what `CmFns` states, and that is all this asks: the span. The compiler
                // checks the CPU features.
                unsafe { $ctr::ctr::<R>(key, iv, span) }
            }

            /// # Safety
            /// See [`GcmFns`].
            #[target_feature($(enable = $feature),+)]
            unsafe fn gcm_seal<const R: usize>(
                key: &GcmKey, nonce: Block, span: Span, trailer: &[u8],
            ) -> [u8; 16] {
                // SAFETY: the caller keeps what `GcmFns` states, and that is all this asks: the span. The compiler
                // checks the CPU features.
                unsafe { $gcm::seal::<R>(key, nonce, span, trailer) }
            }

            /// # Safety
            /// See [`GcmFns`].
            #[target_feature($(enable = $feature),+)]
            unsafe fn gcm_open<const R: usize>(
                key: &GcmKey, nonce: Block, span: Span, trailer: &[u8], tag: &[u8],
            ) -> bool {
                // SAFETY: the caller keeps what `GcmFns` states, and that is all this asks: a span in place, a tag of 1
                // to 16 bytes. The compiler checks the CPU features.
                unsafe { $gcm::open::<R>(key, nonce, span, trailer, tag) }
            }
        }
    };
}

level!(
    avx512,
    "x86_64 AES-NI+SHA-NI+VAES-AVX512",
    [
        "sse2", "ssse3", "aes", "pclmulqdq", "sha", "bmi2", "avx2", "avx512f", "avx512vl", "avx512bw", "avx512vbmi", "vaes", "vpclmulqdq"
    ],
    cm: cm_vaes, hmac_key: sha1_ni::hmac_key_vl, gcm: gcm_vaes, ctr: ctr_vaes, lanes: SIXTEEN,
);

// The same CPU features. The level above does without SHA-NI's instructions for the message schedule, which are microcode
// on Intel's CPUs; on AMD's they are quick, and vectors of 64 bytes close no port to SHA-1.
level!(
    zen,
    "x86_64 AES-NI+SHA-NI+VAES-AVX512, AMD",
    [
        "sse2", "ssse3", "aes", "pclmulqdq", "sha", "bmi2", "avx2", "avx512f", "avx512vl", "avx512bw", "avx512vbmi", "vaes", "vpclmulqdq"
    ],
    cm: cm_wide, hmac_key: sha1_ni::hmac_key_quick, gcm: gcm_vaes, ctr: ctr_vaes, lanes: SIXTEEN,
);

// VAES is not AVX-512: Zen 3 and Alder Lake have it in vectors of 32 bytes alone.
level!(
    vaes_avx2,
    "x86_64 AES-NI+SHA-NI+VAES-AVX2",
    ["sse2", "ssse3", "aes", "pclmulqdq", "sha", "avx2", "vaes", "vpclmulqdq"],
    cm: cm_sha_ni, hmac_key: sha1_ni::hmac_key, gcm: gcm_vaes256, ctr: cm_split, lanes: EIGHT,
);

level!(
    sha_ni_avx2,
    "x86_64 AES-NI+SHA-NI+AVX2",
    ["sse2", "ssse3", "aes", "pclmulqdq", "sha", "avx2"],
    cm: cm_sha_ni, hmac_key: sha1_ni::hmac_key, gcm: gcm_ni, ctr: cm_split, lanes: EIGHT,
);

level!(
    sha_ni,
    "x86_64 AES-NI+SHA-NI",
    ["sse2", "ssse3", "aes", "pclmulqdq", "sha"],
    cm: cm_sha_ni, hmac_key: sha1_ni::hmac_key, gcm: gcm_ni, ctr: cm_split, lanes: None,
);

level!(
    avx2,
    "x86_64 AES-NI+AVX2",
    ["sse2", "ssse3", "aes", "pclmulqdq", "avx2"],
    cm: cm_split, hmac_key: sha1_scalar::hmac_key, gcm: gcm_ni, ctr: cm_split, lanes: EIGHT_WITHOUT_SHA_NI,
);

level!(
    sse,
    "x86_64 AES-NI",
    ["sse2", "ssse3", "aes", "pclmulqdq"],
    cm: cm_split, hmac_key: sha1_scalar::hmac_key, gcm: gcm_ni, ctr: cm_split, lanes: None,
);

/// Sixteen lanes take as long as about five packets one after the other, measured with SHA-NI.
#[cfg(feature = "batch")]
const SIXTEEN: Option<Lanes> = Some(Lanes {
    width: 16,
    least: 6,
    hmac: sha1_lanes::sixteen::hmac,
});

/// Eight lanes take as long as two packets without SHA-NI.
#[cfg(feature = "batch")]
const EIGHT_WITHOUT_SHA_NI: Option<Lanes> = Some(Lanes {
    width: 8,
    least: 3,
    hmac: sha1_lanes::eight::hmac,
});

/// Eight lanes take as long as four packets with SHA-NI.
#[cfg(feature = "batch")]
const EIGHT: Option<Lanes> = Some(Lanes {
    width: 8,
    least: 5,
    hmac: sha1_lanes::eight::hmac,
});

/// Best first. Which of two levels with the same instructions is the quicker depends on who made the CPU.
pub(super) fn levels() -> impl Iterator<Item = &'static Kernels> {
    static REST: [&Kernels; 5] = [
        &vaes_avx2::KERNELS,
        &sha_ni_avx2::KERNELS,
        &sha_ni::KERNELS,
        &avx2::KERNELS,
        &sse::KERNELS,
    ];
    let widest = if made_by_amd() {
        [&zen::KERNELS, &avx512::KERNELS]
    } else {
        [&avx512::KERNELS, &zen::KERNELS]
    };
    widest.into_iter().chain(REST)
}

/// Whether the CPU is AMD's, or of its design.
fn made_by_amd() -> bool {
    let leaf = core::arch::x86_64::__cpuid(0);
    let vendor = [leaf.ebx, leaf.edx, leaf.ecx].map(u32::to_le_bytes);
    matches!(vendor.as_flattened(), b"AuthenticAMD" | b"HygonGenuine")
}
