//! `ciphertrunk keylog`: what it is asked, whose keys it takes, and how an SRTP key stands in its file.
//!
//! The file is one of `SSLKEYLOGFILE` (RFC 9850), whose readers skip lines that begin with `#`. SRTP keys are such lines
//! ([`KeyLine`]).

mod line;
mod peer;
mod request;

#[cfg(test)]
mod tests;

pub use line::{BadKeyLine, Direction, KeyLine};
pub use peer::{Media, Network, Peer};
pub use request::{LONGEST, Request, USUAL};
