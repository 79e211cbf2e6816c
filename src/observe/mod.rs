//! What an operator sees: the console, and the manager interface.

pub mod cli;
pub mod keylog;
pub mod manager;
pub mod refusals;

use crate::ffi::cli::Command;

/// The commands of the console.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    cli::COMMANDS.iter().chain(keylog::COMMANDS)
}
