//! The files of `tests/peers`: what real peers send, where that was reported, and what is to become of it (docs/peers.md).
//!
//! A file begins with lines `# NAME: VALUE`; the input is what follows them.
#![allow(dead_code)] // Each runner uses its part.

use std::fs;
use std::path::{Path, PathBuf};

/// One file.
#[derive(Debug)]
pub struct Case {
    /// Folder and name.
    pub name: String,
    header: Vec<(String, String)>,
    /// The lines of the input, as they are.
    pub lines: Vec<String>,
}

/// `tests/peers`, from wherever in the repository the test runs.
pub fn folder() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut above = here.ancestors().map(|folder| folder.join("tests/peers"));
    above
        .find(|folder| folder.join("case.rs").is_file())
        .unwrap_or_else(|| panic!("no tests/peers above {}", here.display()))
}

/// The files of one folder, in the order of their names.
pub fn all(kind: &str) -> Vec<Case> {
    let folder = folder().join(kind);
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() >= 8, "{} in {}", files.len(), folder.display());
    files.iter().map(|file| Case::read(kind, file)).collect()
}

impl Case {
    fn read(kind: &str, file: &Path) -> Self {
        let text = fs::read_to_string(file).expect("a text file");
        let mut case = Self {
            name: format!(
                "{kind}/{}",
                file.file_name().expect("a name").to_string_lossy()
            ),
            header: Vec::new(),
            lines: Vec::new(),
        };
        for line in text.lines() {
            match line.strip_prefix("# ") {
                Some(entry) if case.lines.is_empty() => {
                    let (name, value) = entry
                        .split_once(": ")
                        .unwrap_or_else(|| panic!("{}: {line:?} is no header line", case.name));
                    case.header.push((name.to_owned(), value.to_owned()));
                }
                _ => case.lines.push(line.to_owned()),
            }
        }
        assert!(case.get("source").starts_with("http"), "{}", case.name);
        assert!(!case.get("peer").is_empty() && !case.lines.is_empty());
        case
    }

    /// A value of its header that may be missing.
    pub fn find(&self, name: &str) -> Option<&str> {
        let found = self.header.iter().find(|(is, _)| is == name);
        found.map(|(_, value)| &value[..])
    }

    /// A value of its header.
    pub fn get(&self, name: &str) -> &str {
        self.find(name)
            .unwrap_or_else(|| panic!("{} has no line {name:?}", self.name))
    }
}

/// What became of the files of one folder.
#[derive(Debug, Default)]
pub struct Verdict {
    seen: usize,
    wrong: Vec<String>,
}

impl Verdict {
    /// Of one file: what came instead of what is expected, or nothing.
    ///
    /// One with `# pending: WHY` is known to be wrong. As soon as it is right, the mark must go.
    pub fn add(&mut self, case: &Case, outcome: Result<(), String>) {
        self.judge(&case.name, case.find("pending"), outcome);
    }

    /// [`Verdict::add`] with the mark that this runner goes by.
    pub fn judge(&mut self, name: &str, pending: Option<&str>, outcome: Result<(), String>) {
        self.seen += 1;
        match (outcome, pending) {
            (Ok(()), None) => {}
            (Err(wrong), Some(why)) => println!("{name}: wrong as known ({why}): {wrong}"),
            (Err(wrong), None) => self.wrong.push(format!("{name}: {wrong}")),
            (Ok(()), Some(why)) => self.wrong.push(format!(
                "{name}: is right now; remove its mark \"pending: {why}\""
            )),
        }
    }

    /// Fails if one of them was not as it has to be.
    pub fn end(self) {
        println!("{} files", self.seen);
        assert!(self.wrong.is_empty(), "\n{}", self.wrong.join("\n"));
    }
}

/// `Ok` if the two are alike.
pub fn same(got: &str, expected: &str) -> Result<(), String> {
    match got == expected {
        true => Ok(()),
        false => Err(format!("{got:?} instead of {expected:?}")),
    }
}
