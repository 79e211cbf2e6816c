//! The audio of a captured call, by the keys that `ciphertrunk keylog` wrote: [`decrypt`].
//!
//! A capture's UDP datagrams are looked through ([`capture`]) for SRTP, each stream is tried with each key ([`streams`]), and what
//! authenticates is written in clear: as a capture, and as a recording for each stream of G.711.

#![forbid(unsafe_code)]

pub mod capture;
mod g711;
mod report;
mod rtp;
mod streams;
mod write;

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use policy::keylog::KeyLine;

pub use report::Report;
pub use streams::{Opened, Stream, open};

/// The most keys that a file may have.
pub const MOST_KEYS: usize = 10_000;

/// Why nothing could be looked at, or written.
#[derive(Debug)]
pub enum Error {
    /// A file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// The capture is none of pcap or pcapng, or is spoilt at its begin.
    NoCapture(String),
    /// The file of keys has none of SRTP.
    NoKeys(PathBuf),
    /// A line of it is spoilt: its number, and why.
    BadKey(PathBuf, usize, policy::keylog::BadKeyLine),
    /// It has more keys than are tried.
    TooManyKeys(PathBuf),
    /// Something cannot be written.
    Unwritten(PathBuf, io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "{}: {error}", path.display()),
            Self::NoCapture(reason) => write!(f, "the capture cannot be read: {reason}"),
            Self::NoKeys(path) => write!(
                f,
                "{} has no line that begins with #SRTP: it has no SRTP keys. `ciphertrunk keylog start` writes them, [tls] key_log does not",
                path.display()
            ),
            Self::BadKey(path, line, reason) => {
                write!(f, "{} line {line}: {reason}", path.display())
            }
            Self::TooManyKeys(path) => write!(
                f,
                "{} has more than {MOST_KEYS} SRTP keys: leave those of the call",
                path.display()
            ),
            Self::Unwritten(path, error) => {
                write!(f, "{} cannot be made: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for Error {}

/// Writes what the SRTP keys in the file `keys` open of the capture `pcap` (pcap or pcapng) into the new folder `out`: `rtp.pcap`,
/// and a `.wav` for each stream of G.711. Without anything opened there is no folder, and the report says why.
///
/// # Errors
///
/// See [`Error`].
pub fn decrypt(pcap: &Path, keys: &Path, out: &Path) -> Result<Report, Error> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |error| Error::Unreadable(path, error)
    };
    let text = {
        let mut octets = Vec::new();
        let mut file = File::open(keys).map_err(unreadable(keys))?;
        file.read_to_end(&mut octets).map_err(unreadable(keys))?;
        // TLS's lines are ASCII, and so are SRTP's.
        String::from_utf8_lossy(&octets).into_owned()
    };
    let lines = parse_keys(&text).map_err(|bad| bad.of(keys))?;
    if lines.is_empty() {
        return Err(Error::NoKeys(keys.to_owned()));
    }
    let capture = BufReader::new(File::open(pcap).map_err(unreadable(pcap))?);
    let mut opened = Opened::new(&lines);
    let seen = capture::read(capture, |datagram| opened.take(datagram))
        .map_err(|reason| Error::NoCapture(format!("{}: {reason}", pcap.display())))?;
    let files = match opened.clear.is_empty() {
        true => Vec::new(),
        false => write::all(&opened, out)?,
    };
    Ok(Report::new(seen, &lines, &opened, files))
}

/// Why the text of a file of keys cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub enum BadKeys {
    /// A line, from 1, and why.
    Line(usize, policy::keylog::BadKeyLine),
    /// There are more than [`MOST_KEYS`].
    TooMany,
}

impl BadKeys {
    fn of(self, path: &Path) -> Error {
        match self {
            Self::Line(number, reason) => Error::BadKey(path.to_owned(), number, reason),
            Self::TooMany => Error::TooManyKeys(path.to_owned()),
        }
    }
}

/// The SRTP keys of a file's text; its other lines are somebody else's.
///
/// # Errors
///
/// A line with the mark of one is spoilt, or there are too many.
pub fn parse_keys(text: &str) -> Result<Vec<KeyLine>, BadKeys> {
    let mut keys = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        match KeyLine::parse(line) {
            None => {}
            Some(Ok(_)) if keys.len() >= MOST_KEYS => return Err(BadKeys::TooMany),
            Some(Ok(key)) => keys.push(key),
            Some(Err(reason)) => return Err(BadKeys::Line(number, reason)),
        }
    }
    Ok(keys)
}
