//! `ciphertrunk-check`: see docs/check.md.

mod cli;
mod json;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use ciphertrunk_check::{Report, check, listen, text};

use cli::{Asked, HELP, Task};

/// Wrong arguments.
const USAGE: u8 = 3;
/// What was asked for could not be looked at.
const NOT_JUDGED: u8 = 4;

fn main() -> ExitCode {
    let arguments = match cli::parse(std::env::args_os().skip(1)) {
        Ok(Asked::Work(arguments)) => arguments,
        Ok(Asked::Help) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Ok(Asked::Version) => {
            println!("ciphertrunk-check {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("ciphertrunk-check: {error}; --help lists the options");
            return ExitCode::from(USAGE);
        }
    };
    match arguments.task {
        Task::Check(options) => tell(&check(&options), arguments.json),
        // Beside the report, which may be JSON.
        Task::Listen(options) => {
            let report = listen(&options, &mut |address| {
                eprintln!("waiting for a phone at {address}");
            });
            tell(&report, arguments.json)
        }
        Task::Decrypt {
            capture,
            keys,
            folder,
        } => decrypt(&capture, &keys, &folder),
    }
}

fn tell(report: &Report, as_json: bool) -> ExitCode {
    let mut out = io::stdout().lock();
    let written = if as_json {
        json::write(report, &mut out)
    } else {
        text::write(report, &mut out)
    };
    // Nobody reads on: the exit status still says it.
    let _ = written.and_then(|()| out.flush());
    ExitCode::from(report.outcome() as u8)
}

fn decrypt(capture: &Path, keys: &Path, folder: &Path) -> ExitCode {
    match decrypt::decrypt(capture, keys, folder) {
        Ok(report) => {
            println!("{report}");
            match report.files.is_empty() {
                true => ExitCode::from(NOT_JUDGED),
                false => ExitCode::SUCCESS,
            }
        }
        Err(error) => {
            eprintln!("ciphertrunk-check: {error}");
            ExitCode::from(NOT_JUDGED)
        }
    }
}
