//! What the I/O loops share: which of them run, what each is asked to do, and how a connection ends for the host.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use socket2::SockRef;

use crate::code::Code;
use crate::conn::{Conn, Shared};
use crate::counters::Counters;
use crate::gate::{Gate, Pass};
use crate::host::Host;
use crate::limits::Limits;
use crate::listener;
use crate::profile::Profile;
use crate::reason::Reason;
use crate::socket::SocketOptions;
use crate::sync::{Latch, Mutex};
use crate::verify::PeerName;
use crate::waker::Waker;

/// The engine's own numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// I/O loops; the host brings a thread for each.
    pub loops: usize,
    /// From the TCP connection's begin, in or out, to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// Bytes that may wait to be written to a connection that a peer made; what does not fit is refused. From a sixteenth of it on the
    /// connection is not read until half of that is left.
    pub write_queue: usize,
    /// The same of one that we made: a trunk's, with many calls.
    pub trunk_write_queue: usize,
    /// How long data may be on its way without the peer's TCP saying that it has come (TCP_USER_TIMEOUT). `None`: as long as the system
    /// has it, a quarter of an hour.
    pub user_timeout: Option<Duration>,
    /// How long the answer to a keepalive may take (RFC 5626 section 4.4.1), of a peer that has answered one.
    pub pong: Duration,
    /// A connection that a peer made ends when nothing has come on it for so long.
    pub idle: Option<Duration>,
    /// A connection that is not read for its write queue ends when its peer has read nothing for so long.
    pub stall: Duration,
    /// How long the answers to what was received may take when nothing more will be read: the peer has closed its side, or its stream
    /// broke.
    pub drain: Duration,
    /// How long the rest of a message may take, of one that is skipped too.
    pub skip: Duration,
    /// How long a connection that is being closed may take to write what is queued, and after that to hear the peer close too.
    pub linger: Duration,
    /// How much clients may take; see [`Pool::set_limits`](crate::Pool::set_limits).
    pub limits: Limits,
}

