//! `ciphertrunk check`: a peer looked at from outside, as a call would go to it. The steps are `crates/check`; here is where a call
//! would go, and that it is looked at on a thread that serves nobody.

mod plan;

use std::sync::Arc;
use std::time::Duration;

use ciphertrunk_check as library;

use crate::ffi::sync::Mutex;
use crate::ffi::thread;

pub use plan::{Plan, plan};

/// The limit of a check. `asterisk -rx` gives up after a minute in which nothing comes.
pub const LIMIT: Duration = Duration::from_secs(45);

/// Looks, and waits for the end. The lines of the report; `None`: the check panicked, which is in the log.
///
/// The waiting thread must be one that nobody waits for: a console's. An unload is refused while a console runs a command, so
/// neither that thread nor the one that looks is in code that goes. It is a thread of its own for what libraries may leave behind in
/// a thread: it has ended when this is back.
///
/// # Errors
///
/// The system has no thread to give.
pub fn look(plan: &Plan) -> std::io::Result<Option<Vec<String>>> {
    let options = library::Options {
        limit: Some(LIMIT),
        ..plan.options.clone()
    };
    let lines = Arc::new(Mutex::new(None));
    let result = Arc::clone(&lines);
    let looking = thread::spawn("ciphertrunk check", move || {
        let mut report = library::check(&options);
        // The files have what is suggested there, or something else for a reason; but a profile may be what is missing.
        report.lines = library::Lines {
            profile: std::mem::take(&mut report.lines.profile),
            ..library::Lines::default()
        };
        let mut text = Vec::new();
        // Memory takes everything.
        let _ = library::text::write(&report, &mut text);
        let text = String::from_utf8_lossy(&text);
        *result.lock() = Some(text.lines().map(str::to_owned).collect());
    })?;
    // Joins.
    drop(looking);
    Ok(lines.lock().take())
}
