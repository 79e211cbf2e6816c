//! TCP sockets as the options want them.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

/// TCP keepalive (`tcp_keepalive_*`). `None` leaves the kernel's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keepalive {
    /// Idle time before the first probe.
    pub idle: Option<Duration>,
    /// Time between probes.
    pub interval: Option<Duration>,
    /// Unanswered probes until the connection is given up.
    pub probes: Option<u32>,
}

/// What a transport sets on each of its sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SocketOptions {
    /// The IP type of service byte (`tos`), or the traffic class of IPv6.
    pub tos: Option<u8>,
    /// The 802.1p priority (`cos`), by SO_PRIORITY.
    pub cos: Option<u8>,
    /// TCP keepalive; `None` switches it off.
    pub keepalive: Option<Keepalive>,
}

impl SocketOptions {
    /// Sets them, and TCP_NODELAY: a SIP message must not wait for another.
    pub(crate) fn apply(&self, socket: &Socket, v6: bool) -> io::Result<()> {
        socket.set_tcp_nodelay(true)?;
        if let Some(tos) = self.tos {
            if v6 {
                socket.set_tclass_v6(tos.into())?
            } else {
                socket.set_tos_v4(tos.into())?
            }
        }
        if let Some(cos) = self.cos {
            socket.set_priority(cos.into())?;
        }
        let Some(keepalive) = self.keepalive else {
            return Ok(());
        };
        let mut values = TcpKeepalive::new();
        if let Some(idle) = keepalive.idle {
            values = values.with_time(idle);
        }
        if let Some(interval) = keepalive.interval {
            values = values.with_interval(interval);
        }
        if let Some(probes) = keepalive.probes {
            values = values.with_retries(probes);
        }
        socket.set_keepalive(true)?;
        socket.set_tcp_keepalive(&values)
    }
}

impl SocketOptions {
    /// Sets how long data may be on its way until the connection is given up. With it the system gives up at the first keepalive probe
    /// without an answer that is so old, and does not count them: it is never shorter than what the probes are to take.
    pub(crate) fn give_up(&self, socket: &Socket, after: Option<Duration>) -> io::Result<()> {
        let Some(after) = after else {
            return Ok(());
        };
        let probes = self
            .keepalive
            .and_then(|keepalive| Some(keepalive.idle? + keepalive.interval? * keepalive.probes?));
        socket.set_tcp_user_timeout(Some(after.max(probes.unwrap_or_default())))
    }
}

fn stream_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Binds and listens. An IPv6 socket is for IPv6 only, so that an IPv4 transport can have the same port.
pub(crate) fn listen(address: SocketAddr, options: &SocketOptions) -> io::Result<TcpListener> {
    let socket = stream_socket(address)?;
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit the options that matter before the first packet.
    options.apply(&socket, address.is_ipv6())?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Begins to connect.
pub(crate) fn connect(
    local: Option<SocketAddr>,
    remote: SocketAddr,
    options: &SocketOptions,
) -> io::Result<TcpStream> {
    let socket = stream_socket(remote)?;
    options.apply(&socket, remote.is_ipv6())?;
    if let Some(local) = local {
        socket.bind(&local.into())?;
    }
    match socket.connect(&remote.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// Octets of TLS after the handshake without an octet for us in them. A record of the largest size is 16 KiB and a little more (RFC 8446 5.2);
/// tickets are some kilobytes, and a renegotiation has [`MAX_CERTIFICATES`](crate::MAX_CERTIFICATES) and some. A key update has 27.
const MAX_BARREN: usize = 64 * 1024;

/// What is kept of the peer's first bytes: as far as the version in a hello (RFC 8446 5.1, 4.1.2).
const FIRST: usize = 11;

/// A connection's socket under OpenSSL. It remembers how the peer's bytes began, and what the socket died of: OpenSSL does not
/// always pass that on.
#[derive(Debug)]
pub(crate) struct Sock {
    pub(crate) tcp: TcpStream,
    first: [u8; FIRST],
    first_len: usize,
    /// Whether an alert was sent.
    alerted: bool,
    errno: Option<i32>,
    /// Octets that have come since the last message's: those of records that carry nothing too.
    barren: usize,
    /// The handshake is done: a FIN of the peer is not an error of TLS, for it may still read.
    pub(crate) open: bool,
    fin: bool,
}

impl Sock {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Sock {
            tcp,
            first: [0; FIRST],
            first_len: 0,
            alerted: false,
            errno: None,
            barren: 0,
            open: false,
            fin: false,
        }
    }

    /// Has the peer's octets acknowledged now and not 40 ms later. It may wait for that before it sends more (Nagle's algorithm).
    pub(crate) fn acknowledge(&self) {
        // What fails has the system's own pace.
        let _ = SockRef::from(&self.tcp).set_tcp_quickack(true);
    }

    /// Something was read that is the peer's, and not TLS's.
    pub(crate) fn bore(&mut self) {
        self.barren = 0;
    }

    /// Whether more has come without anything in it than there is a reason for.
    pub(crate) fn is_barren(&self) -> bool {
        self.barren > MAX_BARREN
    }

    /// Whether the peer has closed its side of TCP.
    pub(crate) fn is_finished(&self) -> bool {
        self.fin
    }

    /// The error that ended it.
    pub(crate) fn errno(&self) -> Option<i32> {
        self.errno
    }

    fn watch(&mut self, result: io::Result<usize>) -> io::Result<usize> {
        if let Err(error) = &result
            && !matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            )
        {
            self.errno = error.raw_os_error();
        }
        result
    }

    /// Whether we have sent an alert. On a connection that goes on that is one to a client: it may not renegotiate.
    pub(crate) fn alerted(&self) -> bool {
        self.alerted
    }

    /// Up to [`FIRST`] bytes that the peer sent first.
    pub(crate) fn first(&self) -> &[u8] {
        &self.first[..self.first_len]
    }
}

impl Read for Sock {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.tcp.read(buffer);
        let count = self.watch(result)?;
        if count == 0 && self.open && !buffer.is_empty() {
            // OpenSSL would take a FIN without close_notify for a fatal error, and write nothing any more.
            self.fin = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.open {
            self.barren += count;
            if self.barren > MAX_BARREN {
                return Err(io::ErrorKind::QuotaExceeded.into());
            }
        }
        let more = count.min(self.first.len() - self.first_len);
        self.first[self.first_len..self.first_len + more].copy_from_slice(&buffer[..more]);
        self.first_len += more;
        Ok(count)
    }
}

/// Whether these are one whole record with an alert (RFC 5246 6.2.1). TLS 1.3 hides what its records are.
fn is_alert(bytes: &[u8]) -> bool {
    const ALERT: u8 = 21;
    const HEADER: usize = 5;
    matches!(*bytes, [ALERT, 3, _, high, low, ..]
        if usize::from(u16::from_be_bytes([high, low])) == bytes.len() - HEADER)
}

impl Write for Sock {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.alerted |= is_alert(bytes);
        let result = self.tcp.write(bytes);
        self.watch(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
