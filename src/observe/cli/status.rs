//! `ciphertrunk show status`: versions, whether the engine is ours, and what was counted.

use crate::console;
use crate::ffi::cli::{Console, Outcome};
use crate::observe::status;

pub fn show_status(console: &mut Console<'_>) -> Outcome {
    if console.words.len() != 3 {
        return Outcome::Usage;
    }
    for said in status::gather() {
        if !said.label.is_empty() {
            console!(console, "{}: {}", said.label, said.value);
        }
    }
    #[cfg(feature = "test-hooks")]
    super::hooks::print_on(console);
    Outcome::Done
}
