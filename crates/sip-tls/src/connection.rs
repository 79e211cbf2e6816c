//! A connection's turn: what it does when something has happened to it.

use std::ops::ControlFlow;

use crate::code::Code;
use crate::conn::{Ending, PING, PONG};
use crate::core::Core;
use crate::counters::add;
use crate::fault;
use crate::frame::{FrameError, Item};
use crate::host::Host;
use crate::link::{Edge, Phase, Step};
use crate::reactor::{Entry, Reactor};
use crate::reason::Reason;

/// TLS records that a connection may read before the others have their turn.
const READS: usize = 4;

/// Messages after which it reads no further record in that turn: what a message costs the host is more than a record costs us.
const MESSAGES: u64 = 16;

/// How a turn ended.
enum Verdict {
    /// Until something happens.
    Wait,
    /// There is more to do.
    Again,
    End(Reason),
}

impl<H: Host> Reactor<H> {
    pub(crate) fn on_ready(&mut self, slot: usize, local: &mut H::Local) {
        let Some(entry) = self.conns.get_mut(slot) else {
            return;
        };
        entry.queued = false;
        let verdict = match (entry.link.phase.clone(), entry.conn.0.begin_turn()) {
            (Phase::Lingering, _) => match entry.link.discard(&mut self.buffer) {
                Step::Done(true) | Step::Failed(_) => return self.remove(slot),
                Step::Done(false) => Verdict::Again,
                Step::Wait => Verdict::Wait,
            },
            (_, Some(Ending::Now(reason))) => Verdict::End(reason),
            (Phase::Open, Some(Ending::Graceful)) => self.close_gracefully(slot),
            (Phase::Draining(reason), ending) => self.drain(slot, reason, ending.is_some()),
            (_, Some(Ending::Graceful)) => Verdict::End(Code::ClosedHere.into()),
            (Phase::Connecting, None) => match entry.link.connecting() {
                Step::Done(()) => {
                    entry.link.phase = Phase::Handshaking;
                    Verdict::Again
                }
                Step::Wait => Verdict::Wait,
                Step::Failed(reason) => Verdict::End(reason),
            },
            (Phase::Handshaking, None) => self.handshake(slot),
            (Phase::Open, None) => self.read_and_write(slot, local),
        };
        match verdict {
            Verdict::Wait => {}
            Verdict::Again => self.mark(slot),
            Verdict::End(reason) => self.finish(slot, reason),
        }
    }

    fn handshake(&mut self, slot: usize) -> Verdict {
        let Entry {
            link,
            conn,
            data,
            listener,
            deadline,
            share,
            ..
        } = &mut self.conns[slot];
        let info = match link.handshake(conn.remote()) {
            Step::Wait => return Verdict::Wait,
            Step::Failed(reason) => return Verdict::End(reason),
            Step::Done(info) => info,
        };
        *deadline = None;
        if let Some(pass) = &mut share.pass {
            pass.established();
        }
        let Core { host, counters, .. } = &*self.core;
        if let Some(data) = data {
            add(&counters.established_out, 1);
            host.connected(data, info);
            return Verdict::Again;
        }
        let Some(from) = listener.take_if(|listener| !listener.is_closed()) else {
            return Verdict::End(Code::ListenerClosed.into());
        };
        add(&counters.established_in, 1);
        add(&counters.resumed, info.resumed.into());
        *data = host.accepted(&from.data, conn, info);
        if data.is_none() {
            return Verdict::End(Code::ClosedHere.into());
        }
        self.watch_idle(slot);
        Verdict::Again
    }

    /// Reads, hands messages up, writes.
    fn read_and_write(&mut self, slot: usize, local: &mut H::Local) -> Verdict {
        let more = match self.read(slot, local) {
            Ok(more) => more,
            Err(verdict) => return verdict,
        };
        self.watch_renegotiation(slot);
        match self.flush(slot) {
            Step::Failed(reason) => return Verdict::End(reason),
            Step::Done(false) => return Verdict::Again,
            _ => {}
        }
        let Entry { conn, watch, .. } = &mut self.conns[slot];
        let (holds, begins) = watch.holds(&conn.0);
        if begins {
            add(&self.core.counters.pauses, 1);
        }
        self.watch(slot);
        // What is there is not told a second time by the system: whoever may be read is, until nothing is left.
        if more && !holds {
            Verdict::Again
        } else {
            Verdict::Wait
        }
    }

