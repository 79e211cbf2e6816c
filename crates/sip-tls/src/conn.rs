//! The handle of a connection, and its write queue.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::code::Code;
use crate::head;
use crate::reason::Reason;
use crate::sync::{Mutex, MutexGuard};
use crate::waker::Waker;

const RESPONSE: &[u8] = b"SIP/2.0 ";

/// A keepalive (RFC 5626 section 3.5.1), and its answer.
pub(crate) const PING: &[u8] = b"\r\n\r\n";
pub(crate) const PONG: &[u8] = b"\r\n";

/// Requests that may be without an answer before no more are read. An INVITE does not count: its answer is a person's.
const MAX_UNANSWERED: usize = 256;

/// A handle to a connection: to send and to close, from any thread, without ever blocking. It outlives the connection harmlessly.
///
/// Nothing is encrypted or written on the caller's thread; the connection's I/O thread does it.
#[derive(Clone)]
pub struct Conn(pub(crate) Arc<Shared>);

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// The peer reads too slowly: this message does not fit into the queue.
    QueueFull,
    /// The connection is closed or closing.
    Closed,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::QueueFull => "the peer reads too slowly and the write queue is full",
            SendError::Closed => "the connection is closed",
        })
    }
}

impl std::error::Error for SendError {}

/// How to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// Write what is queued, say close_notify, then close.
    Graceful,
    /// Drop what is queued, say close_notify if it can be written at once, and close.
    Now,
}

impl Conn {
    /// Queues a message. Its bytes are copied. If it is taken, [`write_done`](crate::Host::write_done) follows with `token`.
    ///
    /// A message may be sent before an outgoing connection is established; it goes out once it is.
    ///
    /// # Errors
    /// See [`SendError`]. No `write_done` follows.
    pub fn send(&self, bytes: &[u8], token: u64) -> Result<(), SendError> {
        // Requests are not sent to who has closed its side: it cannot answer.
        let is_response = bytes.starts_with(RESPONSE);
        let mut outbox = self.0.outbox();
        if outbox.closed || outbox.ending.is_some() || outbox.no_requests && !is_response {
            return Err(SendError::Closed);
        }
        if outbox.bytes > 0 && outbox.bytes.saturating_add(bytes.len()) > self.0.limit {
            drop(outbox);
            self.0.refused.fetch_add(1, Relaxed);
            return Err(SendError::QueueFull);
        }
        if is_response {
            outbox.owed.answer(bytes);
        }
        outbox.push(Out {
            bytes: bytes.into(),
            token: Some(token),
        });
        self.0.schedule(outbox);
        Ok(())
    }

    /// Takes messages that are `unwanted` out of the queue; their tokens, for which no `write_done` follows. Only from a callback of
    /// the connection's own ([`Host`](crate::Host)), on whose thread it is: nothing else takes anything out meanwhile.
    pub fn withdraw(&self, mut unwanted: impl FnMut(&[u8]) -> bool) -> Vec<u64> {
        let mut tokens = Vec::new();
        let mut at = 0;
        loop {
            // A copy: it is not asked under the lock.
            let next = self
                .0
                .outbox()
                .queue
                .get(at)
                .map(|out| (out.token, out.bytes.clone()));
            let Some((token, bytes)) = next else {
                return tokens;
            };
            match token.filter(|_| unwanted(&bytes)) {
                Some(token) => {
                    let mut outbox = self.0.outbox();
                    outbox.queue.remove(at);
                    outbox.bytes -= bytes.len();
                    tokens.push(token);
                }
                None => at += 1,
            }
        }
    }

    /// Closes the connection. [`closed`](crate::Host::closed) follows from its I/O thread.
    pub fn close(&self, how: Close) {
        let mut outbox = self.0.outbox();
        match (how, &outbox.ending) {
            (_, _) if outbox.closed => return,
            (Close::Graceful, None) => outbox.ending = Some(Ending::Graceful),
            (Close::Now, None | Some(Ending::Graceful)) => {
                outbox.ending = Some(Ending::Now(Code::ClosedHere.into()))
            }
            _ => return,
        }
        self.0.schedule(outbox);
    }

    /// The peer's address.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.0.remote
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.0.outbox().bytes
    }
}

impl PartialEq for Conn {
    fn eq(&self, other: &Conn) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Conn {}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Conn").field(&self.0.remote).finish()
    }
}

/// A message on its way.
pub(crate) struct Out {
    pub(crate) bytes: Box<[u8]>,
    /// `None` for our own keepalive answers.
    pub(crate) token: Option<u64>,
}

#[derive(Clone)]
pub(crate) enum Ending {
    Graceful,
    Now(Reason),
}

/// Requests of the peer that have no final response yet.
#[derive(Default)]
struct Owed {
    invites: usize,
    others: usize,
    /// Final responses so far.
    answers: u64,
}

impl Owed {
    fn of(&mut self, method: &[u8]) -> &mut usize {
        if method == b"INVITE" {
            &mut self.invites
        } else {
            &mut self.others
        }
    }

    fn request(&mut self, message: &[u8]) {
        if let Some(method) = head::method(message).filter(|method| *method != b"ACK") {
            *self.of(method) += 1;
        }
    }

    fn answer(&mut self, response: &[u8]) {
        if let Some(method) = head::answered(response) {
            let owed = self.of(method);
            *owed = owed.saturating_sub(1);
            self.answers += 1;
        }
    }
}

/// How much a connection has to do, as the loop sees it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pressure {
    /// Below the low mark.
    Low,
    /// Between the marks: it goes on as it was.
    Between,
    /// Too many requests have no answer yet.
    Unanswered,
    /// Too much waits to be written.
    Full,
}

