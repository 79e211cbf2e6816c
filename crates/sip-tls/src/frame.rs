//! Cutting a byte stream into SIP messages (RFC 3261 7.5 and 18.3) and CRLF keepalives (RFC 5626 3.5.1).
//!
//! No I/O: bytes go in by [`Framer::push`], whole messages and keepalives come out, in order. Every byte is looked at a bounded
//! number of times, however the stream is split. A [`FrameError`] is final: the stream has no message boundary any more,
//! and whoever reads on would take a body for a request.

use std::fmt;
use std::ops::ControlFlow;

/// Longest message, start line, header and body together. PJSIP's packet buffer is as long.
pub const MAX_MESSAGE: usize = 65_535;

/// Longest method name taken for one. RFC 3261 sets no limit; the longest registered (SUBSCRIBE) has nine letters.
const MAX_METHOD: usize = 32;

/// What the stream held.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// One whole message.
    Message(&'a [u8]),
    /// A double CRLF between messages: the peer waits for a single CRLF (RFC 5626 4.4.1).
    Ping,
}

/// Why a stream cannot be cut into messages. All of them are the peer's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// The bytes where a message must begin are not a SIP start line.
    NotSip,
    /// The message is, or says it is, longer than [`MAX_MESSAGE`].
    TooLong,
    /// No Content-Length. RFC 3261 20.14 demands it on streams. Taking it for 0 would make a request of the body, which is how
    /// a request is smuggled past a filter; and PJSIP drops such a message, so no peer that worked before is lost.
    NoContentLength,
    /// A Content-Length that is not a plain number (RFC 3261 25.1: `1*DIGIT`).
    BadContentLength,
    /// Two Content-Length fields that differ.
    TwoContentLengths,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FrameError::NotSip => "what it sent does not begin like a SIP message",
            FrameError::TooLong => "its message is longer than 65535 bytes",
            FrameError::NoContentLength => {
                "its message has no Content-Length, which SIP demands over TLS"
            }
            FrameError::BadContentLength => "its message has a Content-Length that is not a number",
            FrameError::TwoContentLengths => "its message has two different Content-Length fields",
        })
    }
}

impl std::error::Error for FrameError {}

/// Where in a message the next unread byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between messages; the number is how many bytes of CR LF CR LF have been seen.
    Between(u8),
    /// In the first word of the start line.
    Method,
    /// In the start line, after the first word, whose length this is.
    StartLine(usize),
    /// In the header, looking for the empty line.
    Header,
    /// In the body; the number is the length of the whole message.
    Body(usize),
}

/// The framing state of one stream. It holds no buffer while no partial message waits.
pub struct Framer {
    state: State,
    /// The unfinished message, from its first byte.
    partial: Vec<u8>,
    /// How much of the message is already scanned.
    scanned: usize,
}

impl Default for Framer {
    fn default() -> Self {
        Framer {
            state: State::Between(0),
            partial: Vec::new(),
            scanned: 0,
        }
    }
}

