//! What an I/O loop has: its epoll, its connections, its listeners, who is to have a turn, and what is due when. All of it ends with
//! it, whatever ends it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Interest, Poll, Token};
use slab::Slab;
use socket2::SockRef;

use crate::accept::Accepting;
use crate::code::{Code, Stage};
use crate::conn::Conn;
use crate::core::{Core, Load, NewConn, Target};
use crate::counters::add;
use crate::gate::Pass;
use crate::greeting::Greeting;
use crate::host::Host;
use crate::link::{Link, Phase};
use crate::listener;
use crate::reason::Reason;
use crate::socket::{self, Sock};
use crate::watch::Watch;

pub(crate) const WAKER: Token = Token(usize::MAX);
/// Set in the tokens of listeners.
pub(crate) const LISTENER: usize = 1 << 62;
/// Plaintext read at once. Four TLS records fit; a SIP message of the largest size does too.
const BUFFER: usize = 64 * 1024;

pub(crate) struct Entry<H: Host> {
    pub(crate) link: Link,
    pub(crate) conn: Conn,
    /// The host's, from `accepted` or `connect` to `closed`.
    pub(crate) data: Option<H::Conn>,
    /// Where it came from, until it is accepted.
    pub(crate) listener: Option<Arc<listener::Shared<H::Listener>>>,
    pub(crate) deadline: Option<Instant>,
    /// Tells it from those that had its slot before.
    pub(crate) serial: u64,
    pub(crate) queued: bool,
    pub(crate) watch: Watch,
    pub(crate) share: Share,
}

/// What is counted for a connection, until its socket is closed.
pub(crate) struct Share {
    /// Of one that was accepted.
    pub(crate) pass: Option<Pass>,
    _load: Load,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    Conn(usize, u64),
    Watch(usize, u64),
    Greeting(usize, u64),
    Idle(usize, u64),
    Listener(usize),
}

pub(crate) struct Reactor<H: Host> {
    pub(crate) core: Arc<Core<H>>,
    index: usize,
    pub(crate) poll: Poll,
    pub(crate) conns: Slab<Entry<H>>,
    pub(crate) listeners: Slab<Accepting<H>>,
    pub(crate) greetings: Slab<Greeting<H>>,
    /// Who has a turn in this round.
    pub(crate) ready: VecDeque<usize>,
    /// Who goes on with its handshake.
    pub(crate) handshaking: VecDeque<usize>,
    pub(crate) timers: BinaryHeap<Reverse<(Instant, Timer)>>,
    pub(crate) buffer: Box<[u8]>,
    serial: u64,
}

