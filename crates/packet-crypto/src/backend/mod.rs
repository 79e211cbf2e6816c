//! The CPU levels. Everything that is an intrinsic is below here, and nothing here knows a protocol.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod generic;
mod soft;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use crate::table::Kernels;

pub(crate) use soft::SOFT;

/// Every level that this build has, best first, the portable one last.
pub(crate) fn levels() -> impl Iterator<Item = &'static Kernels> {
    #[cfg(target_arch = "x86_64")]
    let native = x86_64::LEVELS;
    #[cfg(target_arch = "aarch64")]
    let native = [&aarch64::ARMV8];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let native: [&Kernels; 0] = [];
    native.into_iter().chain([&SOFT])
}
