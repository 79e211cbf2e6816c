//! `[tls] key_log`: the sessions' keys in a file, for Wireshark.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use sip_tls::{KeyLog, KeyOwner};

use crate::ffi::sync::Mutex;
use crate::transport;

/// Opens the file. `None`: it cannot be written, which is logged. `is_new`: keys did not go there before.
pub fn open(path: &Path, is_new: bool) -> Option<KeyLog> {
    let opened = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path);
    let file = match opened {
        Ok(file) => Mutex::new(file),
        Err(error) => {
            log::warn!(
                "{}: [tls] key_log: {} cannot be written, so no keys are: {error}",
                super::FILE,
                path.display()
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
