//! The engine as its host sees it: I/O loops, listeners, outgoing connections.

use std::fmt;
use std::io;
use std::sync::Arc;

use mio::Poll;

use crate::conn::Conn;
use crate::core::{Core, NewConn, PoolConfig, Target};
use crate::counters::Counts;
use crate::host::Host;
use crate::io::IoLoop;
use crate::limits::{Limits, Usage};
use crate::listener::{self, Listener, ListenerConfig};

/// The pool takes no connection: it is shut down, or none of its loops runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no I/O loop of the TLS engine runs")
    }
}

impl std::error::Error for Stopped {}

/// The engine. Dropping it shuts it down; the loops end when their connections are closed.
pub struct Pool<H: Host>(Arc<Core<H>>);

impl<H: Host> Pool<H> {
    /// Makes the engine and its loops, each of which the host runs on a thread of its own.
    ///
    /// # Errors
    /// The system's, if it has no file handles left.
    pub fn new(host: Arc<H>, config: PoolConfig) -> io::Result<(Pool<H>, Vec<IoLoop<H>>)> {
        let core = Arc::new(Core::new(host, config));
        let polls: Vec<_> = core
            .shards
            .iter()
            .map(|_| Poll::new())
            .collect::<io::Result<_>>()?;
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
        if self.0.stopping.is_set() {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, Stopped));
        }
        let (shared, address) = listener::Shared::bind(config, data)?;
        let shared = Arc::new(shared);
        self.0.serve(Arc::clone(&shared));
        let shards = self.0.shards.iter();
        Ok(Listener {
            shared,
            address,
            wakers: shards.map(|shard| Arc::clone(&shard.waker)).collect(),
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
        if self.0.stopping.is_set() {
            return Err(Stopped);
        }
        let conn = self.0.trunk(target.remote);
        let new = NewConn::Connect {
            target,
            data: data(&conn),
            conn: conn.clone(),
        };
        self.0.begin(new).map_err(|_| Stopped)?;
        Ok(conn)
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

    /// From now on clients may take so much. Who is there stays.
    pub fn set_limits(&self, limits: Limits) {
        self.0.gate.set(limits);
    }

    /// What clients have now.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.0.gate.usage()
    }

    /// The connections of each loop.
    #[must_use]
    pub fn loads(&self) -> Vec<usize> {
        self.0.shards.iter().map(|shard| shard.load()).collect()
    }
}

impl<H: Host> Drop for Pool<H> {
    fn drop(&mut self) {
        self.0.stop();
    }
}
