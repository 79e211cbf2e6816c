//! The console commands: `ciphertrunk show ...` and `ciphertrunk drain`.

use crate::config;
use crate::console;
#[cfg(feature = "pjsip")]
use crate::demand;
use crate::drain;
use crate::ffi::cli::{Command, Console, Outcome};
use crate::ffi::libsrtp_guard::STOCK;
use crate::ffi::srtp::{self as engine, Owner};
use crate::ffi::{guard, host, late};
use crate::limited;
use crate::media::registry::{self, Totals};
use crate::media::{refusal, watch};
use crate::module;
#[cfg(feature = "test-hooks")]
use crate::test_hooks;
use crate::transport;

/// The commands.
pub static COMMANDS: &[Command] = &[
    Command {
        words: c"ciphertrunk show status",
        summary: c"Show version, kernel, SRTP engine and counters",
        usage: c"Usage: ciphertrunk show status\n       Shows the version, the packet-crypto kernel in use, whether Asterisk's SRTP engine is\n       ours, and what was counted since the module was loaded.\n",
        run: show_status,
    },
    Command {
        words: c"ciphertrunk show sessions",
        summary: c"Show the live SRTP sessions",
        usage: c"Usage: ciphertrunk show sessions\n       Shows a line for each live SRTP session: its channel, the peer's address, the suites in\n       and out, packets each way and what was dropped.\n",
        run: show_sessions,
    },
    Command {
        words: c"ciphertrunk show refusals",
        summary: c"Show the live calls with a refused a=crypto line",
        usage: c"Usage: ciphertrunk show refusals\n       Shows a line for each live call of which an a=crypto line was refused: its endpoint, why\n       the last one was, and its Call-ID. Another line of the same offer may have been taken.\n",
        run: show_refusals,
    },
    #[cfg(feature = "pjsip")]
    Command {
        words: c"ciphertrunk show transports",
        summary: c"Show the TLS transports that are ours",
        usage: c"Usage: ciphertrunk show transports\n       Shows a line for each protocol=tls transport that Ciphertrunk serves: where it listens\n       and with which certificate. Below it is what in its configuration works and is probably not meant.\n",
        run: show_transports,
    },
    Command {
        words: c"ciphertrunk drain [cancel]",
        summary: c"Take no new calls and close idle connections, so that the module can be unloaded",
        usage: c"Usage: ciphertrunk drain [cancel]\n       New encrypted calls are refused, the TLS transports are given back to pjproject, connections\n       without a call are closed. Calls that are up go on. When the last has ended, `module unload\n       res_ciphertrunk.so` works; `ciphertrunk show status` says what is left. `cancel` takes\n       everything back.\n",
        run: drain,
    },
    #[cfg(feature = "test-hooks")]
    Command {
        words: c"ciphertrunk test panic {protect|unprotect}",
        summary: c"Panic in the next packet (test build)",
        usage: c"Usage: ciphertrunk test panic {protect|unprotect}\n",
        run: test_panic,
    },
    #[cfg(feature = "test-hooks")]
    Command {
        words: c"ciphertrunk test lose engine",
        summary: c"Unregister the SRTP engine as another module would (test build)",
        usage: c"Usage: ciphertrunk test lose engine\n",
        run: test_lose_engine,
    },
    #[cfg(feature = "test-hooks")]
    Command {
        words: c"ciphertrunk test age",
        summary: c"Let SRTP keys look older by so many packets (test build)",
        usage: c"Usage: ciphertrunk test age PACKETS\n",
        run: test_age,
    },
    #[cfg(feature = "test-hooks")]
    Command {
        words: c"ciphertrunk test retransmit",
        summary: c"Let Asterisk retransmit what new sessions send (test build)",
        usage: c"Usage: ciphertrunk test retransmit\n",
        run: test_retransmit,
    },
    #[cfg(feature = "test-hooks")]
    Command {
        words: c"ciphertrunk test fault",
        summary: c"Let the next pass through a fault point fail (test build)",
        usage: c"Usage: ciphertrunk test fault NAME\n       Arms the fault point NAME once; each time counts.\n",
        run: test_fault,
    },
];

