//! The I/O loop: one thread, one epoll, its share of the connections.
//!
//! Sockets are registered once, edge-triggered, for both directions; a connection then has turns, in the order in which something
//! happened to it, each with a budget. So a busy connection cannot starve the others, and a burst of
//! handshakes, which cost a hundred times what a message does, cannot starve the messages.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use socket2::SockRef;

use crate::accept::Accepting;
use crate::conn::{Conn, Shared};
use crate::counters::add;
use crate::host::Host;
use crate::link::{Link, Phase};
use crate::listener;
use crate::pool::{Command, Core, Target};
use crate::profile::Profile;
use crate::reason::{Code, Reason};
use crate::socket::{self, Sock};
use crate::turn::Verdict;

pub(crate) const WAKER: Token = Token(usize::MAX);
/// Set in the tokens of listeners.
const LISTENER: usize = 1 << 62;
/// Plaintext read at once. Four TLS records fit; a SIP message of the largest size does too.
const BUFFER: usize = 64 * 1024;
/// Handshake steps per round. A step is at most a signature, about a quarter of a millisecond.
const HANDSHAKES: usize = 4;

/// A loop that waits for its thread.
pub struct IoLoop<H: Host> {
    core: Arc<Core<H>>,
    index: usize,
    poll: Poll,
}

impl<H: Host> IoLoop<H> {
    pub(crate) fn new(core: Arc<Core<H>>, index: usize, poll: Poll) -> Self {
        IoLoop { core, index, poll }
    }

    /// Runs until the pool is shut down. `local` comes with each callback.
    ///
    /// # Errors
    /// The system's, if epoll fails; all connections are closed then.
    pub fn run(self, local: &mut H::Local) -> io::Result<()> {
        let mut reactor = Reactor {
            core: self.core,
            index: self.index,
            poll: self.poll,
            conns: Slab::new(),
            listeners: Slab::new(),
            ready: VecDeque::new(),
            shaking: VecDeque::new(),
            timers: BinaryHeap::new(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            serial: 0,
        };
        let result = reactor.run(local);
        reactor.stop(local);
        result
    }
}

pub(crate) struct Entry<H: Host> {
    pub(crate) link: Link,
    pub(crate) conn: Conn,
    /// The host's, from `accepted` or `connect` to `closed`.
    pub(crate) data: Option<H::Conn>,
    /// Where it came from, until it is accepted.
    pub(crate) listener: Option<Arc<listener::Shared<H::Listener>>>,
    pub(crate) profile: Arc<Profile>,
    pub(crate) deadline: Option<Instant>,
    /// Tells it from those that had its slot before.
    serial: u64,
    pub(crate) queued: bool,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    Conn(usize, u64),
    Listener(usize),
}

pub(crate) struct Reactor<H: Host> {
    pub(crate) core: Arc<Core<H>>,
    index: usize,
    poll: Poll,
    pub(crate) conns: Slab<Entry<H>>,
    pub(crate) listeners: Slab<Accepting<H>>,
    ready: VecDeque<usize>,
    shaking: VecDeque<usize>,
    timers: BinaryHeap<Reverse<(Instant, Timer)>>,
    pub(crate) buffer: Box<[u8]>,
    serial: u64,
}

impl<H: Host> Reactor<H> {
    fn run(&mut self, local: &mut H::Local) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut slots = Vec::new();
        let bell = Arc::clone(&self.core.desks[self.index].bell);
        while !self.core.is_stopping() {
            let timeout = self.timeout(|| bell.sleep());
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            bell.answer(&mut slots);
            for event in &events {
                match event.token() {
                    WAKER => {}
                    Token(token) if token & LISTENER != 0 => {
                        if let Some(listener) = self.listeners.get_mut(token & !LISTENER) {
                            listener.ready = true;
                        }
                    }
                    Token(slot) => self.mark(slot),
                }
            }
            slots.drain(..).for_each(|slot| self.mark(slot));
            for command in self.core.desks[self.index].take() {
                self.obey(command, local);
            }
            self.accept(local);
            self.expire(local);
            for _ in 0..self.ready.len() {
                if let Some(slot) = self.ready.pop_front() {
                    self.turn(slot, local);
                }
            }
            for _ in 0..HANDSHAKES {
                if let Some(slot) = self.shaking.pop_front() {
                    self.turn(slot, local);
                }
            }
        }
        Ok(())
    }

