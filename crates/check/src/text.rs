//! The report as text, for people. Its form is not stable: scripts read that of `--json`.

use std::io::{self, Write};

use sip_tls::Side;

use crate::code::Level;
use crate::report::{Outcome, Report, Stage, Verdict};

/// Whose it is, in a word.
#[must_use]
pub fn side_word(side: Side) -> &'static str {
    match side {
        Side::Ours => "ours",
        Side::Theirs => "theirs",
        Side::Either => "either",
        Side::Nobody => "nobody",
    }
}

fn title(stage: Stage) -> &'static str {
    match stage {
        Stage::Own => "Our files",
        Stage::Dns => "DNS",
        Stage::Tcp => "TCP",
        Stage::Tls => "TLS",
        Stage::Versions => "TLS versions",
        Stage::Ciphers => "Ciphers",
        Stage::Groups => "Key exchange",
        Stage::Resumption => "Resumption",
        Stage::Chain => "Certificates",
        Stage::Name => "Name",
        Stage::ClientCertificate => "Client certificate",
        Stage::Sip => "SIP",
        Stage::Ping => "Keepalive",
        Stage::Calls => "Calls",
    }
}

/// Writes it.
///
/// # Errors
/// `out`'s.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    if report.name.is_empty() {
        writeln!(out, "Waited for a phone at {}", report.target)?;
    } else {
        writeln!(
            out,
            "{}, whose certificate must be for {}",
            report.target, report.name
        )?;
    }
    for step in &report.steps {
        let verdict = step.verdict();
        match &verdict {
            Verdict::NotTried(why) => writeln!(out, "\n{}: not tried: {why}", title(step.stage))?,
            verdict => writeln!(out, "\n{}: {}", title(step.stage), verdict.word())?,
        }
        for fact in &step.facts {
            writeln!(out, "    {fact}")?;
        }
        for finding in &step.findings {
            let word = match finding.level() {
                Level::Note => "note",
                Level::Warning => "warning",
                Level::Fault => "FAULT",
            };
            writeln!(
                out,
                "  {word} [{}; side: {}] {finding}",
                finding.code.word(),
                side_word(finding.side())
            )?;
        }
    }
    for (file, lines) in [
        ("pjsip.conf", &report.lines.pjsip),
        ("ciphertrunk.conf", &report.lines.of_ciphertrunk()),
    ] {
        if !lines.is_empty() {
            writeln!(out, "\nFor {file}:\n")?;
            for line in lines {
                writeln!(out, "{line}")?;
            }
        }
    }
    writeln!(out, "\n{}", summary(report))
}

/// The last line.
fn summary(report: &Report) -> String {
    let faults = report.faults().count();
    let warnings = report
        .findings()
        .filter(|(_, finding)| finding.level() == Level::Warning)
        .count();
    let count = |number: usize, word: &str| {
        format!("{number} {word}{}", if number == 1 { "" } else { "s" })
    };
    match report.outcome() {
        Outcome::Sound if warnings == 0 => "Sound.".to_owned(),
        Outcome::Sound => format!("Sound, with {}.", count(warnings, "warning")),
        Outcome::Theirs => format!(
            "{}, of the other side or of either; {}.",
            count(faults, "fault"),
            count(warnings, "warning")
        ),
        Outcome::Ours => format!(
            "{} on our side; {}.",
            count(faults, "fault"),
            count(warnings, "warning")
        ),
        Outcome::NotJudged => "It could not be judged.".to_owned(),
    }
}
