//! Cutting a byte stream into SIP messages (RFC 3261 7.5 and 18.3) and CRLF keepalives (RFC 5626 3.5.1).
//!
//! No I/O: bytes go in by [`Framer::push`], whole messages and keepalives come out, in order. Every byte is looked at a bounded
//! number of times, however the stream is split.
//!
//! What is wrong with one message is its own affair ([`Item::Fault`]) as long as it is known where the next begins: the calls of a
//! whole trunk may be on the stream. A [`FrameError`] is final: nothing says any more where a message begins, and whoever reads on
//! would take a body for a request. docs/sip-over-tls.md has the rules with their numbers.

mod scan;

use std::ops::ControlFlow;

pub use crate::head::Label;
use crate::head::{self, Head};
pub use crate::malformed::{Fault, FaultKind, FrameError};
use crate::reason::Place;

/// Longest message, start line, header and body together. PJSIP's packet buffer is as long.
pub const MAX_MESSAGE: usize = 65_535;

/// Longest message that is skipped because it is longer than [`MAX_MESSAGE`]. Who says that he sends more is not believed.
pub const MAX_SKIPPED: usize = 1024 * 1024;

/// Line ends, NULs and blanks that may come without a message between them; keepalives that are answered do not count. At two
/// octets every 90 seconds, what a peer's answers to our keepalives come to, that is a year and a half.
pub const MAX_FILLER: usize = 1024 * 1024;

/// Octets that belong to no message and may come without a message between them.
pub const MAX_JUNK: usize = MAX_MESSAGE;

/// Plaintext of a TLS record that is full (RFC 8446 5.1): what was written goes on in the next.
const FULL_RECORD: usize = 1 << 14;

/// What the stream held.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// One whole message.
    Message(&'a [u8]),
    /// A double CRLF between messages: the peer waits for a single CRLF (RFC 5626 4.4.1).
    Ping,
    /// Something that is not handed on.
    Fault(Fault<'a>),
}

/// Where in a message the next unread byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between messages.
    Between,
    /// In the first word of the start line.
    Method,
    /// In the start line, after the first word, whose length this is.
    StartLine(usize),
    /// In the header, looking for the empty line; of a message that is not handed on, if there is a fault.
    Header(Option<FaultKind>),
    /// In the body; the number is the length of the whole message.
    Body(usize),
    /// In so many octets that are a message's for certain, and are not handed on.
    Skip(usize),
    /// In a line that belongs to no message.
    Junk,
    /// In a message whose end is not known.
    Doubt(FrameError),
    /// It is over.
    Lost(FrameError),
}

/// What a scan of a message came to.
enum Scan {
    /// The rest has not come yet.
    More,
    /// It is whole, and so long.
    Message(usize),
    /// Its head, so long, is whole: it has no Content-Length, and no body.
    WithoutLength(usize),
    /// Its head, so long, is whole, and is not handed on; what follows is `State`'s.
    Fault(FaultKind, usize, State),
    /// It is no start line; so many octets of it are looked at.
    NotSip(usize),
}

/// The framing state of one stream. It holds no buffer while no partial message waits.
pub struct Framer {
    state: State,
    /// The unfinished message, from its first byte.
    partial: Vec<u8>,
    /// How much of the message is already scanned.
    scanned: usize,
    /// How much of CR LF CR LF has been seen.
    ping: u8,
    /// Of [`MAX_FILLER`], and of [`MAX_JUNK`].
    filler: usize,
    junk: usize,
    /// Whether there has been a message at all.
    begun: bool,
    /// What goes on if what is being read is no message after all.
    back: Option<State>,
    /// How much is left to skip while nothing of it has come.
    untouched: usize,
    /// Whether the bytes before filled a TLS record.
    record_was_full: bool,
    last: Label,
    /// The message that is being read, once its head is whole.
    current: Label,
    octet: Option<u8>,
    skipped: usize,
}

impl Default for Framer {
    fn default() -> Self {
        Framer {
            state: State::Between,
            partial: Vec::new(),
            scanned: 0,
            ping: 0,
            filler: 0,
            junk: 0,
            begun: false,
            back: None,
            untouched: 0,
            record_was_full: false,
            last: Label::NONE,
            current: Label::NONE,
            octet: None,
            skipped: 0,
        }
    }
}