    /// How long to wait: not at all if there is work. `sleep` is asked last, for the bell wakes us from then on.
    fn timeout(&self, sleep: impl FnOnce() -> bool) -> Option<Duration> {
        let busy = !self.ready.is_empty()
            || !self.shaking.is_empty()
            || self
                .listeners
                .iter()
                .any(|(_, listener)| listener.has_work());
        if busy || !sleep() {
            return Some(Duration::ZERO);
        }
        let next = &self.timers.peek()?.0.0;
        // A millisecond more, for epoll counts in whole ones.
        Some(next.saturating_duration_since(Instant::now()) + Duration::from_millis(1))
    }

    /// Gives a connection a turn.
    pub(crate) fn mark(&mut self, slot: usize) {
        let Some(entry) = self.conns.get_mut(slot) else {
            return;
        };
        if !std::mem::replace(&mut entry.queued, true) {
            let queue = if entry.link.phase == Phase::Handshaking {
                &mut self.shaking
            } else {
                &mut self.ready
            };
            queue.push_back(slot);
        }
    }

    fn obey(&mut self, command: Command<H>, local: &mut H::Local) {
        match command {
            Command::Listen(shared) => self.listen(shared, local),
            Command::Accepted {
                listener,
                tcp,
                remote,
            } => self.accepted(listener, tcp, remote, local),
            Command::Connect { target, conn, data } => self.connect(target, conn, data, local),
        }
    }

    fn listen(&mut self, shared: Arc<listener::Shared<H::Listener>>, local: &mut H::Local) {
        let slot = self.listeners.vacant_key();
        let registered = match &mut *shared.socket() {
            Some(socket) => {
                self.poll
                    .registry()
                    .register(socket, Token(slot | LISTENER), Interest::READABLE)
            }
            None => return,
        };
        let mut listener = Accepting::new(shared);
        if let Err(error) = registered {
            listener.fail(&error, &*self.core.host, local);
        }
        self.listeners.insert(listener);
    }

    /// A client's socket that is to be ours.
    fn accepted(
        &mut self,
        listener: Arc<listener::Shared<H::Listener>>,
        tcp: mio::net::TcpStream,
        remote: SocketAddr,
        local: &mut H::Local,
    ) {
        if let Err(error) = listener
            .options
            .apply(&SockRef::from(&tcp), remote.is_ipv6())
        {
            log::debug!("socket options of a connection from {remote}: {error}");
        }
        let profile = listener.profile();
        let link = match profile.accept() {
            None => Err(Code::NoCertificateHere),
            Some(Err(_)) => Err(Code::Internal),
            Some(Ok((ssl, verifier))) => {
                Link::new(ssl, verifier, Sock::new(tcp), Phase::Handshaking)
                    .map_err(|_| Code::Internal)
            }
        };
        let bell = Arc::clone(&self.core.desks[self.index].bell);
        let conn = Conn(Arc::new(Shared::new(
            remote,
            self.core.config.write_queue,
            bell,
        )));
        add(&self.core.counters.open, 1);
        match link {
            Ok(link) => self.insert(link, conn, None, Some(listener), profile, local),
            Err(code) => {
                self.dismiss(&conn, None, Some(&listener), code.into(), local);
                self.leave();
            }
        }
    }

    fn connect(&mut self, target: Target, conn: Conn, data: H::Conn, local: &mut H::Local) {
        add(&self.core.counters.open, 1);
        let link = socket::connect(target.local, target.remote, &target.options)
            .map_err(|error| Reason::connect(&error))
            .and_then(|tcp| {
                let internal = |_| Reason::from(Code::Internal);
                let (ssl, verifier) = target.profile.connect(target.name).map_err(internal)?;
                Link::new(ssl, verifier, Sock::new(tcp), Phase::Connecting).map_err(internal)
            });
        match link {
            Ok(link) => self.insert(link, conn, Some(data), None, target.profile, local),
            Err(reason) => {
                self.dismiss(&conn, Some(data), None, reason, local);
                self.leave();
            }
        }
    }

