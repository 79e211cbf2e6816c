//! The I/O loop: one thread, one epoll, its share of the connections.
//!
//! Sockets are registered once, edge-triggered, for both directions; a connection then has turns, in the order in which something
//! happened to it, each with a budget. So a busy connection cannot starve the others, and a burst of
//! handshakes, which cost a hundred times what a message does, cannot starve the messages.
//!
//! A loop that fails starts again. A panic of a running loop is caught here and nowhere else: after it nothing that the loop was changing
//! is used again, for all of it is dropped ([`Reactor`]); what it shares with others (inboxes, outboxes, counters) is changed whole
//! under locks. While connections end, the host's callbacks are caught one by one, so that one does not keep it from the others.

use std::any::Any;
use std::cmp::Reverse;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::accept::Accepting;
use crate::core::{Command, Core};
use crate::counters::add;
use crate::fault;
use crate::greeting::GREETING;
use crate::host::{Host, LoopError, LoopFailure};
use crate::reactor::{LISTENER, Reactor, Timer, WAKER};

/// Handshake steps per round. A step is at most a signature, about a quarter of a millisecond.
const HANDSHAKES: usize = 4;

/// Until a loop that failed starts again: first, and at most. Each failure in a row doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A loop that ran so long was well: its next failure is the first of a row.
const WELL: Duration = Duration::from_secs(60);

/// A loop that waits for its thread. Dropping it ends it, as the end of [`run`](IoLoop::run) does: what it was asked for goes to the others.
pub struct IoLoop<H: Host> {
    core: Arc<Core<H>>,
    index: usize,
    /// For the first start.
    poll: Option<Poll>,
}

impl<H: Host> Drop for IoLoop<H> {
    fn drop(&mut self) {
        self.core.close(self.index);
    }
}

impl<H: Host> IoLoop<H> {
    pub(crate) fn new(core: Arc<Core<H>>, index: usize, poll: Poll) -> Self {
        IoLoop {
            core,
            index,
            poll: Some(poll),
        }
    }

