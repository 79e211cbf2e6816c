//! What comes before TLS on a balancer's connection: a PROXY protocol header, which says whose it is.
//!
//! It is looked at in the socket, and taken out of it when it is whole: nothing behind it is touched.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::{Interest, Token};

use crate::code::Code;
use crate::host::Host;
use crate::listener;
use crate::proxy::{self, Client, Parsed};
use crate::reactor::{Reactor, Share, Timer};

/// Set in the tokens of greetings.
pub(crate) const GREETING: usize = 1 << 61;

/// A connection whose header is waited for.
pub(crate) struct Greeting<H: Host> {
    listener: Arc<listener::Shared<H::Listener>>,
    tcp: mio::net::TcpStream,
    /// The balancer.
    remote: SocketAddr,
    share: Share,
    /// Tells it from those that had its slot before.
    serial: u64,
}

/// What was found.
enum Found {
    Client(Client),
    Nothing,
    Wrong(Code),
}

impl<H: Host> Greeting<H> {
    /// Looks for a header, and takes it out.
    fn look(&mut self, buffer: &mut [u8]) -> Found {
        let seen = match self.tcp.peek(buffer) {
            // A health check that connects and closes.
            Ok(0) => return Found::Wrong(Code::NothingSent),
            Ok(count) => &buffer[..count],
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                return Found::Nothing;
            }
            Err(_) => return Found::Wrong(Code::NothingSent),
        };
        match proxy::parse(seen) {
            Parsed::Partial => Found::Nothing,
            Parsed::Invalid => Found::Wrong(Code::ProxyHeader),
            Parsed::Header(count, client) => match self.tcp.read_exact(&mut buffer[..count]) {
                Ok(()) => Found::Client(client),
                Err(_) => Found::Wrong(Code::ResetInHandshake),
            },
        }
    }
}

impl<H: Host> Reactor<H> {
    /// A balancer has connected.
    pub(crate) fn greeted(
        &mut self,
        listener: Arc<listener::Shared<H::Listener>>,
        mut tcp: mio::net::TcpStream,
        remote: SocketAddr,
        share: Share,
    ) {
        let slot = self.greetings.vacant_key();
        let registered =
            self.poll
                .registry()
                .register(&mut tcp, Token(slot | GREETING), Interest::READABLE);
        if registered.is_err() {
            return self.core.turn_away(&listener, remote, Code::Internal);
        }
        let serial = self.next_serial();
        self.greetings.insert(Greeting {
            listener,
            tcp,
            remote,
            share,
            serial,
        });
        let timeout = self.core.config.handshake_timeout;
        self.set_timer(timeout, Timer::Greeting(slot, serial));
        // What came before epoll watched is told of as well, so nothing is looked for here.
    }

    /// Something has come.
    pub(crate) fn on_greeting(&mut self, slot: usize) {
        let buffer = &mut self.buffer[..proxy::MAX_HEADER];
        let Some(found) = self.greetings.get_mut(slot).map(|it| it.look(buffer)) else {
            return;
        };
        match found {
            Found::Nothing => {}
            Found::Wrong(code) => self.end_greeting(slot, code),
            Found::Client(client) => self.introduce(slot, client),
        }
    }

    /// Whose it is is known: TLS begins.
    fn introduce(&mut self, slot: usize, client: Client) {
        let Greeting {
            listener,
            mut tcp,
            mut remote,
            mut share,
            ..
        } = self.greetings.remove(slot);
        if self.poll.registry().deregister(&mut tcp).is_err() {
            return self.core.turn_away(&listener, remote, Code::Internal);
        }
        if let Client::At(address) = client {
            remote = address;
        }
        // Of whom the balancer knows nothing has its address, for the ACL as well.
        let judged = match &mut share.pass {
            _ if client == Client::Balancer => Ok(()),
            _ if !self.core.host.permits(&listener.data, remote.ip()) => Err(Code::AclDenied),
            Some(pass) if client != Client::Unknown => pass.is_of(remote.ip()),
            _ => Ok(()),
        };
        if let Err(code) = judged {
            return self.core.turn_away(&listener, remote, code);
        }
        self.accepted(listener, tcp, remote, share);
    }

    /// Its time is over.
    pub(crate) fn on_greeting_timeout(&mut self, slot: usize, serial: u64) {
        let greeting = self.greetings.get(slot);
        if greeting.is_some_and(|it| it.serial == serial) {
            self.end_greeting(slot, Code::ProxyHeader);
        }
    }

    fn end_greeting(&mut self, slot: usize, code: Code) {
        let Greeting {
            listener, remote, ..
        } = self.greetings.remove(slot);
        self.core.turn_away(&listener, remote, code);
    }
}
