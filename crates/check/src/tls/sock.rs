//! A socket whose reads and writes end in time, and that keeps what came first.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Octets that are kept of what the peer sent first.
const FIRST: usize = 8 * 1024;
/// Of them, `sip-tls`' reasons look at so many: a record's and a hello's heads.
pub(crate) const HEAD: usize = 11;

/// The socket.
#[derive(Debug)]
pub(crate) struct Sock {
    pub(crate) tcp: TcpStream,
    end: Instant,
    first: Vec<u8>,
    errno: Option<i32>,
    /// A wait came to its end.
    pub(crate) timed_out: bool,
    /// The peer has sent FIN.
    pub(crate) finished: bool,
}

impl Sock {
    pub(crate) fn new(tcp: TcpStream, timeout: Duration) -> Sock {
        Sock {
            tcp,
            end: Instant::now() + timeout,
            first: Vec::new(),
            errno: None,
            timed_out: false,
            finished: false,
        }
    }

    /// From now on so long.
    pub(crate) fn give(&mut self, timeout: Duration) {
        self.end = Instant::now() + timeout;
        self.timed_out = false;
    }

    /// What the peer sent first, at most 8 KiB.
    pub(crate) fn first(&self) -> &[u8] {
        &self.first
    }

    /// The same as `sip-tls`' reasons want it.
    pub(crate) fn head(&self) -> &[u8] {
        &self.first[..self.first.len().min(HEAD)]
    }

    /// The error that the socket has died of.
    pub(crate) fn errno(&self) -> Option<i32> {
        self.errno
    }

    fn left(&mut self) -> io::Result<Duration> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.timed_out = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(left)
    }

    fn told(&mut self, result: io::Result<usize>) -> io::Result<usize> {
        if let Err(error) = &result {
            if matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            ) && error.raw_os_error() != Some(libc::ETIMEDOUT)
            {
                self.timed_out = true;
            } else if error.kind() != io::ErrorKind::Interrupted {
                self.errno = error.raw_os_error();
            }
        }
        result
    }
}

impl Read for Sock {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left()?;
        self.tcp.set_read_timeout(Some(left))?;
        let result = self.tcp.read(buffer);
        let count = self.told(result)?;
        if count == 0 && !buffer.is_empty() {
            self.finished = true;
        }
        let keep = count.min(FIRST - self.first.len());
        self.first.extend_from_slice(&buffer[..keep]);
        Ok(count)
    }
}

impl Write for Sock {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let left = self.left()?;
        self.tcp.set_write_timeout(Some(left))?;
        let result = self.tcp.write(buffer);
        self.told(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}
