//! The report as one JSON object, which is stable: fields are added, and none is removed or given another meaning while
//! `format` is 1. docs/check.md describes it. It is the program's: who links the library is spared `serde_json`.

use std::io::{self, Write};

use ciphertrunk_check::text::side_word;
use ciphertrunk_check::{Finding, Level, Outcome, Report, Step, Verdict};
use serde_json::{Value, json};

/// The object.
fn value(report: &Report) -> Value {
    json!({
        "format": 1,
        "program": "ciphertrunk-check",
        "version": env!("CARGO_PKG_VERSION"),
        "target": report.target,
        "name": report.name,
        "outcome": match report.outcome() {
            Outcome::Sound => "sound",
            Outcome::Theirs => "theirs",
            Outcome::Ours => "ours",
            Outcome::NotJudged => "not-judged",
        },
        "exit": report.outcome() as i32,
        "steps": report.steps.iter().map(step).collect::<Vec<_>>(),
        "pjsip.conf": report.lines.pjsip,
        "ciphertrunk.conf": report.lines.of_ciphertrunk(),
    })
}

fn step(step: &Step) -> Value {
    let verdict = step.verdict();
    json!({
        "step": step.stage.word(),
        "verdict": verdict.word(),
        "why": match &verdict { Verdict::NotTried(why) => Some(why), _ => None },
        "facts": step.facts,
        "findings": step.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "code": finding.code.word(),
        "level": match finding.level() {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Fault => "fault",
        },
        "side": side_word(finding.side()),
        "address": finding.address.map(|address| address.to_string()),
        "text": finding.to_string(),
        "detail": finding.detail,
    })
}

/// Writes it, and a line end.
///
/// # Errors
/// `out`'s.
pub(crate) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &value(report))?;
    writeln!(out)
}
