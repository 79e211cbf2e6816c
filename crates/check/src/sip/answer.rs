//! What comes over the connection: messages, keepalives, its end.

use std::collections::VecDeque;
use std::io::Write;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use openssl::ssl::ErrorCode;
use sip_tls::Reason;
use sip_tls::frame::{FaultKind, Framer, Item};

use super::message::Message;
use crate::tls::Up;

/// What was heard.
#[derive(Debug)]
pub(crate) enum Heard {
    Message(Message),
    /// Something that the framer does not hand on: what is wrong with it, and its head.
    Malformed(FaultKind, Message),
    /// A single CRLF, the answer to a double one.
    Pong,
    /// Nothing, for as long as was waited.
    Silence,
    /// The connection ended.
    End(Reason),
}

/// A connection, read.
pub(crate) struct Answers {
    up: Up,
    framer: Framer,
    waiting: VecDeque<Heard>,
    /// Something came since the handshake.
    heard: bool,
    timeout: Duration,
    over: Option<Reason>,
    /// What came first, for what is not SIP at all.
    first: Vec<u8>,
}

impl Answers {
    pub(crate) fn new(up: Up, timeout: Duration) -> Answers {
        Answers {
            up,
            framer: Framer::default(),
            waiting: VecDeque::new(),
            heard: false,
            timeout,
            over: None,
            first: Vec::new(),
        }
    }

    pub(crate) fn up(&self) -> &Up {
        &self.up
    }

    /// The octets that came first.
    pub(crate) fn first(&self) -> &[u8] {
        &self.first
    }

    pub(crate) fn local(&self) -> Option<std::net::SocketAddr> {
        self.up.link.stream().get_ref().tcp.local_addr().ok()
    }

    /// Sends; why not, where the connection is over.
    pub(crate) fn send(&mut self, octets: &[u8]) -> Result<(), Reason> {
        self.up.link.sock().give(self.timeout);
        match self.up.link.fresh().ssl_write(octets) {
            Ok(_) => self
                .up
                .link
                .fresh()
                .flush()
                .map_err(|error| Reason::connect(&error)),
            Err(error) => {
                // The peer may have said why before it closed.
                let reason = self.up.reason(&error, self.heard);
                match self.read_once() {
                    Some(said) if said.alert.is_some() => Err(said),
                    _ => Err(reason),
                }
            }
        }
    }

    /// The next, waiting for `limit` at most.
    pub(crate) fn next(&mut self, limit: Duration) -> Heard {
        let end = Instant::now() + limit;
        loop {
            if let Some(heard) = self.waiting.pop_front() {
                return heard;
            }
            if let Some(reason) = &self.over {
                return Heard::End(reason.clone());
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Heard::Silence;
            }
            self.up.link.sock().give(left);
            if let Some(reason) = self.read_once() {
                self.over = Some(reason);
            }
        }
    }

    /// Reads once; the end, if it is there.
    fn read_once(&mut self) -> Option<Reason> {
        let mut buffer = vec![0; 16 * 1024];
        let count = match self.up.link.fresh().ssl_read(&mut buffer) {
            Ok(0) => return Some(sip_tls::Code::PeerEof.into()),
            Ok(count) => count,
            Err(error) if [ErrorCode::WANT_READ, ErrorCode::WANT_WRITE].contains(&error.code()) => {
                return self
                    .up
                    .link
                    .sock()
                    .finished
                    .then(|| sip_tls::Code::PeerEof.into());
            }
            Err(error) => return Some(self.up.reason(&error, self.heard)),
        };
        self.heard = true;
        let octets = &buffer[..count];
        let keep = octets.len().min(64 - self.first.len().min(64));
        self.first.extend_from_slice(&octets[..keep]);
        if octets == b"\r\n" {
            self.waiting.push_back(Heard::Pong);
            return None;
        }
        let waiting = &mut self.waiting;
        let mut pings = 0;
        let pushed = self.framer.push(octets, |item| {
            match item {
                Item::Message(message) => waiting.push_back(Heard::Message(Message::new(message))),
                Item::Ping => pings += 1,
                Item::Fault(fault) => {
                    waiting.push_back(Heard::Malformed(fault.kind, Message::new(fault.head)))
                }
            }
            ControlFlow::Continue(())
        });
        for _ in 0..pings {
            let _ = self.up.link.fresh().ssl_write(b"\r\n");
        }
        pushed.err().map(Reason::from)
    }
}