impl Default for PoolConfig {
    fn default() -> Self {
        PoolConfig {
            loops: 2,
            handshake_timeout: Duration::from_secs(10),
            write_queue: 1024 * 1024,
            trunk_write_queue: 4 * 1024 * 1024,
            user_timeout: Some(Duration::from_secs(32)),
            pong: Duration::from_secs(10),
            idle: None,
            stall: Duration::from_secs(10),
            drain: Duration::from_secs(10),
            skip: Duration::from_secs(32),
            linger: Duration::from_secs(2),
            limits: Limits::default(),
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

/// A connection that has no loop yet.
pub(crate) enum NewConn<H: Host> {
    Accepted {
        listener: Arc<listener::Shared<H::Listener>>,
        tcp: mio::net::TcpStream,
        remote: SocketAddr,
        pass: Pass,
    },
    Connect {
        target: Target,
        conn: Conn,
        data: H::Conn,
    },
}

/// What a loop is asked to do.
pub(crate) enum Command<H: Host> {
    Listen(Arc<listener::Shared<H::Listener>>),
    Begin(NewConn<H>, Load),
}

/// A connection's part in its loop's load, from the choice of the loop on.
pub(crate) struct Load(Arc<AtomicUsize>);

impl Load {
    fn take(of: &Arc<AtomicUsize>) -> Load {
        of.fetch_add(1, Ordering::Relaxed);
        Load(Arc::clone(of))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A loop as the others see it.
pub(crate) struct Shard<H: Host> {
    pub(crate) waker: Arc<Waker>,
    /// `None` while the loop does not run.
    inbox: Mutex<Option<Vec<Command<H>>>>,
    /// Whether there is an inbox.
    running: AtomicBool,
    /// Connections, and those on their way to it.
    load: Arc<AtomicUsize>,
}

impl<H: Host> Shard<H> {
    fn new() -> Self {
        Shard {
            waker: Arc::new(Waker::new()),
            // From the beginning: it is asked for things before its thread runs.
            inbox: Mutex::new(Some(Vec::new())),
            running: AtomicBool::new(true),
            load: Arc::default(),
        }
    }

    /// Gives the command back if the loop does not run.
    fn send(&self, command: Command<H>) -> Result<(), Box<Command<H>>> {
        match &mut *self.inbox.lock() {
            Some(inbox) => inbox.push(command),
            None => return Err(Box::new(command)),
        }
        self.waker.notify(None);
        Ok(())
    }

    pub(crate) fn take(&self) -> Vec<Command<H>> {
        let mut inbox = self.inbox.lock();
        inbox.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// From now on nothing is sent to it. What was comes back.
    fn close(&self) -> Vec<Command<H>> {
        let mut inbox = self.inbox.lock();
        self.running.store(false, Ordering::Release);
        inbox.take().unwrap_or_default()
    }

    fn open(&self) {
        let mut inbox = self.inbox.lock();
        inbox.get_or_insert_default();
        self.running.store(true, Ordering::Release);
    }

    pub(crate) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }
}

pub(crate) struct Core<H: Host> {
    pub(crate) host: Arc<H>,
    pub(crate) config: PoolConfig,
    pub(crate) counters: Counters,
    pub(crate) gate: Arc<Gate>,
    pub(crate) shards: Vec<Shard<H>>,
    /// Listeners that no loop serves, because none runs. A loop opens its inbox under this lock, and a listener is placed under it: so it
    /// is either sent to that loop or found here by it.
    unserved: Mutex<Vec<Arc<listener::Shared<H::Listener>>>>,
    pub(crate) stopping: Latch,
    next: AtomicUsize,
}

impl<H: Host> Core<H> {
    pub(crate) fn new(host: Arc<H>, config: PoolConfig) -> Self {
        let gate = Arc::new(Gate::new(config.limits.clone()));
        Core {
            host,
            gate,
            counters: Counters::new(),
            shards: (0..config.loops.max(1)).map(|_| Shard::new()).collect(),
            config,
            unserved: Mutex::default(),
            stopping: Latch::default(),
            next: AtomicUsize::new(0),
        }
    }

    /// All loops that run, each time beginning with another.
    fn running(&self) -> impl Iterator<Item = &Shard<H>> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        (0..self.shards.len())
            .map(move |i| &self.shards[(first + i) % self.shards.len()])
            .filter(|shard| shard.running.load(Ordering::Acquire))
    }

    /// Gives a connection to the loop with the fewest, the next in turn among equals. It comes back if no loop runs.
    pub(crate) fn begin(&self, mut new: NewConn<H>) -> Result<(), Box<NewConn<H>>> {
        while let Some(shard) = self.running().min_by_key(|shard| shard.load()) {
            match shard.send(Command::Begin(new, Load::take(&shard.load))) {
                Ok(()) => return Ok(()),
                // It has ended since, and is no choice any more.
                Err(back) => match *back {
                    Command::Begin(back, _) => new = back,
                    Command::Listen(_) => return Ok(()),
                },
            }
        }
        Err(Box::new(new))
    }

    /// Gives a listener to a loop; if none runs, to the next that does.
    pub(crate) fn serve(&self, listener: Arc<listener::Shared<H::Listener>>) {
        let mut unserved = self.unserved.lock();
        let mut command = Command::Listen(listener);
        for shard in self.running() {
            match shard.send(command) {
                Ok(()) => return,
                Err(back) => command = *back,
            }
        }
        if let Command::Listen(listener) = command {
            if self.stopping.is_set() {
                // With it the host's data may go, which is the host's code: not under a lock.
                drop(unserved);
                listener.close();
            } else {
                unserved.push(listener);
            }
        }
    }

    /// Loop `index` runs: what it has to listen on because nobody else does.
    pub(crate) fn open(&self, index: usize) -> Vec<Arc<listener::Shared<H::Listener>>> {
        let mut unserved = self.unserved.lock();
        self.shards[index].open();
        std::mem::take(&mut *unserved)
    }

    /// Loop `index` does not run any more. What it was asked and has not begun goes to another loop, or ends.
    pub(crate) fn close(&self, index: usize) {
        let reason = self.end_reason();
        let stopping = self.stopping.is_set();
        for command in self.shards[index].close() {
            match command {
                Command::Listen(listener) => self.serve(listener),
                Command::Begin(new, _) if stopping => self.refuse(new, reason.clone()),
                Command::Begin(new, _) => {
                    if let Err(new) = self.begin(new) {
                        self.refuse(*new, reason.clone());
                    }
                }
            }
        }
    }

    pub(crate) fn stop(&self) {
        self.stopping.set();
        let unserved = std::mem::take(&mut *self.unserved.lock());
        for listener in unserved {
            listener.close();
        }
        for shard in &self.shards {
            shard.waker.notify(None);
        }
    }

    /// What the connections of a loop that does not run any more end with.
    pub(crate) fn end_reason(&self) -> Reason {
        if self.stopping.is_set() {
            Code::Shutdown.into()
        } else {
            Code::LoopFailed.into()
        }
    }

    /// The handle of a connection that a peer made.
    pub(crate) fn conn(&self, remote: SocketAddr) -> Conn {
        self.handle(remote, self.config.write_queue)
    }

    /// The handle of one that we make.
    pub(crate) fn trunk(&self, remote: SocketAddr) -> Conn {
        self.handle(remote, self.config.trunk_write_queue)
    }

    fn handle(&self, remote: SocketAddr, write_queue: usize) -> Conn {
        let refused = Arc::clone(&self.counters.refused);
        Conn(Arc::new(Shared::new(remote, write_queue, refused)))
    }

    /// Whether a connection that was just accepted may stay. What may not is told of.
    pub(crate) fn let_in(
        &self,
        listener: &listener::Shared<H::Listener>,
        tcp: &mio::net::TcpStream,
        remote: SocketAddr,
    ) -> Option<Pass> {
        let descriptor = usize::try_from(tcp.as_raw_fd()).unwrap_or(usize::MAX);
        let ip = remote.ip();
        let is_permitted = || self.host.permits(&listener.data, ip);
        let is_balancer = self.gate.is_balancer(ip);
        let admitted = if is_balancer || is_permitted() {
            self.gate.admit(ip, descriptor)
        } else {
            Err(Code::AclDenied)
        };
        // Of one that has ceased to be a balancer meanwhile nobody has asked.
        let admitted = admitted.and_then(|pass| {
            let was_asked = pass.is_balancers() || !is_balancer;
            match was_asked || is_permitted() {
                true => Ok(pass),
                false => Err(Code::AclDenied),
            }
        });
        let code = match admitted {
            Ok(pass) => return Some(pass),
            Err(code) => code,
        };
        // By a reset: a connection that we close first would be remembered by the system for a minute (TIME_WAIT), each of a flood.
        let _ = SockRef::from(tcp).set_linger(Some(Duration::ZERO));
        self.turn_away(listener, remote, code);
        None
    }

    /// Tells of a connection that does not get as far as TLS.
    pub(crate) fn turn_away(
        &self,
        listener: &listener::Shared<H::Listener>,
        remote: SocketAddr,
        code: Code,
    ) {
        self.counters.ended(code);
        self.host.refused(&listener.data, remote, code.into());
    }

    /// Ends a connection that has never begun. It does not unwind.
    fn refuse(&self, new: NewConn<H>, reason: Reason) {
        let ended = catch_unwind(AssertUnwindSafe(|| {
            self.counters.open.fetch_add(1, Ordering::Relaxed);
            match new {
                NewConn::Accepted {
                    listener, remote, ..
                } => self.dismiss(&self.conn(remote), None, Some(&listener), reason),
                NewConn::Connect { conn, data, .. } => {
                    self.dismiss(&conn, Some(data), None, reason);
                }
            }
        }));
        ended.unwrap_or_else(std::mem::forget);
    }

    /// The host's part of a connection's end. A callback that panics does not keep the host from hearing the rest; then the panic goes on.
    pub(crate) fn dismiss(
        &self,
        conn: &Conn,
        data: Option<H::Conn>,
        listener: Option<&listener::Shared<H::Listener>>,
        reason: Reason,
    ) {
        self.counters.ended(reason.code);
        self.counters.open.fetch_sub(1, Ordering::Relaxed);
        let unsent = conn.0.end();
        let mut panic = None;
        let mut call = |callback: &mut dyn FnMut()| {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(callback)) {
                std::mem::forget(panic.replace(payload));
            }
        };
        match (data, listener) {
            (Some(data), _) => {
                for token in unsent.into_iter().filter_map(|out| out.token) {
                    call(&mut || self.host.write_done(&data, token, Err(reason.clone())));
                }
                let mut data = Some(data);
                call(&mut || {
                    if let Some(data) = &data {
                        self.host.closed(data, reason.clone());
                    }
                });
                call(&mut || drop(data.take()));
            }
            (None, Some(listener)) => {
                call(&mut || {
                    self.host
                        .refused(&listener.data, conn.remote(), reason.clone());
                });
            }
            (None, None) => {}
        }
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }
}
