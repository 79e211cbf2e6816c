//! `src/ffi` is the ground floor: it imports no other room of `src`. And it is the only one that may be unsafe.

use std::fs;
use std::path::{Path, PathBuf};

/// What `src/ffi` may not know.
const ROOMS: &[&str] = &[
    "check",
    "config",
    "keylog",
    "limited",
    "media",
    "module",
    "observe",
    "probe",
    "proof",
    "test_hooks",
    "transport",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("a file").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The lines of `text` that name a room.
fn imports(text: &str) -> Vec<&str> {
    let names_a_room = |line: &&str| {
        ROOMS.iter().any(|room| {
            line.match_indices(&format!("crate::{room}"))
                .any(|(at, found)| {
                    let next = line[at + found.len()..].chars().next();
                    !next.is_some_and(|next| next.is_alphanumeric() || next == '_')
                })
        })
    };
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .filter(names_a_room)
        .collect()
}

#[test]
fn ffi_imports_no_other_room() {
    let ffi = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ffi");
    let files = sources(&ffi);
    assert!(files.len() > 15, "{} files in src/ffi", files.len());
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        // A group of imports would hide a room.
        assert!(!text.contains("crate::{"), "{}", file.display());
        for line in imports(&text) {
            found.push(format!("{}: {}", file.display(), line.trim()));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn an_import_is_found() {
    assert_eq!(imports("use crate::media::session::Session;").len(), 1);
    assert_eq!(imports("    crate::config::current()").len(), 1);
    // A macro of ffi's own, a path of ffi's, a comment.
    for innocent in [
        "crate::module_entry! {",
        "use crate::ffi::config::Unread;",
        "// as crate::media does",
    ] {
        assert_eq!(imports(innocent), [] as [&str; 0], "{innocent}");
    }
}

/// `#![deny(unsafe_code)]`, and one exception.
#[test]
fn only_ffi_may_be_unsafe() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let root = fs::read_to_string(src.join("lib.rs")).expect("lib.rs");
    assert!(root.contains("#![deny(unsafe_code)]"));
    assert_eq!(root.matches("allow(unsafe_code)").count(), 1);
    assert!(root.contains("#[allow(unsafe_code)]\nmod ffi;"));
    for file in sources(&src) {
        let inside = file.strip_prefix(&src).expect("below src");
        let text = fs::read_to_string(&file).expect("a source file");
        assert!(
            inside.starts_with("ffi")
                || inside == Path::new("lib.rs")
                || !text.contains("unsafe_code"),
            "{}",
            inside.display()
        );
    }
}
