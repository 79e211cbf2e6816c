//! Which core runs what, and how full it is.

use std::fs;
use std::mem::{size_of, zeroed};

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
        // SAFETY: a set of ours, with its size; 0 is this thread.
        let failed =
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
    // SAFETY: a set of ours, with its size; 0 is this thread.
    let failed =
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

/// The time of cores up to now, in ticks of the kernel.
#[derive(Debug, Clone, Copy, Default)]
pub struct Load {
    busy: u64,
    all: u64,
}

impl Load {
    /// Of these cores together.
    pub fn of(cores: &[usize]) -> Self {
        let stat = fs::read_to_string("/proc/stat").expect("procfs");
        let mut load = Self::default();
        for core in cores {
            let prefix = format!("cpu{core} ");
            let line = stat
                .lines()
                .find_map(|line| line.strip_prefix(&prefix))
                .expect("a core that is on");
            // user nice system idle iowait irq softirq steal; what follows is in user already.
            let ticks: Vec<u64> = line
                .split_whitespace()
                .take(8)
                .map(|ticks| ticks.parse().expect("a number"))
                .collect();
            let all: u64 = ticks.iter().sum();
            load.all += all;
            load.busy += all - ticks[3] - ticks[4];
        }
        load
    }

    /// The busy part of the time since `before`, from 0 to 1.
    pub fn since(self, before: Self) -> f64 {
        (self.busy - before.busy) as f64 / (self.all - before.all).max(1) as f64
    }
}