    /// Runs until the pool is shut down. When it fails, by an error or a panic, its connections are closed, another loop
    /// takes its listeners, the host is told ([`Host::loop_failed`]), and it starts again after a pause of 0.1 s, which doubles
    /// with each failure in a row, up to 30 s.
    pub fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        while !self.core.stopping.is_set() {
            let begun = Instant::now();
            let (error, connections) = match self.serve() {
                Ok(()) => break,
                Err(failed) => failed,
            };
            if begun.elapsed() >= WELL {
                pause = FIRST_PAUSE;
            }
            add(&self.core.counters.loop_restarts, 1);
            let failure = LoopFailure {
                index: self.index,
                error,
                connections,
                pause,
            };
            let told = catch_unwind(AssertUnwindSafe(|| self.core.host.loop_failed(&failure)));
            told.unwrap_or_else(std::mem::forget);
            if self.core.stopping.wait(pause) {
                break;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Runs once, from a start to an end, and cleans up. An error comes with the number of connections that were closed for it.
    fn serve(&mut self) -> Result<(), (LoopError, usize)> {
        let mut reactor = None;
        let ended = catch_unwind(AssertUnwindSafe(|| {
            fault::panic_if(fault::LOOP_START);
            let mut local = self.core.host.local(self.index).map_err(LoopError::Start)?;
            let poll = self.poll.take().map_or_else(Poll::new, Ok);
            let made = poll
                .and_then(|poll| Reactor::new(Arc::clone(&self.core), self.index, poll))
                .map_err(LoopError::Epoll)?;
            let reactor = reactor.insert(made);
            run(reactor, self.index, &mut local).map_err(LoopError::Epoll)
        }));
        let connections = reactor.as_ref().map_or(0, Reactor::open);
        drop(reactor);
        // Without a reactor this has not happened yet.
        self.core.close(self.index);
        let error = match ended {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(payload) => LoopError::Panic(text_of(payload)),
        };
        Err((error, connections))
    }
}

fn text_of(payload: Box<dyn Any + Send>) -> String {
    let text = if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "no message".to_owned()
    };
    // A payload's own drop may panic; it is a few bytes of text.
    std::mem::forget(payload);
    text
}

fn run<H: Host>(reactor: &mut Reactor<H>, index: usize, local: &mut H::Local) -> io::Result<()> {
    let core = Arc::clone(&reactor.core);
    let shard = &core.shards[index];
    let mut events = Events::with_capacity(1024);
    let mut slots = Vec::new();
    while !core.stopping.is_set() {
        let timeout = reactor.timeout(|| shard.waker.may_sleep());
        match reactor.poll.poll(&mut events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ if fault::fires(fault::EPOLL_WAIT) => {
                return Err(io::Error::from_raw_os_error(libc::EBADF));
            }
            _ => {}
        }
        shard.waker.take(&mut slots);
        for event in &events {
            match event.token() {
                WAKER => {}
                Token(token) if token & LISTENER != 0 => {
                    if let Some(listener) = reactor.listeners.get_mut(token & !LISTENER) {
                        listener.ready = true;
                    }
                }
                Token(token) if token & GREETING != 0 => reactor.on_greeting(token & !GREETING),
                Token(slot) => reactor.mark(slot),
            }
        }
        slots.drain(..).for_each(|slot| reactor.mark(slot));
        for command in shard.take() {
            match command {
                Command::Listen(listener) => reactor.listen(listener),
                Command::Begin(new, load) => reactor.begin(new, load),
            }
        }
        reactor.accept();
        reactor.expire();
        for _ in 0..reactor.ready.len() {
            if let Some(slot) = reactor.ready.pop_front() {
                reactor.on_ready(slot, local);
            }
        }
        for _ in 0..HANDSHAKES {
            if let Some(slot) = reactor.handshaking.pop_front() {
                reactor.on_ready(slot, local);
            }
        }
    }
    Ok(())
}

impl<H: Host> Reactor<H> {
    /// How long to wait: not at all if there is work. `may_sleep` is asked last, for the waker wakes us from then on.
    fn timeout(&self, may_sleep: impl FnOnce() -> bool) -> Option<Duration> {
        let busy = !self.ready.is_empty()
            || !self.handshaking.is_empty()
            || self
                .listeners
                .iter()
                .any(|(_, listener)| listener.has_work());
        if busy || !may_sleep() {
            return Some(Duration::ZERO);
        }
        let next = &self.timers.peek()?.0.0;
        // A millisecond more, for epoll counts in whole ones.
        Some(next.saturating_duration_since(Instant::now()) + Duration::from_millis(1))
    }

    fn expire(&mut self) {
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
                Timer::Watch(slot, serial) => self.on_watch(slot, serial),
                Timer::Idle(slot, serial) => self.on_idle(slot, serial),
                Timer::Greeting(slot, serial) => self.on_greeting_timeout(slot, serial),
                Timer::Conn(slot, serial) => {
                    let due = self.conns.get(slot).is_some_and(|entry| {
                        entry.serial == serial
                            && entry.deadline.is_some_and(|deadline| deadline <= now)
                    });
                    if due {
                        self.on_deadline(slot);
                    }
                }
            }
        }
    }

    /// Takes new connections and spreads them over the loops, this one among them.
    fn accept(&mut self) {
        for slot in 0..self.listeners.capacity() {
            let Some(listener) = self.listeners.get_mut(slot) else {
                continue;
            };
            if listener.shared.is_closed() {
                self.listeners.remove(slot);
                continue;
            }
            let token = Token(slot | LISTENER);
            let (taken, parked) = listener.take(&self.core, self.poll.registry(), token);
            if parked {
                self.set_timer(Accepting::<H>::PAUSE, Timer::Listener(slot));
            }
            for new in taken {
                // It comes back if no loop runs, but this one does.
                let _ = self.core.begin(new);
            }
        }
    }
}
