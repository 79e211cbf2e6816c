//! `[tls] key_log`: the sessions' keys in a file, for Wireshark.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex, PoisonError};

use sip_tls::KeyLog;

/// The sink for a profile's keys; `None` if none is configured, or the file cannot be opened (logged).
pub fn key_log() -> Option<KeyLog> {
    let path = super::current().key_log.clone()?;
    let opened = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path);
    let file = match opened {
        Ok(file) => Mutex::new(file),
        Err(error) => {
            log::error!(
                "{}: [tls] key_log: {} cannot be written: {error}",
                super::FILE,
                path.display()
            );
            return None;
        }
    };
    log::warn!(
        "the keys of TLS connections are written to {}: who can read it can read them",
        path.display()
    );
    Some(Arc::new(move |line: &str| write_line(&file, line)))
}

fn write_line(file: &Mutex<File>, line: &str) {
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    // A full disk must not end a handshake.
    let _ = writeln!(file, "{line}");
}
