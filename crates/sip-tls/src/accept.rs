//! Accepting connections, without spinning when there are no file handles.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::{Interest, Registry, Token};

use crate::core::{Core, NewConn};
use crate::counters::add;
use crate::host::{Host, ListenerEvent};
use crate::listener;

/// Connections taken at once from one listener, before the others have their turn.
const BATCH: usize = 64;

/// A loop's view of a listener.
pub(crate) struct Accepting<H: Host> {
    pub(crate) shared: Arc<listener::Shared<H::Listener>>,
    /// Whether epoll watches its socket.
    registered: bool,
    /// Connections may be waiting.
    pub(crate) ready: bool,
    /// It failed and has a pause.
    parked: bool,
    /// The failure was reported, and nothing has been accepted since.
    failing: bool,
}

impl<H: Host> Accepting<H> {
    /// After a failure.
    pub(crate) const PAUSE: Duration = Duration::from_millis(100);

    pub(crate) fn new(shared: Arc<listener::Shared<H::Listener>>) -> Self {
        Accepting {
            shared,
            registered: false,
            ready: true,
            parked: false,
            failing: false,
        }
    }

    pub(crate) fn has_work(&self) -> bool {
        self.ready && !self.parked
    }

    pub(crate) fn unpark(&mut self) {
        self.parked = false;
    }

    /// Lets epoll watch its socket.
    fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        if !self.registered {
            if let Some(socket) = &mut *self.shared.socket() {
                registry.register(socket, token, Interest::READABLE)?;
            }
            self.registered = true;
        }
        Ok(())
    }

    /// The socket is for another loop's epoll from now on.
    pub(crate) fn release(self, registry: &Registry) -> Arc<listener::Shared<H::Listener>> {
        if self.registered
            && let Some(socket) = &mut *self.shared.socket()
        {
            // An epoll that has failed may refuse; it forgets the socket when it is closed, at the latest.
            let _ = registry.deregister(socket);
        }
        self.shared
    }

    /// Reports a failure, unless it goes on.
    fn fail(&mut self, error: &io::Error, host: &H) {
        self.parked = true;
        if !std::mem::replace(&mut self.failing, true) {
            let errno = error.raw_os_error().unwrap_or(0);
            let scarce = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM].contains(&errno);
            let event = if scarce {
                ListenerEvent::OutOfResources(errno)
            } else {
                ListenerEvent::Failed(errno)
            };
            host.listener_event(&self.shared.data, event);
        }
    }

    /// Takes what waits and is let in; and whether it has to pause now.
    pub(crate) fn take(
        &mut self,
        core: &Core<H>,
        registry: &Registry,
        token: Token,
    ) -> (Vec<NewConn<H>>, bool) {
        let host = &*core.host;
        let mut taken = Vec::new();
        let mut accepted_now = 0;
        if !self.has_work() {
            return (taken, false);
        }
        if let Err(error) = self.register(registry, token) {
            self.fail(&error, host);
            return (taken, true);
        }
        while self.has_work() && accepted_now < BATCH {
            let accepted = match &*self.shared.socket() {
                Some(socket) => socket.accept(),
                None => break,
            };
            match accepted {
                Ok((tcp, remote)) => {
                    accepted_now += 1;
                    if let Some(pass) = core.let_in(&self.shared, &tcp, remote) {
                        taken.push(NewConn::Accepted {
                            listener: Arc::clone(&self.shared),
                            tcp,
                            remote,
                            pass,
                        });
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.ready = false,
                // A client that was gone before we came.
                Err(error)
                    if matches!(
                        error.raw_os_error(),
                        Some(libc::ECONNABORTED | libc::EINTR | libc::EPROTO)
                    ) => {}
                Err(error) => {
                    self.fail(&error, host);
                    return (taken, true);
                }
            }
        }
        add(&core.counters.accepted, accepted_now);
        if accepted_now > 0 && std::mem::replace(&mut self.failing, false) {
            host.listener_event(&self.shared.data, ListenerEvent::Recovered);
        }
        (taken, false)
    }
}
