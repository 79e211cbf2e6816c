//! The panic guard: every entry from C runs inside it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

static CAUGHT: AtomicU64 = AtomicU64::new(0);

/// Runs the body of an entry from C. A panic becomes `fallback`, the failure of that call alone; the hook that
/// [`install`] set has logged it by then.
///
/// What the body was changing is not used again: it sits behind a lock that the panic poisons, or belonged to the body.
pub fn guard<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        CAUGHT.fetch_add(1, Ordering::Relaxed);
        // A payload's own drop may panic; it is a few bytes of text that nobody needs.
        std::mem::forget(payload);
        fallback
    })
}

/// How many panics were caught since load.
pub fn caught() -> u64 {
    CAUGHT.load(Ordering::Relaxed)
}

/// Panics are reported in Asterisk's log instead of on a terminal that nobody watches. The hook is this library's own
/// (it has its own copy of `std`), so no other Rust code in the process is affected.
pub fn install() {
    std::panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map_or_else(String::new, ToString::to_string);
        let message = info.payload_as_str().unwrap_or("no message");
        log::error!(
            "panic at {place}: {message}. The call it happened in fails; this is a bug, please report it"
        );
    }));
}

/// Puts the default hook back, so that nothing of ours is left when the library is unmapped.
pub fn remove() {
    drop(std::panic::take_hook());
}
