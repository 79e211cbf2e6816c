//! What is looked at now and then while a connection is held up: a peer that does not read, answers that do not come, a message
//! that does not end.

use std::time::{Duration, Instant};

use crate::code::Code;
use crate::conn::{PONG, Pressure, Shared};
use crate::core::PoolConfig;
use crate::host::Host;
use crate::link::{Link, Phase};
use crate::reactor::{Reactor, Timer};
use crate::reason::Reason;

/// How often, at most.
const TICK: Duration = Duration::from_secs(1);
/// How long a timer for idle connections waits at most.
const IDLE_STEP: Duration = Duration::from_secs(60);

/// Of one connection.
pub(crate) struct Watch {
    /// Whether a tick is due.
    pub(crate) is_on: bool,
    /// Why it is not read, if it is not.
    held: Option<Pressure>,
    /// Bytes that the socket had taken, and since when no more.
    written: u64,
    stalled: Instant,
    /// Whether it is read once all the same.
    sip: bool,
    /// Final responses at the last tick.
    answers: u64,
    /// Since when a message is skipped.
    skipping: Option<Instant>,
    /// Messages that have come.
    pub(crate) delivered: u64,
    /// How many had come when a part of the next one was seen first, and when that was.
    partial: Option<(u64, Instant)>,
    /// When the last keepalive was sent that nothing has come after.
    ping: Option<Instant>,
    /// Whether it has answered one.
    answers_pings: bool,
    /// When something came last.
    last: Instant,
}

impl Watch {
    pub(crate) fn new() -> Watch {
        Watch {
            is_on: false,
            held: None,
            written: 0,
            stalled: Instant::now(),
            sip: false,
            answers: 0,
            skipping: None,
            delivered: 0,
            partial: None,
            ping: None,
            answers_pings: false,
            last: Instant::now(),
        }
    }

    /// Whether the connection is not to be read now. `true` twice: it has just become so.
    pub(crate) fn holds(&mut self, conn: &Shared) -> (bool, bool) {
        let was = self.held.is_some();
        self.held = match (conn.pressure(), self.held) {
            (Pressure::Low, _) | (Pressure::Between, None | Some(Pressure::Unanswered)) => None,
            (Pressure::Between, held) => held,
            (pressure, _) => Some(pressure),
        };
        let holds = self.held.is_some();
        if holds && !was {
            self.stalled = Instant::now();
            self.answers = conn.answers();
        }
        (holds, holds && !was)
    }

    /// Whether it may be read once though it is held. Two ends that both wait for the other to read would wait for ever.
    pub(crate) fn takes_a_sip(&mut self) -> bool {
        std::mem::take(&mut self.sip)
    }

    /// A keepalive was sent.
    pub(crate) fn pinged(&mut self) {
        self.ping.get_or_insert_with(Instant::now);
    }

    /// Something has come: it lives.
    pub(crate) fn heard(&mut self, bytes: &[u8]) {
        self.last = Instant::now();
        if self.ping.take().is_some() && bytes == PONG {
            self.answers_pings = true;
        }
    }

    /// Whether there is something to look at.
    pub(crate) fn is_needed(&mut self, link: &Link) -> bool {
        if link.framer.is_skipping() {
            self.skipping.get_or_insert_with(Instant::now);
        } else {
            self.skipping = None;
        }
        if link.framer.held() == 0 {
            self.partial = None;
        } else if self
            .partial
            .is_none_or(|(count, _)| count != self.delivered)
        {
            self.partial = Some((self.delivered, Instant::now()));
        }
        self.held.is_some()
            || self.skipping.is_some()
            || self.partial.is_some()
            || self.ping.is_some() && self.answers_pings
    }

    /// What a tick finds, if the connection is to end for it.
    fn look(&mut self, link: &mut Link, conn: &Shared, config: &PoolConfig) -> Option<Reason> {
        if self.written != link.written {
            self.written = link.written;
            self.stalled = Instant::now();
        }
        match self.held {
            Some(Pressure::Full) if self.stalled.elapsed() >= config.stall => {
                return Some(Code::WriteQueueFull.into());
            }
            Some(Pressure::Full) => self.sip = self.stalled.elapsed() >= config.stall / 4,
            // What had no answer in all this time gets none.
            Some(Pressure::Unanswered) if self.answers == conn.answers() => {
                conn.forget_unanswered();
            }
            _ => {}
        }
        self.answers = conn.answers();
        if self.held.is_some() {
            // What it sends is not read: it cannot be heard, nor can the rest of its message.
            (self.ping, self.partial) = (None, None);
        }
        if self.answers_pings && self.ping.is_some_and(|sent| sent.elapsed() >= config.pong) {
            return Some(Code::PongMissing.into());
        }
        let is_late = |since: Instant| since.elapsed() >= config.skip;
        if self.partial.is_some_and(|(_, since)| is_late(since)) {
            return Some(Code::MessageTimeout.into());
        }
        if self.skipping.is_some_and(is_late) {
            link.framer.give_up_skipping();
        }
        None
    }
}

impl<H: Host> Reactor<H> {
    /// Has a tick come if there is something to look at.
    pub(crate) fn watch(&mut self, slot: usize) {
        let entry = &mut self.conns[slot];
        if entry.watch.is_needed(&entry.link) && !std::mem::replace(&mut entry.watch.is_on, true) {
            let timer = Timer::Watch(slot, entry.serial);
            let config = &self.core.config;
            let tick = [config.stall, config.skip, config.pong]
                .map(|limit| limit / 4)
                .into_iter()
                .fold(TICK, Duration::min);
            self.set_timer(tick, timer);
        }
    }

    /// Has it looked at when it may have been idle for too long.
    pub(crate) fn watch_idle(&mut self, slot: usize) {
        let entry = &self.conns[slot];
        if let Some(idle) = self.core.config.idle {
            // In steps: a timer stays in its heap until it fires, though the connection is long gone.
            let left = idle
                .saturating_sub(entry.watch.last.elapsed())
                .min(IDLE_STEP);
            let timer = Timer::Idle(slot, entry.serial);
            self.set_timer(left, timer);
        }
    }

    pub(crate) fn on_idle(&mut self, slot: usize, serial: u64) {
        let entry = self.conns.get(slot);
        let Some(entry) = entry.filter(|it| it.serial == serial && it.link.phase == Phase::Open)
        else {
            return;
        };
        let idle = self.core.config.idle.unwrap_or(Duration::MAX);
        if entry.watch.last.elapsed() >= idle {
            self.finish(slot, Code::Idle.into());
        } else {
            self.watch_idle(slot);
        }
    }

    pub(crate) fn on_watch(&mut self, slot: usize, serial: u64) {
        let Some(entry) = self.conns.get_mut(slot) else {
            return;
        };
        if entry.serial != serial || entry.link.phase != Phase::Open {
            return;
        }
        entry.watch.is_on = false;
        match entry
            .watch
            .look(&mut entry.link, &entry.conn.0, &self.core.config)
        {
            Some(reason) => self.finish(slot, reason),
            None => {
                self.watch(slot);
                self.mark(slot);
            }
        }
    }
}
