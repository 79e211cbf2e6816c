//! The guard in front of libsrtp's start.
//!
//! `res_srtp.so` begins with `srtp_init`, and when it then finds our engine registered it cleans up by unregistering
//! *ours*: live calls would go on in clear. The module is loaded with global symbols, so a `res_srtp.so` that is loaded
//! after it binds to the `srtp_init` here and is refused at that first step. Everybody else gets libsrtp's own
//! (`ct_srtp_init` in `include/shim.c`).
//!
//! glibc keeps our library mapped while another library is bound to the symbol (`add_dependency` in its `elf/dl-lookup.c`),
//! and Asterisk 22 keeps a `res_srtp.so` that was refused in memory. So an unload of ours takes a refused one out
//! ([`forget_stock`]).

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};

use super::guard::guard;
use super::{host, sys};

/// Stock's module, which has the same name in every Asterisk.
pub const STOCK: &str = "res_srtp.so";

/// Whether stock's start is refused: while the engine is ours. The library can be mapped longer than that.
static REFUSING: AtomicBool = AtomicBool::new(false);
/// A start was refused, so stock's library may be in memory, bound to ours.
static REFUSED: AtomicBool = AtomicBool::new(false);

/// Stock's start is refused while the value lives.
#[derive(Debug)]
pub struct StockRefused(());

impl StockRefused {
    /// From now on.
    pub fn begin() -> Self {
        REFUSING.store(true, Ordering::Release);
        Self(())
    }
}

impl Drop for StockRefused {
    fn drop(&mut self) {
        REFUSING.store(false, Ordering::Release);
    }
}

/// Has Asterisk let go of a `res_srtp.so` whose start was refused. Only at unload: it needs the list of modules, which the
/// loader holds across our `unload`.
pub fn forget_stock() {
    if REFUSED.swap(false, Ordering::AcqRel) && !host::is_stopping() && host::is_module_known(STOCK)
    {
        host::unload_module(STOCK);
    }
}

/// libsrtp's `srtp_init` as libraries that are loaded after us see it. A jump and not a call: the shim looks at who called.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn srtp_init() -> c_int {
    #[cfg(target_arch = "x86_64")]
    std::arch::naked_asm!("jmp {}", sym sys::ct_srtp_init);
    #[cfg(target_arch = "aarch64")]
    std::arch::naked_asm!("b {}", sym sys::ct_srtp_init);
}

/// Stock's module starts. Not 0: it is refused.
#[unsafe(no_mangle)]
extern "C" fn ciphertrunk_stock_starts() -> c_int {
    guard(1, || {
        if !REFUSING.load(Ordering::Acquire) {
            return 0;
        }
        REFUSED.store(true, Ordering::Release);
        log::error!(
            "res_srtp.so was asked to start while Ciphertrunk is the SRTP engine. It is refused, because its start would \
             take the engine away and live calls would go on in clear. Put `noload = res_srtp.so` into modules.conf"
        );
        1
    })
}
