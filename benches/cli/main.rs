//! How long each console command takes on a busy Asterisk, and what it does to the audio meanwhile.
//!
//! The Asterisk under test has one core, on which the commands run too, and TLS connections, each from an address of its own and with the peer's
//! certificate, and encrypted calls of one leg to its echo: as many bridged ones would fill that core alone.
//! A command is run again and again for some seconds, over the console's socket as `asterisk -rx` does it, but without the program; a round trip
//! is from connecting to the end of the output. Meanwhile ten calls, which are bridged, are timed, packet by packet, from one end to the other.
//! The first row is the audio with no command, and the second Asterisk's own cheapest command: what a round trip costs at the least.
//! `make bench-cli`; `CONNECTIONS=10000 CALLS=300 SECONDS=3` are the defaults.

#[path = "../calls/cores.rs"]
#[allow(dead_code, reason = "benches/calls asks for more of it")]
mod cores;
#[path = "../calls/legs.rs"]
#[allow(dead_code, reason = "benches/calls asks for more of it")]
mod legs;
#[path = "../calls/load.rs"]
#[allow(dead_code, reason = "benches/calls asks for more of it")]
mod load;
mod peers;
mod table;
#[path = "../calls/world.rs"]
#[allow(dead_code, reason = "benches/calls asks for more of it")]
mod world;

use std::thread;
use std::time::{Duration, Instant};

use host_harness::lab::Lab;

use cores::Cores;
use legs::{Legs, Tally};
use load::Calls;
use peers::Peers;
use world::{KINDS, World, console};

/// What Asterisk answers without looking at anything.
const CHEAPEST: &str = "core show version";

/// What was measured of one command.
struct Row {
    command: String,
    /// Round trips, the shortest first; none: nothing was run.
    took: Vec<Duration>,
    /// Lines and octets of the last answer.
    lines: usize,
    octets: usize,
    /// The probes' packets of meanwhile.
    audio: Tally,
}

fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// Runs `command` for so long, at least once; nothing, if there is none.
fn measure(legs: &Legs, name: &str, seconds: u32, run: Option<&dyn Fn() -> String>) -> Row {
    let time = Duration::from_secs(seconds.into());
    thread::scope(|scope| {
        let audio = scope.spawn(|| legs.measure(time).1);
        let began = Instant::now();
        let (mut took, mut answer) = (Vec::new(), String::new());
        while let Some(run) = run
            && (took.is_empty() || began.elapsed() < time)
        {
            let begin = Instant::now();
            answer = run();
            took.push(begin.elapsed());
        }
        took.sort();
        Row {
            command: name.to_owned(),
            took,
            lines: answer.lines().count(),
            octets: answer.len(),
            audio: audio.join().expect("no panic"),
        }
    })
}

/// A column of the first row of a list.
fn value<'a>(list: &'a str, key: &str) -> &'a str {
    let rest = list.split_once(key).map(|(_, rest)| rest);
    rest.and_then(|rest| rest.split(' ').next())
        .unwrap_or_else(|| panic!("no {key} in\n{list}"))
}

fn main() {
    let (connections, calls, seconds) = (
        setting("CONNECTIONS", 10_000),
        setting("CALLS", 300),
        setting("SECONDS", 3),
    );
    // Asterisk inherits it: a connection, and half a dozen for each channel.
    host_harness::process::raise_file_limit(u64::from(connections + calls * 16 + 2048));
    let cores = Cores::share();
    cores::pin(&cores.others);

    let lab = Lab::new("bench-cli");
    let peers = Peers::new(&lab);
    // Ours, with SRTP.
    let kind = &KINDS[2];
    let world = World::with(&lab, kind, &cores, |setup| peers.with_transport(setup));
    let under_test = &world.under_test;
    let ask = |command: &str| console(under_test, command);

    eprintln!("{connections} connections");
    let up = peers.connect(connections);
    eprintln!("1000 refusals");
    peers.be_refused(1000);
    under_test.wait_until("the connections", |under_test| {
        (under_test.count("TLS connections") == u64::from(connections)).then_some(())
    });
    eprintln!("{calls} calls");
    let mut load = Calls::start(&lab, &world, kind);
    load.raise_with_echoes_to(calls);

    let list = ask("ciphertrunk show calls");
    let (channel, call_id) = (value(&list, "Channel: "), value(&list, "Call-ID: "));
    let call_id = call_id.lines().next().expect("a Call-ID");
    let number = ask("ciphertrunk show connections");
    let number = value(&number, "Connection: ");
    let mut commands: Vec<String> = [
        "show status",
        "show config",
        "show config far",
        "show sessions",
        "show sessions all",
        "show calls",
        "show calls all",
        "show connections",
        "show connections all",
        "show peers",
        "show peers all",
        "show transports",
        "show certificates",
        "show certificates all",
        "show refusals",
        "show refusals all",
        "show reasons",
        "reasons",
        "explain cert-expired",
        "close connection 999999999",
        "close peer nobody",
        "keylog show",
        "reload",
    ]
    .map(|command| format!("ciphertrunk {command}"))
    .to_vec();
    let place = commands.len() - 1;
    commands.splice(
        place..place,
        [
            format!("ciphertrunk show call {channel}"),
            format!("ciphertrunk show call {call_id}"),
            format!("ciphertrunk show connection {number}"),
            format!("ciphertrunk show connection {}", peers::address(0)),
            "_command matchesarray \"ciphertrunk show connection 127.1.0.\" \"127.1.0.\""
                .to_owned(),
            "_command matchesarray \"ciphertrunk show call PJSIP/\" \"PJSIP/\"".to_owned(),
        ],
    );

    let mut rows = vec![
        measure(&load.legs, "(no command)", seconds, None),
        measure(&load.legs, CHEAPEST, seconds, Some(&|| ask(CHEAPEST))),
    ];
    for command in &commands {
        eprintln!("{command}");
        let row = measure(&load.legs, command, seconds, Some(&|| ask(command)));
        rows.push(row);
    }
    // As an operator has it: with the program.
    let program = format!("asterisk -rx '{CHEAPEST}'");
    let run = || under_test.cli(CHEAPEST);
    rows.push(measure(&load.legs, &program, seconds, Some(&run)));

    assert_eq!(under_test.count("TLS connections"), u64::from(connections));
    assert_eq!(under_test.count("Panics caught"), 0);
    let kernel = under_test.status("Kernel");
    drop(up);
    table::print(&rows, connections, calls, &kernel);
}
