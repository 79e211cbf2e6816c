//! `ciphertrunk show status`: versions, whether the engine is ours, and what was counted.

use crate::config;
use crate::console;
#[cfg(feature = "pjsip")]
use crate::demand;
use crate::drain;
use crate::ffi::cli::{Console, Outcome};
use crate::ffi::libsrtp_guard::STOCK;
use crate::ffi::srtp::{self as engine, Owner};
use crate::ffi::{guard, host, late, openssl};
use crate::limited;
use crate::media::registry::{self, Totals};
use crate::media::{refusal, watch};
use crate::observe::keylog;
use crate::transport;

pub fn show_status(console: &mut Console<'_>) -> Outcome {
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
        "FIPS: {}",
        if openssl::is_fips() { "yes" } else { "no" }
    );
    console!(console, "Crypto policy: {}", config::crypto_policy());
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
    if let Some((counts, loads, usage)) =
        transport::current().map(|tls| (tls.counts(), tls.loads(), tls.usage()))
    {
        console!(console, "TLS connections: {}", counts.open);
        console!(console, "TLS connections of peers: {}", usage.connections);
        console!(
            console,
            "TLS handshakes of peers going on: {}",
            usage.handshakes
        );
        console!(console, "TLS sources counted: {}", usage.sources);
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
    keylog::print(console);
    print_host(console);
    console!(console, "TLS factories: {}", transport::factories());
    console!(console, "Log lines suppressed: {}", limited::suppressed());
    console!(console, "Panics caught: {}", guard::caught());
    #[cfg(feature = "test-hooks")]
    super::hooks::print_on(console);
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