fn show_status(console: &mut Console<'_>) -> Outcome {
    if console.words.len() != 3 {
        return Outcome::Usage;
    }
    let Totals { counters, expired } = registry::totals();
    let (times, lost) = watch::lost();
    console!(console, "Version: {}", env!("CARGO_PKG_VERSION"));
    console!(console, "Built for Asterisk: {}", host::BUILT_ASTERISK);
    console!(console, "Kernel: {}", config::current().kernels.name());
    console!(
        console,
        "SRTP engine: {}",
        match engine::owner() {
            Owner::Ours => "ours",
            Owner::Another => "NOT ours (another module's)",
            Owner::Nobody => "NOT ours (none: calls go out in clear)",
        }
    );
    console!(
        console,
        "Engine lost: {times} times, {:.1} s",
        lost.as_secs_f64()
    );
    if drain::is_on() {
        console!(console, "Draining: yes, {}", drain::Left::now());
    }
    console!(console, "Sessions: {}", registry::count());
    console!(console, "RTP protected: {}", counters.sent_rtp);
    console!(console, "RTP unprotected: {}", counters.received_rtp);
    console!(console, "RTCP protected: {}", counters.sent_rtcp);
    console!(console, "RTCP unprotected: {}", counters.received_rtcp);
    console!(
        console,
        "Authentication failures: {}",
        counters.auth_failures
    );
    console!(console, "Replays dropped: {}", counters.replays);
    console!(console, "Used indexes dropped: {}", counters.reuse_drops);
    console!(
        console,
        "Used indexes encrypted again: {}",
        counters.reencryptions
    );
    console!(console, "Dropped by strict_lifetime: {expired}");
    console!(
        console,
        "Malformed packets: {}",
        counters.malformed_received + counters.malformed_sent
    );
    console!(
        console,
        "Packets without a key: {}",
        counters.no_key_received + counters.no_key_sent
    );
    for (code, count) in refusal::counts() {
        console!(console, "Refused {code}: {count}");
    }
    #[cfg(feature = "pjsip")]
    for (code, count) in demand::refused() {
        console!(console, "Demand not met, {code}: {count}");
    }
    console!(
        console,
        "PJSIP: {}",
        match late::found() {
            Some(_) => "found",
            None => "not found (no SIP over TLS here)",
        }
    );
    #[cfg(feature = "pjsip")]
    if let Some((counts, loads)) = transport::current().map(|tls| (tls.counts(), tls.loads())) {
        console!(console, "TLS connections: {}", counts.open);
        console!(console, "TLS handshakes in: {}", counts.established_in);
        console!(console, "TLS handshakes out: {}", counts.established_out);
        console!(console, "TLS sessions resumed: {}", counts.resumed);
        console!(console, "SIP messages in: {}", counts.messages_in);
        console!(console, "SIP messages out: {}", counts.messages_out);
        console!(console, "Keepalives answered: {}", counts.pings);
        console!(console, "Malformed messages skipped: {}", counts.faults);
        console!(
            console,
            "Octets between messages skipped: {}",
            counts.skipped
        );
        console!(console, "Reading paused: {}", counts.pauses);
        console!(
            console,
            "Messages refused, write queue full: {}",
            counts.refused
        );
        let loads: Vec<_> = loads.iter().map(usize::to_string).collect();
        console!(console, "TLS connections of each loop: {}", loads.join(" "));
        console!(console, "I/O loop restarts: {}", counts.loop_restarts);
        for (code, count) in &counts.ended {
            console!(console, "Ended {code:?}: {count}");
        }
    }
    console!(console, "TLS transports: {}", transport::live());
    print_host(console);
    console!(console, "TLS factories: {}", transport::factories());
    console!(console, "Log lines suppressed: {}", limited::suppressed());
    console!(console, "Panics caught: {}", guard::caught());
    #[cfg(feature = "test-hooks")]
    print_on(console);
    Outcome::Done
}

/// What the host has to have for us.
fn print_host(console: &mut Console<'_>) {
    let or = |number: Option<String>, else_: &str| number.unwrap_or_else(|| else_.to_owned());
    console!(
        console,
        "Descriptors: {} of {}",
        or(host::open_descriptors().map(|it| it.to_string()), "unknown"),
        or(
            host::descriptor_limit().map(|it| it.to_string()),
            "unlimited"
        )
    );
    let yes = |is: bool| if is { "yes" } else { "no" };
    match config::modules_conf() {
        Ok(conf) => console!(
            console,
            "modules.conf: require {}, noload {STOCK} {}",
            yes(conf.is_required),
            yes(conf.is_stock_kept_out)
        ),
        Err(reason) => console!(console, "modules.conf: {reason}"),
    }
}

