//! What is refused, as an event of the manager interface, and where it is a matter of security as one of Asterisk's security events.
//!
//! Whoever refuses may be an I/O thread, or hold a lock; and Asterisk calls whoever has asked for events. So what is refused is put
//! into a queue here, and the watch sends it. Events are bounded as log lines are (`policy::limiter`): the first of a kind at once,
//! then one with a count.
//!
//! There is no event for a connection that begins or ends. It would have to be bounded as well, since whoever reaches the port makes
//! as many as it likes, and with one of them left out a client's picture is wrong for good; the action `CiphertrunkConnections` says
//! what there is, and PJSIP's `ContactStatus` and `Registry` who can be reached.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use policy::limiter::{Limiter, MAX_KINDS, PER_KIND, Summary};
use policy::reasons;
use policy::record::{Entry, New};
use policy::security::{self, Event};

use crate::ffi::host;
use crate::ffi::manager::{self, Fields};
use crate::ffi::security::{Report, report};
use crate::ffi::sync::Mutex;

use super::cli::reasons::when;
use super::refusals::Came;

/// What is left to send at most: as much as the limiter admits in one interval, and the watch looks oftener.
const QUEUED: usize = (MAX_KINDS + 1) * PER_KIND as usize;

/// What is to be sent.
struct Queued {
    entry: Entry,
    security: Option<Security>,
}

/// What only a security event needs.
struct Security {
    event: Event,
    remote: SocketAddr,
    local: SocketAddr,
    over: String,
}

impl Security {
    fn of(code: &str, came: Came<'_>) -> Option<Self> {
        let unspecified = match came.remote {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Some(Self {
            event: security::of(code, came.over)?,
            remote: came.remote,
            local: came.local.unwrap_or(SocketAddr::new(unspecified, 0)),
            over: came.over.to_owned(),
        })
    }
}

/// Leaves among the locks.
static LIMITER: Mutex<Limiter> = Mutex::new(Limiter::new());
static QUEUE: Mutex<VecDeque<Queued>> = Mutex::new(VecDeque::new());

fn now() -> Duration {
    Duration::from_millis(host::monotonic_ms())
}

/// Something was refused. Only queues it.
pub fn push(new: New<'_>, came: Option<Came<'_>>) {
    let address = came.map(|came| came.remote.ip().to_string());
    let source = address.as_deref().unwrap_or(match new.endpoint {
        "" => new.peer,
        endpoint => endpoint,
    });
    if !LIMITER.lock().admits(new.code, source, now()) {
        return;
    }
    let queued = Queued {
        security: came.and_then(|came| Security::of(new.code, came)),
        entry: Entry::of(new),
    };
    let mut queue = QUEUE.lock();
    if queue.len() < QUEUED {
        queue.push_back(queued);
    }
}

/// Sends what is queued, and the counts that are due. On the watch's thread, with no lock held.
pub fn send() {
    let queued = std::mem::take(&mut *QUEUE.lock());
    for queued in &queued {
        send_one(queued);
    }
    let due = LIMITER.lock().due(now());
    send_counts(&due);
}

/// Sends what is left, at unload.
pub fn send_rest() {
    send();
    let left = LIMITER.lock().flush(now());
    send_counts(&left);
}

fn send_one(queued: &Queued) {
    let entry = &queued.entry;
    manager::event(c"CiphertrunkRefusal", &fields(entry));
    let Some(security) = &queued.security else {
        return;
    };
    let (remote, local) = (security.remote.to_string(), security.local.to_string());
    report(&Report {
        event: security.event,
        account: &entry.endpoint,
        session: match entry.call_id.as_str() {
            "" => &remote,
            call_id => call_id,
        },
        local: &local,
        remote: &remote,
        over: &security.over,
        code: entry.code,
        sentence: &entry.sentence,
    });
}

/// A refusal, as the manager interface has it.
pub fn fields(entry: &Entry) -> Fields {
    let row = reasons::find(entry.code);
    Fields::new()
        .with("Time", when(entry.time))
        .with("Code", entry.code)
        .with("Stage", row.map_or("", |row| row.stage))
        .with("Side", row.map_or("", |row| row.side.word()))
        .with("Peer", &entry.peer)
        .with("Endpoint", &entry.endpoint)
        .with("CallID", &entry.call_id)
        .with("Sentence", &entry.sentence)
}

fn send_counts(summaries: &[Summary]) {
    for summary in summaries {
        let sources = summary.sources.iter();
        let sources: Vec<String> = sources
            .map(|(source, count)| format!("{count} from {source}"))
            .collect();
        let fields = Fields::new()
            .with("Code", &summary.kind)
            .with("Count", summary.lines)
            .with("Seconds", summary.time.as_secs().max(1))
            .with("Sources", sources.join(", "));
        manager::event(c"CiphertrunkRefusalsSuppressed", &fields);
    }
}
