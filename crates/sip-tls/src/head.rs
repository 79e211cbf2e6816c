//! What framing reads in a message's head: whether a line is a start line, how long the body is, and what a refusal copies.

use std::fmt;
use std::hash::{DefaultHasher, Hasher};

/// Put into a message that has no such field and no body.
const NO_BODY: &[u8] = b"Content-Length: 0\r\n";

/// What a line is where a message has to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// A request or a response of SIP/2.0.
    Sip,
    /// A request of another SIP version.
    OtherVersion,
    /// A response of another version, or with a status that is none.
    BadStatus,
    /// The first line of another protocol's message, as `GET / HTTP/1.1`.
    Foreign,
    /// Anything else.
    Other,
}

/// RFC 3261 25.1 `token`.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// `line` is without its LF; its first word, which is not empty, ends at `word`. Blanks at the end count for nothing
/// (RFC 4475 3.1.2.10).
pub(crate) fn classify(line: &[u8], word: usize) -> Line {
    let line = line.trim_ascii_end();
    let (first, after) = line.split_at(word.min(line.len()));
    if first.contains(&b'/') {
        if !first.eq_ignore_ascii_case(b"SIP/2.0") {
            return match version(first) {
                Some(name) if name.eq_ignore_ascii_case(b"SIP") => Line::BadStatus,
                Some(_) => Line::Foreign,
                None => Line::Other,
            };
        }
        return match after.trim_ascii_start() {
            [a, b, c, rest @ ..]
                if [a, b, c].iter().all(|digit| digit.is_ascii_digit())
                    && rest.first().is_none_or(|&byte| byte == b' ') =>
            {
                Line::Sip
            }
            _ => Line::BadStatus,
        };
    }
    let Some(space) = after.iter().rposition(|&byte| byte == b' ') else {
        return Line::Other;
    };
    if after[..space].trim_ascii().is_empty() {
        return Line::Other;
    }
    let last = &after[space + 1..];
    match version(last) {
        _ if last.eq_ignore_ascii_case(b"SIP/2.0") => Line::Sip,
        Some(name) if name.eq_ignore_ascii_case(b"SIP") => Line::OtherVersion,
        Some(_) => Line::Foreign,
        None => Line::Other,
    }
}

/// The name in `NAME/1.1`.
fn version(word: &[u8]) -> Option<&[u8]> {
    let slash = word.iter().position(|&byte| byte == b'/')?;
    let (name, number) = (&word[..slash], &word[slash + 1..]);
    let is_number = number.first().is_some_and(u8::is_ascii_digit)
        && number
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.');
    (is_number && !name.is_empty() && name.iter().all(u8::is_ascii_alphabetic)).then_some(name)
}

/// What the Content-Length fields say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// There is none.
    Missing,
    /// RFC 3261 25.1: `1*DIGIT`, in one field or in several that agree.
    Octets(usize),
    /// One field, which begins with a number and goes on with something else: what every lenient reader takes it for.
    About(usize),
    /// No number.
    Bad,
    /// Fields that differ.
    Differ,
}

/// What framing needs of a head.
pub(crate) struct Head<'a> {
    pub(crate) length: Length,
    /// Whether a body is announced: a message with one has a Content-Type (RFC 3261 20.15).
    pub(crate) has_type: bool,
    pub(crate) call_id: &'a [u8],
}

/// One field: its name, and its value with whatever follows by folding.
fn fields(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let after_start = head
        .iter()
        .position(|&byte| byte == b'\n')
        .map_or(head.len(), |lf| lf + 1);
    let mut rest = &head[after_start..];
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let mut end = 0;
            loop {
                let lf = rest[end..].iter().position(|&byte| byte == b'\n');
                end = lf.map_or(rest.len(), |lf| end + lf + 1);
                if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                    break;
                }
            }
            let (field, after) = rest.split_at(end);
            rest = after;
            if let Some(colon) = field.iter().position(|&byte| byte == b':') {
                return Some((field[..colon].trim_ascii_end(), &field[colon + 1..]));
            }
        }
    })
}

fn is_field(name: &[u8], long: &str, compact: &str) -> bool {
    name.eq_ignore_ascii_case(long.as_bytes())
        || !compact.is_empty() && name.eq_ignore_ascii_case(compact.as_bytes())
}

impl<'a> Head<'a> {
    /// Names are in any case, or compact (RFC 3261 7.3.3); values may be folded.
    pub(crate) fn read(head: &'a [u8]) -> Head<'a> {
        let mut found = Head {
            length: Length::Missing,
            has_type: false,
            call_id: b"",
        };
        for (name, value) in fields(head) {
            if is_field(name, "Content-Length", "l") {
                let length = number(value);
                found.length = match found.length {
                    Length::Missing => length,
                    same if same == length => same,
                    _ => Length::Differ,
                };
            } else if is_field(name, "Content-Type", "c") {
                found.has_type = true;
            } else if found.call_id.is_empty() && is_field(name, "Call-ID", "i") {
                found.call_id = value.trim_ascii();
            }
        }
        found
    }
}

fn number(value: &[u8]) -> Length {
    let value = value.trim_ascii();
    let unsigned = value.strip_prefix(b"+").unwrap_or(value);
    let digits = unsigned
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if digits == 0 {
        return Length::Bad;
    }
    let octets = unsigned[..digits].iter().fold(0usize, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(usize::from(digit - b'0'))
    });
    if digits == value.len() {
        Length::Octets(octets)
    } else {
        Length::About(octets)
    }
}

