//! All the steps, one after another.

use std::net::SocketAddr;
use std::time::Instant;

use openssl::x509::X509;
use srtp::Suite;

use crate::code::Code;
use crate::dns::locate;
use crate::lines::Lines;
use crate::node::{self, Question};
use crate::options::Options;
use crate::own;
use crate::report::{Report, Stage, Step};
use crate::sip::{Answers, calls};
use crate::tcp;
use crate::tls::{Hello, Peer, Trust, handshake};

/// Addresses whose TLS is looked at.
const NODES: usize = 4;

/// Looks at a peer. It blocks for as long as the peer makes it wait: each wait has the limit of `options.timeout`, and all of them
/// that of `options.limit`, but for the system's resolver, which is asked where the DNS has no address.
#[must_use]
pub fn check(options: &Options) -> Report {
    openssl::init();
    let mut run = Run {
        steps: Vec::new(),
        taken: Vec::new(),
        end: options.limit.map(|limit| Instant::now() + limit),
    };
    let mut report = Report {
        target: target(options),
        name: options.name().to_owned(),
        steps: Vec::new(),
        lines: Lines::default(),
        not_judged: false,
    };
    let (step, usable) = own::look(options);
    run.steps.push(step);
    if !usable {
        run.rest("our own files cannot be used");
        report.steps = run.steps;
        return report;
    }
    let located = locate(options, run.end);
    run.add(located.step);
    if run.is_late() {
        run.rest(LATE);
        report.steps = run.steps;
        report.not_judged = true;
        return report;
    }
    if located.targets.is_empty() {
        run.rest("there is no address");
        report.steps = run.steps;
        return report;
    }
    let (step, alive) = tcp::look(&located.targets, options.local, options.timeout, run.end);
    run.add(step);
    let mut answered = false;
    if run.is_late() {
        run.rest(LATE);
    } else if alive.is_empty() {
        run.rest("no TCP connection came about");
    } else {
        answered = run.nodes(options, &alive);
    }
    run.steps.sort_by_key(|step| step.stage);
    report.not_judged = run.is_late();
    report.steps = run.steps;
    report.lines = Lines::of(options, &report, answered, &run.taken);
    report
}

fn target(options: &Options) -> String {
    match options.port {
        Some(port) => format!("{}:{port}", uri_host(&options.host)),
        None => options.host.clone(),
    }
}

/// A host as a URI has it.
fn uri_host(host: &str) -> String {
    if host.parse::<std::net::Ipv6Addr>().is_ok() {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

struct Run {
    steps: Vec<Step>,
    /// The suites that calls were taken with.
    taken: Vec<Suite>,
    end: Option<Instant>,
}

/// Why something was not tried.
const LATE: &str = "the time for the whole check was over";

impl Run {
    /// Whether the time is over: what was seen last may be for want of it.
    fn is_late(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }

    /// Adds a step, unless the time is over.
    fn add(&mut self, step: Step) {
        let late = self.is_late() && step.not_tried.is_none();
        self.steps.push(if late {
            Step::not_tried(step.stage, LATE)
        } else {
            step
        });
    }

    /// The steps that are not there were not tried.
    fn rest(&mut self, why: &str) {
        const ALL: [Stage; 14] = [
            Stage::Own,
            Stage::Dns,
            Stage::Tcp,
            Stage::Tls,
            Stage::Versions,
            Stage::Ciphers,
            Stage::Groups,
            Stage::Resumption,
            Stage::Chain,
            Stage::Name,
            Stage::ClientCertificate,
            Stage::Sip,
            Stage::Ping,
            Stage::Calls,
        ];
        for stage in ALL {
            if !self.steps.iter().any(|step| step.stage == stage) {
                self.steps.push(Step::not_tried(stage, why));
            }
        }
    }

    /// Whether OPTIONS was answered anywhere.
    fn nodes(&mut self, options: &Options, alive: &[SocketAddr]) -> bool {
        let trust = Trust {
            config: options.tls.clone(),
        };
        let trusted = options
            .tls
            .ca_list_file
            .as_ref()
            .and_then(|file| X509::stack_from_pem(&std::fs::read(file).ok()?).ok())
            .unwrap_or_default();
        let uri_host = target(options);
        let question = Question {
            name: options.name(),
            server_name: options.server_name(),
            uri_host: &uri_host,
            from: options.from.as_deref(),
            trust: &trust,
            trusted: &trusted,
        };
        let mut answered = false;
        let mut way = None;
        for (i, address) in alive.iter().take(NODES).enumerate() {
            let peer = Peer {
                address: *address,
                local: options.local,
                timeout: options.timeout,
                end: self.end,
            };
            let node = node::look(peer, &question, i == 0);
            answered |= node.answered;
            if way.is_none() {
                way = node.hello.map(|hello| (peer, hello));
            }
            for (step, was_late) in node.steps {
                let step = match was_late && step.not_tried.is_none() {
                    true => Step::not_tried(step.stage, LATE),
                    false => step,
                };
                self.take(step, (alive.len() > 1).then_some(*address));
            }
        }
        let calls = self.calls(options, &question, way);
        self.steps.push(calls);
        answered
    }

    fn calls(
        &mut self,
        options: &Options,
        question: &Question<'_>,
        way: Option<(Peer, Hello)>,
    ) -> Step {
        let Some(number) = &options.call else {
            return Step::not_tried(Stage::Calls, "no --call was given");
        };
        let Some((peer, hello)) = way else {
            return Step::not_tried(Stage::Calls, "there is no TLS connection");
        };
        let connect = || {
            let up = handshake(peer, &hello, question.trust)
                .map_err(|failed| failed.reason.to_string())?;
            let answers = Answers::new(up, peer.wait());
            let who = node::who(&answers, question);
            Ok((answers, who))
        };
        let (step, taken) = calls(number, options.timeout, connect);
        self.taken = taken;
        step
    }

    /// Adds a step, or to one that is there.
    fn take(&mut self, mut step: Step, address: Option<SocketAddr>) {
        if let Some(address) = address {
            for finding in &mut step.findings {
                finding.address.get_or_insert(address);
            }
            for fact in &mut step.facts {
                *fact = format!("{address}: {fact}");
            }
        }
        let Some(known) = self
            .steps
            .iter_mut()
            .find(|known| known.stage == step.stage)
        else {
            self.steps.push(step);
            return;
        };
        if step.not_tried.is_none() {
            known.not_tried = None;
        }
        known.facts.extend(step.facts);
        for finding in step.findings {
            known.add(finding);
        }
    }
}

impl Report {
    /// Whether a code was found anywhere.
    #[must_use]
    pub fn has(&self, code: Code) -> bool {
        self.findings().any(|(_, finding)| finding.code == code)
    }
}
