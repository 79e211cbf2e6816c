//! Which core runs what, and how full it is.

use std::fs;
use std::mem::{size_of, zeroed};
use std::time::Instant;

/// The Asterisk under test has one core to itself; everything else has the others.
#[derive(Debug, Clone)]
pub struct Cores {
    /// The core of the Asterisk under test.
    pub under_test: usize,
    /// Those of the caller, of the far ends and of the probes.
    pub others: Vec<usize>,
}

impl Cores {
    /// The last core that this process may use, and the others.
    pub fn share() -> Self {
        // SAFETY: plain data for which zero (no core) is valid.
        let mut set: libc::cpu_set_t = unsafe { zeroed() };
        let failed =
            // SAFETY: a set of ours, with its size; 0 is this thread.
            unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
        assert_eq!(failed, 0, "sched_getaffinity");
        let mut others: Vec<usize> = (0..libc::CPU_SETSIZE as usize)
            // SAFETY: the number is below the set's size.
            .filter(|core| unsafe { libc::CPU_ISSET(*core, &set) })
            .collect();
        let under_test = others.pop().expect("this thread runs somewhere");
        assert!(
            !others.is_empty(),
            "the Asterisk under test needs a core of its own, and this machine gives one in all"
        );
        Self { under_test, others }
    }
}

/// Moves this thread, and what it starts from now on, to these cores.
pub fn pin(cores: &[usize]) {
    // SAFETY: as above.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    for core in cores {
        // SAFETY: a core's number as the kernel gave it: below the set's size.
        unsafe { libc::CPU_SET(*core, &mut set) };
    }
    let failed =
        // SAFETY: a set of ours, with its size; 0 is this thread.
        unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    assert_eq!(failed, 0, "sched_setaffinity to {cores:?}");
}

/// Lets this thread run before every ordinary one.
pub fn real_time() {
    let parameter = libc::sched_param { sched_priority: 10 };
    // SAFETY: a structure of ours; 0 is this thread.
    let failed = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameter) };
    assert_eq!(
        failed, 0,
        "SCHED_FIFO: root may have it, unless its control group has no real-time budget"
    );
}

/// How long cores have been idle, at a moment. The kernel measures that; what they were busy with it only samples, at ticks
/// that work begun by timers hides from.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    at: Instant,
    /// Seconds, of all cores together.
    idle: f64,
    cores: usize,
}

impl Load {
    /// Of these cores, now.
    pub fn of(cores: &[usize]) -> Self {
        let at = Instant::now();
        let stat = fs::read_to_string("/proc/stat").expect("procfs");
        let idle = |core: &usize| {
            let prefix = format!("cpu{core} ");
            let line = stat
                .lines()
                .find_map(|line| line.strip_prefix(&prefix))
                .expect("a core that is on");
            // user nice system idle iowait, in hundredths of a second.
            let ticks = line.split_whitespace().skip(3).take(2);
            ticks
                .map(|ticks| ticks.parse::<f64>().expect("a number"))
                .sum::<f64>()
                / 100.0
        };
        Self {
            at,
            idle: cores.iter().map(idle).sum(),
            cores: cores.len(),
        }
    }

    /// The busy part of the time since `before`, from 0 to 1.
    pub fn since(self, before: Self) -> f64 {
        let time = (self.at - before.at).as_secs_f64() * self.cores as f64;
        1.0 - (self.idle - before.idle) / time
    }
}
