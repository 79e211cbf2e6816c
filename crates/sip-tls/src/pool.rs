//! The engine as its host sees it: I/O loops, listeners, outgoing connections.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mio::{Poll, Waker};

use crate::conn::{Conn, Shared};
use crate::counters::{Counters, Counts};
use crate::doorbell::Doorbell;
use crate::host::Host;
use crate::io::{IoLoop, WAKER};
use crate::listener::{self, Listener, ListenerConfig};
use crate::profile::Profile;
use crate::socket::SocketOptions;
use crate::verify::PeerName;

/// The engine's own numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolConfig {
    /// I/O loops; the host brings a thread for each.
    pub loops: usize,
    /// From the TCP connection's begin, in or out, to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// Bytes that may wait to be written to one connection.
    pub write_queue: usize,
    /// How long a connection that is being closed may take to write what is queued, and after that to hear the peer close too.
    pub linger: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        PoolConfig {
            loops: 2,
            handshake_timeout: Duration::from_secs(10),
            write_queue: 256 * 1024,
            linger: Duration::from_secs(2),
        }
    }
}

/// Where and how to connect.
#[derive(Debug, Clone)]
pub struct Target {
    /// The peer's address.
    pub remote: SocketAddr,
    /// Our address, if it matters; port 0 lets the system choose.
    pub local: Option<SocketAddr>,
    /// The name that the caller asked for: the certificate must be for it, and it is the SNI.
    pub name: PeerName,
    /// Whose certificates and options.
    pub profile: Arc<Profile>,
    /// For the socket.
    pub options: SocketOptions,
}

/// The pool is shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the TLS engine is shut down")
    }
}

impl std::error::Error for Stopped {}

/// What a loop is asked to do.
pub(crate) enum Command<H: Host> {
    Listen(Arc<listener::Shared<H::Listener>>),
    Accepted {
        listener: Arc<listener::Shared<H::Listener>>,
        tcp: mio::net::TcpStream,
        remote: SocketAddr,
    },
    Connect {
        target: Target,
        conn: Conn,
        data: H::Conn,
    },
}

/// What the host and the other loops see of a loop.
pub(crate) struct Desk<H: Host> {
    pub(crate) bell: Arc<Doorbell>,
    /// `None` once the loop has ended.
    commands: Mutex<Option<Vec<Command<H>>>>,
    /// Connections, and those on their way to it.
    pub(crate) load: AtomicUsize,
}

impl<H: Host> Desk<H> {
    /// Gives the command back if the loop has ended.
    pub(crate) fn put(&self, command: Command<H>) -> Result<(), Box<Command<H>>> {
        match &mut *self.commands.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(commands) => commands.push(command),
            None => return Err(Box::new(command)),
        }
        self.bell.ring(None);
        Ok(())
    }

    pub(crate) fn take(&self) -> Vec<Command<H>> {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The last commands; there will be no more.
    pub(crate) fn end(&self) -> Vec<Command<H>> {
        self.commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or_default()
    }
}

pub(crate) struct Core<H: Host> {
    pub(crate) host: Arc<H>,
    pub(crate) config: PoolConfig,
    pub(crate) counters: Counters,
    pub(crate) desks: Vec<Desk<H>>,
    stopping: AtomicBool,
    next: AtomicUsize,
}

impl<H: Host> Core<H> {
    /// The loop with the fewest connections, the next in turn among equals; the new one is counted.
    pub(crate) fn choose(&self) -> usize {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let turn = (0..self.desks.len()).map(|i| (first + i) % self.desks.len());
        let chosen = turn
            .min_by_key(|&i| self.desks[i].load.load(Ordering::Relaxed))
            .unwrap_or(0);
        self.desks[chosen].load.fetch_add(1, Ordering::Relaxed);
        chosen
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        for desk in &self.desks {
            desk.bell.ring(None);
        }
    }
}

/// The engine. Dropping it shuts it down; the loops end when their connections are closed.
pub struct Pool<H: Host>(Arc<Core<H>>);

impl<H: Host> Pool<H> {
    /// Makes the engine and its loops, each of which the host runs on a thread of its own.
    ///
    /// # Errors
    /// The system's, if it has no file handles left.
    pub fn new(host: Arc<H>, config: PoolConfig) -> io::Result<(Pool<H>, Vec<IoLoop<H>>)> {
        let mut desks = Vec::new();
        let mut polls = Vec::new();
        for _ in 0..config.loops.max(1) {
            let poll = Poll::new()?;
            let bell = Arc::new(Doorbell::new(Waker::new(poll.registry(), WAKER)?));
            desks.push(Desk {
                bell,
                commands: Mutex::new(Some(Vec::new())),
                load: AtomicUsize::new(0),
            });
            polls.push(poll);
        }
        let core = Arc::new(Core {
            host,
            config,
            counters: Counters::new(),
            desks,
            stopping: AtomicBool::new(false),
            next: AtomicUsize::new(0),
        });
        let loops = polls
            .into_iter()
            .enumerate()
            .map(|(i, poll)| IoLoop::new(Arc::clone(&core), i, poll))
            .collect();
        Ok((Pool(core), loops))
    }

    /// Binds and listens; connections come when a loop runs. `data` comes back with each callback.
    ///
    /// # Errors
    /// The system's; or `InvalidInput` if the profile has no certificate, `BrokenPipe` if the pool is shut down.
    pub fn listen(
        &self,
        config: ListenerConfig,
        data: H::Listener,
    ) -> io::Result<Listener<H::Listener>> {
        if !config.profile.can_listen() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "there is no certificate to accept connections with",
            ));
        }
        let (shared, address) = listener::Shared::bind(config, data)?;
        let shared = Arc::new(shared);
        let desk = &self.0.desks[self.0.next.fetch_add(1, Ordering::Relaxed) % self.0.desks.len()];
        desk.put(Command::Listen(Arc::clone(&shared)))
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, Stopped))?;
        Ok(Listener {
            shared,
            address,
            bell: Arc::clone(&desk.bell),
        })
    }

    /// Connects. It does no more here than ask a loop for it; `data` is made of the handle, and comes back with each callback. Every failure comes by
    /// [`closed`](Host::closed).
    ///
    /// # Errors
    /// [`Stopped`]; there will be no callback.
    pub fn connect(
        &self,
        target: Target,
        data: impl FnOnce(&Conn) -> H::Conn,
    ) -> Result<Conn, Stopped> {
        if self.0.is_stopping() {
            return Err(Stopped);
        }
        let chosen = self.0.choose();
        let desk = &self.0.desks[chosen];
        let conn = Conn(Arc::new(Shared::new(
            target.remote,
            self.0.config.write_queue,
            Arc::clone(&desk.bell),
        )));
        let command = Command::Connect {
            target,
            conn: conn.clone(),
            data: data(&conn),
        };
        match desk.put(command) {
            Ok(()) => Ok(conn),
            Err(_) => {
                desk.load.fetch_sub(1, Ordering::Relaxed);
                Err(Stopped)
            }
        }
    }

    /// Closes all listeners and connections; the loops return when all callbacks are done. It does not wait: join the threads.
    pub fn shutdown(&self) {
        self.0.stop();
    }

    /// The counters.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.counters.read()
    }

    /// The connections of each loop.
    #[must_use]
    pub fn loads(&self) -> Vec<usize> {
        self.0
            .desks
            .iter()
            .map(|desk| desk.load.load(Ordering::Relaxed))
            .collect()
    }
}

impl<H: Host> Drop for Pool<H> {
    fn drop(&mut self) {
        self.0.stop();
    }
}
