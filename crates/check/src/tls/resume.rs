//! Whether sessions are resumed, by ticket or PSK; and secure renegotiation.

use std::io::Read;
use std::time::{Duration, Instant};

use openssl::ssl::SslVersion;

use super::ossl::secure_renegotiation;
use super::{Hello, Peer, Trust, handshake};
use crate::code::Code;
use crate::report::{Finding, Stage, Step};

/// Tickets of TLS 1.3 come after the handshake; so long they are waited for.
const TICKET: Duration = Duration::from_secs(2);
/// Between two looks whether one has come.
const SLICE: Duration = Duration::from_millis(100);

/// The step.
pub(crate) fn resume(peer: Peer, hello: &Hello, trust: &Trust) -> Step {
    let mut step = Step::new(Stage::Resumption);
    let Ok(mut up) = handshake(peer, hello, trust) else {
        return Step::not_tried(
            Stage::Resumption,
            "a second handshake did not come to its end",
        );
    };
    let newest = up.link.ssl().version2() == Some(SslVersion::TLS1_3);
    if newest {
        step.fact("renegotiation: TLS 1.3 has none");
        let end = Instant::now() + TICKET.min(peer.wait());
        while !up.link.trace().with(|seen| seen.ticket) && Instant::now() < end {
            up.link.sock().give(SLICE);
            let mut buffer = [0; 1024];
            // What a server says first is not looked at here.
            if up
                .link
                .fresh()
                .read(&mut buffer)
                .is_ok_and(|count| count == 0)
                || up.link.sock().finished
            {
                break;
            }
        }
    } else {
        let word = if secure_renegotiation(up.link.ssl()) {
            "yes"
        } else {
            "no"
        };
        step.fact(format!("secure renegotiation (RFC 5746): {word}"));
    }
    let how = match (newest, up.link.trace().with(|seen| seen.ticket)) {
        (true, true) => "by a ticket (PSK)",
        (true, false) => "",
        (false, true) => "by a ticket",
        (false, false) => "by a session identifier",
    };
    let session = up.link.ssl().session().map(ToOwned::to_owned);
    let again = session.and_then(|session| up.again(peer, hello, &session).ok());
    let resumed = again.is_some_and(|again| again.link.ssl().session_reused());
    if resumed {
        step.fact(format!("resumed {how}"));
    } else {
        step.add(Finding::new(Code::NoResumption, ""));
    }
    step
}
