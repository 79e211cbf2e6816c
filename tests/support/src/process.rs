//! A program that runs in a lab.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use crate::wait;

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// `log` is the file that its output goes to.
    pub(crate) fn new(name: &str, child: Child, log: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            child,
            log,
        }
    }

    /// Its process id, as this process sees it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far.
    pub fn output(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Its status, if it has ended.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        let log = self.log.clone();
        wait::until(
            &what,
            limit,
            || self.status(),
            || fs::read_to_string(log).unwrap_or_default(),
        )
    }

    /// Waits until it has printed `text`.
    pub fn wait_for(&self, text: &str, limit: Duration) {
        let what = format!("{text:?} from {}", self.name);
        wait::until(
            &what,
            limit,
            || self.output().contains(text).then_some(()),
            || wait::tail(&self.output(), 40),
        );
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        // SAFETY: no memory is involved; the child has not been waited for, so the id is still its own.
        unsafe { libc::kill(self.child.id().cast_signed(), libc::SIGTERM) };
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The memory of a process that is in use, in octets (`RssAnon`).
pub fn resident(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .expect("Linux tells");
    let kilobytes = line
        .trim()
        .trim_end_matches(" kB")
        .parse::<usize>()
        .expect("a number");
    kilobytes * 1024
}

/// The processor time that a process has used.
pub fn processor_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .expect("a name")
        .1
        .split_whitespace()
        .collect();
    // utime and stime, in hundredths of a second.
    let ticks: u64 = fields[11..13]
        .iter()
        .map(|field| field.parse::<u64>().expect("a number"))
        .sum();
    Duration::from_millis(ticks * 10)
}

/// How many files a process has open.
pub fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("it runs")
        .count()
}

/// Lets this process have so many files open.
pub fn raise_file_limit(count: libc::rlim_t) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a structure of ours in both calls.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        limit.rlim_cur = limit.rlim_cur.max(count);
        limit.rlim_max = limit.rlim_max.max(count);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
    }
}