    /// Reads as much as a turn may. `false`: nothing is left to be read.
    fn read(&mut self, slot: usize, local: &mut H::Local) -> Result<bool, Verdict> {
        let Entry {
            link,
            conn,
            data,
            watch,
            ..
        } = &mut self.conns[slot];
        let Some(data) = data else {
            return Err(Verdict::End(Code::Internal.into()));
        };
        let Core { host, counters, .. } = &*self.core;
        let before = watch.delivered;
        for _ in 0..READS {
            if watch.delivered - before >= MESSAGES {
                break;
            }
            let (holds, begins) = watch.holds(&conn.0);
            if begins {
                add(&counters.pauses, 1);
            }
            if holds && !watch.takes_a_sip() {
                break;
            }
            let count = match link.read(&mut self.buffer) {
                Step::Done(count) => count,
                Step::Failed(reason)
                    if matches!(reason.code, Code::PeerClosed | Code::PeerEof)
                        && conn.0.is_owing() =>
                {
                    conn.0.refuse_requests();
                    return Err(self.begin_to_drain(slot, reason));
                }
                Step::Failed(reason) => return Err(Verdict::End(reason)),
                Step::Wait => return Ok(false),
            };
            add(&counters.bytes_in, count);
            watch.heard(&self.buffer[..count]);
            fault::panic_if(fault::FRAMER);
            let flow = link.framer.push(&self.buffer[..count], |item| {
                match item {
                    Item::Message(message) => {
                        watch.delivered += 1;
                        add(&counters.messages_in, 1);
                        conn.0.received(message);
                        host.message(local, data, message);
                    }
                    Item::Ping => {
                        add(&counters.pings, 1);
                        conn.0.reply(PONG);
                    }
                    Item::Fault(fault) => {
                        add(&counters.faults, 1);
                        if let Some(answer) = fault.answer() {
                            conn.0.reply(&answer);
                        }
                        host.malformed(data, &fault);
                    }
                }
                if conn.0.is_ending() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            add(&counters.skipped, link.framer.take_skipped());
            match flow {
                Err(error) => {
                    let octet = link.framer.octet().filter(|_| error == FrameError::NotSip);
                    let reason = Reason {
                        place: Some(Box::new(link.framer.place(octet))),
                        ..error.into()
                    };
                    return Err(self.begin_to_drain(slot, reason));
                }
                Ok(ControlFlow::Break(())) => return Err(Verdict::Again),
                Ok(ControlFlow::Continue(())) => {}
            }
        }
        Ok(true)
    }

    /// Nothing more will be read. What came before is still answered.
    fn begin_to_drain(&mut self, slot: usize, reason: Reason) -> Verdict {
        self.conns[slot].link.phase = Phase::Draining(reason);
        self.set_deadline(slot, self.core.config.drain);
        Verdict::Again
    }

    fn drain(&mut self, slot: usize, reason: Reason, is_ending: bool) -> Verdict {
        match self.flush(slot) {
            Step::Done(true) if is_ending || !self.conns[slot].conn.0.is_owing() => {
                Verdict::End(reason)
            }
            Step::Done(true) | Step::Wait => Verdict::Wait,
            Step::Done(false) => Verdict::Again,
            Step::Failed(_) => Verdict::End(reason),
        }
    }

    /// A renegotiation has as long as a handshake: nothing is written meanwhile.
    fn watch_renegotiation(&mut self, slot: usize) {
        let entry = &mut self.conns[slot];
        match entry.link.renegotiation() {
            Some(Edge::Begun) => self.set_deadline(slot, self.core.config.handshake_timeout),
            Some(Edge::Done) => entry.deadline = None,
            None => {}
        }
    }

    fn flush(&mut self, slot: usize) -> Step<bool> {
        let Entry {
            link,
            conn,
            data,
            watch,
            ..
        } = &mut self.conns[slot];
        let Core { host, counters, .. } = &*self.core;
        link.flush(&conn.0, |out| {
            if *out.bytes == *PING {
                watch.pinged();
            }
            let (Some(token), Some(data)) = (out.token, &*data) else {
                return;
            };
            add(&counters.messages_out, 1);
            add(&counters.bytes_out, out.bytes.len());
            host.write_done(data, token, Ok(()));
        })
    }

    /// The host wants it closed once what is queued is out.
    fn close_gracefully(&mut self, slot: usize) -> Verdict {
        if self.conns[slot].deadline.is_none() {
            self.set_deadline(slot, self.core.config.linger);
        }
        match self.flush(slot) {
            Step::Done(true) => Verdict::End(Code::ClosedHere.into()),
            Step::Done(false) => Verdict::Again,
            Step::Wait => Verdict::Wait,
            Step::Failed(reason) => Verdict::End(reason),
        }
    }

    /// The deadline of what it was doing has passed.
    pub(crate) fn on_deadline(&mut self, slot: usize) {
        let link = &self.conns[slot].link;
        let code = match link.phase.clone() {
            Phase::Connecting => Code::ConnectTimeout,
            Phase::Handshaking if link.is_silent() && link.is_outgoing() => Code::NoTlsAnswer,
            Phase::Handshaking if link.is_silent() => Code::Silent,
            Phase::Handshaking => Code::HandshakeTimeout,
            Phase::Open if link.is_renegotiating() => Code::RenegotiationTimeout,
            Phase::Open => Code::WriteQueueFull,
            Phase::Draining(reason) => return self.finish(slot, reason),
            Phase::Lingering => return self.remove(slot),
        };
        self.finish(slot, code.into());
    }
}
