//! A program that runs in a lab.

use std::ffi::c_int;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::ptr::null_mut;
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

    /// Asks it to end (SIGTERM), if it has not.
    pub fn terminate(&mut self) {
        if self.status().is_none() {
            // SAFETY: no memory is involved; the child has not been waited for, so the id is still its own.
            unsafe { libc::kill(self.child.id().cast_signed(), libc::SIGTERM) };
        }
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

/// Lets another process have so many files open, from now on.
pub fn set_file_limit(pid: u32, count: libc::rlim_t) {
    let limit = libc::rlimit {
        rlim_cur: count,
        rlim_max: count,
    };
    let pid = libc::pid_t::try_from(pid).expect("a process's number");
    // SAFETY: a structure of ours, and nothing is asked back.
    let set = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &raw const limit, null_mut()) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

/// Another process's socket, whose peer is `peer`.
pub fn socket(pid: u32, peer: SocketAddr) -> Option<TcpStream> {
    // SAFETY: numbers alone; the results are descriptors of ours or -1.
    let process = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let process = c_int::try_from(process).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: a descriptor that was made above and is nobody else's.
    let process = unsafe { OwnedFd::from_raw_fd(process) };
    fs::read_dir(format!("/proc/{pid}/fd"))
        .ok()?
        .filter_map(Result::ok)
        .find_map(|entry| {
            let number: c_int = entry.file_name().to_str()?.parse().ok()?;
            if !fs::read_link(entry.path())
                .ok()?
                .to_str()?
                .starts_with("socket:")
            {
                return None;
            }
            let process = process.as_raw_fd();
            // SAFETY: numbers alone, and `process` is open; the result is a descriptor of ours or -1.
            let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process, number, 0) };
            let fd = c_int::try_from(fd).ok().filter(|fd| *fd >= 0)?;
            // SAFETY: a descriptor that was made above and is nobody else's.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            // A socket that is not TCP's has no such peer.
            let stream = TcpStream::from(fd);
            (stream.peer_addr().ok()? == peer).then_some(stream)
        })
}

/// A socket's option that is a number.
pub fn socket_option(socket: &TcpStream, level: c_int, name: c_int) -> c_int {
    let mut value: c_int = 0;
    let mut length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: a number of ours, with its size, and a descriptor that is open.
    let failed = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    assert_eq!(failed, 0, "option {name} of level {level}");
    value
}
