//! `make bench`: SRTP of this project beside libsrtp on OpenSSL, libsrtp as the distribution builds it, webrtc-srtp and
//! intel-ipsec-mb, in one process on one core, taking turns; the least and the median of many turns. Outputs are checked
//! to be byte-equal while they are measured. Writes `build/bench/srtp.json` (or the path given).
//!
//! `BENCH_TURNS` is the number of turns, `BENCH_ONLY` what a group's name must contain to be measured, `BENCH_LEVEL` the name
//! of the CPU level to be measured instead of the best one.

mod bounds;
mod cases;
mod level;
mod memory;
mod rigs;
mod targets;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// One thing that is timed.
pub struct Case<'a> {
    pub group: String,
    pub name: &'static str,
    /// Does a number of calls and says how long they took.
    run: Box<dyn FnMut(usize) -> Duration + 'a>,
    /// What one call does this many of.
    units: f64,
    times: Vec<f64>,
}

impl<'a> Case<'a> {
    /// Each call does `units` of what is counted.
    pub fn new(group: &str, name: &'static str, units: usize, mut call: impl FnMut() + 'a) -> Self {
        Self::with_preparation(group, name, units, move |calls| {
            let start = Instant::now();
            (0..calls).for_each(|_| call());
            start.elapsed()
        })
    }

    /// `run` does so many calls, each of `units`, and times only what is to be timed.
    pub fn with_preparation(
        group: &str,
        name: &'static str,
        units: usize,
        run: impl FnMut(usize) -> Duration + 'a,
    ) -> Self {
        Self {
            group: group.into(),
            name,
            run: Box::new(run),
            units: units as f64,
            times: Vec::new(),
        }
    }

    fn turn(&mut self, calls: usize) -> f64 {
        (self.run)(calls).as_nanos() as f64 / calls as f64
    }

    fn least(&self) -> f64 {
        self.times.iter().copied().fold(f64::MAX, f64::min)
    }

    fn median(&self) -> f64 {
        let mut sorted = self.times.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }
}

/// The cases of one group take turns, so that a change of the clock or a neighbour meets all of them. Each begins with
/// a call that is not timed: it fetches the code, which the CPU has forgotten while the others ran.
fn measure(cases: &mut [Case], turns: usize) {
    let calls: Vec<usize> = cases
        .iter_mut()
        .map(|case| {
            case.turn(1);
            case.turn(1);
            (100_000.0 / case.turn(1)).ceil().max(1.0) as usize
        })
        .collect();
    for _ in 0..turns {
        for (case, &calls) in cases.iter_mut().zip(&calls) {
            case.turn(1);
            let time = case.turn(calls) / case.units;
            case.times.push(time);
        }
    }
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| "unknown".into(), |(_, name)| name.into())
}

fn main() {
    level::limit_openssl();
    let path = std::env::args().nth(1).filter(|a| !a.starts_with('-'));
    let path = path.unwrap_or_else(|| "build/bench/srtp.json".into());
    let turns = std::env::var("BENCH_TURNS")
        .ok()
        .and_then(|t| t.parse().ok())
        .unwrap_or(60);

    let kernel = level::level();
    let best = packet_crypto::Kernels::usable()
        .next()
        .expect("the portable level is always usable");
    let libraries = cases::Libraries::load();
    println!(
        "cpu      {}\nkernel   {}\n{}",
        cpu(),
        kernel.name(),
        libraries.describe()
    );
    let mut json = format!(
        "{{\n  \"cpu\": \"{}\",\n  \"kernel\": \"{}\",\n  \"unit\": \"ns\",\n  \"cases\": [",
        cpu(),
        kernel.name()
    );

    let only = std::env::var("BENCH_ONLY").unwrap_or_default();
    let mut first = true;
    let mut measured = targets::Measured::new();
    for group in cases::groups() {
        if !group.name().contains(&only) {
            continue;
        }
        let mut cases = group.cases(&libraries);
        match group.round() {
            None => measure(&mut cases, turns),
            // What another library's sessions leave of the cache is not what is asked.
            Some(round) => cases.iter_mut().for_each(|case| {
                case.turn((round as f64 / case.units) as usize + 1);
                measure(std::slice::from_mut(case), turns);
            }),
        }
        let ours = cases
            .iter()
            .find(|c| c.name == cases::OURS)
            .map_or(f64::NAN, Case::least);
        println!(
            "\n{:<52} {:>9} {:>9} {:>8}",
            cases[0].group, "least ns", "median", "x ours"
        );
        for case in &cases {
            let (least, median) = (case.least(), case.median());
            println!(
                "  {:<50} {least:>9.1} {median:>9.1} {:>8.2}",
                case.name,
                least / ours
            );
            measured.push((case.group.clone(), case.name, least));
            let comma = if first { "" } else { "," };
            first = false;
            // A group of bounds has nothing of ours in it, and JSON has no NaN.
            let times = if ours.is_nan() {
                "null".to_owned()
            } else {
                format!("{:.3}", least / ours)
            };
            let _ = write!(
                json,
                "{comma}\n    {{\"group\": \"{}\", \"name\": \"{}\", \"least\": {least:.1}, \"median\": {median:.1}, \"times_ours\": {times}}}",
                case.group, case.name,
            );
        }
    }
    let targets = targets::report(&measured);
    let _ = write!(json, "\n  ],\n  \"targets\": [{targets}\n  ]\n}}\n");
    if let Some(parent) = std::path::Path::new(&path).parent() {
        std::fs::create_dir_all(parent).expect("the folder of the JSON file");
    }
    std::fs::write(&path, json).expect("the JSON file");
    println!("\nwritten  {path}");
    if level::forced().is_none() && !std::ptr::eq(kernel, best) {
        eprintln!(
            "the kernel is {}, but this CPU could run {}",
            kernel.name(),
            best.name()
        );
        std::process::exit(1);
    }
}
