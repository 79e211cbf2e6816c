//! TLS handshakes with a peer, each made for one question.

mod access;
mod ciphers;
mod groups;
mod handshake;
mod large;
mod ossl;
mod plain;
mod resume;
mod sock;
mod versions;

pub(crate) use access::{Access, access};
pub(crate) use ciphers::ciphers;
pub(crate) use groups::groups;
pub(crate) use handshake::{Failed, Hello, Trust, Up, failed, handshake};
pub(crate) use large::large;
pub(crate) use ossl::{Trace, Traced};
pub(crate) use plain::{of_octets, version_name};
pub(crate) use resume::resume;
pub(crate) use sock::Sock;
pub(crate) use versions::versions;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// With whom, and for how long at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Our own address.
    pub(crate) local: Option<IpAddr>,
    /// The limit of one wait.
    pub(crate) timeout: Duration,
    /// The end of everything.
    pub(crate) end: Option<Instant>,
}

/// A wait is never shorter: sockets take no limit of zero.
const SHORTEST: Duration = Duration::from_millis(1);

/// How long the next wait may be, with a limit for each and one for all.
pub(crate) fn wait(timeout: Duration, end: Option<Instant>) -> Duration {
    let left = end.map(|end| end.saturating_duration_since(Instant::now()));
    left.map_or(timeout, |left| left.min(timeout)).max(SHORTEST)
}

impl Peer {
    /// How long the next wait may be.
    pub(crate) fn wait(&self) -> Duration {
        wait(self.timeout, self.end)
    }

    /// Whether the time for everything is over: what has just been seen may be for want of time.
    pub(crate) fn is_late(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }
}
