//! `log` goes to `ast_log`: error, warning and notice as such, debug and trace as Asterisk's debug levels 1 and 3. In the
//! place of a source file stands `res_ciphertrunk`, and every message begins with `Ciphertrunk: `.

use std::ffi::c_int;

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::{c_text, sys};

/// What every message begins with, so that one word finds them all.
const PREFIX: &str = "Ciphertrunk: ";

struct AsteriskLog;

/// Asterisk's debug level that a record needs, for those that are debug to Asterisk.
fn debug_level(level: Level) -> Option<c_int> {
    match level {
        Level::Debug => Some(1),
        Level::Trace => Some(3),
        Level::Error | Level::Warn | Level::Info => None,
    }
}

impl Log for AsteriskLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        match debug_level(metadata.level()) {
            None => true,
            // SAFETY: reads two of Asterisk's option words.
            Some(level) => unsafe { sys::ct_debug_at_least(level) != 0 },
        }
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => sys::__LOG_ERROR,
            Level::Warn => sys::__LOG_WARNING,
            Level::Info => sys::__LOG_NOTICE,
            Level::Debug | Level::Trace => sys::__LOG_DEBUG,
        };
        // Asterisk prints "file:line function: message"; the function is the room that speaks.
        let path = record.module_path().unwrap_or_default();
        let room = c_text(path.rsplit("::").next().unwrap_or_default());
        let line = record
            .line()
            .and_then(|line| c_int::try_from(line).ok())
            .unwrap_or(0);
        let message = c_text(&format!("{PREFIX}{}", record.args()));
        // SAFETY: the format takes one string, and all strings live until the call returns; ast_log copies them.
        unsafe {
            sys::ast_log(
                level.cast_signed(),
                c"res_ciphertrunk".as_ptr(),
                line,
                room.as_ptr(),
                c"%s\n".as_ptr(),
                message.as_ptr(),
            );
        }
    }

    fn flush(&self) {}
}

/// Sends `log` to Asterisk. A second call changes nothing.
pub fn install() {
    // Fails only when it is installed already.
    if log::set_logger(&AsteriskLog).is_ok() {
        log::set_max_level(LevelFilter::Trace);
    }
}
