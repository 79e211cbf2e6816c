//! `res_prometheus`: what is asked for when its page is read.
//!
//! It gives no sign when it is loaded or goes, and is no reason for ours to stay: [`look`] finds out by glibc's count of
//! libraries, and nothing of it is held in between. `include/prometheus.c` has how it is found.

use std::ffi::c_void;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::guard::guard;
use super::sync::Mutex;
use super::{c_text, sys};

/// The text of the page, in Prometheus's text format.
type Page = fn() -> String;

static PAGE: OnceLock<Page> = OnceLock::new();

/// glibc's count of libraries at the last look.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// How many looks more it must stay so before res_prometheus is asked.
///
/// Whoever asks holds its library for a moment. Were `module unload res_prometheus.so` to close it in that very moment, ours would be the
/// last handle, and its end would wait, with glibc's lock, for Asterisk's list of modules, which the unload has locked while it
/// waits for glibc's. So nobody asks while modules come and go, and an answer is asked for once.
static CALM: AtomicU32 = AtomicU32::new(0);

/// A second, of a look each tenth of it.
const CALM_LOOKS: u32 = 10;

/// res_prometheus asked for us at the last look.
static KNOWN: AtomicBool = AtomicBool::new(false);

/// Held by a look, and by [`Closed`]: an unload, which waits for the thread that looks, must not wait for a look. The last handle of
/// a module's library may be closed in a look, and then Asterisk locks its list of modules, which an unload has locked.
static GATE: Mutex<()> = Mutex::new(());

/// No look happens while it lives, and res_prometheus does not know us.
#[derive(Debug)]
pub struct Closed {
    _gate: std::sync::MutexGuard<'static, ()>,
}

/// Has res_prometheus ask `page`, if it is there and does not do so yet. On one thread, each tenth of a second: it costs a look at one
/// number where no library has come or gone for a while.
pub fn look(page: Page) {
    let Some(_gate) = GATE.try_lock() else {
        return;
    };
    // SAFETY: reads two numbers of glibc's.
    let changes = unsafe { sys::ct_library_changes() };
    if CHANGES.swap(changes, Ordering::Relaxed) != changes {
        CALM.store(CALM_LOOKS, Ordering::Relaxed);
        return;
    }
    match CALM.load(Ordering::Relaxed) {
        0 => return,
        1 => CALM.store(0, Ordering::Relaxed),
        left => return CALM.store(left - 1, Ordering::Relaxed),
    }
    PAGE.get_or_init(|| page);
    // SAFETY: res_prometheus stays mapped during the call, and takes a structure that lives as long as this library; `close` has it
    // forgotten before that goes.
    let done = unsafe { sys::ct_prometheus_register() };
    KNOWN.store(done > 0, Ordering::Relaxed);
    if done < 0 {
        CHANGES.store(0, Ordering::Relaxed);
    }
}

/// Whether res_prometheus is there, and asks for the page.
pub fn is_known() -> bool {
    KNOWN.load(Ordering::Relaxed)
}

/// That res_prometheus may know us. Dropping it has it forget us: behind the last look.
#[derive(Debug)]
pub struct Registered(());

impl Registered {
    /// The looks begin.
    pub fn begin() -> Self {
        CHANGES.store(0, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: it stays mapped during the call.
        unsafe { sys::ct_prometheus_unregister() };
        KNOWN.store(false, Ordering::Relaxed);
    }
}

/// Has it forget us, and waits for whoever reads the page now. `None`: a look is on its way; it is done at once.
pub fn close() -> Option<Closed> {
    let closed = Closed {
        _gate: GATE.try_lock()?,
    };
    // SAFETY: it stays mapped during the call.
    unsafe { sys::ct_prometheus_unregister() };
    Some(closed)
}

impl Drop for Closed {
    fn drop(&mut self) {
        // The next look begins anew.
        CHANGES.store(0, Ordering::Relaxed);
    }
}

/// What res_prometheus calls, with its lock held: one reader at a time.
#[unsafe(no_mangle)]
extern "C" fn ciphertrunk_scrape(output: *mut *mut c_void) {
    guard((), || {
        let Some(page) = PAGE.get() else {
            return;
        };
        let text = c_text(&page());
        // SAFETY: the buffer that res_prometheus fills, which this call may move; the text lives during it.
        unsafe { sys::ct_str_append(output.cast(), text.as_ptr()) };
    });
}
