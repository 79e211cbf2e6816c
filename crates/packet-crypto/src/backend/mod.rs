//! The CPU levels. Everything that is an intrinsic is below here, and nothing here knows a protocol.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod generic;
mod soft;
#[cfg(feature = "system")]
mod system;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use crate::table::Kernels;

pub(crate) use soft::SOFT;

/// Every level that this build has, best first; the portable one, and behind it OpenSSL's, which is none of ours.
pub(crate) fn levels() -> impl Iterator<Item = &'static Kernels> {
    #[cfg(target_arch = "x86_64")]
    let native = x86_64::levels();
    #[cfg(target_arch = "aarch64")]
    let native = [&aarch64::ARMV8];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let native: [&Kernels; 0] = [];
    #[cfg(feature = "system")]
    let system = [&system::SYSTEM];
    #[cfg(not(feature = "system"))]
    let system: [&Kernels; 0] = [];
    native.into_iter().chain([&SOFT]).chain(system)
}
