//! `make instructions`: how many instructions a packet takes to protect and to unprotect, counted by valgrind's callgrind
//! and compared with `baseline.txt`. A count does not depend on what else the machine does, so that it can be a gate where
//! times cannot; it says nothing of how long an instruction takes (`make bench` does).
//!
//! Two levels of the kernels are counted: what valgrind can run of x86-64, which is neither SHA-NI nor AVX-512, and the
//! portable one. What is around the kernels is the same for all levels.
//!
//! With the argument `update` the baseline is written anew. Counts are a compiler's: where the baseline is of another one
//! nothing is compared, and that is said.

mod callgrind;
mod counted;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};

use counted::Counts;

/// How much more than the baseline's a count may be, in percent.
const TOLERANCE: u64 = 2;

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.txt");

/// Packets at most whose counts are printed when they grew.
const SHOWN: usize = 20;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("count") => {
            counted::run();
            ExitCode::SUCCESS
        }
        Some("update") => report(update()),
        None => report(compare()),
        Some(other) => report(Err(format!("{other}: known are no argument and `update`"))),
    }
}

fn report(outcome: Result<String, String>) -> ExitCode {
    match outcome {
        Ok(text) => {
            println!("instructions: {text}");
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprintln!("instructions: {text}");
            ExitCode::FAILURE
        }
    }
}

/// The compiler and the valgrind that counts depend on.
fn tools() -> Result<String, String> {
    let version = |program: &str| {
        let output = Command::new(program).arg("--version").output();
        let output = output.map_err(|e| format!("{program} --version: {e}"))?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    Ok(format!("{}, {}", version(&rustc)?, version("valgrind")?))
}

fn update() -> Result<String, String> {
    let counts = callgrind::count()?;
    let mut text = format!("# {}\n", tools()?);
    text.push_str(
        "# Instructions per packet of RTP. `make instructions UPDATE=1` writes this file.\n",
    );
    for (name, count) in &counts {
        text.push_str(&format!("{name} = {count}\n"));
    }
    std::fs::write(BASELINE, text).map_err(|e| format!("{BASELINE}: {e}"))?;
    Ok(format!("{} counts written to {BASELINE}", counts.len()))
}

fn compare() -> Result<String, String> {
    let text = std::fs::read_to_string(BASELINE).map_err(|e| format!("{BASELINE}: {e}"))?;
    let (of, tools) = (text.lines().next().unwrap_or_default(), tools()?);
    if of.strip_prefix("# ") != Some(&tools) {
        return Ok(format!(
            "SKIPPED, nothing was compared: the baseline is of {}, here is {tools}. `make instructions UPDATE=1` makes one of these.",
            of.trim_start_matches("# ")
        ));
    }
    let baseline = parse(&text)?;
    let counts = callgrind::count()?;
    let mut worse = Vec::new();
    let (mut compared, mut better) = (0, 0);
    for (name, &before) in &baseline {
        let Some(&now) = counts.get(name) else {
            // A CPU without the level's instructions; never the portable one.
            if name.starts_with("portable") {
                return Err(format!("{name} was not counted"));
            }
            continue;
        };
        compared += 1;
        if now * 100 > before * (100 + TOLERANCE) {
            worse.push((
                now as f64 / before as f64,
                format!("{name}: {before} -> {now}"),
            ));
        }
        better += u32::from(now * (100 + TOLERANCE) < before * 100);
    }
    if let Some(new) = counts.keys().find(|name| !baseline.contains_key(*name)) {
        return Err(format!(
            "{new} is not in the baseline: make instructions UPDATE=1"
        ));
    }
    if !worse.is_empty() {
        worse.sort_by(|a, b| b.0.total_cmp(&a.0));
        let lines: Vec<_> = worse
            .iter()
            .take(SHOWN)
            .map(|(ratio, line)| format!("  {line} (+{:.1} %)", (ratio - 1.0) * 100.0))
            .collect();
        return Err(format!(
            "{} of {compared} counts are more than {TOLERANCE} % above the baseline:\n{}\nIf that is meant: make instructions UPDATE=1",
            worse.len(),
            lines.join("\n")
        ));
    }
    let skipped = match baseline.len() - compared {
        0 => String::new(),
        n => format!("; SKIPPED {n} of levels that this CPU does not have"),
    };
    let fewer = match better {
        0 => String::new(),
        n => format!(
            "; {n} are more than {TOLERANCE} % below: make instructions UPDATE=1 keeps them there"
        ),
    };
    Ok(format!(
        "{compared} counts are at most {TOLERANCE} % above the baseline{fewer}{skipped}"
    ))
}

fn parse(text: &str) -> Result<Counts, String> {
    let mut counts = BTreeMap::new();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let (name, count) = line
            .rsplit_once(" = ")
            .and_then(|(name, count)| Some((name, count.parse().ok()?)))
            .ok_or_else(|| format!("{}: not a count: {line}", Path::new(BASELINE).display()))?;
        counts.insert(name.to_owned(), count);
    }
    Ok(counts)
}
