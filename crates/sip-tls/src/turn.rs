//! A connection's turn: what it does when something has happened to it.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;

use crate::conn::{Conn, Ending};
use crate::counters::add;
use crate::frame::Item;
use crate::host::Host;
use crate::io::{Entry, Reactor};
use crate::link::{Phase, Step};
use crate::listener;
use crate::pool::Core;
use crate::reason::{Code, Reason};

/// TLS records that a connection may read before the others have their turn.
const READS: usize = 4;

/// How a turn ended.
pub(crate) enum Verdict {
    /// Until something happens.
    Wait,
    /// There is more to do.
    Again,
    End(Reason),
}

impl<H: Host> Reactor<H> {
    pub(crate) fn turn(&mut self, slot: usize, local: &mut H::Local) {
        let Some(entry) = self.conns.get_mut(slot) else {
            return;
        };
        entry.queued = false;
        let verdict = match (entry.link.phase, entry.conn.0.turn()) {
            (Phase::Lingering, _) => match entry.link.drain(&mut self.buffer) {
                Step::Done(true) | Step::Failed(_) => return self.remove(slot),
                Step::Done(false) => Verdict::Again,
                Step::Wait => Verdict::Wait,
            },
            (_, Some(Ending::Now(reason))) => Verdict::End(reason),
            (Phase::Open, Some(Ending::Graceful)) => self.wind_down(slot, local),
            (_, Some(Ending::Graceful)) => Verdict::End(Code::ClosedHere.into()),
            (Phase::Connecting, None) => match entry.link.connecting() {
                Step::Done(()) => {
                    entry.link.phase = Phase::Handshaking;
                    Verdict::Again
                }
                Step::Wait => Verdict::Wait,
                Step::Failed(reason) => Verdict::End(reason),
            },
            (Phase::Handshaking, None) => self.shake(slot, local),
            (Phase::Open, None) => self.talk(slot, local),
        };
        self.again(slot, verdict, local);
    }

    fn shake(&mut self, slot: usize, local: &mut H::Local) -> Verdict {
        let Entry {
            link,
            conn,
            data,
            listener,
            profile,
            deadline,
            ..
        } = &mut self.conns[slot];
        let info = match link.handshake(profile, conn.remote()) {
            Step::Wait => return Verdict::Wait,
            Step::Failed(reason) => return Verdict::End(reason),
            Step::Done(info) => info,
        };
        *deadline = None;
        let Core { host, counters, .. } = &*self.core;
        if let Some(data) = data {
            add(&counters.established_out, 1);
            host.connected(local, data, info);
            return Verdict::Again;
        }
        let Some(from) = listener.take_if(|listener| !listener.is_closed()) else {
            return Verdict::End(Code::ListenerClosed.into());
        };
        add(&counters.established_in, 1);
        add(&counters.resumed, info.resumed.into());
        *data = host.accepted(local, &from.data, conn, info);
        if data.is_none() {
            Verdict::End(Code::ClosedHere.into())
        } else {
            Verdict::Again
        }
    }

