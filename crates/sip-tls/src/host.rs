//! What the engine tells its host.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::cert_info::CertInfo;
use crate::conn::Conn;
use crate::reason::Reason;
use crate::verify::CertFault;

/// An established connection's TLS facts.
#[derive(Debug, Clone)]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`, as OpenSSL writes it.
    pub version: &'static str,
    /// OpenSSL's name of the cipher.
    pub cipher: &'static str,
    /// The cipher's two bytes in the protocol.
    pub cipher_id: u16,
    /// The server name that the client asked for.
    pub sni: Option<String>,
    /// Our end.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
    /// Our certificate, if the profile has one.
    pub own: Option<Arc<CertInfo>>,
    /// The peer's certificate, if it sent one.
    pub peer: Option<CertInfo>,
    /// What is wrong with it. Empty if it is good, or was not asked for. It can only be non-empty if the profile does not verify.
    pub faults: Vec<CertFault>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
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

/// The other side of the engine: whoever takes its messages.
///
/// # Threads and order
/// All callbacks run on the I/O threads that run the [`IoLoop`](crate::IoLoop)s; those of one connection always on the same one.
/// Incoming: [`accepted`](Host::accepted), then messages, then [`closed`](Host::closed). Outgoing:
/// [`connected`](Host::connected), then messages, then `closed`; or `closed` alone. A connection that has data gets `closed` exactly
/// once, after the last `write_done`, and nothing after it. `write_done` comes once for each successful
/// [`Conn::send`], in order, perhaps before `send` returns. After the host closes a connection no more messages come, from inside `message` on.
///
/// # What may be called from inside
/// Everything: no lock is held. But nothing that blocks, for all connections of the thread wait meanwhile. A
/// callback must not unwind: the loop would end.
pub trait Host: Send + Sync + Sized + 'static {
    /// The host's data of a listener.
    type Listener: Send + Sync + 'static;
    /// The host's data of a connection; dropped after `closed`.
    type Conn: Send + 'static;
    /// The host's data of an I/O thread, like a receive buffer.
    type Local;

    /// A client has finished its handshake. `None` refuses it: it is closed, and nothing more is said about it.
    fn accepted(
        &self,
        local: &mut Self::Local,
        listener: &Self::Listener,
        conn: &Conn,
        info: TlsInfo,
    ) -> Option<Self::Conn>;

    /// A client's handshake failed.
    fn refused(
        &self,
        local: &mut Self::Local,
        listener: &Self::Listener,
        remote: SocketAddr,
        reason: Reason,
    );

    /// An outgoing connection has finished its handshake.
    fn connected(&self, local: &mut Self::Local, conn: &Self::Conn, info: TlsInfo);

    /// A whole SIP message, of at most [`MAX_MESSAGE`](crate::frame::MAX_MESSAGE) bytes.
    fn message(&self, local: &mut Self::Local, conn: &Self::Conn, message: &[u8]);

    /// The message sent with `token` was handed to the network, or will not be.
    fn write_done(
        &self,
        local: &mut Self::Local,
        conn: &Self::Conn,
        token: u64,
        result: Result<(), Reason>,
    );

    /// The connection is gone, or never came about.
    fn closed(&self, local: &mut Self::Local, conn: &Self::Conn, reason: Reason);

    /// Something happened to a listener.
    fn listener_event(
        &self,
        local: &mut Self::Local,
        listener: &Self::Listener,
        event: ListenerEvent,
    );
}
