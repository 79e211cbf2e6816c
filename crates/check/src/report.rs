//! What was found: findings, steps, and the report of them.

use std::fmt;
use std::net::SocketAddr;

use sip_tls::{Reason, Side};

use crate::code::{Code, Level};
use crate::lines::Lines;

/// A step, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Our own certificate, key and CA file.
    Own,
    /// NAPTR, SRV, A and AAAA (RFC 3263).
    Dns,
    /// The TCP connections.
    Tcp,
    /// Whether it is TLS, and whether a handshake as the module makes it comes to an end.
    Tls,
    /// The TLS versions.
    Versions,
    /// The ciphers.
    Ciphers,
    /// The key exchange groups.
    Groups,
    /// Resumption, and renegotiation (RFC 5746).
    Resumption,
    /// The certificate chain.
    Chain,
    /// The names in the certificate.
    Name,
    /// Whether a client certificate is wanted.
    ClientCertificate,
    /// The answer to OPTIONS; of a phone, what it asks for.
    Sip,
    /// The answer to a double CRLF (RFC 5626 4.4.1).
    Ping,
    /// The calls.
    Calls,
}

impl Stage {
    /// Its word, for scripts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Stage::Own => "own",
            Stage::Dns => "dns",
            Stage::Tcp => "tcp",
            Stage::Tls => "tls",
            Stage::Versions => "versions",
            Stage::Ciphers => "ciphers",
            Stage::Groups => "groups",
            Stage::Resumption => "resumption",
            Stage::Chain => "chain",
            Stage::Name => "name",
            Stage::ClientCertificate => "client-certificate",
            Stage::Sip => "sip",
            Stage::Ping => "ping",
            Stage::Calls => "calls",
        }
    }
}

/// Something that was found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What.
    pub code: Code,
    /// At which address, where that matters.
    pub address: Option<SocketAddr>,
    /// What exactly: the record, the status line, the certificate.
    pub detail: String,
    /// Of a failed connection, the whole reason.
    pub reason: Option<Reason>,
}

impl Finding {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Finding {
        Finding {
            code,
            address: None,
            detail: detail.into(),
            reason: None,
        }
    }

    pub(crate) fn at(self, address: SocketAddr) -> Finding {
        Finding {
            address: Some(address),
            ..self
        }
    }

    /// Who has to change something.
    #[must_use]
    pub fn side(&self) -> Side {
        self.reason
            .as_ref()
            .map_or(self.code.row().side, |reason| reason.side)
    }

    /// How much it matters.
    #[must_use]
    pub fn level(&self) -> Level {
        self.code.row().level
    }
}

impl From<Reason> for Finding {
    fn from(reason: Reason) -> Finding {
        let code = Code::Tls(reason.code);
        Finding {
            reason: Some(reason),
            ..Finding::new(code, "")
        }
    }
}

/// One sentence: what happened, and the change.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = self.code.row();
        if let Some(address) = self.address {
            write!(f, "{address}: ")?;
        }
        match &self.reason {
            Some(reason) => write!(f, "{reason}")?,
            None => f.write_str(row.text)?,
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        if !row.change.is_empty() {
            write!(f, ". {}", row.change)?;
        }
        Ok(())
    }
}

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and something about it is not as it should be.
    Warning,
    /// It does not work, or must not be trusted.
    Fault,
    /// It was not tried, for this reason.
    NotTried(String),
}

impl Verdict {
    /// Its word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Fault => "fault",
            Verdict::NotTried(_) => "not tried",
        }
    }
}

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    /// Which.
    pub stage: Stage,
    /// What was seen, one line each.
    pub facts: Vec<String>,
    /// What that means.
    pub findings: Vec<Finding>,
    /// Why it was not tried.
    pub not_tried: Option<String>,
}

impl Step {
    pub(crate) fn new(stage: Stage) -> Step {
        Step {
            stage,
            facts: Vec::new(),
            findings: Vec::new(),
            not_tried: None,
        }
    }

    pub(crate) fn not_tried(stage: Stage, why: impl Into<String>) -> Step {
        Step {
            not_tried: Some(why.into()),
            ..Step::new(stage)
        }
    }

    pub(crate) fn fact(&mut self, fact: impl Into<String>) {
        self.facts.push(fact.into());
    }

    /// Adds a finding, unless it is there.
    pub(crate) fn add(&mut self, finding: Finding) {
        let known = |other: &Finding| {
            other.code == finding.code
                && other.address == finding.address
                && other.detail == finding.detail
        };
        if !self.findings.iter().any(known) {
            self.findings.push(finding);
        }
    }

    /// What it came to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let worst = self.findings.iter().map(Finding::level).max();
        match (worst, &self.not_tried) {
            (Some(Level::Fault), _) => Verdict::Fault,
            (Some(Level::Warning), _) => Verdict::Warning,
            (_, Some(why)) => Verdict::NotTried(why.clone()),
            _ => Verdict::Ok,
        }
    }
}

/// What it all came to; the number is the exit status for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// No fault.
    Sound = 0,
    /// A fault that the other side has to mend, or that either side can.
    Theirs = 1,
    /// Every fault is ours.
    Ours = 2,
    /// What was asked for could not be judged: nobody was there to be looked at.
    NotJudged = 4,
}

/// Everything that was found.
#[derive(Debug, Clone)]
pub struct Report {
    /// What was looked at: `HOST[:PORT]`, or the address that a phone was waited for at.
    pub target: String,
    /// The name that its certificate must have.
    pub name: String,
    /// The steps, in the order of [`Stage`].
    pub steps: Vec<Step>,
    /// What to write where.
    pub lines: Lines,
    /// Nobody was there.
    pub not_judged: bool,
}

impl Report {
    /// All findings with their steps, those of the first step first.
    pub fn findings(&self) -> impl Iterator<Item = (Stage, &Finding)> {
        self.steps
            .iter()
            .flat_map(|step| step.findings.iter().map(|finding| (step.stage, finding)))
    }

    /// The faults.
    pub fn faults(&self) -> impl Iterator<Item = (Stage, &Finding)> {
        self.findings()
            .filter(|(_, finding)| finding.level() == Level::Fault)
    }

    /// What it came to.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let mut faults = self.faults().peekable();
        if faults.peek().is_none() {
            return if self.not_judged {
                Outcome::NotJudged
            } else {
                Outcome::Sound
            };
        }
        if faults.all(|(_, fault)| fault.side() == Side::Ours) {
            Outcome::Ours
        } else {
            Outcome::Theirs
        }
    }
}
