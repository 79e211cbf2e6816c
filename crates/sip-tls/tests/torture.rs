//! The messages of RFC 4475 and RFC 5118, from tests/peers/torture: whole, octet by octet, split at every octet, and glued
//! between good messages.

#[path = "common/splits.rs"]
mod splits;

use std::fs;
use std::path::Path;

use sip_tls::frame::FaultKind;
use splits::{Got, outcome};

/// A good message, in front of each and behind it.
const GOOD: &[u8] =
    b"OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/TLS x\r\nContent-Length: 0\r\n\r\n";

/// Those that are not handed on as one message, and what becomes of them.
const OTHERS: [(&str, &[Expected]); 8] = [
    // Two messages in one datagram; over a stream they are two.
    ("dblreq", &[Expected::Message, Expected::Message]),
    // Its Content-Length is larger than it: the message behind it is its body's end.
    ("clerr", &[]),
    // Negative, with a Content-Type.
    ("ncl", &[Expected::Fault(FaultKind::BadContentLength)]),
    // Two that differ.
    ("mcl01", &[Expected::Fault(FaultKind::TwoContentLengths)]),
    // SIP/7.0.
    ("badvers", &[Expected::Fault(FaultKind::Version)]),
    // A status of ten digits.
    ("bigcode", &[Expected::Fault(FaultKind::Status)]),
    // No empty line behind the header: it goes on into the next message.
    ("baddn", &[]),
    // RFC 2543 needs no Content-Length, and it has a Content-Type.
    ("inv2543", &[Expected::Fault(FaultKind::NoContentLength)]),
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Expected {
    Message,
    Fault(FaultKind),
}

fn files() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/torture");
    let mut files = Vec::new();
    for rfc in ["rfc4475", "rfc5118"] {
        for entry in fs::read_dir(folder.join(rfc)).expect("the messages") {
            let path = entry.expect("a file").path();
            let name = path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            files.push((name, fs::read(&path).expect("a file")));
        }
    }
    files.sort();
    files
}

fn kinds(got: &[Got]) -> Vec<Expected> {
    let kind = |got: &Got| match got {
        Got::Message(_) => Some(Expected::Message),
        Got::Fault(kind, ..) => Some(Expected::Fault(*kind)),
        Got::Ping => None,
    };
    got.iter().filter_map(kind).collect()
}

#[test]
fn framed() {
    let files = files();
    assert!(files.len() >= 49);
    for (name, message) in files {
        let others = OTHERS.iter().find(|(other, _)| *other == name);
        let expected = others.map_or(&[Expected::Message][..], |(_, expected)| expected);
        let is_whole = !expected.is_empty();
        for stream in [message.clone(), [GOOD, &message].concat()] {
            let front = stream.len() - message.len();
            let whole = outcome([&stream[..]].into_iter());
            assert_eq!(whole.1, None, "{name}");
            let got = kinds(&whole.0);
            let from = usize::from(front > 0);
            // A body longer than said may follow.
            let got = &got[from..];
            assert!(got.starts_with(expected), "{name}: {:?}", whole.0);
            assert!(is_whole || got.is_empty(), "{name}: {:?}", whole.0);
            if expected == [Expected::Message] {
                assert_eq!(whole.0[from], Got::Message(message.clone()), "{name}");
            }
            splits::check(&stream, &[1]);
            for at in 1..stream.len() {
                let parts = [&stream[..at], &stream[at..]];
                let got = outcome(parts.into_iter());
                assert!(
                    kinds(&got.0)[from..].starts_with(expected),
                    "{name} at {at}"
                );
                assert_eq!(got.1, None, "{name} at {at}");
            }
        }
        // The next message, in a record of its own, is heard, unless it is this one's.
        let got = outcome([GOOD, &message, GOOD].into_iter());
        let good = got
            .0
            .iter()
            .filter(|got| **got == Got::Message(GOOD.to_vec()));
        assert_eq!(good.count() == 2, is_whole, "{name}: {:?}", got.0);
    }
}
