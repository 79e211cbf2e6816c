//! `[tls] key_log`: the sessions' keys in a file, for Wireshark.
//!
//! It is appended to, as programs do that heed `SSLKEYLOGFILE`: neither a reload nor a restart loses what is there. So it has to be
//! Asterisk's own: what somebody else has put there, or can read, is not written to.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use sip_tls::{KeyLog, KeyOwner};

use crate::ffi::host;
use crate::ffi::sync::Mutex;
use crate::transport;

/// Opens the file. `None`: keys may not go there, which is logged. `is_new`: keys did not go there before.
pub fn open(path: &Path, is_new: bool) -> Option<KeyLog> {
    let file = match append(path) {
        Ok(file) => Mutex::new(file),
        Err(why) => {
            log::error!(
                "{}: [tls] key_log: {why}. No keys of TLS connections are written",
                super::FILE
            );
            return None;
        }
    };
    log::warn!(
        "the keys of TLS connections are written to {}: whoever can read that file can read their messages",
        path.display()
    );
    let up = transport::count();
    if is_new && up > 0 {
        log::warn!(
            "{up} TLS connections are up already, and their keys are not in {}: only those of new connections are. `ciphertrunk close \
             peer PEER` or `ciphertrunk close idle` has them made anew",
            path.display()
        );
    }
    Some(Arc::new(move |_: &KeyOwner, line: &str| {
        write_line(&file, line);
    }))
}

fn write_line(file: &Mutex<File>, line: &str) {
    // A full disk must not end a handshake.
    let _ = writeln!(file.lock(), "{line}");
}

/// Opens a file to append to, and makes it where it is missing, for this user alone.
fn append(path: &Path) -> Result<File, String> {
    let shown = path.display();
    let failed = |error: &io::Error| {
        format!(
            "{shown} cannot be written by {}, whom Asterisk runs as: {error}",
            host::user()
        )
    };
    // O_NONBLOCK: a pipe without a reader does not hold Asterisk up.
    let opened = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => {
            format!("{shown} is a symbolic link, and none is followed: name the file itself")
        }
        Some(libc::ENXIO) => format!("{shown} is no plain file: name another one"),
        _ => failed(&error),
    })?;
    // Of what is open, not of what has the name by now.
    let found = file.metadata().map_err(|error| failed(&error))?;
    if !found.is_file() {
        return Err(format!("{shown} is no plain file: name another one"));
    }
    if found.uid() != host::user_id() {
        return Err(format!(
            "{shown} belongs to uid {}, and Asterisk runs as {}: remove it, or name another file",
            found.uid(),
            host::user()
        ));
    }
    if found.nlink() > 1 {
        return Err(format!(
            "{shown} has another name too (a hard link): remove it, or name another file"
        ));
    }
    if found.mode() & 0o077 != 0 {
        return Err(format!(
            "{shown} may be read or written by others (mode {:04o}): chmod 600 it, or name another file",
            found.mode() & 0o7777
        ));
    }
    Ok(file)
}
