//! One address: its TLS, its certificates, its answer to OPTIONS.

use openssl::ssl::SslVersion;
use openssl::x509::X509;
use sip_tls::{CertInfo, Reason};

use crate::chain::{fingerprint, judge};
use crate::code::Code;
use crate::report::{Finding, Stage, Step};
use crate::sip::{Answers, Who, ask, ping};
use crate::tls::{
    Access, Hello, Peer, Trust, access, ciphers, groups, handshake, large, resume, versions,
};

/// What every address is looked at with.
pub(crate) struct Question<'a> {
    /// The name that the certificate must have.
    pub(crate) name: &'a str,
    /// The server name that is sent (RFC 6066 3: names only).
    pub(crate) server_name: Option<&'a str>,
    /// `host` or `host:port` of our URIs.
    pub(crate) uri_host: &'a str,
    pub(crate) from: Option<&'a str>,
    pub(crate) trust: &'a Trust,
    pub(crate) trusted: &'a [X509],
}

/// What came of it.
pub(crate) struct Node {
    /// Each with whether the time for everything was over when it was done.
    pub(crate) steps: Vec<(Step, bool)>,
    /// The hello that made a connection.
    pub(crate) hello: Option<Hello>,
    /// OPTIONS was answered.
    pub(crate) answered: bool,
}

/// Looks at an address; `deep`: at its versions, ciphers, groups and sessions too.
pub(crate) fn look(peer: Peer, question: &Question<'_>, deep: bool) -> Node {
    let access = access(peer, question.server_name, question.trust);
    let hello = access.up.as_ref().map(|(_, hello)| hello.clone());
    let no_use = match (access.is_tls, access.is_stuck) {
        (false, _) => Some("what answers there is not TLS"),
        (true, true) => Some("no handshake comes to its end in time"),
        (true, false) => None,
    };
    let access_was_late = peer.is_late();
    let mut steps = Vec::new();
    let mut add = |step| steps.push((step, peer.is_late()));
    let Access {
        mut step,
        up,
        wants_certificate,
        ..
    } = access;
    let mut answered = false;
    match (up, wants_certificate) {
        (Some((up, hello)), _) => {
            let (chain, mut names) = judge(
                &up.chain(),
                up.link.trace(),
                question.name,
                &question.trust.config,
                question.trusted,
            );
            let shown = fingerprint(&up);
            // First to its end: there are servers that have one connection at a time.
            let talk = talk(peer, question, &hello, Answers::new(up, peer.wait()));
            answered = talk.answered;
            if deep && hello.name.is_some() {
                names
                    .findings
                    .extend(nameless(peer, question, &hello, shown.as_ref()));
            }
            talk.steps.into_iter().for_each(&mut add);
            // Seen in the handshake.
            steps.extend([chain, names].map(|step| (step, access_was_late)));
        }
        (None, Some(failed)) => {
            if failed.chain.is_empty() {
                [Stage::Chain, Stage::Name]
                    .map(|stage| Step::not_tried(stage, "no certificate came"))
                    .into_iter()
                    .for_each(&mut add);
            } else {
                let (chain, names) = judge(
                    &failed.chain,
                    &failed.trace,
                    question.name,
                    &question.trust.config,
                    question.trusted,
                );
                [chain, names].into_iter().for_each(&mut add);
            }
            let mut step = Step::new(Stage::ClientCertificate);
            step.add(demanded(question.trust, failed.reason));
            add(step);
            [Stage::Sip, Stage::Ping]
                .map(|stage| Step::not_tried(stage, "the handshake did not come to its end"))
                .into_iter()
                .for_each(&mut add);
        }
        (None, None) => {
            let why = "there is no TLS connection";
            let left = [
                Stage::Chain,
                Stage::Name,
                Stage::ClientCertificate,
                Stage::Sip,
                Stage::Ping,
            ];
            left.map(|stage| Step::not_tried(stage, why))
                .into_iter()
                .for_each(&mut add);
        }
    }
    if deep {
        let is_lost = step
            .findings
            .iter()
            .any(|finding| finding.code == Code::LargeHelloLost);
        if let (Some(hello), false) = (&hello, is_lost) {
            let found = large(peer, hello, question.trust);
            step.findings.extend(found.filter(|_| !peer.is_late()));
        }
        steps.extend(deeper(peer, question, no_use, hello.as_ref()));
    }
    steps.push((step, access_was_late));
    Node {
        steps,
        hello,
        answered,
    }
}

/// What is shown to a client that asks for no name, if it is another certificate.
fn nameless(
    peer: Peer,
    question: &Question<'_>,
    hello: &Hello,
    shown: Option<&CertInfo>,
) -> Option<Finding> {
    let nameless = Hello {
        name: None,
        ..hello.clone()
    };
    let other = fingerprint(&handshake(peer, &nameless, question.trust).ok()?)?;
    (shown?.sha256 != other.sha256).then(|| {
        Finding::new(
            Code::NameByServerNameOnly,
            format!("that one is for {}", other.names().join(", ")),
        )
    })
}

