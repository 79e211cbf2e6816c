//! What there is to say of the module as a whole: versions, whether the engine is ours, and what was counted.

use std::borrow::Cow;

use crate::config;
#[cfg(feature = "pjsip")]
use crate::demand;
use crate::drain;
use crate::ffi::libsrtp_guard::STOCK;
use crate::ffi::srtp::{self as engine, Owner};
use crate::ffi::{guard, host, late, openssl};
use crate::keylog;
use crate::limited;
use crate::media::registry::{self, Totals};
use crate::media::{refusal, watch};
use crate::transport;

/// One thing that is said.
pub struct Said {
    /// Its header in the manager interface, which stays the same; empty: it is not said there.
    pub key: &'static str,
    /// How the console begins the line; empty: it is not said there.
    pub label: Cow<'static, str>,
    /// The value.
    pub value: String,
}

/// What is said, in the order of the console.
#[derive(Default)]
struct All(Vec<Said>);

impl All {
    fn both(&mut self, key: &'static str, label: &'static str, value: impl ToString) {
        self.add(key, label, &value);
    }

    /// What the manager interface says in other words, or in another list.
    fn console(&mut self, label: impl Into<Cow<'static, str>>, value: impl ToString) {
        self.add("", label, &value);
    }

    /// What the console says in other words.
    fn manager(&mut self, key: &'static str, value: impl ToString) {
        self.add(key, "", &value);
    }

