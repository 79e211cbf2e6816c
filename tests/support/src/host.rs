//! Which Asterisk the tests run: that of the throw-away root, of another one, or one that the user built and installed.
//!
//! `make test-host` says it by the environment, for the whole run:
//!
//! - `ASTERISK_PREFIX`: a folder in which an Asterisk of this machine is installed. Its programs run on this machine's own
//!   files, which are read-only to them; the peers stay in the throw-away root.
//! - `ASTERISK_ROOT`: another root of `tests/root.sh` that has an Asterisk.
//! - `CIPHERTRUNK_BUILD`: the folder that has the module that was built for it, in the place of `build`.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::lab::{self, repository};

/// An Asterisk that is installed somewhere.
#[derive(Debug, Clone)]
pub struct Host {
    /// What its programs have for `/`.
    pub root: PathBuf,
    /// Its program, its modules' folder, its libraries' and its data's, below that.
    pub program: String,
    pub(crate) modules: String,
    pub(crate) libraries: String,
    pub(crate) data: String,
}

impl Host {
    /// That of this run; `root` is the throw-away root that has the peers.
    pub fn of_this_run(root: &Path) -> Self {
        if let Some(prefix) = env::var_os("ASTERISK_PREFIX").filter(|prefix| !prefix.is_empty()) {
            return Self::installed(Path::new(&prefix));
        }
        let root = env::var_os("ASTERISK_ROOT")
            .map_or_else(|| root.to_owned(), |other| repository().join(other));
        assert!(
            root.join(".recipe").exists(),
            "{} is not there: run `make root`",
            root.display()
        );
        Self {
            modules: first(
                &root,
                &folders_of_libraries(&root, Path::new("/usr"), "asterisk/modules"),
            )
            .unwrap_or_else(|| panic!("{} has no Asterisk's modules", root.display())),
            root,
            program: "/usr/sbin/asterisk".to_owned(),
            libraries: String::new(),
            data: "/usr/share/asterisk".to_owned(),
        }
    }

    fn installed(prefix: &Path) -> Self {
        let here = Path::new("/");
        let prefix = prefix
            .canonicalize()
            .unwrap_or_else(|error| panic!("ASTERISK_PREFIX={}: {error}", prefix.display()));
        assert!(
            !prefix.starts_with(lab::FOLDER),
            "{} is where a test's own folder goes",
            lab::FOLDER
        );
        let program = prefix.join("sbin/asterisk");
        assert!(
            program.exists(),
            "ASTERISK_PREFIX: there is no {}: run `make install` in Asterisk's tree",
            program.display()
        );
        let found = |what: &str, folders: &[String]| {
            first(here, folders).unwrap_or_else(|| {
                panic!(
                    "ASTERISK_PREFIX: {} has no {what}: {folders:?}",
                    prefix.display()
                )
            })
        };
        let modules = found(
            "modules",
            &folders_of_libraries(here, &prefix, "asterisk/modules"),
        );
        let data = [
            format!("{}/var/lib/asterisk", prefix.display()),
            "/var/lib/asterisk".to_owned(),
            format!("{}/share/asterisk", prefix.display()),
        ];
        Self {
            root: here.to_owned(),
            program: program.display().to_string(),
            libraries: modules.trim_end_matches("/asterisk/modules").to_owned(),
            modules,
            data: found("data", &data),
        }
    }

    /// Whether it is this machine's.
    pub fn is_of_this_machine(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Whether it has a module, by its name without `.so`.
    pub fn has_module(&self, name: &str) -> bool {
        let file = format!("{}/{name}.so", self.modules);
        self.root.join(&file[1..]).exists()
    }

    /// Whether it lacks one of these modules; if so, `test` is noted as skipped, with the one's name.
    pub fn lacks(&self, test: &str, modules: &[&str]) -> bool {
        let missing = modules.iter().find(|name| !self.has_module(name));
        if let Some(name) = missing {
            skip(test, &format!("this Asterisk was built without {name}"));
        }
        missing.is_some()
    }

    /// Whether it has a user, by whom it could run.
    pub fn has_user(&self, name: &str) -> bool {
        fs::read_to_string(self.root.join("etc/passwd")).is_ok_and(|users| {
            users
                .lines()
                .any(|line| line.starts_with(&format!("{name}:")))
        })
    }
}

/// Where libraries are below a prefix: its name may have the machine's architecture.
fn folders_of_libraries(root: &Path, prefix: &Path, below: &str) -> Vec<String> {
    let prefix = prefix.display();
    let inside = format!("{prefix}/lib");
    let multiarch = fs::read_dir(root.join(&inside[1..]))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| format!("{inside}/{}/{below}", entry.file_name().to_string_lossy()));
    [
        format!("{prefix}/lib64/{below}"),
        format!("{inside}/{below}"),
    ]
    .into_iter()
    .chain(multiarch)
    .collect()
}

/// The first of these folders that is there.
fn first(root: &Path, folders: &[String]) -> Option<String> {
    folders
        .iter()
        .find(|folder| root.join(&folder[1..]).is_dir())
        .cloned()
}

/// What is below `build/` in the repository and belongs to this run's Asterisk: the modules that were made for it, and what the tests leave.
pub fn built(file: &str) -> PathBuf {
    match (
        env::var_os("CIPHERTRUNK_BUILD"),
        file.strip_prefix("build/"),
    ) {
        (Some(folder), Some(name)) => repository().join(folder).join(name),
        _ => repository().join(file),
    }
}

/// The version of this run's pjproject, major and minor, as its headers say it; `None` where there are none of it.
pub fn pjproject() -> Option<(u32, u32)> {
    let headers = env::var_os("CIPHERTRUNK_HEADERS").map_or_else(
        || repository().join("asterisk-headers/fetched"),
        PathBuf::from,
    );
    let text = fs::read_to_string(headers.join("pjproject/pj/config.h")).ok()?;
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    Some((
        number("#define PJ_VERSION_NUM_MAJOR")?,
        number("#define PJ_VERSION_NUM_MINOR")?,
    ))
}

/// Whether stock's TLS here sends records that cannot be decrypted when much goes by one connection at once, and its client ends it with
/// `bad record mac` (<https://github.com/asterisk/asterisk/issues/168>). Seen with pjproject 2.13.1 and 2.15.1, and not with 2.17.
pub fn stock_breaks_records() -> bool {
    pjproject().is_some_and(|version| version < (2, 17))
}

/// Notes that this run's Asterisk cannot have a test, and why: `make test-host` shows them at its end, for what was skipped has
/// not passed.
pub fn skip(test: &str, reason: &str) {
    println!("skipped: {test}: {reason}");
    let folder = built("build/host");
    let noted = fs::create_dir_all(&folder).and_then(|()| {
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join("skipped"))?;
        writeln!(file, "{test}: {reason}")
    });
    noted.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
}
