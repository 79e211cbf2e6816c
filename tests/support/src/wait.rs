//! Waits that end.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Long enough for anything that happens at once on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

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
