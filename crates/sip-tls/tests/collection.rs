//! What real peers send (tests/peers, docs/peers.md): streams through the framer, certificates through a handshake.

mod common;

#[path = "../../../tests/peers/case.rs"]
mod case;

use std::ops::ControlFlow;

use case::{Case, Verdict, same};
use common::{Cert, Pki, Spec, meet};
use sip_tls::ProfileConfig;
use sip_tls::frame::{Framer, Item};

/// The octets of one line of a stream:
///
/// | line | octets |
/// |---|---|
/// | `message N` | a whole request with the CSeq N |
/// | `response N` | a whole response with the CSeq N |
/// | `octets TEXT` | these, with `\r`, `\n` and `\0` |
/// | `read` | none: what follows comes with the next read |
fn octets(line: &str) -> Vec<u8> {
    let rest = |number: &str| {
        format!("Via: SIP/2.0/TLS c\r\nCSeq: {number} OPTIONS\r\nContent-Length: 0\r\n\r\n")
    };
    match line.split_once(' ') {
        Some(("message", number)) => format!("OPTIONS sip:a@b SIP/2.0\r\n{}", rest(number)).into(),
        Some(("response", number)) => format!("SIP/2.0 200 OK\r\n{}", rest(number)).into(),
        Some(("octets", text)) => text
            .replace("\\r", "\r")
            .replace("\\n", "\n")
            .replace("\\0", "\0")
            .into(),
        _ => panic!("{line:?} is no line of a stream"),
    }
}

/// The CSeq of each message that comes out, and how many pings.
fn frame<'a>(reads: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, usize, Option<String>) {
    let (mut framer, mut messages, mut pings) = (Framer::default(), Vec::new(), 0);
    for read in reads {
        let pushed = framer.push(read, |item| {
            match item {
                Item::Message(message) => {
                    let text = String::from_utf8_lossy(message);
                    let cseq = text.to_ascii_lowercase();
                    let cseq = cseq.split("cseq: ").nth(1).unwrap_or("none ");
                    messages.push(cseq.split(' ').next().unwrap_or_default().to_owned());
                }
                Item::Ping => pings += 1,
                #[allow(unreachable_patterns)] // Whatever else comes out is not for the SIP stack.
                _ => {}
            }
            ControlFlow::Continue(())
        });
        if let Err(error) = pushed {
            return (messages, pings, Some(format!("{error:?}")));
        }
    }
    (messages, pings, None)
}

/// `delivers N...`: these come out, in this order, and the connection stays; whether others do, is not said.
/// `, pings N`: so many are answered.
fn check(
    case: &Case,
    (messages, pings, error): (Vec<String>, usize, Option<String>),
) -> Result<(), String> {
    let expected = case.get("expect");
    let (delivers, answered) = match expected.split_once(", pings ") {
        Some((delivers, pings)) => (delivers, Some(pings)),
        None => (expected, None),
    };
    let delivers = delivers.strip_prefix("delivers ").expect("delivers");
    let mut left = messages.iter();
    let missing: Vec<_> = delivers
        .split(' ')
        .filter(|number| !left.any(|is| is == number))
        .collect();
    if let Some(error) = error {
        return Err(format!("closed by {error} after the messages {messages:?}"));
    }
    if !missing.is_empty() {
        return Err(format!("without {missing:?}, only {messages:?}"));
    }
    answered.map_or(Ok(()), |answered| same(&pings.to_string(), answered))
}

fn outcome(case: &Case) -> Result<(), String> {
    let reads: Vec<Vec<u8>> = case
        .lines
        .split(|line| line == "read")
        .map(|lines| lines.iter().flat_map(|line| octets(line)).collect())
        .collect();
    check(case, frame(reads.iter().map(|read| &read[..])))?;
    // However TCP cuts it.
    let whole = reads.concat();
    check(case, frame([&whole[..]])).map_err(|wrong| format!("in one piece: {wrong}"))?;
    check(case, frame(whole.chunks(1))).map_err(|wrong| format!("octet by octet: {wrong}"))
}

#[test]
fn streams() {
    let mut verdict = Verdict::default();
    for case in case::all("streams") {
        verdict.add(&case, outcome(&case));
    }
    verdict.end();
}

/// A certificate's recipe.
struct Recipe {
    spec: Spec,
    /// The peer's end: `server` or `client`.
    role: String,
    dial: String,
    wildcards: bool,
    expect: String,
}

fn recipe(case: &Case) -> Recipe {
    let mut recipe = Recipe {
        spec: Spec {
            cn: "",
            dns: &[],
            ..Spec::default()
        },
        role: String::new(),
        dial: "sip.example.com".to_owned(),
        wildcards: false,
        expect: String::new(),
    };
    for line in &case.lines {
        let (word, value) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "role" => value.clone_into(&mut recipe.role),
            "cn" => recipe.spec.cn = value.to_owned().leak(),
            "dns" => recipe.spec.dns = vec![&*value.to_owned().leak()].leak(),
            "dial" => value.clone_into(&mut recipe.dial),
            "wildcards" => recipe.wildcards = true,
            "server-only" => recipe.spec.server_only = true,
            "expect" => value.clone_into(&mut recipe.expect),
            _ => panic!("{}: {line:?} is no line of a recipe", case.name),
        }
    }
    recipe
}

/// How our end judges a peer with this certificate.
fn verdict_on(recipe: &Recipe) -> String {
    let pki = Pki::new();
    let ours = match &recipe.role[..] {
        "server" => {
            let client = ProfileConfig {
                allow_wildcard_certs: recipe.wildcards,
                ..pki.client()
            };
            meet(&pki.server(&recipe.spec), &client, &recipe.dial).1
        }
        "client" => {
            let server = ProfileConfig {
                ca_list_file: Some(pki.ca_file.clone()),
                verify_client: true,
                require_client_cert: true,
                ..pki.server(&Spec::default())
            };
            let own = pki.own(&Cert::make(&recipe.spec, Some(&pki.ca)));
            meet(&server, &own, "sip.example.com").0
        }
        role => panic!("{role:?} is no role"),
    };
    match ours {
        Ok(_) => "accept".to_owned(),
        Err(reason) => format!("refuse {:?}", reason.code),
    }
}

#[test]
fn certificates() {
    let mut verdict = Verdict::default();
    for case in case::all("certificates") {
        let recipe = recipe(&case);
        verdict.add(&case, same(&verdict_on(&recipe), &recipe.expect));
    }
    verdict.end();
}