#[derive(Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Out>,
    /// Queued bytes, with the message that is being written.
    bytes: usize,
    pub(crate) ending: Option<Ending>,
    closed: bool,
    /// The peer cannot answer any more.
    no_requests: bool,
    owed: Owed,
    /// Its loop and its slot there, while it has them.
    place: Option<(Arc<Waker>, usize)>,
    /// Whether the loop knows that there is something to do.
    scheduled: bool,
}

impl Outbox {
    fn push(&mut self, out: Out) {
        self.bytes += out.bytes.len();
        self.queue.push_back(out);
    }
}

pub(crate) struct Shared {
    remote: SocketAddr,
    limit: usize,
    /// The engine's counter of messages that did not fit.
    refused: Arc<AtomicU64>,
    outbox: Mutex<Outbox>,
}

impl Shared {
    pub(crate) fn new(remote: SocketAddr, limit: usize, refused: Arc<AtomicU64>) -> Self {
        Shared {
            remote,
            limit,
            refused,
            outbox: Mutex::default(),
        }
    }

    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock()
    }

    /// Lets the loop know. Before the connection has a slot there is no need: it gets its first turn with it.
    fn schedule(&self, mut outbox: MutexGuard<'_, Outbox>) {
        let Some((waker, slot)) = outbox.place.clone() else {
            return;
        };
        if !std::mem::replace(&mut outbox.scheduled, true) {
            drop(outbox);
            waker.notify(Some(slot));
        }
    }

    // For the loop:

    pub(crate) fn placed(&self, waker: Arc<Waker>, slot: usize) {
        self.outbox().place = Some((waker, slot));
    }

    /// Begins a turn: what is queued from now on wakes the loop again.
    pub(crate) fn begin_turn(&self) -> Option<Ending> {
        let mut outbox = self.outbox();
        outbox.scheduled = false;
        outbox.ending.clone()
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.outbox().ending.is_some()
    }

    /// The next message to write. Its bytes stay counted until [`Shared::written`].
    pub(crate) fn next(&self) -> Option<Out> {
        let mut outbox = self.outbox();
        let out = outbox.queue.pop_front();
        if outbox.queue.is_empty() {
            outbox.queue = VecDeque::new();
        }
        out
    }

    pub(crate) fn written(&self, out: &Out) {
        self.outbox().bytes -= out.bytes.len();
    }

    /// A message that will not be written after all: the first in the queue again.
    pub(crate) fn put_back(&self, out: Option<Out>) {
        if let Some(out) = out {
            self.outbox().queue.push_front(out);
        }
    }

    /// Queues an answer of our own, if there is room. There is none for a peer that does not read.
    pub(crate) fn reply(&self, bytes: &[u8]) {
        let mut outbox = self.outbox();
        if outbox.bytes + bytes.len() <= self.limit {
            outbox.push(Out {
                bytes: bytes.into(),
                token: None,
            });
        }
    }

    /// The host is about to get a message.
    pub(crate) fn received(&self, message: &[u8]) {
        if !message.starts_with(RESPONSE) {
            self.outbox().owed.request(message);
        }
    }

    pub(crate) fn pressure(&self) -> Pressure {
        let outbox = self.outbox();
        let high = self.limit / 16;
        if outbox.bytes > high {
            Pressure::Full
        } else if outbox.owed.others > MAX_UNANSWERED {
            Pressure::Unanswered
        } else if outbox.bytes > high / 2 {
            Pressure::Between
        } else {
            Pressure::Low
        }
    }

    /// Final responses so far.
    pub(crate) fn answers(&self) -> u64 {
        self.outbox().owed.answers
    }

    /// Does not wait any longer for answers to requests.
    pub(crate) fn forget_unanswered(&self) {
        self.outbox().owed.others = 0;
    }

    /// Whether anything is still to be written or answered.
    pub(crate) fn is_owing(&self) -> bool {
        let outbox = self.outbox();
        outbox.bytes > 0 || outbox.owed.invites + outbox.owed.others > 0
    }

    /// From now on only responses are taken.
    pub(crate) fn refuse_requests(&self) {
        self.outbox().no_requests = true;
    }

    /// Ends the queue; what is in it comes back.
    pub(crate) fn end(&self) -> VecDeque<Out> {
        let mut outbox = self.outbox();
        outbox.closed = true;
        outbox.place = None;
        outbox.bytes = 0;
        std::mem::take(&mut outbox.queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_withdrawn_is_not_sent_and_the_rest_keeps_its_order() {
        let remote = SocketAddr::from(([127, 0, 0, 1], 5061));
        let conn = Conn(Arc::new(Shared::new(remote, 1024, Arc::default())));
        for (token, text) in [(1, "first"), (2, "bad"), (3, "second"), (4, "bad")] {
            conn.send(text.as_bytes(), token).expect("there is room");
        }
        conn.0.reply(b"bad");
        // It may send, and ask: no lock is held.
        let unwanted = |text: &[u8]| {
            if text == b"first" {
                conn.send(b"third", 5).expect("there is room");
            }
            text == b"bad"
        };
        assert_eq!(conn.withdraw(unwanted), [2, 4]);
        assert_eq!(conn.queued(), "firstsecondbadthird".len());
        let left: Vec<_> = std::iter::from_fn(|| conn.0.next())
            .map(|out| out.token)
            .collect();
        assert_eq!(left, [Some(1), Some(3), None, Some(5)]);
    }
}
