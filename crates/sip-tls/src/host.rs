//! What the engine tells its host.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::cert_info::CertInfo;
use crate::conn::Conn;
use crate::frame::Fault;
use crate::reason::Reason;
use crate::verify::{CertFault, PeerName};

/// An established connection's TLS facts.
#[derive(Debug, Clone)]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`, as OpenSSL writes it.
    pub version: &'static str,
    /// OpenSSL's name of the cipher.
    pub cipher: &'static str,
    /// The group of the key exchange, by its usual name, e.g. `X25519`. `None`: there was none (static RSA), or OpenSSL does not tell.
    pub group: Option<String>,
    /// The cipher's two bytes in the protocol.
    pub cipher_id: u16,
    /// The server name that the client asked for.
    pub sni: Option<String>,
    /// Our end.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
    /// The profile that it is of, by its name; `None`: the transport's own.
    pub profile: Option<Arc<str>>,
    /// Our certificate, if the profile has one.
    pub own: Option<Arc<CertInfo>>,
    /// The peer's certificate, if it sent one.
    pub peer: Option<CertInfo>,
    /// What is wrong with it. Empty if it is good, or was not asked for. It can only be non-empty if the profile does not verify.
    pub faults: Vec<CertFault>,
    /// The name that was asked for, or that the profile wants in its place, which was compared with the certificate's. `None`: none was
    /// asked for, as of a client.
    pub wanted: Option<PeerName>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// From the first step of the handshake to its end: without the TCP connection, and without the wait for a loop.
    pub took: Duration,
}

impl TlsInfo {
    /// The names of the peer's certificate. `None`: it has none, or one that was verified and not found good.
    #[must_use]
    pub fn verified_names(&self) -> Option<Vec<String>> {
        let peer = self.peer.as_ref().filter(|_| self.faults.is_empty())?;
        // The name that was asked for may be one that a wildcard of its stands for.
        let asked = self.wanted.iter().map(ToString::to_string);
        Some(peer.names().into_iter().chain(asked).collect())
    }
}

/// What happened to a listener as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerEvent {
    /// Connections wait, but the process or system has no file handle left (EMFILE, ENFILE) or no memory. It tries again ten times
    /// per second; this is said once until it can.
    OutOfResources(i32),
    /// Accepting works again.
    Recovered,
    /// Accepting failed in another way; it tries again likewise.
    Failed(i32),
}

/// Why an I/O loop failed.
#[derive(Debug)]
pub enum LoopError {
    /// [`Host::local`] had nothing to give.
    Start(io::Error),
    /// The system gave no epoll, or it failed.
    Epoll(io::Error),
    /// Something panicked; the panic's text.
    Panic(String),
}

impl fmt::Display for LoopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoopError::Start(error) => write!(f, "it could not start: {error}"),
            LoopError::Epoll(error) => write!(f, "epoll failed: {error}"),
            LoopError::Panic(text) => write!(f, "it panicked: {text}"),
        }
    }
}

/// An I/O loop has failed: its connections are closed by now, and its listeners are with another loop, if one runs.
#[derive(Debug)]
pub struct LoopFailure {
    /// Which loop.
    pub index: usize,
    /// Why.
    pub error: LoopError,
    /// How many connections it had.
    pub connections: usize,
    /// When it starts again.
    pub pause: Duration,
}

/// The other side of the engine: whoever takes its messages.
///
/// # Threads and order
/// The callbacks run on the threads that run the [`IoLoop`](crate::IoLoop)s (and where one is dropped); those of one connection always
/// one after another. Incoming: [`accepted`](Host::accepted), then messages, then [`closed`](Host::closed). Outgoing:
/// [`connected`](Host::connected), then messages, then `closed`; or `closed` alone. A connection that has data gets `closed` exactly
/// once, after the last `write_done`, and nothing after it. `write_done` comes once for each successful
/// [`Conn::send`], in order, perhaps before `send` returns. After the host closes a connection no more messages come, from inside `message` on.
///
/// # What may be called from inside
/// Everything: no lock is held. But nothing that blocks, for all connections of the thread wait meanwhile. A callback that
/// panics ends the loop, as any panic does: all connections of that loop are closed (each still gets its `write_done`s and its `closed`), and
/// the loop starts again.
pub trait Host: Send + Sync + Sized + 'static {
    /// The host's data of a listener.
    type Listener: Send + Sync + 'static;
    /// The host's data of a connection; dropped after `closed`.
    type Conn: Send + 'static;
    /// The host's data of an I/O loop, like a receive buffer.
    type Local;

    /// What loop `index` (from 0) has of its own; asked at each of its starts, on its thread.
    ///
    /// # Errors
    /// Most likely there is no memory. The loop tries again later; the others serve meanwhile.
    fn local(&self, index: usize) -> io::Result<Self::Local>;

    /// Whether a client may connect from this address; before TLS, and before any limit. One that may not is
    /// [`refused`](Host::refused) with [`AclDenied`](crate::Code::AclDenied).
    fn permits(&self, _listener: &Self::Listener, _address: IpAddr) -> bool {
        true
    }

    /// A client has finished its handshake. `None` refuses it: it is closed, and nothing more is said about it.
    fn accepted(&self, listener: &Self::Listener, conn: &Conn, info: TlsInfo)
    -> Option<Self::Conn>;

    /// A client was not let in, or its handshake failed.
    fn refused(&self, listener: &Self::Listener, remote: SocketAddr, reason: Reason);

    /// An outgoing connection has finished its handshake.
    fn connected(&self, conn: &Self::Conn, info: TlsInfo);

    /// A whole SIP message, of at most [`MAX_MESSAGE`](crate::frame::MAX_MESSAGE) bytes.
    fn message(&self, local: &mut Self::Local, conn: &Self::Conn, message: &[u8]);

    /// Something that the peer sent was not handed on, and is answered if it can be ([`Fault::answer`]). The connection stays.
    fn malformed(&self, conn: &Self::Conn, fault: &Fault<'_>);

    /// The message sent with `token` was handed to the network, or will not be.
    fn write_done(&self, conn: &Self::Conn, token: u64, result: Result<(), Reason>);

    /// The connection is gone, or never came about.
    fn closed(&self, conn: &Self::Conn, reason: Reason);

    /// Something happened to a listener.
    fn listener_event(&self, listener: &Self::Listener, event: ListenerEvent);

    /// An I/O loop has failed, and will start again.
    fn loop_failed(&self, failure: &LoopFailure);
}