impl Framer {
    /// Takes the stream's next bytes and hands out what they complete. `sink` answers `Break` to have no more: the rest of the
    /// bytes is dropped, and the framer must not be used again.
    ///
    /// # Errors
    /// See [`FrameError`]; what came before the error has been handed out.
    pub fn push<F>(&mut self, input: &[u8], mut sink: F) -> Result<ControlFlow<()>, FrameError>
    where
        F: FnMut(Item<'_>) -> ControlFlow<()>,
    {
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

    /// Works through `data`, which begins where the current message does. Returns how many bytes are done with.
    fn run<F>(&mut self, data: &[u8], sink: &mut F) -> Result<(usize, ControlFlow<()>), FrameError>
    where
        F: FnMut(Item<'_>) -> ControlFlow<()>,
    {
        let mut start = 0;
        loop {
            let rest = &data[start..];
            if let State::Between(seen) = self.state {
                let Some(&byte) = rest.first() else {
                    return Ok((start, ControlFlow::Continue(())));
                };
                let seen = match (byte, seen) {
                    (b'\r', 0 | 2) | (b'\n', 1 | 3) => seen + 1,
                    (b'\r' | b'\n', _) | (_, 1 | 3) => return Err(FrameError::NotSip),
                    _ => {
                        self.state = State::Method;
                        self.scanned = 0;
                        continue;
                    }
                };
                start += 1;
                self.state = State::Between(seen % 4);
                if seen == 4 && sink(Item::Ping).is_break() {
                    return Ok((start, ControlFlow::Break(())));
                }
                continue;
            }
            match self.message(rest)? {
                None => return Ok((start, ControlFlow::Continue(()))),
                Some(length) => {
                    self.state = State::Between(0);
                    start += length;
                    if sink(Item::Message(&rest[..length])).is_break() {
                        return Ok((start, ControlFlow::Break(())));
                    }
                }
            }
        }
    }

    /// Scans on in the message that `data` begins with; its length once it is whole.
    fn message(&mut self, data: &[u8]) -> Result<Option<usize>, FrameError> {
        loop {
            match self.state {
                State::Between(_) => return Ok(None),
                State::Body(length) => return Ok((data.len() >= length).then_some(length)),
                State::Header => {
                    let Some(end) = self.header_end(data) else {
                        return if data.len() > MAX_MESSAGE {
                            Err(FrameError::TooLong)
                        } else {
                            Ok(None)
                        };
                    };
                    let length = end.saturating_add(content_length(&data[..end])?);
                    if length > MAX_MESSAGE {
                        return Err(FrameError::TooLong);
                    }
                    self.state = State::Body(length);
                }
                State::Method | State::StartLine(_) => {
                    let Some(&byte) = data.get(self.scanned) else {
                        return if data.len() > MAX_MESSAGE {
                            Err(FrameError::TooLong)
                        } else {
                            Ok(None)
                        };
                    };
                    self.start_line_byte(byte, data)?;
                }
            }
        }
    }

    fn start_line_byte(&mut self, byte: u8, data: &[u8]) -> Result<(), FrameError> {
        match self.state {
            State::Method if byte == b' ' => {
                let word = &data[..self.scanned];
                if word.is_empty() || word.contains(&b'/') && !word.eq_ignore_ascii_case(b"SIP/2.0")
                {
                    return Err(FrameError::NotSip);
                }
                self.state = State::StartLine(self.scanned);
            }
            State::Method if (is_token(byte) || byte == b'/') && self.scanned < MAX_METHOD => {}
            State::StartLine(word) if byte == b'\n' => {
                if !is_start_line(&data[..self.scanned], word) {
                    return Err(FrameError::NotSip);
                }
                self.state = State::Header;
                // The line's own LF may begin the empty line.
                return Ok(());
            }
            State::StartLine(_)
                if byte >= b' ' && byte != 0x7f || byte == b'\t' || byte == b'\r' => {}
            _ => return Err(FrameError::NotSip),
        }
        self.scanned += 1;
        Ok(())
    }

    /// The length of start line and header with the empty line, found as `pjsip_find_msg` finds it: LF CR LF.
    fn header_end(&mut self, data: &[u8]) -> Option<usize> {
        while let Some(lf) = data[self.scanned..].iter().position(|&byte| byte == b'\n') {
            let at = self.scanned + lf;
            match data.get(at + 1..at + 3) {
                Some(b"\r\n") => return Some(at + 3),
                Some(_) => self.scanned = at + 1,
                None => {
                    self.scanned = at;
                    return None;
                }
            }
        }
        self.scanned = data.len();
        None
    }
}

/// RFC 3261 25.1 `token`.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// `line` without its LF; its first word ends at `word`.
fn is_start_line(line: &[u8], word: usize) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let after = &line[word.min(line.len())..];
    if line[..word].contains(&b'/') {
        return matches!(after, [b' ', a, b, c, rest @ ..]
            if [a, b, c].iter().all(|d| d.is_ascii_digit()) && rest.first().is_none_or(|&s| s == b' '));
    }
    let Some(at) = after.len().checked_sub(b" SIP/2.0".len()) else {
        return false;
    };
    at > 1 && after[at..].eq_ignore_ascii_case(b" SIP/2.0")
}

/// The body length that the header fields name; lines may be folded, names are in any case, `l` is the compact form.
fn content_length(head: &[u8]) -> Result<usize, FrameError> {
    let mut found: Option<usize> = None;
    let mut lines = head.split(|&byte| byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            continue;
        };
        let name = line[..colon].trim_ascii_end();
        if !name.eq_ignore_ascii_case(b"content-length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        let mut value = line[colon + 1..].trim_ascii().to_vec();
        while let Some(more) = lines.next_if(|next| matches!(next.first(), Some(b' ' | b'\t'))) {
            let more = more.trim_ascii();
            if !more.is_empty() && !value.is_empty() {
                value.push(b' ');
            }
            value.extend_from_slice(more);
        }
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(FrameError::BadContentLength);
        }
        let length = value.iter().fold(0usize, |sum, digit| {
            sum.saturating_mul(10)
                .saturating_add(usize::from(digit - b'0'))
        });
        if found.is_some_and(|other| other != length) {
            return Err(FrameError::TwoContentLengths);
        }
        found = Some(length);
    }
    found.ok_or(FrameError::NoContentLength)
}