    fn insert(
        &mut self,
        mut link: Link,
        conn: Conn,
        data: Option<H::Conn>,
        listener: Option<Arc<listener::Shared<H::Listener>>>,
        profile: Arc<Profile>,
        local: &mut H::Local,
    ) {
        let slot = self.conns.vacant_key();
        let both = Interest::READABLE | Interest::WRITABLE;
        let registered = self
            .poll
            .registry()
            .register(&mut link.sock().tcp, Token(slot), both);
        self.serial += 1;
        let entry = Entry {
            link,
            conn,
            data,
            listener,
            profile,
            deadline: None,
            serial: self.serial,
            queued: false,
        };
        entry.conn.0.placed(slot);
        self.conns.insert(entry);
        if let Err(error) = registered {
            return self.finish(slot, Reason::io(&error, false), local);
        }
        self.set_deadline(slot, self.core.config.handshake_timeout);
        self.mark(slot);
    }

    pub(crate) fn set_deadline(&mut self, slot: usize, after: Duration) {
        let deadline = Instant::now() + after;
        self.conns[slot].deadline = Some(deadline);
        self.timers.push(Reverse((
            deadline,
            Timer::Conn(slot, self.conns[slot].serial),
        )));
    }

    pub(crate) fn set_timer(&mut self, after: Duration, timer: Timer) {
        self.timers.push(Reverse((Instant::now() + after, timer)));
    }

    fn expire(&mut self, local: &mut H::Local) {
        if self.timers.is_empty() {
            return;
        }
        let now = Instant::now();
        while self
            .timers
            .peek()
            .is_some_and(|Reverse((at, _))| *at <= now)
        {
            let Some(Reverse((_, timer))) = self.timers.pop() else {
                return;
            };
            match timer {
                Timer::Listener(slot) => {
                    if let Some(listener) = self.listeners.get_mut(slot) {
                        listener.unpark();
                    }
                }
                Timer::Conn(slot, serial) => {
                    let due = self.conns.get(slot).is_some_and(|entry| {
                        entry.serial == serial
                            && entry.deadline.is_some_and(|deadline| deadline <= now)
                    });
                    if due {
                        self.overdue(slot, local);
                    }
                }
            }
        }
    }

    /// Takes new connections and spreads them over the loops.
    fn accept(&mut self, local: &mut H::Local) {
        for slot in 0..self.listeners.capacity() {
            let Some(listener) = self.listeners.get_mut(slot) else {
                continue;
            };
            if listener.shared.is_closed() {
                self.listeners.remove(slot);
                continue;
            }
            let shared = Arc::clone(&listener.shared);
            let (taken, parked) = listener.take(&*self.core.host, local);
            if parked {
                self.set_timer(Accepting::<H>::PAUSE, Timer::Listener(slot));
            }
            add(&self.core.counters.accepted, taken.len());
            for (tcp, remote) in taken {
                let chosen = self.core.choose();
                let listener = Arc::clone(&shared);
                if chosen == self.index {
                    self.accepted(listener, tcp, remote, local);
                } else if self.core.desks[chosen]
                    .put(Command::Accepted {
                        listener,
                        tcp,
                        remote,
                    })
                    .is_err()
                {
                    // That loop has ended: so will this one.
                    self.core.desks[chosen].load.fetch_sub(1, Relaxed);
                }
            }
        }
    }

    /// A connection's place in the loop is free again.
    pub(crate) fn leave(&self) {
        self.core.desks[self.index].load.fetch_sub(1, Relaxed);
    }

    pub(crate) fn again(&mut self, slot: usize, verdict: Verdict, local: &mut H::Local) {
        match verdict {
            Verdict::Wait => {}
            Verdict::Again => self.mark(slot),
            Verdict::End(reason) => self.finish(slot, reason, local),
        }
    }

    /// Ends everything.
    fn stop(&mut self, local: &mut H::Local) {
        for command in self.core.desks[self.index].end() {
            match command {
                Command::Listen(_) => {}
                Command::Accepted { .. } => self.leave(),
                Command::Connect { conn, data, .. } => {
                    add(&self.core.counters.open, 1);
                    self.dismiss(&conn, Some(data), None, Code::Shutdown.into(), local);
                    self.leave();
                }
            }
        }
        for listener in self.listeners.drain() {
            drop(listener.shared.socket().take());
        }
        for slot in 0..self.conns.capacity() {
            if self.conns.contains(slot) {
                self.finish(slot, Code::Shutdown.into(), local);
            }
            // Those that lingered.
            if self.conns.try_remove(slot).is_some() {
                self.leave();
            }
        }
    }
}