/// A whole head with a Content-Length of 0.
pub(crate) fn without_body(head: &[u8]) -> Vec<u8> {
    let fields = head.strip_suffix(b"\r\n").unwrap_or(head);
    [fields, NO_BODY, b"\r\n"].concat()
}

/// A request's method; `None` for a response.
pub(crate) fn method(message: &[u8]) -> Option<&[u8]> {
    let end = message.iter().position(|&byte| byte == b' ')?;
    let word = &message[..end];
    (!word.contains(&b'/')).then_some(word)
}

/// A final response's method, from its CSeq.
pub(crate) fn answered(message: &[u8]) -> Option<&[u8]> {
    let status = message
        .get(..b"SIP/2.0 2".len())
        .filter(|start| start.starts_with(b"SIP/2.0 "))?;
    if !matches!(status.last(), Some(b'2'..=b'6')) {
        return None;
    }
    let (_, value) = fields(message).find(|(name, _)| is_field(name, "CSeq", ""))?;
    value.trim_ascii().rsplit(u8::is_ascii_whitespace).next()
}

/// Answers a request that is not passed on: status line, and the fields that RFC 3261 8.2.6 has copied. `None` for a response,
/// for an ACK, and for a request that lacks one of them.
pub(crate) fn refuse(head: &[u8], status: &str) -> Option<Vec<u8>> {
    let method = method(head)?;
    if method == b"ACK" {
        return None;
    }
    let mut answer = format!("SIP/2.0 {status}\r\n").into_bytes();
    let mut missing = vec!["Via", "From", "To", "Call-ID", "CSeq"];
    for (name, value) in fields(head) {
        let known = [
            ("Via", "v"),
            ("From", "f"),
            ("To", "t"),
            ("Call-ID", "i"),
            ("CSeq", ""),
        ]
        .into_iter()
        .find(|(long, compact)| is_field(name, long, compact));
        let Some((long, _)) = known else {
            continue;
        };
        let first = missing.iter().position(|&other| other == long);
        match first {
            Some(at) => drop(missing.swap_remove(at)),
            None if long == "Via" => {}
            None => continue,
        }
        let value = value.trim_ascii();
        answer.extend_from_slice(long.as_bytes());
        answer.extend_from_slice(b": ");
        answer.extend_from_slice(value);
        if long == "To" && !has_tag(value) {
            // The same for the same request, as a stateless server's has to be (RFC 3261 8.2.7).
            answer.extend_from_slice(format!(";tag={:016x}", tag(head)).as_bytes());
        }
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(NO_BODY);
    answer.extend_from_slice(b"\r\n");
    missing.is_empty().then_some(answer)
}

fn tag(head: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(head);
    hasher.finish()
}

fn has_tag(to: &[u8]) -> bool {
    let parameters = to
        .iter()
        .rposition(|&byte| byte == b'>')
        .map_or(to, |end| &to[end..]);
    parameters.split(|&byte| byte == b';').skip(1).any(|one| {
        let name = one.split(|&byte| byte == b'=').next().unwrap_or(one);
        name.trim_ascii().eq_ignore_ascii_case(b"tag")
    })
}

/// Octets of a [`Label`].
const LABEL: usize = 80;

/// Which message it was, for the log: method or status, and Call-ID; cut short, and without control characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Label {
    text: [u8; LABEL],
    length: u8,
}

impl Label {
    /// No message.
    pub(crate) const NONE: Label = Label {
        text: [0; LABEL],
        length: 0,
    };

    pub(crate) fn new(start: &[u8], call_id: &[u8]) -> Label {
        let mut label = Label::NONE;
        let what = match method(start) {
            Some(method) => method,
            // `SIP/2.0 200`
            None => &start[..start.len().min(b"SIP/2.0 200".len())],
        };
        label.push(&what[..what.len().min(32)]);
        label.push(b", Call-ID ");
        label.push(if call_id.is_empty() { b"none" } else { call_id });
        label
    }

    fn push(&mut self, text: &[u8]) {
        let free = &mut self.text[usize::from(self.length)..];
        for (to, &byte) in free.iter_mut().zip(text) {
            let shown = byte.is_ascii_graphic() || byte == b' ';
            *to = if shown { byte } else { b'?' };
            self.length += 1;
        }
    }

    /// Whether there was no message.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.length == 0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text[..usize::from(self.length)]).unwrap_or_default())
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Label({self})")
    }
}
