//! The console command `ciphertrunk check`.

use crate::check;
use crate::console;
use crate::ffi::cli::{Command, Console, Outcome};
use crate::ffi::late;
use crate::ffi::pjsip::endpoint;

/// The command.
pub static COMMANDS: &[Command] = &[Command {
    words: c"ciphertrunk check",
    summary: c"Look at a peer's DNS, TCP, TLS, certificates and SIP from outside",
    usage: c"Usage: ciphertrunk check ENDPOINT|HOST[:PORT]\n       Goes to a peer as a call would: of a PJSIP endpoint to its outbound_proxy or its first contact, with its\n       transport's certificates and ciphers; to a host with those of the first TLS transport. Says for each step\n       what was seen, what is wrong, on whose side, and what to change. It takes 45 seconds at most, and sends\n       OPTIONS and no call. The module cannot be unloaded meanwhile. See docs/check.md.\n",
    run,
    complete,
}];

fn complete(position: usize) -> Vec<String> {
    match (position, late::found()) {
        (2, Some(pjsip)) => endpoint::names(pjsip),
        _ => Vec::new(),
    }
}

fn run(console: &mut Console<'_>) -> Outcome {
    let [_, _, target] = console.words else {
        return Outcome::Usage;
    };
    if !console.is_interactive() {
        console!(
            console,
            "Not checked: the manager interface's action Command does not ask for a privilege to connect to other hosts. Use a \
             console, or the program ciphertrunk-check"
        );
        return Outcome::Done;
    }
    let plan = match check::plan(target) {
        Ok(plan) => plan,
        Err(reason) => {
            console!(console, "Not checked: {reason}");
            return Outcome::Done;
        }
    };
    for line in &plan.told {
        console!(console, "{line}");
    }
    console!(console, "It takes {} s at most", check::LIMIT.as_secs());
    match check::look(&plan) {
        Ok(Some(lines)) => {
            for line in lines {
                console!(console, "{line}");
            }
        }
        Ok(None) => console!(console, "The check has failed: the log says why"),
        Err(error) => console!(console, "Not checked: no thread for it: {error}"),
    }
    Outcome::Done
}
