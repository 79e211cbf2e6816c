//! The page that `res_prometheus` asks for. docs/metrics.md has every name.

#[cfg(feature = "pjsip")]
use policy::expiry::{DAYS, Nearness};
use policy::exposition::{Kind, Page};

use crate::config;
use crate::ffi::{guard, srtp as engine};
use crate::limited;
use crate::media::registry::{self, Totals};
use crate::media::watch;
use crate::observe::refusals;
use crate::proof::words;
#[cfg(feature = "pjsip")]
use crate::transport::{self, expiry::end_of};

/// The whole page. Asked on a thread of Asterisk's HTTP server, with res_prometheus's lock held, which an unload waits for.
pub fn page() -> String {
    let mut page = Page::default();
    module(&mut page);
    media(&mut page);
    calls(&mut page);
    #[cfg(feature = "pjsip")]
    tls(&mut page);
    page.into_text()
}

fn module(page: &mut Page) {
    let kernel = config::current().kernels.name();
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("kernel", kernel)];
    page.family(
        "ciphertrunk_info",
        Kind::Gauge,
        "Always 1: version and packet-crypto kernel.",
    )
    .sample(&labels, 1);
    let is_ours = engine::owner() == engine::Owner::Ours;
    page.family(
        "ciphertrunk_engine_owned",
        Kind::Gauge,
        "1 while Asterisk's SRTP engine is Ciphertrunk's.",
    )
    .sample(&[], u8::from(is_ours));
    page.family(
        "ciphertrunk_engine_lost_total",
        Kind::Counter,
        "How often another module took the SRTP engine away.",
    )
    .sample(&[], watch::lost().0);
    page.family(
        "ciphertrunk_log_lines_suppressed_total",
        Kind::Counter,
        "Log lines that were counted and not written.",
    )
    .sample(&[], limited::suppressed());
    page.family(
        "ciphertrunk_panics_total",
        Kind::Counter,
        "Panics that were caught: each is a fault of Ciphertrunk's.",
    )
    .sample(&[], guard::caught());
}

fn media(page: &mut Page) {
    let Totals { counters, expired } = registry::totals();
    page.family(
        "ciphertrunk_srtp_sessions",
        Kind::Gauge,
        "SRTP sessions that are up.",
    )
    .sample(&[], registry::count());
    page.family(
        "ciphertrunk_srtp_packets_total",
        Kind::Counter,
        "Packets that were encrypted and sent (out), or received and found authentic (in).",
    );
    for (direction, kind, count) in [
        ("in", "rtp", counters.received_rtp),
        ("in", "rtcp", counters.received_rtcp),
        ("out", "rtp", counters.sent_rtp),
        ("out", "rtcp", counters.sent_rtcp),
    ] {
        page.sample(&[("direction", direction), ("kind", kind)], count);
    }
    page.family(
        "ciphertrunk_srtp_dropped_total",
        Kind::Counter,
        "Packets that were dropped, by reason.",
    );
    for (direction, reason, count) in [
        ("in", "authentication", counters.auth_failures),
        ("in", "replay", counters.replays),
        ("in", "malformed", counters.malformed_received),
        ("in", "no-key", counters.no_key_received),
        ("out", "used-index", counters.reuse_drops),
        ("out", "malformed", counters.malformed_sent),
        ("out", "no-key", counters.no_key_sent),
        ("both", "lifetime", expired),
    ] {
        page.sample(&[("direction", direction), ("reason", reason)], count);
    }
    page.family(
        "ciphertrunk_failures_total",
        Kind::Counter,
        "What was refused or failed, here or there, by reason code (ciphertrunk explain CODE).",
    );
    for (code, count) in refusals::counts() {
        page.sample(&[("reason", code)], count);
    }
}

fn calls(page: &mut Page) {
    page.family(
        "ciphertrunk_calls_total",
        Kind::Counter,
        "Legs of PJSIP calls that were hung up, by how they were encrypted.",
    );
    for (word, count) in words::counts() {
        page.sample(&[("word", word)], count);
    }
}