impl Framer {
    /// Takes the stream's next bytes and hands out what they complete. `sink` answers `Break` to have no more: the rest of the
    /// bytes is dropped, and the framer must not be used again.
    ///
    /// The bytes are those of one TLS record. It matters after a message whose end is not known alone, or whose body, which is to be
    /// skipped, has not begun: the next record that begins with a start line begins a message, unless the record before was full.
    ///
    /// # Errors
    /// See [`FrameError`]; what came before the error has been handed out.
    pub fn push<F>(&mut self, input: &[u8], mut sink: F) -> Result<ControlFlow<()>, FrameError>
    where
        F: FnMut(Item<'_>) -> ControlFlow<()>,
    {
        let continues = std::mem::replace(&mut self.record_was_full, input.len() >= FULL_RECORD);
        match self.state {
            State::Doubt(_) if !continues => {
                self.back = Some(std::mem::replace(&mut self.state, State::Between));
            }
            // Where a body was to begin, in a record of its own: perhaps there is none.
            State::Skip(left) if left == self.untouched && !continues => {
                self.untouched = 0;
                self.back = Some(std::mem::replace(&mut self.state, State::Method));
                self.scanned = 0;
            }
            // Then its start line is in that record too.
            State::Method | State::StartLine(_) => {
                if let Some(body @ State::Skip(_)) = self.back {
                    self.back = None;
                    self.state = body;
                }
            }
            _ => {}
        }
        if self.partial.is_empty() {
            let (used, flow) = self.run(input, &mut sink)?;
            if flow.is_continue() && used < input.len() {
                self.partial = input[used..].to_vec();
            }
            return Ok(flow);
        }
        let mut held = std::mem::take(&mut self.partial);
        held.extend_from_slice(input);
        let (used, flow) = self.run(&held, &mut sink)?;
        if flow.is_continue() && used < held.len() {
            // What remains came with this input, or nothing was used: the move costs no more than the input did.
            held.drain(..used);
            self.partial = held;
        }
        Ok(flow)
    }

    /// How many bytes of an unfinished message are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.partial.len()
    }

    /// Whether the rest of a message that is not handed on is still to come.
    #[must_use]
    pub fn is_skipping(&self) -> bool {
        matches!(self.state, State::Skip(_))
    }

    /// Does not wait any longer for the rest of what is skipped: the next message is looked for where a TLS record begins.
    pub fn give_up_skipping(&mut self) {
        if self.is_skipping() {
            self.state = State::Doubt(FrameError::TooLong);
        }
    }

    /// Where it is: behind which message; after an error, at which octet.
    #[must_use]
    pub fn place(&self, octet: Option<u8>) -> Place {
        Place {
            octet,
            after: self.last,
        }
    }

    /// After an error: the octet that could not be, if it was one.
    #[must_use]
    pub fn octet(&self) -> Option<u8> {
        self.octet
    }

    /// Bytes that belonged to no message, since the last call; keepalives do not count.
    pub fn take_skipped(&mut self) -> usize {
        std::mem::take(&mut self.skipped)
    }

