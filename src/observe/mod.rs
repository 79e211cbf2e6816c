//! What an operator sees: the console, the manager interface, and metrics.

#[cfg(feature = "pjsip")]
mod check;
pub mod cli;
pub mod events;
pub mod in_force;
pub mod keylog;
pub mod manager;
pub mod metrics;
pub mod refusals;
pub mod status;

use crate::ffi::cli::Command;

/// The commands of the console.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    let commands = cli::COMMANDS.iter().chain(keylog::COMMANDS);
    #[cfg(feature = "pjsip")]
    let commands = commands.chain(check::COMMANDS);
    commands
}
