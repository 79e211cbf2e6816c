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
pub(crate) use plain::of_octets;
pub(crate) use resume::resume;
pub(crate) use sock::Sock;
pub(crate) use versions::versions;

use std::net::SocketAddr;
use std::time::Duration;

/// With whom, and for how long at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) timeout: Duration,
}
