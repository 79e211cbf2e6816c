//! The three functions by which Asterisk's loader enters the module (`AST_MODULE_INFO` in `include/shim.c`).

use std::cell::Cell;
use std::ffi::c_int;

use super::guard::{self, guard};
use super::log;

/// `AST_MODULE_LOAD_SUCCESS`, and what `unload` answers when it is done.
const DONE: c_int = 0;
/// `AST_MODULE_LOAD_DECLINE`: Asterisk goes on without us, unless `modules.conf` requires the module.
const DECLINED: c_int = 1;
/// What `reload` and `unload` answer when they refuse.
const REFUSED: c_int = -1;

thread_local! {
    static IN_LOADER: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is Asterisk's loader's, which has its list of modules locked: no module comes or goes meanwhile.
#[cfg(feature = "pjsip")]
pub(super) fn is_in_loader() -> bool {
    IN_LOADER.get()
}

/// Runs `work` as what it is, a call of the loader's.
fn in_loader<T>(work: impl FnOnce() -> T) -> T {
    IN_LOADER.set(true);
    let done = work();
    IN_LOADER.set(false);
    done
}

/// Runs `load`. The lines of what goes wrong are in Asterisk's log; when it fails, nothing of ours is left outside of the
/// library.
pub fn load(load: fn() -> Result<(), String>) -> c_int {
    log::install();
    guard::install();
    let loaded = in_loader(|| {
        guard(None, || {
            load()
                .inspect_err(|reason| ::log::error!("not loaded: {reason}"))
                .ok()
        })
    });
    if loaded.is_some() {
        return DONE;
    }
    guard::remove();
    DECLINED
}

/// Runs `reload`. `false`: not everything is in force, and Asterisk's console says that the module reported a failure.
pub fn reload(reload: fn() -> bool) -> c_int {
    in_loader(|| guard(REFUSED, || if reload() { DONE } else { REFUSED }))
}

/// Runs `unload`, which says itself why the module stays.
pub fn unload(unload: fn() -> bool) -> c_int {
    let gone = in_loader(|| guard(false, unload));
    if !gone {
        return REFUSED;
    }
    guard::remove();
    DONE
}

/// Exports `ciphertrunk_load`, `ciphertrunk_reload` and `ciphertrunk_unload`, which `include/shim.c` names. Once, in
/// `lib.rs`, because this room knows no other.
#[macro_export]
macro_rules! module_entry {
    (load: $load:path, reload: $reload:path, unload: $unload:path $(,)?) => {
        const _: () = {
            // An exported name is `unsafe` because it could stand for another library's: these carry the module's own.
            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            extern "C" fn ciphertrunk_load() -> ::std::ffi::c_int {
                $crate::ffi::entry::load($load)
            }
            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            extern "C" fn ciphertrunk_reload() -> ::std::ffi::c_int {
                $crate::ffi::entry::reload($reload)
            }
            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            extern "C" fn ciphertrunk_unload() -> ::std::ffi::c_int {
                $crate::ffi::entry::unload($unload)
            }
        };
    };
}
