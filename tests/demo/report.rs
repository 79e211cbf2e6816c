//! What is printed, and whether all of it held.

use std::process::ExitCode;

/// Lines as they come, and the checks that failed.
#[derive(Debug, Default)]
pub struct Report {
    checks: usize,
    failed: Vec<String>,
}

impl Report {
    /// Something that must hold.
    pub fn check(&mut self, what: &str, holds: bool) {
        self.checks += 1;
        if !holds {
            self.failed.push(what.to_owned());
        }
        println!("  [{}] {what}", if holds { "ok" } else { "FAILED" });
    }

    /// The last line.
    pub fn end(self) -> ExitCode {
        if self.failed.is_empty() {
            println!("\nDemo passed: {} checks.", self.checks);
            return ExitCode::SUCCESS;
        }
        println!(
            "\nDemo FAILED: {} of {} checks:",
            self.failed.len(),
            self.checks
        );
        for what in &self.failed {
            println!("  {what}");
        }
        ExitCode::FAILURE
    }
}