fn show_sessions(console: &mut Console<'_>) -> Outcome {
    if console.words.len() != 3 {
        return Outcome::Usage;
    }
    let sessions = registry::live();
    for session in &sessions {
        let stats = session.stats();
        let counters = stats.counters;
        let names = session.names();
        let suite = |suite: Option<srtp::Suite>| suite.map_or("-", srtp::Suite::name);
        console!(
            console,
            "Channel: {} Peer: {} In: {} Out: {} RTP in: {} RTP out: {} RTCP in: {} RTCP out: {} Authentication failures: {} \
             Dropped: {}",
            names.channel,
            names.peer,
            suite(stats.remote_suite),
            suite(stats.local_suite),
            counters.received_rtp,
            counters.sent_rtp,
            counters.received_rtcp,
            counters.sent_rtcp,
            counters.auth_failures,
            counters.replays
                + counters.reuse_drops
                + counters.malformed_received
                + counters.malformed_sent
                + session.expired()
        );
    }
    console!(console, "{} SRTP sessions", sessions.len());
    Outcome::Done
}

fn show_refusals(console: &mut Console<'_>) -> Outcome {
    if console.words.len() != 3 {
        return Outcome::Usage;
    }
    let refusals = refusal::kept();
    for (call, refusal) in &refusals {
        console!(
            console,
            "Endpoint: {} Refused: {} Call-ID: {}",
            call.endpoint,
            refusal.code(),
            call.call_id
        );
    }
    console!(console, "{} calls with a refused line", refusals.len());
    Outcome::Done
}

#[cfg(feature = "pjsip")]
fn show_transports(console: &mut Console<'_>) -> Outcome {
    if console.words.len() != 3 {
        return Outcome::Usage;
    }
    let transports = transport::current()
        .map(|tls| tls.listening())
        .unwrap_or_default();
    for transport in &transports {
        console!(
            console,
            "Transport: {} Address: {} Certificate: {}",
            transport.name,
            transport.address,
            transport.certificate
        );
        for warning in &transport.warnings {
            console!(console, "  WARNING: {warning}");
        }
    }
    console!(console, "{} TLS transports", transports.len());
    Outcome::Done
}

fn drain(console: &mut Console<'_>) -> Outcome {
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

/// With the fault `console-prints-on`, a console that prints until the fault `console-ends` is armed.
#[cfg(feature = "test-hooks")]
fn print_on(console: &mut Console<'_>) {
    use crate::ffi::fault;
    if fault::fires("console-prints-on") {
        while !fault::fires("console-ends") {
            console!(console, "Still printing");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

#[cfg(feature = "test-hooks")]
fn test_panic(console: &mut Console<'_>) -> Outcome {
    match console.words.get(3).map(String::as_str) {
        Some(point @ (test_hooks::PROTECT | test_hooks::UNPROTECT)) => {
            crate::ffi::fault::arm(point);
        }
        _ => return Outcome::Usage,
    }
    Outcome::Done
}

#[cfg(feature = "test-hooks")]
fn test_age(console: &mut Console<'_>) -> Outcome {
    let Some(packets) = console.words.get(3).and_then(|word| word.parse().ok()) else {
        return Outcome::Usage;
    };
    test_hooks::set_extra_packets(packets);
    Outcome::Done
}

#[cfg(feature = "test-hooks")]
fn test_lose_engine(_console: &mut Console<'_>) -> Outcome {
    engine::lose();
    Outcome::Done
}

#[cfg(feature = "test-hooks")]
fn test_retransmit(_console: &mut Console<'_>) -> Outcome {
    test_hooks::retransmit();
    Outcome::Done
}

#[cfg(feature = "test-hooks")]
fn test_fault(console: &mut Console<'_>) -> Outcome {
    let [_, _, _, name] = console.words else {
        return Outcome::Usage;
    };
    crate::ffi::fault::arm(name);
    #[cfg(feature = "pjsip")]
    sip_tls::fault::arm(name);
    Outcome::Done
}
