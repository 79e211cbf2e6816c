//! What an operator sees: the console. (AMI events and metrics are to come.)

pub mod cli;
pub mod keylog;

use crate::ffi::cli::Command;

/// The commands of the console.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    cli::COMMANDS.iter().chain(keylog::COMMANDS)
}
