//! The file: new, this user's alone, and no link.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::ffi::host;

/// Makes it. What is there already, be it a link to nothing, is left alone.
///
/// # Errors
///
/// A sentence.
pub fn create(path: &Path) -> Result<File, String> {
    // O_CREAT and O_EXCL: whatever has that name, and a link of it, is refused (open(2)).
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path);
    made.map_err(|error| {
        let path = path.display();
        match error.kind() {
            ErrorKind::AlreadyExists => {
                format!("{path} is there already, and nothing is written over it")
            }
            _ => format!(
                "{path} cannot be made by {}, whom Asterisk runs as: {error}",
                host::user()
            ),
        }
    })
}
