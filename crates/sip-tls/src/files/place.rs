//! Where a change of a file shows: the directories on its way in which something decides what the path leads to.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Links are followed so far, as by Linux.
const MAX_LINKS: usize = 40;

/// A directory, and the name in it that counts; `None`: all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) directory: PathBuf,
    pub(super) name: Option<OsString>,
}

/// The places of a file, of a directory with all that is in it, or of what is not there yet.
pub(super) fn places(path: &Path) -> Vec<Place> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut found = Vec::new();
    let mut here = PathBuf::from("/");
    let mut rest = parts(&path);
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&part);
        let place = Place {
            directory: here.clone(),
            name: Some(part),
        };
        match fs::symlink_metadata(&next) {
            Ok(is) if is.is_symlink() => {
                found.push(place);
                links += 1;
                let Some(target) = fs::read_link(&next).ok().filter(|_| links <= MAX_LINKS) else {
                    return found;
                };
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                let mut all = parts(&target);
                all.append(&mut rest);
                rest = all;
            }
            Ok(is) if is.is_dir() => {
                if rest.is_empty() {
                    found.push(place);
                    found.push(Place {
                        directory: next.clone(),
                        name: None,
                    });
                }
                here = next;
            }
            // The file, or the first thing on its way that is not there.
            _ => {
                found.push(place);
                return found;
            }
        }
    }
    found
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    };
    path.components().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of what is not there, the nearest directory and the name that it lacks.
    #[test]
    fn nothing_there() {
        let place = Place {
            directory: PathBuf::from("/"),
            name: Some("nonexistent-x".into()),
        };
        for path in ["/nonexistent-x/a/b.pem", "/proc/../nonexistent-x"] {
            assert_eq!(places(Path::new(path)), std::slice::from_ref(&place));
        }
    }

    /// A link that leads to itself ends.
    #[test]
    fn a_circle() {
        let here = std::env::temp_dir().join(format!("sip-tls-circle-{}", std::process::id()));
        std::os::unix::fs::symlink(&here, &here).expect("a new link");
        let found = places(&here).len();
        fs::remove_file(&here).expect("it is there");
        assert!((1..=MAX_LINKS + 1).contains(&found), "{found}");
    }
}
