//! The log for lines that a peer can cause: the first of a kind at once, then counts (`policy::limiter`), so that no peer can
//! fill a disk.

use std::fmt;
use std::time::Duration;

use log::Level;
use policy::limiter::{Limiter, Summary};

use crate::ffi::host;
use crate::ffi::sync::Mutex;

static LIMITER: Mutex<Limiter> = Mutex::new(Limiter::new());

fn now() -> Duration {
    Duration::from_millis(host::monotonic_ms())
}

/// Writes a line, or counts it. `kind` is what it is about, a reason code; `source` is whose doing it is.
pub fn log(level: Level, kind: &str, source: &str, line: fmt::Arguments<'_>) {
    let admitted = LIMITER.lock().admits(kind, source, now());
    if admitted {
        log::log!(level, "{line}");
    }
}

/// Writes the summaries that are due. The watch asks.
pub fn summarise() {
    let due = LIMITER.lock().due(now());
    write(&due);
}

/// Writes the summaries that are left, at unload.
pub fn flush() {
    let left = LIMITER.lock().flush(now());
    write(&left);
}

fn write(summaries: &[Summary]) {
    for summary in summaries {
        log::warn!("log lines suppressed: {summary}");
    }
}

/// Lines that were not written since load.
pub fn suppressed() -> u64 {
    LIMITER.lock().suppressed()
}