impl<H: Host> Reactor<H> {
    pub(crate) fn new(core: Arc<Core<H>>, index: usize, poll: Poll) -> io::Result<Self> {
        let waker = mio::Waker::new(poll.registry(), WAKER)?;
        let mut reactor = Reactor {
            core,
            index,
            poll,
            conns: Slab::new(),
            listeners: Slab::new(),
            greetings: Slab::new(),
            ready: VecDeque::new(),
            handshaking: VecDeque::new(),
            timers: BinaryHeap::new(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            serial: 0,
        };
        reactor.core.shards[index].waker.attach(waker);
        for listener in reactor.core.open(index) {
            reactor.listen(listener);
        }
        Ok(reactor)
    }

    /// Gives a connection a turn.
    pub(crate) fn mark(&mut self, slot: usize) {
        let Some(entry) = self.conns.get_mut(slot) else {
            return;
        };
        if !std::mem::replace(&mut entry.queued, true) {
            let queue = if entry.link.phase == Phase::Handshaking {
                &mut self.handshaking
            } else {
                &mut self.ready
            };
            queue.push_back(slot);
        }
    }

    /// Accepts from this listener from now on.
    pub(crate) fn listen(&mut self, shared: Arc<listener::Shared<H::Listener>>) {
        self.listeners.insert(Accepting::new(shared));
    }

    /// Takes a connection that is to be ours.
    pub(crate) fn begin(&mut self, new: NewConn<H>, load: Load) {
        match new {
            NewConn::Accepted {
                listener,
                tcp,
                remote,
                pass,
            } => {
                let share = Share {
                    pass: Some(pass),
                    _load: load,
                };
                if share.pass.as_ref().is_some_and(Pass::is_balancers) {
                    self.greeted(listener, tcp, remote, share);
                } else {
                    self.accepted(listener, tcp, remote, share);
                }
            }
            NewConn::Connect { target, conn, data } => {
                let share = Share {
                    pass: None,
                    _load: load,
                };
                self.connect(target, conn, data, share);
            }
        }
    }

    pub(crate) fn accepted(
        &mut self,
        listener: Arc<listener::Shared<H::Listener>>,
        tcp: mio::net::TcpStream,
        remote: SocketAddr,
        share: Share,
    ) {
        let socket = SockRef::from(&tcp);
        let set = listener.options.apply(&socket, remote.is_ipv6());
        let user_timeout = self.core.config.user_timeout;
        if let Err(error) = set.and_then(|()| listener.options.give_up(&socket, user_timeout)) {
            log::debug!("socket options of a connection from {remote}: {error}");
        }
        let profile = listener.profile();
        let link = profile.accept(remote).and_then(|(ssl, verifier)| {
            Link::new(ssl, verifier, Sock::new(tcp), Phase::Handshaking).map_err(|_| Code::Internal)
        });
        let conn = self.core.conn(remote);
        add(&self.core.counters.open, 1);
        match link {
            Ok(link) => self.insert(link, conn, None, Some(listener), share),
            Err(code) => self.core.dismiss(&conn, None, Some(&listener), code.into()),
        }
    }

    fn connect(&mut self, target: Target, conn: Conn, data: H::Conn, share: Share) {
        add(&self.core.counters.open, 1);
        let link = socket::connect(target.local, target.remote, &target.options)
            .map_err(|error| Reason::connect(&error))
            .and_then(|tcp| {
                let user_timeout = self.core.config.user_timeout;
                let socket = SockRef::from(&tcp);
                if let Err(error) = target.options.give_up(&socket, user_timeout) {
                    log::debug!(
                        "socket options of a connection to {}: {error}",
                        target.remote
                    );
                }
                let internal = |_| Reason::from(Code::Internal);
                let (ssl, verifier) = target
                    .profile
                    .connect(target.name, target.remote)
                    .map_err(internal)?;
                Link::new(ssl, verifier, Sock::new(tcp), Phase::Connecting).map_err(internal)
            });
        match link {
            Ok(link) => self.insert(link, conn, Some(data), None, share),
            Err(reason) => self.core.dismiss(&conn, Some(data), None, reason),
        }
    }

    fn insert(
        &mut self,
        mut link: Link,
        conn: Conn,
        data: Option<H::Conn>,
        listener: Option<Arc<listener::Shared<H::Listener>>>,
        share: Share,
    ) {
        let slot = self.conns.vacant_key();
        let both = Interest::READABLE | Interest::WRITABLE;
        let registered = self
            .poll
            .registry()
            .register(&mut link.sock().tcp, Token(slot), both);
        let serial = self.next_serial();
        let entry = Entry {
            link,
            conn,
            data,
            listener,
            deadline: None,
            serial,
            queued: false,
            watch: Watch::new(),
            share,
        };
        let waker = Arc::clone(&self.core.shards[self.index].waker);
        entry.conn.0.placed(waker, slot);
        self.conns.insert(entry);
        if let Err(error) = registered {
            return self.finish(slot, Reason::io(&error, false));
        }
        self.set_deadline(slot, self.core.config.handshake_timeout);
        self.mark(slot);
    }

    pub(crate) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(crate) fn set_deadline(&mut self, slot: usize, after: Duration) {
        let deadline = Instant::now() + after;
        self.conns[slot].deadline = Some(deadline);
        let timer = Timer::Conn(slot, self.conns[slot].serial);
        self.timers.push(Reverse((deadline, timer)));
    }

    pub(crate) fn set_timer(&mut self, after: Duration, timer: Timer) {
        self.timers.push(Reverse((Instant::now() + after, timer)));
    }

    /// Ends a connection for the host, and tells the peer.
    pub(crate) fn finish(&mut self, slot: usize, mut reason: Reason) {
        let entry = &mut self.conns[slot];
        if entry.link.phase == Phase::Lingering {
            return;
        }
        if entry.link.is_up() && !entry.link.was_heard() && reason.is_silent_end() {
            reason = Reason {
                errno: reason.errno,
                ..Code::ClosedUnheard.into()
            };
        }
        if reason.code == Code::PeerReset && (entry.link.is_midway() || entry.conn.queued() > 0) {
            reason = Reason {
                errno: reason.errno,
                ..Code::PeerResetMidway.into()
            };
        }
        if reason.code == Code::LoopFailed && !entry.link.is_up() {
            reason.stage = Stage::Handshake;
        }
        entry.link.close_notify(&reason);
        entry.conn.0.put_back(entry.link.unwritten());
        let (conn, data, listener) = (entry.conn.clone(), entry.data.take(), entry.listener.take());
        let lingers = is_worth_lingering(reason.code);
        // Before the host hears: a callback that panics leaves nothing half done.
        entry.link.phase = Phase::Lingering;
        self.core.dismiss(&conn, data, listener.as_deref(), reason);
        if lingers {
            self.set_deadline(slot, self.core.config.linger);
            self.mark(slot);
        } else {
            self.remove(slot);
        }
    }

    pub(crate) fn remove(&mut self, slot: usize) {
        self.conns.try_remove(slot);
    }

    /// How many connections the host knows, or is still to hear of.
    pub(crate) fn open(&self) -> usize {
        self.conns
            .iter()
            .filter(|(_, entry)| entry.link.phase != Phase::Lingering)
            .count()
    }
}

/// Whatever ends a loop ends its connections, and gives away what others can go on with. The loop's own panic is caught by then
/// ([`IoLoop::run`](crate::IoLoop::run)); those of the callbacks here are, one by one.
impl<H: Host> Drop for Reactor<H> {
    fn drop(&mut self) {
        let shard = &self.core.shards[self.index];
        self.core.close(self.index);
        for listener in std::mem::take(&mut self.listeners) {
            let listener = listener.1.release(self.poll.registry());
            if self.core.stopping.is_set() {
                listener.close();
            } else {
                self.core.serve(listener);
            }
        }
        shard.waker.detach();
        let reason = self.core.end_reason();
        for slot in 0..self.conns.capacity() {
            if self.conns.contains(slot) {
                let finished = catch_unwind(AssertUnwindSafe(|| self.finish(slot, reason.clone())));
                finished.unwrap_or_else(std::mem::forget);
                self.remove(slot);
            }
        }
    }
}

/// Whether we have just written something that the peer should be able to read.
fn is_worth_lingering(code: Code) -> bool {
    !matches!(
        code,
        Code::ConnectRefused
            | Code::ConnectTimeout
            | Code::Unreachable
            | Code::ConnectFailed
            | Code::Silent
            | Code::NothingSent
            | Code::HandshakeTimeout
            | Code::ClosedInHandshake
            | Code::NoTlsAnswer
            | Code::ClosedAtHello
            | Code::ClosedUnheard
            | Code::ResetInHandshake
            | Code::PeerClosed
            | Code::PeerEof
            | Code::PeerReset
            | Code::PeerResetMidway
            | Code::PeerGone
            | Code::PongMissing
            | Code::IoError
            | Code::WriteQueueFull
            | Code::Shutdown
            | Code::LoopFailed
    )
}
