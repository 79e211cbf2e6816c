//! The console commands `ciphertrunk keylog ...`.

use policy::keylog::Request;

use crate::console;
use crate::ffi::cli::{Command, Console, Outcome, nothing};
use crate::keylog::{self, Begun, End, State};

/// How many connections are named.
const MOST_NAMED: usize = 10;

/// The commands.
pub static COMMANDS: &[Command] = &[
    Command {
        words: c"ciphertrunk keylog start",
        summary: c"Write the keys of a peer to a file, for a time",
        usage: c"Usage: ciphertrunk keylog start FILE [peer PEER] [for TIME]\n       Writes the TLS and SRTP keys of PEER (a PJSIP endpoint, an address, a network or a host that is\n       connected to; without it, of everybody) to FILE, for TIME (90s, 10m, 1h; 10m without it, 24h at\n       most). FILE is new, and readable by Asterisk's user alone. tshark and Wireshark decrypt SIP with it,\n       `ciphertrunk-check decrypt` decrypts RTP. See docs/look-inside.md.\n",
        run: start,
        complete: complete_start,
    },
    Command {
        words: c"ciphertrunk keylog stop",
        summary: c"Write no more keys to a file",
        usage: c"Usage: ciphertrunk keylog stop\n       Ends what `ciphertrunk keylog start` began. The file stays.\n",
        run: stop,
        complete: nothing,
    },
    Command {
        words: c"ciphertrunk keylog show",
        summary: c"Show whether keys are written to a file",
        usage: c"Usage: ciphertrunk keylog show\n       Shows the file, whose keys are written to it, and for how long still.\n",
        run: show,
        complete: nothing,
    },
];

/// What stands behind the file.
fn complete_start(position: usize) -> Vec<String> {
    match position {
        4 | 6 => vec!["for".to_owned(), "peer".to_owned()],
        _ => Vec::new(),
    }
}

fn start(console: &mut Console<'_>) -> Outcome {
    let Some(request) = Request::parse(&console.words[3..]) else {
        return Outcome::Usage;
    };
    if !console.is_interactive() {
        console!(
            console,
            "Not begun: the manager interface's action Command does not ask for the privilege that keys need. Use the action \
             CiphertrunkKeylogStart, which asks for `system`"
        );
        return Outcome::Done;
    }
    match request.and_then(|request| keylog::start(&request, "a console")) {
        Ok(begun) => told(&begun)
            .iter()
            .for_each(|line| console!(console, "{line}")),
        Err(reason) => console!(console, "Not begun: {reason}"),
    }
    Outcome::Done
}

/// What is to be known of a file that has been begun, in sentences.
pub fn told(begun: &Begun) -> Vec<String> {
    let Begun {
        state,
        missed,
        is_nowhere,
    } = begun;
    let mut lines = vec![
        format!(
            "The keys of {} are written to {} for {} s",
            state.peer,
            state.file.display(),
            state.left.as_secs_f64().ceil()
        ),
        format!(
            "SRTP: {} keys of calls that are up are in it already",
            state.keys
        ),
    ];
    if *is_nowhere {
        lines.push(
            "TLS: that endpoint has no contact and no identify section now, so no connection is known to be its; name its address"
                .to_owned(),
        );
    }
    if !missed.is_empty() {
        let named = missed[..missed.len().min(MOST_NAMED)].join(", ");
        let more = match missed.len().saturating_sub(MOST_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        lines.push(format!(
            "TLS: {} connections are up already, with {named}{more}: their secrets were told in their handshakes, are not in the file, \
             and cannot be had any more. `ciphertrunk close connection NUMBER` ends the one with that number; the next one is in the file",
            missed.len()
        ));
    }
    lines
}

fn stop(console: &mut Console<'_>) -> Outcome {
    if console.words.len() != 3 {
        return Outcome::Usage;
    }
    match keylog::stop(&End::Asked) {
        Some(state) => console!(
            console,
            "{} is closed: it has {} TLS secrets and {} SRTP keys",
            state.file.display(),
            state.secrets,
            state.keys
        ),
        None => console!(console, "No keys are being written"),
    }
    Outcome::Done
}

fn show(console: &mut Console<'_>) -> Outcome {
    if console.words.len() != 3 {
        return Outcome::Usage;
    }
    console!(console, "Key log: {}", shown(keylog::state().as_ref()));
    Outcome::Done
}

/// What the console's status says of it.
pub fn shown(state: Option<&State>) -> String {
    state.map_or_else(|| "no".to_owned(), line)
}

fn line(state: &State) -> String {
    format!(
        "{}, of {}, {} s left, {} TLS secrets, {} SRTP keys",
        state.file.display(),
        state.peer,
        state.left.as_secs(),
        state.secrets,
        state.keys
    )
}