fn deeper(
    peer: Peer,
    question: &Question<'_>,
    no_use: Option<&str>,
    hello: Option<&Hello>,
) -> [(Step, bool); 4] {
    if let Some(why) = no_use {
        let left = [
            Stage::Versions,
            Stage::Ciphers,
            Stage::Groups,
            Stage::Resumption,
        ];
        return left.map(|stage| {
            let step = Step::not_tried(stage, why);
            (step, false)
        });
    }
    let module = Hello::of_module(question.server_name);
    let base = hello.unwrap_or(&module);
    let timed = |step| (step, peer.is_late());
    let (mut step, taken): (Step, Vec<SslVersion>) = versions(peer, base, question.trust);
    // It has taken this one before.
    if let Some(hello) = hello.filter(|_| taken.is_empty())
        && let Err(failed) = handshake(peer, hello, question.trust)
        && !failed.trace.with(|seen| seen.asked_for_certificate)
    {
        step = Step::new(Stage::Versions);
        step.add(Finding::new(
            Code::NoMoreConnections,
            failed.reason.to_string(),
        ));
    }
    let versions = timed(step);
    let ciphers = timed(ciphers(peer, base, question.trust, &taken));
    let groups = timed(groups(peer, base, question.trust, &taken));
    let resumption = timed(match hello {
        Some(hello) => resume(peer, hello, question.trust),
        None => Step::not_tried(Stage::Resumption, "no handshake came to its end"),
    });
    [versions, ciphers, groups, resumption]
}

/// What our certificate, or the lack of it, ended the connection with.
fn demanded(trust: &Trust, reason: Reason) -> Finding {
    let (code, detail) = if trust.has_own() {
        (Code::OwnCertificateRefused, reason.to_string())
    } else {
        (Code::ClientCertificateDemanded, reason.to_string())
    };
    Finding::new(code, detail)
}

struct Talk {
    steps: Vec<Step>,
    answered: bool,
}

/// OPTIONS and a keepalive; and what a client certificate has to do with it.
fn talk(peer: Peer, question: &Question<'_>, hello: &Hello, mut answers: Answers) -> Talk {
    let mut client = Step::new(Stage::ClientCertificate);
    let asked_for = answers
        .up()
        .link
        .trace()
        .with(|seen| seen.asked_for_certificate);
    let who = who(&answers, question);
    let mut asked = ask(&mut answers, &who, peer.wait());
    let mut ping_step = Step::not_tried(Stage::Ping, "OPTIONS was not answered");
    match asked.ended {
        Some(reason) if asked_for && !asked.answered => {
            client.add(demanded(question.trust, reason));
            asked.step.not_tried =
                Some("the connection ended before, over the client certificate".to_owned());
        }
        Some(reason) => asked
            .step
            .add(Finding::new(Code::OptionsClosed, reason.to_string())),
        None if asked.answered => {
            let (step, ended) = ping(&mut answers, peer.wait());
            ping_step = step;
            if let Some(reason) = ended {
                asked
                    .step
                    .add(Finding::new(Code::ClosedAfterAnswer, reason.to_string()));
            }
        }
        None => {}
    }
    if !asked_for {
        client.fact("it asks for none");
    } else if !asked.answered {
        client.fact("it asks for one");
    } else if !question.trust.has_own() {
        client.add(Finding::new(Code::ClientCertificateOptional, ""));
    } else {
        client.fact("it asks for one, and takes ours");
        client.fact(if works_without(peer, question, hello) {
            "it does without one too"
        } else {
            "without one it ends the connection"
        });
    }
    Talk {
        answered: asked.answered,
        steps: vec![client, asked.step, ping_step],
    }
}

pub(crate) fn who(answers: &Answers, question: &Question<'_>) -> Who {
    let local = answers
        .local()
        .unwrap_or_else(|| std::net::SocketAddr::from(([0, 0, 0, 0], 0)));
    Who {
        local,
        from: question
            .from
            .map_or_else(|| format!("sip:check@{}", local_host(local)), str::to_owned),
        peer: question.uri_host.to_owned(),
    }
}

/// The address without its port, as a URI has it.
fn local_host(local: std::net::SocketAddr) -> String {
    if local.is_ipv6() {
        format!("[{}]", local.ip())
    } else {
        local.ip().to_string()
    }
}

fn works_without(peer: Peer, question: &Question<'_>, hello: &Hello) -> bool {
    let anonymous = Hello {
        anonymous: true,
        ..hello.clone()
    };
    let Ok(up) = handshake(peer, &anonymous, question.trust) else {
        return false;
    };
    let mut answers = Answers::new(up, peer.wait());
    let who = who(&answers, question);
    ask(&mut answers, &who, peer.wait()).answered
}
