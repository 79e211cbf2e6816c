//! Why a file cannot be read; where that is a matter of permission, whose what is.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Why a file or folder cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    /// What the system said.
    pub error: io::Error,
    /// What stands in the way, if permission was denied.
    pub denied: Option<Denied>,
}

/// What this process may not read or search: the file itself, or the first folder on the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// `None`: the file itself.
    pub folder: Option<PathBuf>,
    /// The owner's user id.
    pub uid: u32,
    /// Its group id.
    pub gid: u32,
    /// Its permission bits.
    pub mode: u32,
}

impl Unreadable {
    /// `error` came when `path` was to be read.
    pub(crate) fn new(path: &Path, error: io::Error) -> Self {
        let denied = (error.kind() == io::ErrorKind::PermissionDenied)
            .then(|| Denied::on_the_way_to(path))
            .flatten();
        Self { error, denied }
    }
}

impl Denied {
    /// The longest part of `path` that can be looked at: what is below it is hidden by it.
    fn on_the_way_to(path: &Path) -> Option<Self> {
        path.ancestors().find_map(|part| {
            let found = fs::metadata(part).ok()?;
            Some(Self {
                folder: (part != path).then(|| part.to_owned()),
                uid: found.uid(),
                gid: found.gid(),
                mode: found.mode() & 0o7777,
            })
        })
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)?;
        match &self.denied {
            Some(denied) => write!(f, "; {denied}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.folder {
            Some(folder) => write!(f, "the folder {}", folder.display())?,
            None => f.write_str("it")?,
        }
        write!(
            f,
            " belongs to user {}, group {}, and has mode {:04o}",
            self.uid, self.gid, self.mode
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A folder of this test's, with a file in it.
    fn files(name: &str) -> (PathBuf, PathBuf) {
        let folder = std::env::temp_dir().join(format!("sip-tls-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("key.pem");
        fs::write(&file, "key").expect("a file");
        (folder, file)
    }

    fn denied() -> io::Error {
        io::Error::from_raw_os_error(libc::EACCES)
    }

    #[test]
    fn a_file_that_may_not_be_read_is_told_with_owner_and_mode() {
        let (folder, file) = files("file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("ours");
        let owner = fs::metadata(&file).expect("it is there");
        let told = Unreadable::new(&file, denied()).to_string();
        let wanted = format!(
            "Permission denied (os error 13); it belongs to user {}, group {}, and has mode 0640",
            owner.uid(),
            owner.gid()
        );
        assert_eq!(told, wanted);
        fs::remove_dir_all(folder).expect("ours");
    }

    #[test]
    fn what_is_hidden_is_told_by_the_folder_that_hides_it() {
        let (folder, _) = files("folder");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("ours");
        // Below a folder that may not be searched nothing can be looked at, as below one where it is not.
        let told = Unreadable::new(&folder.join("private/key.pem"), denied()).to_string();
        assert!(
            told.contains(&format!("the folder {} belongs", folder.display())),
            "{told}"
        );
        assert!(told.ends_with("mode 0700"), "{told}");
        fs::remove_dir_all(folder).expect("ours");
    }

    #[test]
    fn other_errors_have_no_owner() {
        let (folder, file) = files("other");
        let error = io::Error::from_raw_os_error(libc::EISDIR);
        assert_eq!(Unreadable::new(&file, error).denied, None);
        fs::remove_dir_all(folder).expect("ours");
    }
}
