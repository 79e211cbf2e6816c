//! Waits for events. Each has an end, and says what it waited for.
//!
//! A test never sleeps for as long as something is thought to take, and gives up only on what hangs: however busy the
//! machine, the event decides. That something does *not* happen is shown by what comes behind it in order
//! ([`crate::peer::Media::settle`], [`crate::asterisk::Asterisk::settle_log`], the end of [`crate::capture::Capture`]), not
//! by listening for a while.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// The limit of every wait for what happens at once on an idle machine. Only what hangs reaches it: beside two busy loops and
/// two builds on two cores the slowest such event has taken half a minute.
pub const SOON: Duration = Duration::from_secs(180);

/// After so long, something that may be lost (a packet that comes before a call is up) is tried again. Nothing depends on it.
pub const TRY: Duration = Duration::from_millis(400);

const STEP: Duration = Duration::from_millis(50);

/// Asks `probe` until it answers with something, at most for `limit`.
pub fn poll<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        sleep(STEP);
    }
}

/// [`poll`], with a panic that names `what` did not come and shows `context`.
pub fn until<T>(
    what: &str,
    limit: Duration,
    probe: impl FnMut() -> Option<T>,
    context: impl FnOnce() -> String,
) -> T {
    poll(limit, probe)
        .unwrap_or_else(|| panic!("waited {limit:?} in vain for {what}\n{}", context()))
}

/// The last `lines` of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
