//! The keys of connections, written for somebody who is to read the traffic.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use openssl::ex_data::Index;
use openssl::ssl::{Ssl, SslContextBuilder};

use crate::verify::PeerName;

/// Takes lines in the format of `SSLKEYLOGFILE`, without the line's end, on the connection's I/O thread. Whoever has them can read the traffic.
pub type KeyLog = Arc<dyn Fn(&KeyOwner, &str) + Send + Sync>;

/// The connection that a line of a [`KeyLog`] is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOwner {
    /// The peer's end.
    pub remote: SocketAddr,
    /// The name that was asked for; `None`: the peer has connected to us.
    pub wanted: Option<PeerName>,
}

/// Where a connection keeps its [`KeyOwner`]. `None`: OpenSSL has no room for it, and no keys are written.
static OWNER: LazyLock<Option<Index<Ssl, KeyOwner>>> = LazyLock::new(|| Ssl::new_ex_index().ok());

pub(crate) fn set_key_log(context: &mut SslContextBuilder, sink: KeyLog) {
    context.set_keylog_callback(move |ssl, line| {
        if let Some(owner) = OWNER.and_then(|index| ssl.ex_data(index)) {
            sink(owner, line);
        }
    });
}

pub(crate) fn set_key_owner(ssl: &mut Ssl, owner: KeyOwner) {
    if let Some(index) = *OWNER {
        ssl.set_ex_data(index, owner);
    }
}
