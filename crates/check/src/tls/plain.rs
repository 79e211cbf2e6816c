//! A server that gave no TLS: what is it?

use std::io::{Read, Write};

use openssl::ssl::SslVersion;
use sip_tls::{Code as Why, Reason};

use super::{Peer, Sock};
use crate::code::Code;
use crate::report::Finding;
use crate::tcp;

/// What the first octets of a server are, if they are not TLS.
pub(crate) fn of_octets(first: &[u8]) -> Option<Finding> {
    let shown: String = first
        .iter()
        .take(60)
        .take_while(|byte| !b"\r\n".contains(byte))
        .map(|byte| {
            if byte.is_ascii_graphic() || *byte == b' ' {
                char::from(*byte)
            } else {
                '.'
            }
        })
        .collect();
    let detail = format!("it sent \"{shown}\"");
    let starts = |word: &[u8]| first.starts_with(word);
    if starts(b"SIP/") || starts(b"OPTIONS ") {
        let reason = Reason::from(Why::PlainSip);
        return Some(Finding {
            detail,
            ..Finding::from(reason)
        });
    }
    if starts(b"HTTP/") || starts(b"<!DOC") || starts(b"<html") || starts(b"<HTML") {
        let reason = Reason::from(Why::PlainHttp);
        return Some(Finding {
            detail,
            ..Finding::from(reason)
        });
    }
    if starts(b"SSH-") {
        return Some(Finding::new(Code::PlainSsh, detail));
    }
    // A record with a handshake message, a ClientHello (RFC 8446 5.1, 4): ours.
    if let [22, 3, _, _, _, 1, ..] = first {
        let detail = "our own first message comes back, as from an echo server";
        return Some(Finding::new(Code::PlainOther, detail));
    }
    let text = first.len() >= 4
        && first
            .iter()
            .take(20)
            .all(|byte| byte.is_ascii_graphic() || b" \r\n\t".contains(byte));
    text.then(|| Finding::new(Code::PlainOther, detail))
}

/// Asks in clear: a SIP or web server that swallows a TLS hello answers this.
pub(crate) fn ask(peer: Peer) -> Option<Finding> {
    let mut sock = Sock::new(
        tcp::connect(peer.address, peer.local, peer.wait()).ok()?,
        peer.wait(),
    );
    let local = sock.tcp.local_addr().ok()?;
    let request = format!(
        "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/TCP {local};branch=z9hG4bK-check;rport\r\nMax-Forwards: 70\r\nFrom: <sip:check@{local}>;tag=check\r\n\
         To: <sip:{to}>\r\nCall-ID: check-{}@{local}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
        local.port(),
        to = peer.address,
    );
    sock.write_all(request.as_bytes()).ok()?;
    let mut buffer = [0; 512];
    while sock.first().len() < 4 {
        match sock.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    of_octets(sock.first())
}

/// A version's name.
pub(crate) fn version_name(version: SslVersion) -> &'static str {
    match version {
        SslVersion::TLS1 => "TLS 1.0",
        SslVersion::TLS1_1 => "TLS 1.1",
        SslVersion::TLS1_2 => "TLS 1.2",
        SslVersion::TLS1_3 => "TLS 1.3",
        _ => "another version",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_by_their_first_octets() {
        for (first, word) in [
            (&b"SIP/2.0 400 Bad Request\r\n"[..], "plain-sip"),
            (b"HTTP/1.1 400 Bad Request\r\n", "plain-http"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", "plain-ssh"),
            (b"220 mail.example.com ESMTP\r\n", "plain-other"),
        ] {
            assert_eq!(
                of_octets(first).map(|finding| finding.code.word()),
                Some(word.to_owned())
            );
        }
        for first in [&b""[..], b"\x15\x03\x01\x00\x02\x02\x28", b"\x16\x03\x03"] {
            assert!(of_octets(first).is_none(), "{first:?}");
        }
    }
}