    fn add(
        &mut self,
        key: &'static str,
        label: impl Into<Cow<'static, str>>,
        value: &impl ToString,
    ) {
        self.0.push(Said {
            key,
            label: label.into(),
            value: value.to_string(),
        });
    }
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

/// All of it, as of now.
pub fn gather() -> Vec<Said> {
    let mut all = All::default();
    all.both("Version", "Version", env!("CARGO_PKG_VERSION"));
    all.both(
        "BuiltForAsterisk",
        "Built for Asterisk",
        host::BUILT_ASTERISK,
    );
    all.both("Kernel", "Kernel", config::current().kernels.name());
    all.both("FIPS", "FIPS", yes(openssl::is_fips()));
    all.both("CryptoPolicy", "Crypto policy", config::crypto_policy());
    engine(&mut all);
    if drain::is_on() {
        all.console("Draining", format!("yes, {}", drain::Left::now()));
    }
    all.manager("Draining", yes(drain::is_on()));
    media(&mut all);
    all.console(
        "PJSIP",
        match late::found() {
            Some(_) => "found",
            None => "not found (no SIP over TLS here)",
        },
    );
    all.manager("PJSIP", yes(late::found().is_some()));
    #[cfg(feature = "pjsip")]
    tls(&mut all);
    all.both("TLSTransports", "TLS transports", transport::live());
    let keys = keylog::state();
    all.console("Key log", super::keylog::shown(keys.as_ref()));
    all.manager(
        "KeyLog",
        keys.map_or_else(String::new, |state| state.file.display().to_string()),
    );
    needs(&mut all);
    all.both("TLSFactories", "TLS factories", transport::factories());
    all.both(
        "LogLinesSuppressed",
        "Log lines suppressed",
        limited::suppressed(),
    );
    all.both("PanicsCaught", "Panics caught", guard::caught());
    all.0
}

fn engine(all: &mut All) {
    let (said, word) = match engine::owner() {
        Owner::Ours => ("ours", "ours"),
        Owner::Another => ("NOT ours (another module's)", "another"),
        Owner::Nobody => ("NOT ours (none: calls go out in clear)", "none"),
    };
    all.console("SRTP engine", said);
    all.manager("SRTPEngine", word);
    let (times, lost) = watch::lost();
    let seconds = format!("{:.1}", lost.as_secs_f64());
    all.console("Engine lost", format!("{times} times, {seconds} s"));
    all.manager("EngineLost", times);
    all.manager("EngineLostSeconds", seconds);
}

fn media(all: &mut All) {
    let Totals { counters, expired } = registry::totals();
    all.both("Sessions", "Sessions", registry::count());
    all.both("RTPProtected", "RTP protected", counters.sent_rtp);
    all.both("RTPUnprotected", "RTP unprotected", counters.received_rtp);
    all.both("RTCPProtected", "RTCP protected", counters.sent_rtcp);
    all.both(
        "RTCPUnprotected",
        "RTCP unprotected",
        counters.received_rtcp,
    );
    all.both(
        "AuthenticationFailures",
        "Authentication failures",
        counters.auth_failures,
    );
    all.both("ReplaysDropped", "Replays dropped", counters.replays);
    all.both(
        "UsedIndexesDropped",
        "Used indexes dropped",
        counters.reuse_drops,
    );
    all.both(
        "UsedIndexesReencrypted",
        "Used indexes encrypted again",
        counters.reencryptions,
    );
    all.both("LifetimeDropped", "Dropped by strict_lifetime", expired);
    all.both(
        "MalformedPackets",
        "Malformed packets",
        counters.malformed_received + counters.malformed_sent,
    );
    all.both(
        "PacketsWithoutKey",
        "Packets without a key",
        counters.no_key_received + counters.no_key_sent,
    );
    for (code, count) in refusal::counts() {
        all.console(format!("Refused {code}"), count);
    }
    #[cfg(feature = "pjsip")]
    for (code, count) in demand::refused() {
        all.console(format!("Demand not met, {code}"), count);
    }
}

#[cfg(feature = "pjsip")]
fn tls(all: &mut All) {
    let Some((counts, loads, usage)) =
        transport::current().map(|tls| (tls.counts(), tls.loads(), tls.usage()))
    else {
        return;
    };
    all.both("TLSConnections", "TLS connections", counts.open);
    all.both(
        "TLSConnectionsOfPeers",
        "TLS connections of peers",
        usage.connections,
    );
    all.both(
        "TLSHandshakesGoingOn",
        "TLS handshakes of peers going on",
        usage.handshakes,
    );
    all.both("TLSSourcesCounted", "TLS sources counted", usage.sources);
    all.both(
        "TLSHandshakesIn",
        "TLS handshakes in",
        counts.established_in,
    );
    all.both(
        "TLSHandshakesOut",
        "TLS handshakes out",
        counts.established_out,
    );
    all.both("TLSSessionsResumed", "TLS sessions resumed", counts.resumed);
    all.both("SIPMessagesIn", "SIP messages in", counts.messages_in);
    all.both("SIPMessagesOut", "SIP messages out", counts.messages_out);
    all.both("KeepalivesAnswered", "Keepalives answered", counts.pings);
    all.both(
        "MalformedMessagesSkipped",
        "Malformed messages skipped",
        counts.faults,
    );
    all.both(
        "OctetsSkipped",
        "Octets between messages skipped",
        counts.skipped,
    );
    all.both("ReadingPaused", "Reading paused", counts.pauses);
    all.both(
        "MessagesRefusedQueueFull",
        "Messages refused, write queue full",
        counts.refused,
    );
    let loads: Vec<_> = loads.iter().map(usize::to_string).collect();
    all.both(
        "TLSConnectionsOfLoops",
        "TLS connections of each loop",
        loads.join(" "),
    );
    all.both("IOLoopRestarts", "I/O loop restarts", counts.loop_restarts);
    for (code, count) in &counts.ended {
        all.console(format!("Ended {}", code.facts().name), count);
    }
}

/// What the host has to have for us.
fn needs(all: &mut All) {
    let (open, limit) = (host::open_descriptors(), host::descriptor_limit());
    let open = open.map(|it| it.to_string());
    let limit = limit.map_or_else(|| "unlimited".to_owned(), |it| it.to_string());
    all.console(
        "Descriptors",
        format!("{} of {limit}", open.as_deref().unwrap_or("unknown")),
    );
    all.manager("Descriptors", open.unwrap_or_default());
    all.manager("DescriptorLimit", limit);
    match config::modules_conf() {
        Ok(conf) => {
            let (required, kept_out) = (yes(conf.is_required), yes(conf.is_stock_kept_out));
            all.console(
                "modules.conf",
                format!("require {required}, noload {STOCK} {kept_out}"),
            );
            all.manager("ModulesConfRequire", required);
            all.manager("ModulesConfNoload", kept_out);
        }
        Err(reason) => all.console("modules.conf", reason),
    }
}
