//! A leg in one line, for the CDR: no comma, no semicolon and no quote, so that it fits into every format.

use std::fmt;

use super::{Facts, Stream};

/// Stands for what is not known.
const UNKNOWN: &str = "unknown";

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.word() {
            Ok(word) => write!(f, "{word}")?,
            Err(_) => f.write_str(UNKNOWN)?,
        }
        match &self.signaling {
            Err(_) => write!(f, " sip={UNKNOWN}")?,
            Ok(signaling) => {
                write!(f, " sip={}", plain(&signaling.transport))?;
                if let Ok(tls) = &signaling.tls {
                    write!(f, " tls={}/{}", plain(&tls.version), plain(&tls.cipher))?;
                    match (&tls.verified_name, tls.is_verified) {
                        (Ok(name), true) => write!(f, " verified={}", plain(name))?,
                        (_, true) => f.write_str(" verified=chain")?,
                        (_, false) => f.write_str(" verified=no")?,
                    }
                } else if signaling.is_secure {
                    write!(f, " tls={UNKNOWN}")?;
                }
                if signaling.is_secure && signaling.was_in_clear {
                    f.write_str(" sip-was-in-clear")?;
                }
            }
        }
        for stream in self.media.iter().flatten() {
            write_stream(f, stream)?;
        }
        match self.in_clear() {
            Ok(false) => f.write_str(" never-in-clear"),
            Ok(true) => f.write_str(" in-clear"),
            Err(_) => write!(f, " in-clear={UNKNOWN}"),
        }
    }
}

fn write_stream(f: &mut fmt::Formatter<'_>, stream: &Stream) -> fmt::Result {
    match &stream.srtp {
        None => write!(f, " {}=none", stream.kind)?,
        Some(srtp) => {
            let [out, incoming] = srtp.suites;
            let name = |suite: Result<&'static str, _>| suite.unwrap_or(UNKNOWN);
            write!(f, " {}={}/{}", stream.kind, srtp.source, name(out))?;
            if out != incoming {
                write!(f, "/{}", name(incoming))?;
            }
        }
    }
    match stream.packets {
        Ok([sent, received]) => write!(f, " sent={sent} received={received}"),
        Err(_) => write!(f, " sent={UNKNOWN} received={UNKNOWN}"),
    }
}

/// What a peer has had a say in, without what would break the line.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' | ':' | '*' | '[' | ']' => c,
            _ => '?',
        })
        .collect()
}