    /// Reads, hands messages up, writes.
    fn talk(&mut self, slot: usize, local: &mut H::Local) -> Verdict {
        let Entry {
            link, conn, data, ..
        } = &mut self.conns[slot];
        let Core { host, counters, .. } = &*self.core;
        let Some(data) = data else {
            return Verdict::End(Code::Internal.into());
        };
        let mut more = true;
        for _ in 0..READS {
            let count = match link.read(&mut self.buffer) {
                Step::Done(count) => count,
                Step::Failed(reason) => return Verdict::End(reason),
                Step::Wait => {
                    more = false;
                    break;
                }
            };
            add(&counters.bytes_in, count);
            let mut deaf = false;
            let flow = link.framer.push(&self.buffer[..count], |item| {
                match item {
                    Item::Message(message) => {
                        add(&counters.messages_in, 1);
                        host.message(local, data, message);
                    }
                    Item::Ping => {
                        add(&counters.pings, 1);
                        deaf |= !conn.0.pong();
                    }
                }
                if deaf || conn.0.is_ending() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            match flow {
                Err(error) => return Verdict::End(error.into()),
                Ok(_) if deaf => return Verdict::End(Code::WriteQueueFull.into()),
                Ok(ControlFlow::Break(())) => return Verdict::Again,
                Ok(ControlFlow::Continue(())) => {}
            }
        }
        match self.flush(slot, local) {
            Step::Failed(reason) => Verdict::End(reason),
            Step::Done(false) => Verdict::Again,
            _ if more => Verdict::Again,
            _ => Verdict::Wait,
        }
    }

    fn flush(&mut self, slot: usize, local: &mut H::Local) -> Step<bool> {
        let Entry {
            link, conn, data, ..
        } = &mut self.conns[slot];
        let Core { host, counters, .. } = &*self.core;
        link.flush(&conn.0, |out| {
            let (Some(token), Some(data)) = (out.token, &*data) else {
                return;
            };
            add(&counters.messages_out, 1);
            add(&counters.bytes_out, out.bytes.len());
            host.write_done(local, data, token, Ok(()));
        })
    }

    /// The host wants it closed once what is queued is out.
    fn wind_down(&mut self, slot: usize, local: &mut H::Local) -> Verdict {
        if self.conns[slot].deadline.is_none() {
            self.set_deadline(slot, self.core.config.linger);
        }
        match self.flush(slot, local) {
            Step::Done(true) => Verdict::End(Code::ClosedHere.into()),
            Step::Done(false) => Verdict::Again,
            Step::Wait => Verdict::Wait,
            Step::Failed(reason) => Verdict::End(reason),
        }
    }

    /// The deadline of what it was doing has passed.
    pub(crate) fn overdue(&mut self, slot: usize, local: &mut H::Local) {
        let link = &self.conns[slot].link;
        let code = match link.phase {
            Phase::Connecting => Code::ConnectTimeout,
            Phase::Handshaking if link.is_silent() => Code::Silent,
            Phase::Handshaking => Code::HandshakeTimeout,
            Phase::Open => Code::WriteQueueFull,
            Phase::Lingering => return self.remove(slot),
        };
        self.finish(slot, code.into(), local);
    }

    /// Ends a connection for the host, and says farewell to the peer.
    pub(crate) fn finish(&mut self, slot: usize, reason: Reason, local: &mut H::Local) {
        let entry = &mut self.conns[slot];
        if entry.link.phase == Phase::Lingering {
            return;
        }
        let unwritten = entry.link.unwritten();
        entry.link.farewell(&reason);
        let (conn, data, listener) = (entry.conn.clone(), entry.data.take(), entry.listener.take());
        if let (Some(token), Some(data)) = (unwritten.and_then(|out| out.token), &data) {
            self.core.host.write_done(local, data, token, Err(reason));
        }
        self.dismiss(&conn, data, listener.as_deref(), reason, local);
        if has_last_words(reason.code) {
            self.conns[slot].link.phase = Phase::Lingering;
            self.set_deadline(slot, self.core.config.linger);
            self.mark(slot);
        } else {
            self.remove(slot);
        }
    }

    /// The host's part of the end.
    pub(crate) fn dismiss(
        &self,
        conn: &Conn,
        data: Option<H::Conn>,
        listener: Option<&listener::Shared<H::Listener>>,
        reason: Reason,
        local: &mut H::Local,
    ) {
        let Core { host, counters, .. } = &*self.core;
        counters.ended(reason.code);
        counters.open.fetch_sub(1, Relaxed);
        let unsent = conn.0.end();
        match (data, listener) {
            (Some(data), _) => {
                for token in unsent.into_iter().filter_map(|out| out.token) {
                    host.write_done(local, &data, token, Err(reason));
                }
                host.closed(local, &data, reason);
            }
            (None, Some(listener)) => host.refused(local, &listener.data, conn.remote(), reason),
            (None, None) => {}
        }
    }

    fn remove(&mut self, slot: usize) {
        if self.conns.try_remove(slot).is_some() {
            self.leave();
        }
    }
}

/// Whether we have just said something that the peer should be able to read.
fn has_last_words(code: Code) -> bool {
    !matches!(
        code,
        Code::ConnectRefused
            | Code::ConnectTimeout
            | Code::Unreachable
            | Code::ConnectFailed
            | Code::Silent
            | Code::HandshakeTimeout
            | Code::ClosedInHandshake
            | Code::ResetInHandshake
            | Code::PeerClosed
            | Code::PeerEof
            | Code::PeerReset
            | Code::PeerGone
            | Code::IoError
            | Code::WriteQueueFull
            | Code::Shutdown
    )
}
