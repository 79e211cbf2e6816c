//! Commands that change something: drain, reload, close.

use crate::console;
use crate::drain;
use crate::ffi::cli::{Console, Outcome};
use crate::module;
#[cfg(feature = "pjsip")]
use crate::transport::{self, Which};

pub fn drain(console: &mut Console<'_>) -> Outcome {
    let done = match console.words.get(2).map(String::as_str) {
        None => module::drain(),
        Some("cancel") if console.words.len() == 3 => module::cancel_drain(),
        Some(_) => return Outcome::Usage,
    };
    if !done {
        console!(console, "The module is being unloaded");
    } else if drain::is_on() {
        console!(console, "Draining: yes, {}", drain::Left::now());
    } else {
        console!(console, "Draining: no");
    }
    Outcome::Done
}

pub fn reload(console: &mut Console<'_>) -> Outcome {
    if console.words.len() != 2 {
        return Outcome::Usage;
    }
    let done = module::reload();
    console!(
        console,
        "{}",
        if done {
            "Reloaded"
        } else {
            "Not everything could be put in force: the log says what"
        }
    );
    Outcome::Done
}

#[cfg(feature = "pjsip")]
pub fn close(console: &mut Console<'_>) -> Outcome {
    let words: Vec<&str> = console.words.iter().map(String::as_str).collect();
    let which = match words[..] {
        [_, _, "idle"] => Which::Idle,
        [_, _, "peer", peer] => Which::Peer(peer),
        [_, _, "connection", id] => match id.parse() {
            Ok(id) => Which::Id(id),
            Err(_) => return Outcome::Usage,
        },
        _ => return Outcome::Usage,
    };
    let closed = transport::close(which);
    if closed > 0 {
        log::info!(
            "{closed} TLS connections are closed by the console ({})",
            words[2..].join(" ")
        );
    }
    console!(console, "{closed} connections are being closed");
    Outcome::Done
}

/// What stands behind `ciphertrunk close`.
#[cfg(feature = "pjsip")]
pub fn complete_close(position: usize) -> Vec<String> {
    if position == 2 {
        return ["connection", "idle", "peer"].map(str::to_owned).to_vec();
    }
    super::connections::names(position)
}
