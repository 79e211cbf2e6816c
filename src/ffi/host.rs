//! The Asterisk that loaded us: its versions, and what can be probed of its layout.

use std::ffi::{c_char, c_int};
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::guard::guard;
use super::{sys, text};

/// The Asterisk version whose headers the module was built with.
pub const BUILT_ASTERISK: &str = env!("CIPHERTRUNK_ASTERISK_VERSION");

/// The running Asterisk's version.
pub fn asterisk_version() -> String {
    // SAFETY: a static string.
    unsafe { text(sys::ast_get_version()) }.unwrap_or_default()
}

/// Asterisk's configuration directory (`astetcdir`).
pub fn config_dir() -> PathBuf {
    // SAFETY: a string that Asterisk sets before it loads modules, and leaves.
    let dir = unsafe { text(sys::ast_config_AST_CONFIG_DIR) };
    PathBuf::from(dir.unwrap_or_default())
}

/// Whether Asterisk has module `name` in its list, running or not. On a thread that may take that list.
pub fn is_module_known(name: &str) -> bool {
    let name = super::c_text(name);
    // SAFETY: the name lives during the call, which only compares it.
    unsafe { sys::ast_module_check(name.as_ptr()) != 0 }
}

/// Whether Asterisk has module `name` in its list, and it runs. Only at load and unload: the list is locked then.
pub fn is_module_running(name: &str) -> bool {
    static RUNNING: AtomicBool = AtomicBool::new(false);

    extern "C" fn entry(
        module: *const c_char,
        _description: *const c_char,
        _uses: c_int,
        status: *const c_char,
        wanted: *const c_char,
        _support: sys::ast_module_support_level,
    ) -> c_int {
        guard(0, || {
            // SAFETY: the name of a module in the list, which is locked, the one that was asked for, and a constant of the loader's.
            let (module, wanted, status) = unsafe { (text(module), text(wanted), text(status)) };
            if module == wanted && status.is_some_and(|status| status == "Running") {
                RUNNING.store(true, Ordering::Relaxed);
            }
            0
        })
    }

    let name = super::c_text(name);
    RUNNING.store(false, Ordering::Relaxed);
    // SAFETY: `entry` is called during the call alone, for each module in the list and with `name` beside it, and keeps nothing.
    unsafe { sys::ast_update_module_list(Some(entry), name.as_ptr()) };
    RUNNING.load(Ordering::Relaxed)
}

/// Whether Asterisk is stopping. It walks its list of modules then, and nobody may change that.
pub fn is_stopping() -> bool {
    // SAFETY: reads a flag of Asterisk's.
    unsafe { sys::ast_shutting_down() != 0 }
}

/// How unloading another module ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unloaded {
    /// It was loaded and is gone.
    Gone,
    /// It was not loaded, or it is in use and stays.
    Refused,
}

/// Unloads module `name` if nothing uses it (`module unload NAME`). Only from load, reload and unload: Asterisk locks its
/// list of modules for it, and holds that lock across our `unload`, so a thread that `unload` waits for must never ask.
pub fn unload_module(name: &str) -> Unloaded {
    let name = super::c_text(name);
    // SAFETY: the name lives during the call, and it is never our own. The lock of the list is recursive.
    if unsafe { sys::ast_unload_resource(name.as_ptr(), 0) } == 0 {
        Unloaded::Gone
    } else {
        Unloaded::Refused
    }
}

/// Milliseconds of a clock that never goes back, to about 4 ms: it is read for each packet, so it is the cheap one.
pub fn monotonic_ms() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: fills `now`; the clock exists on every Linux that Asterisk runs on.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut now) };
    now.tv_sec.cast_unsigned() * 1000 + now.tv_nsec.cast_unsigned() / 1_000_000
}

/// The open descriptors of the process. `None`: the system does not say.
pub fn open_descriptors() -> Option<usize> {
    // Linux 6.2 and later keep count, and the size is it; before, it is 0, and a busy process takes 10 ms to read through.
    let kept = std::fs::metadata("/proc/self/fd").ok()?.len();
    if let Some(kept) = usize::try_from(kept).ok().filter(|kept| *kept > 0) {
        return Some(kept);
    }
    // One of them reads the folder.
    let found = std::fs::read_dir("/proc/self/fd").ok()?.count();
    Some(found.saturating_sub(1))
}

/// How many descriptors the process may have open. `None`: as many as it likes.
pub fn descriptor_limit() -> Option<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: fills `limit`; it fails for no resource that there is.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    (limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// The number of the user that Asterisk runs as.
#[cfg(feature = "pjsip")]
pub fn user_id() -> u32 {
    // SAFETY: no precondition; it cannot fail.
    unsafe { libc::geteuid() }
}

/// Whom Asterisk runs as, for a sentence: `user asterisk (uid 101, gid 101)`.
pub fn user() -> String {
    // SAFETY: no precondition; they cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    format!("user {} (uid {uid}, gid {gid})", name_of(uid))
}

/// A user's name; the number where there is none.
fn name_of(uid: libc::uid_t) -> String {
    let mut buffer = [0; 4096];
    let mut found = ptr::null_mut();
    let mut entry = std::mem::MaybeUninit::<libc::passwd>::uninit();
    // SAFETY: the entry's texts go into `buffer`, which outlives their use below; `found` is NULL or points to `entry`, which is
    // filled then.
    let name = unsafe {
        libc::getpwuid_r(
            uid,
            entry.as_mut_ptr(),
            buffer.as_mut_ptr(),
            buffer.len(),
            &raw mut found,
        );
        found.as_ref().and_then(|entry| text(entry.pw_name))
    };
    name.unwrap_or_else(|| uid.to_string())
}
