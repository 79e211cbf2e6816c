//! The Asterisk that loaded us: its versions, and what can be probed of its layout.

use std::ffi::{c_int, c_void};
use std::path::PathBuf;
use std::ptr;

use super::{sys, text};

/// The Asterisk version whose headers the module was built with.
pub const BUILT_ASTERISK: &str = env!("CIPHERTRUNK_ASTERISK_VERSION");

/// The running Asterisk's version.
pub fn asterisk_version() -> String {
    // SAFETY: a static string.
    unsafe { text(sys::ast_get_version()) }.unwrap_or_default()
}

/// The running pjproject's version.
pub fn pj_version() -> String {
    // SAFETY: a static string.
    unsafe { text(sys::pj_get_version()) }.unwrap_or_default()
}

/// The `major.minor` of the pjproject that the module was built with.
pub fn built_pj_branch() -> String {
    // SAFETY: a string constant of the shim's.
    unsafe { text(sys::ct_built_pj_branch) }.unwrap_or_default()
}

/// `PJSIP_MAX_PKT_LEN`, as built and as the running pjproject has it (`None`: it could not be asked).
pub fn pjsip_max_packet() -> (u32, Option<u32>) {
    extern "C" fn probe(found: *mut c_void) -> c_int {
        // SAFETY: the address of the caller's `found`, which waits for this task; a servant thread is known to pjlib.
        unsafe { *found.cast::<u32>() = sys::ct_probe_pjsip_max_pkt_len() };
        0
    }
    let mut found = 0u32;
    // SAFETY: waits until `probe` is done with `found`.
    let failed = unsafe { sys::ct_sip_servant_wait(Some(probe), ptr::from_mut(&mut found).cast()) };
    // SAFETY: a constant of the shim's.
    let built = unsafe { sys::ct_built_pjsip_max_pkt_len };
    (built, (failed == 0 && found != 0).then_some(found))
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
