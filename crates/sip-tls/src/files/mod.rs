//! Watches files, so that a renewed certificate is in force without anybody's order.
//!
//! Not the files are watched but the directories in which they stand, with every link on the way: an ACME client writes in place, renames
//! a new file over the old one, or points a link elsewhere, and only the directory tells of all three.

mod place;
mod settle;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::sync::Mutex;

use place::{Place, places};
use settle::Settle;

/// So many directories are watched at most: a configuration names a few.
const MAX_DIRECTORIES: usize = 64;

const INOTIFY: Token = Token(0);
const WAKER: Token = Token(1);

/// Which files are watched; any thread may say it.
#[derive(Debug, Clone)]
pub struct Files(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    waker: Waker,
    stop: AtomicBool,
    /// A new list.
    wanted: Mutex<Option<Vec<PathBuf>>>,
    /// What cannot be watched.
    problem: Mutex<Option<String>>,
}

impl Files {
    /// Makes the watch, which watches nothing yet, and what is to be run on a thread.
    ///
    /// # Errors
    /// The system has no inotify instance or no descriptor to give.
    pub fn new() -> io::Result<(Files, Watcher)> {
        let inotify = Inotify::init()?;
        let poll = Poll::new()?;
        poll.registry().register(
            &mut SourceFd(&inotify.as_raw_fd()),
            INOTIFY,
            Interest::READABLE,
        )?;
        let shared = Arc::new(Shared {
            waker: Waker::new(poll.registry(), WAKER)?,
            stop: AtomicBool::new(false),
            wanted: Mutex::default(),
            problem: Mutex::default(),
        });
        let watcher = Watcher {
            shared: Arc::clone(&shared),
            poll,
            inotify,
            files: Vec::new(),
            watches: HashMap::new(),
            settle: Settle::default(),
        };
        Ok((Files(shared), watcher))
    }

    /// Watches these files and directories, and no others. That something may have changed is told once for a new list: it may be so
    /// since they were read.
    pub fn set(&self, files: Vec<PathBuf>) {
        *self.0.wanted.lock() = Some(files);
        self.wake();
    }

    /// Ends [`Watcher::run`].
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        // Its only error is a full counter, which wakes as well.
        let _ = self.0.waker.wake();
    }

    /// What of them cannot be watched, as a sentence.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.0.problem.lock().clone()
    }
}

/// The part that waits for changes.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    poll: Poll,
    inotify: Inotify,
    files: Vec<PathBuf>,
    /// What is watched, and which names there count; `None`: all.
    watches: HashMap<WatchDescriptor, Vec<Option<OsString>>>,
    settle: Settle,
}

impl Watcher {
    /// Waits, and calls `changed` when something has changed and nothing more has for a second, until it is told to [stop](Files::stop).
    ///
    /// # Errors
    /// The system's, of which there should be none: nothing is watched any more.
    pub fn run(mut self, mut changed: impl FnMut()) -> io::Result<()> {
        let mut events = Events::with_capacity(4);
        loop {
            if self.shared.stop.load(Ordering::Acquire) {
                return Ok(());
            }
            let wanted = self.shared.wanted.lock().take();
            if let Some(mut files) = wanted {
                files.sort();
                files.dedup();
                if files != self.files {
                    self.files = files;
                    self.arm();
                    self.settle.event(Instant::now());
                }
            }
            let wait = self.settle.wait(Instant::now());
            if wait.is_some_and(|wait| wait.is_zero()) {
                self.settle.done();
                // A link may lead elsewhere now. What changes from here on is told again.
                self.arm();
                changed();
                continue;
            }
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            if self.drain()? {
                self.settle.event(Instant::now());
            }
        }
    }

    /// Reads what inotify has. `true`: one of the files may have changed.
    fn drain(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 4096];
        let mut is_ours = false;
        loop {
            let events = match self.inotify.read_events(&mut buffer) {
                Ok(events) => events,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(is_ours),
                Err(error) => return Err(error),
            };
            for event in events {
                // The directory itself, or so much that the kernel lost some.
                let is_whole = event.name.is_none() || event.mask.contains(EventMask::Q_OVERFLOW);
                let names = self.watches.get(&event.wd);
                is_ours |= is_whole
                    && (names.is_some() || event.mask.contains(EventMask::Q_OVERFLOW))
                    || names.is_some_and(|names| {
                        names
                            .iter()
                            .any(|name| name.as_deref().is_none_or(|name| event.name == Some(name)))
                    });
            }
        }
    }

    /// Watches the directories of the files as they stand now.
    fn arm(&mut self) {
        let mask = WatchMask::CREATE
            | WatchMask::DELETE
            | WatchMask::MOVE
            | WatchMask::MODIFY
            | WatchMask::CLOSE_WRITE
            | WatchMask::ATTRIB
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR;
        let mut problem = None;
        let mut watches: HashMap<WatchDescriptor, Vec<Option<OsString>>> = HashMap::new();
        let all: Vec<Place> = self.files.iter().flat_map(|file| places(file)).collect();
        for Place { directory, name } in all {
            if watches.len() >= MAX_DIRECTORIES {
                problem = Some(format!(
                    "{} is not watched: more than {MAX_DIRECTORIES} directories would be",
                    directory.display()
                ));
                break;
            }
            match self.inotify.watches().add(&directory, mask) {
                Ok(watch) => watches.entry(watch).or_default().push(name),
                // It has gone meanwhile, which is told by what was above it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    problem = Some(format!(
                        "{} cannot be watched: {error}",
                        directory.display()
                    ));
                }
            }
        }
        for (old, _) in std::mem::replace(&mut self.watches, watches) {
            if !self.watches.contains_key(&old) {
                // The kernel may have dropped it with its directory.
                let _ = self.inotify.watches().remove(old);
            }
        }
        *self.shared.problem.lock() = problem;
    }
}
