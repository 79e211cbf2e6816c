//! `ciphertrunk show sessions`: the live SRTP sessions.

use crate::console;
use crate::ffi::cli::{Console, Outcome};
use crate::media::registry;

use super::Rows;

pub fn show_sessions(console: &mut Console<'_>) -> Outcome {
    let Some(rows) = Rows::of(console, 3) else {
        return Outcome::Usage;
    };
    let sessions = registry::live();
    for session in sessions.iter().take(rows.most()) {
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
    rows.end(console, sessions.len(), "SRTP sessions");
    Outcome::Done
}
