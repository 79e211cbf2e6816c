//! `make constant-time`: that no branch, no address and no division depends on a secret, in the machine code of every level of
//! the kernels that this CPU has.
//!
//! What valgrind can run it looks at, for all values that secrets may have, but for openings. These, and the other levels, run step
//! by step on the CPU itself, with several sets of secrets, and all that can be seen from outside must be the same with each.
//! Both must find leaks that are planted for them. For x86-64 and Linux alone.

mod memcheck;
mod observed;
mod planted;
mod sessions;
mod stepped;
mod steps;
mod work;

use std::process::ExitCode;

use packet_crypto::Kernels;
use planted::LEAKS;
use stepped::Scope;
use work::Room;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let outcome = match arguments.next().as_deref() {
        Some(memcheck::ARGUMENT) => {
            memcheck::run(arguments.next().as_deref());
            return ExitCode::SUCCESS;
        }
        None => check(),
        Some(other) => Err(format!("{other}: no argument is known")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("constant-time: {text}");
            ExitCode::FAILURE
        }
    }
}

fn check() -> Result<(), String> {
    for leak in LEAKS.iter().filter(|leak| leak.usable()) {
        let name = leak.name;
        match stepped::look(leak.scope(), |w| leak.run(w)) {
            Err(found) if found.contains(leak.shown_as) => {}
            Err(found) => return Err(format!("planted: {name}; by stepping was found: {found}")),
            Ok(_) => return Err(format!("planted, and not found by stepping: {name}")),
        }
        if !leak.for_memcheck {
            continue;
        }
        match memcheck::look(Some(name)) {
            Err(found) if found.contains(memcheck::REPORT) => {}
            Err(found) => return Err(format!("planted: {name}; valgrind said: {found}")),
            Ok(_) => return Err(format!("planted, and not found by valgrind: {name}")),
        }
    }
    println!("planted leaks: found");

    let by_valgrind = memcheck::look(None)?;
    for level in &by_valgrind {
        println!("{level}: valgrind has nothing to report");
    }
    let mut room = Room::new();
    for k in Kernels::usable() {
        let (scope, what) = match by_valgrind.iter().any(|level| level == k.name()) {
            true => (Scope::Openings, "openings are the same"),
            false => (Scope::All, "the same"),
        };
        let said = stepped::level(k, scope, &mut room).map_err(|e| format!("{}: {e}", k.name()))?;
        println!("{}: {what} with each set of secrets ({said})", k.name());
    }
    Ok(())
}
