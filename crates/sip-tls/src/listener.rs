//! Listening sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::TcpListener;

use crate::profile::Profile;
use crate::socket::{self, SocketOptions};
use crate::sync::{Mutex, MutexGuard};
use crate::waker::Waker;

/// What a listener needs.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// Where to listen; port 0 lets the system choose.
    pub address: SocketAddr,
    /// For the connections that it will accept.
    pub profile: Arc<Profile>,
    /// For its sockets.
    pub options: SocketOptions,
}

pub(crate) struct Shared<L> {
    pub(crate) data: L,
    pub(crate) options: SocketOptions,
    socket: Mutex<Option<TcpListener>>,
    profile: Mutex<Arc<Profile>>,
}

impl<L> Shared<L> {
    pub(crate) fn bind(config: ListenerConfig, data: L) -> io::Result<(Shared<L>, SocketAddr)> {
        let socket = socket::listen(config.address, &config.options)?;
        let address = socket.local_addr()?;
        let shared = Shared {
            data,
            options: config.options,
            socket: Mutex::new(Some(socket)),
            profile: Mutex::new(config.profile),
        };
        Ok((shared, address))
    }

    /// The socket, unless it is closed. Accepting under the lock is what lets `close` be final.
    pub(crate) fn socket(&self) -> MutexGuard<'_, Option<TcpListener>> {
        self.socket.lock()
    }

    pub(crate) fn close(&self) {
        // The guard is gone at the end of the statement; the socket is closed with it.
        drop(self.socket().take());
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.socket().is_none()
    }

    pub(crate) fn profile(&self) -> Arc<Profile> {
        Arc::clone(&self.profile.lock())
    }
}

/// A handle to a listener. Dropping it closes the listener; connections that it accepted stay.
pub struct Listener<L> {
    pub(crate) shared: Arc<Shared<L>>,
    pub(crate) address: SocketAddr,
    /// Those of all loops: any of them may serve it by now.
    pub(crate) wakers: Vec<Arc<Waker>>,
}

impl<L> Listener<L> {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The host's data.
    #[must_use]
    pub fn data(&self) -> &L {
        &self.shared.data
    }

    /// From now on accepted connections get this profile. Those that are there keep theirs.
    pub fn set_profile(&self, profile: Arc<Profile>) {
        *self.shared.profile.lock() = profile;
    }

    /// Stops listening. When it returns the socket is closed and its address is free. Handshakes that are under way end when they are
    /// done, by `refused` with [`ListenerClosed`](crate::Code::ListenerClosed); a call of `accepted` that has begun ends as it ends.
    pub fn close(&self) {
        self.shared.close();
        for waker in &self.wakers {
            waker.notify(None);
        }
    }
}

impl<L> Drop for Listener<L> {
    fn drop(&mut self) {
        self.close();
    }
}
