//! Reading one message: start line, header, and what its head says of its body.

use crate::head::{self, Head, Length, Line, is_token};

use super::{FaultKind, FrameError, Framer, Label, MAX_MESSAGE, MAX_SKIPPED, Scan, State};

impl Framer {
    /// Scans on in the message that `data` begins with.
    pub(super) fn message(&mut self, data: &[u8]) -> Result<Scan, FrameError> {
        loop {
            match self.state {
                State::Body(length) if data.len() >= length => return Ok(Scan::Message(length)),
                State::Body(_) => return Ok(Scan::More),
                State::Header(fault) => {
                    let Some(end) = self.header_end(data) else {
                        return more(data);
                    };
                    if end > MAX_MESSAGE {
                        return Err(FrameError::TooLong);
                    }
                    if let Some(scan) = self.head(&data[..end], fault) {
                        return Ok(scan);
                    }
                }
                State::Method | State::StartLine(_) => {
                    if self.scanned > MAX_MESSAGE {
                        return Err(FrameError::TooLong);
                    }
                    let Some(&byte) = data.get(self.scanned) else {
                        return more(data);
                    };
                    if !self.start_line_byte(byte, data) {
                        return Ok(Scan::NotSip(self.scanned));
                    }
                }
                _ => return Ok(Scan::More),
            }
        }
    }

    /// `false`: this byte cannot be.
    fn start_line_byte(&mut self, byte: u8, data: &[u8]) -> bool {
        match self.state {
            State::Method if byte == b' ' && self.scanned > 0 => {
                self.state = State::StartLine(self.scanned);
            }
            State::Method if is_token(byte) || byte == b'/' => {}
            State::StartLine(word) if byte == b'\n' => {
                let fault = match head::classify(&data[..self.scanned], word) {
                    Line::Sip => None,
                    Line::OtherVersion => Some(FaultKind::Version),
                    Line::BadStatus => Some(FaultKind::Status),
                    Line::Foreign if self.begun && self.back.is_none() => Some(FaultKind::NotSip),
                    Line::Foreign | Line::Other => return false,
                };
                self.state = State::Header(fault);
                // The line's own LF may begin the empty line.
                return true;
            }
            State::StartLine(_)
                if byte >= b' ' && byte != 0x7f || byte == b'\t' || byte == b'\r' => {}
            _ => return false,
        }
        self.scanned += 1;
        true
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

    /// What a whole head says of what follows. `None`: the body is to be read.
    fn head(&mut self, head: &[u8], fault: Option<FaultKind>) -> Option<Scan> {
        let Head {
            length,
            has_type,
            call_id,
        } = Head::read(head);
        self.current = Label::new(head, call_id);
        let end = head.len();
        let (body, fault) = match length {
            Length::Octets(body) => (body, fault),
            Length::About(body) => (body, fault.or(Some(FaultKind::BadContentLength))),
            // It has no body, or its body is not what it says it has.
            Length::Missing if !has_type && fault.is_none() && end + 32 <= MAX_MESSAGE => {
                return Some(Scan::WithoutLength(end));
            }
            Length::Missing if !has_type => (0, fault.or(Some(FaultKind::NoContentLength))),
            Length::Bad if !has_type => (0, fault.or(Some(FaultKind::BadContentLength))),
            Length::Missing | Length::Bad | Length::Differ => {
                let (kind, error) = match length {
                    Length::Missing => (FaultKind::NoContentLength, FrameError::NoContentLength),
                    Length::Bad => (FaultKind::BadContentLength, FrameError::BadContentLength),
                    _ => (FaultKind::TwoContentLengths, FrameError::TwoContentLengths),
                };
                let kind = fault.unwrap_or(kind);
                return Some(Scan::Fault(kind, end, State::Doubt(error)));
            }
        };
        let whole = end.saturating_add(body);
        if whole > MAX_SKIPPED {
            let then = State::Lost(FrameError::TooLong);
            return Some(Scan::Fault(fault.unwrap_or(FaultKind::TooLong), end, then));
        }
        let fault = fault.or((whole > MAX_MESSAGE).then_some(FaultKind::TooLong));
        match fault {
            Some(kind) if body == 0 => Some(Scan::Fault(kind, end, State::Between)),
            Some(kind) => Some(Scan::Fault(kind, end, State::Skip(body))),
            None => {
                self.state = State::Body(whole);
                None
            }
        }
    }
}

/// A head that does not end is not waited for any longer than a message may be.
fn more(data: &[u8]) -> Result<Scan, FrameError> {
    if data.len() > MAX_MESSAGE {
        Err(FrameError::TooLong)
    } else {
        Ok(Scan::More)
    }
}