#[cfg(feature = "pjsip")]
fn tls(page: &mut Page) {
    use crate::transport::tally::{self, Outcome, Tally};

    const SIDES: [&str; 2] = ["in", "out"];
    let Tally {
        handshakes,
        resumed,
        times,
    } = tally::tally();
    page.family(
        "ciphertrunk_tls_handshakes_total",
        Kind::Counter,
        "TLS handshakes by direction, result (ok, or a reason code), version and group.",
    );
    for ((is_incoming, outcome), count) in &handshakes {
        let direction = SIDES[usize::from(!is_incoming)];
        let (result, version, group) = match outcome {
            Outcome::Done { version, group } => ("ok", *version, group.as_str()),
            Outcome::Failed(code) => (*code, "", ""),
        };
        let labels = [
            ("direction", direction),
            ("result", result),
            ("version", version),
            ("group", group),
        ];
        page.sample(&labels, count);
    }
    page.family(
        "ciphertrunk_tls_resumptions_total",
        Kind::Counter,
        "TLS handshakes that resumed a session.",
    );
    for (direction, count) in SIDES.iter().zip(resumed) {
        page.sample(&[("direction", direction)], count);
    }
    page.family(
        "ciphertrunk_tls_handshake_seconds",
        Kind::Histogram,
        "How long TLS handshakes took that were done, without the TCP connection.",
    );
    for (direction, histogram) in SIDES.iter().zip(&times) {
        page.histogram(&[("direction", direction)], histogram);
    }
    let Some(tls) = transport::current() else {
        return;
    };
    let counts = tls.counts();
    page.family(
        "ciphertrunk_tls_connections",
        Kind::Gauge,
        "TLS connections that are up or in their handshake.",
    )
    .sample(&[], counts.open);
    let usage = tls.usage();
    page.family(
        "ciphertrunk_tls_peer_connections",
        Kind::Gauge,
        "TLS connections that peers began and that are counted against the limits, by state.",
    )
    .sample(&[("state", "handshaking")], usage.handshakes)
    .sample(
        &[("state", "established")],
        usage.connections.saturating_sub(usage.handshakes),
    );
    page.family(
        "ciphertrunk_tls_connections_ended_total",
        Kind::Counter,
        "TLS connections and handshakes that ended, by reason code.",
    );
    for (code, count) in &counts.ended {
        page.sample(&[("reason", code.facts().name)], count);
    }
    page.family(
        "ciphertrunk_sip_messages_total",
        Kind::Counter,
        "SIP messages over TLS.",
    )
    .sample(&[("direction", "in")], counts.messages_in)
    .sample(&[("direction", "out")], counts.messages_out);
    page.family(
        "ciphertrunk_sip_messages_refused_total",
        Kind::Counter,
        "SIP messages that were not sent, because too many waited for the peer.",
    )
    .sample(&[], counts.refused);
    certificates(page, &tls.certificates());
}

#[cfg(feature = "pjsip")]
fn certificates(page: &mut Page, own: &[(String, sip_tls::OwnCertificate)]) {
    page.family(
        "ciphertrunk_certificate_expiry_days",
        Kind::Gauge,
        "Days until a certificate of a TLS transport, or one of its chain, expires; negative: it has.",
    );
    for (transport, certificate) in own {
        let position = certificate.position.to_string();
        let file = certificate.file.to_string_lossy();
        let labels = [
            ("transport", transport.as_str()),
            ("file", &file),
            ("position", &position),
            ("subject", certificate.info.subject.info.as_str()),
        ];
        let days = end_of(&certificate.info).exact_days();
        page.sample(&labels, format_args!("{days:.3}"));
    }
    let peers = transport::peers_certificates();
    let ends = peers.iter().filter_map(|(_, tls)| tls.peer.as_ref());
    let near: Vec<u8> = ends
        .filter_map(|peer| {
            let end = end_of(peer);
            Nearness::of(end.not_after, end.now).map(Nearness::days)
        })
        .collect();
    page.family(
        "ciphertrunk_peer_certificates_expiring",
        Kind::Gauge,
        "Certificates of connected peers that expire within so many days; 0: they have.",
    );
    for days in DAYS.into_iter().chain([0]) {
        let count = near.iter().filter(|near| **near <= days).count();
        page.sample(&[("days", days.to_string().as_str())], count);
    }
}