    /// Works through `data`, which begins where the current message does. Returns how many bytes are done with.
    fn run<F>(&mut self, data: &[u8], sink: &mut F) -> Result<(usize, ControlFlow<()>), FrameError>
    where
        F: FnMut(Item<'_>) -> ControlFlow<()>,
    {
        let mut start = 0;
        loop {
            let rest = &data[start..];
            let flow = match self.state {
                State::Lost(error) => return Err(error),
                _ if rest.is_empty() => return Ok((start, ControlFlow::Continue(()))),
                State::Between => {
                    if !is_filler(rest[0]) {
                        self.state = State::Method;
                        self.scanned = 0;
                        continue;
                    }
                    start += 1;
                    match self.filler(rest[0])? {
                        true => sink(Item::Ping),
                        false => ControlFlow::Continue(()),
                    }
                }
                State::Skip(left) => {
                    let count = left.min(rest.len());
                    start += count;
                    self.untouched = 0;
                    self.state = match left - count {
                        0 => State::Between,
                        left => State::Skip(left),
                    };
                    continue;
                }
                State::Junk => {
                    let line = rest.iter().position(|&byte| byte == b'\n');
                    let count = line.map_or(rest.len(), |lf| lf + 1);
                    start += count;
                    if line.is_some() {
                        self.state = State::Between;
                    }
                    self.junk(count, FrameError::NotSip)?;
                    continue;
                }
                State::Doubt(error) => {
                    self.junk(rest.len(), error)?;
                    return Ok((data.len(), ControlFlow::Continue(())));
                }
                _ => match self.message(rest) {
                    Ok(Scan::More) => return Ok((start, ControlFlow::Continue(()))),
                    Ok(Scan::Message(length)) => {
                        start += length;
                        self.good();
                        sink(Item::Message(&rest[..length]))
                    }
                    Ok(Scan::WithoutLength(length)) => {
                        start += length;
                        let message = head::without_body(&rest[..length]);
                        self.good();
                        sink(Item::Message(&message))
                    }
                    Ok(Scan::Fault(kind, length, then)) => {
                        start += length;
                        self.fresh_start(then);
                        if let (FaultKind::TooLong, State::Skip(left)) = (kind, then) {
                            self.untouched = left;
                        }
                        sink(Item::Fault(Fault {
                            kind,
                            head: &rest[..length],
                            is_end_known: !matches!(then, State::Doubt(_) | State::Lost(_)),
                            // Another protocol's message is told by its first octet.
                            place: self.place((kind == FaultKind::NotSip).then_some(rest[0])),
                        }))
                    }
                    Ok(Scan::NotSip(length)) => {
                        // A line that is none as a whole is told by its first octet.
                        let octet = rest.get(length).filter(|&&byte| byte != b'\n');
                        self.octet = octet.or(rest.first()).copied();
                        if let Some(back) = self.back.take() {
                            self.state = back;
                            continue;
                        }
                        if !self.begun {
                            return Err(FrameError::NotSip);
                        }
                        self.state = State::Junk;
                        let is_first = self.junk == 0;
                        start += length;
                        self.junk(length, FrameError::NotSip)?;
                        if !is_first {
                            continue;
                        }
                        // So that the rest of the line is not told once more.
                        self.junk = self.junk.max(1);
                        sink(Item::Fault(Fault {
                            kind: FaultKind::NotSip,
                            head: &rest[..length],
                            is_end_known: true,
                            place: self.place(self.octet),
                        }))
                    }
                    Err(error) => match self.back.take() {
                        Some(back) => {
                            self.state = back;
                            continue;
                        }
                        None => return Err(error),
                    },
                },
            };
            if flow.is_break() {
                return Ok((start, flow));
            }
        }
    }

    /// Takes a byte between messages; `true`: it is the last of a keepalive.
    fn filler(&mut self, byte: u8) -> Result<bool, FrameError> {
        self.ping = match (byte, self.ping) {
            (b'\r', 2) => 3,
            (b'\r', _) => 1,
            (b'\n', 1 | 3) => self.ping + 1,
            _ => 0,
        };
        self.filler += 1;
        self.skipped += 1;
        if self.ping == 4 {
            self.ping = 0;
            self.filler = self.filler.saturating_sub(4);
            self.skipped = self.skipped.saturating_sub(4);
            return Ok(true);
        }
        if self.filler > MAX_FILLER {
            return Err(FrameError::Filler);
        }
        Ok(false)
    }

    fn junk(&mut self, count: usize, error: FrameError) -> Result<(), FrameError> {
        self.junk += count;
        self.skipped += count;
        if self.junk > MAX_JUNK {
            return Err(error);
        }
        Ok(())
    }

    /// A message has been found where one was expected.
    fn fresh_start(&mut self, then: State) {
        self.state = then;
        self.begun = true;
        self.back = None;
        (self.ping, self.filler, self.junk) = (0, 0, 0);
    }

    fn good(&mut self) {
        self.fresh_start(State::Between);
        self.last = self.current;
    }
}

/// What to call a whole message in a log.
#[must_use]
pub fn label(message: &[u8]) -> Label {
    Label::new(message, Head::read(message).call_id)
}

/// RFC 3261 7.5 lets CRLF pass before a start line; peers send more, and none of it can begin a message.
fn is_filler(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | b'\0' | b' ' | b'\t')
}
