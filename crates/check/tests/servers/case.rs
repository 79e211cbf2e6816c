//! A server, what has to be found about it, and what was.

use std::time::Duration;

use ciphertrunk_check::{Level, Options, Report, check, text};

/// A limit that only a hang reaches.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// For servers that say nothing: they are waited for in full.
pub const SILENCE: Duration = Duration::from_secs(4);

/// One server.
pub struct Case {
    pub name: &'static str,
    pub options: Options,
    /// The codes of every fault, and of no other.
    pub faults: &'static [&'static str],
    /// The codes of every warning, and of no other.
    pub warnings: &'static [&'static str],
}

impl Case {
    /// What is wrong with the report about it.
    pub fn run(&self) -> (Vec<String>, Report) {
        let begun = std::time::Instant::now();
        let report = check(&self.options);
        println!("{}: {} ms", self.name, begun.elapsed().as_millis());
        let mut wrong = Vec::new();
        for (level, wanted) in [(Level::Fault, self.faults), (Level::Warning, self.warnings)] {
            let mut found: Vec<String> = report
                .findings()
                .filter(|(_, finding)| finding.level() == level)
                .map(|(_, finding)| finding.code.word())
                .collect();
            found.sort();
            found.dedup();
            for word in wanted {
                if !found.iter().any(|found| found == word) {
                    wrong.push(format!("{}: {word} was not found", self.name));
                }
            }
            for word in &found {
                if !wanted.contains(&word.as_str()) {
                    wrong.push(format!("{}: {word} was found", self.name));
                }
            }
        }
        if !wrong.is_empty() {
            let mut out = Vec::new();
            text::write(&report, &mut out).expect("memory");
            println!("{}:\n{}", self.name, String::from_utf8_lossy(&out));
        }
        (wrong, report)
    }
}

/// Runs them, four at a time, and counts false verdicts.
pub fn run(what: &str, cases: Vec<Case>) {
    let count = cases.len();
    let queue = std::sync::Mutex::new(cases);
    let wrong = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(case) = queue.lock().expect("no panic").pop() else {
                        return;
                    };
                    let (found, _) = case.run();
                    wrong.lock().expect("no panic").extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    println!("{what}: {count} servers, {} false verdicts", wrong.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}
