//! What stands for libsrtp's `srtp_init` while we are loaded (include/shim.c, docs/safety.md).

use std::ffi::c_int;

use super::guard::guard;
use super::sys;

/// libsrtp's `srtp_init` as `res_srtp.so` sees it while we are loaded. A jump and not a call: the shim looks at who
/// called.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn srtp_init() -> c_int {
    #[cfg(target_arch = "x86_64")]
    std::arch::naked_asm!("jmp {}", sym sys::ct_srtp_init);
    #[cfg(target_arch = "aarch64")]
    std::arch::naked_asm!("b {}", sym sys::ct_srtp_init);
}

#[unsafe(no_mangle)]
extern "C" fn ciphertrunk_stock_refused() {
    guard((), || {
        log::error!(
            "res_srtp.so was asked to start while Ciphertrunk is the SRTP engine: refused, because its start would take \
             the engine away and live calls would go on in clear. Put `noload = res_srtp.so` into modules.conf"
        );
    });
}
