//! The SIP side of the test servers.

use std::io::{Read, Write};

/// What a server does with a request: octets to send, and whether it stays.
pub type Answer = fn(&str) -> (Vec<u8>, bool);

/// Reads requests and answers them; keepalives too.
pub fn talk(stream: &mut (impl Read + Write), answer: Answer) {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        while let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&text[..end]).into_owned();
            let length = field(&head, "Content-Length")
                .and_then(|length| length.parse().ok())
                .unwrap_or(0);
            if text.len() < end + 4 + length {
                break;
            }
            let request = String::from_utf8_lossy(&text[..end + 4 + length]).into_owned();
            text.drain(..end + 4 + length);
            let (octets, stays) = if head.is_empty() {
                (b"\r\n".to_vec(), true)
            } else {
                answer(&request)
            };
            if stream
                .write_all(&octets)
                .and_then(|()| stream.flush())
                .is_err()
                || !stays
            {
                return;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => text.extend_from_slice(&buffer[..count]),
        }
    }
}

pub fn field(request: &str, name: &str) -> Option<String> {
    request.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    })
}

pub fn method(request: &str) -> &str {
    request.split(' ').next().unwrap_or_default()
}

/// An answer that repeats what it has to.
pub fn response(request: &str, status: &str, extra: &str, body: &str) -> Vec<u8> {
    let get = |name| field(request, name).unwrap_or_default();
    format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=server\r\nCall-ID: {}\r\nCSeq: {}\r\n{extra}Content-Length: {}\r\n\r\n{body}",
        get("Via"),
        get("From"),
        get("To"),
        get("Call-ID"),
        get("CSeq"),
        body.len()
    )
    .into_bytes()
}

pub fn sound(request: &str) -> (Vec<u8>, bool) {
    (response(request, "200 OK", "Server: test\r\n", ""), true)
}

pub fn login(request: &str) -> (Vec<u8>, bool) {
    (
        response(
            request,
            "401 Unauthorized",
            "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n",
            "",
        ),
        true,
    )
}

pub fn mute(_: &str) -> (Vec<u8>, bool) {
    (Vec::new(), true)
}

pub fn closes_at_once(_: &str) -> (Vec<u8>, bool) {
    (Vec::new(), false)
}

pub fn closes_after(request: &str) -> (Vec<u8>, bool) {
    (sound(request).0, false)
}

pub fn unavailable(request: &str) -> (Vec<u8>, bool) {
    (response(request, "503 Service Unavailable", "", ""), true)
}

pub fn forbidden(request: &str) -> (Vec<u8>, bool) {
    (response(request, "403 Forbidden", "", ""), true)
}

pub fn echo(request: &str) -> (Vec<u8>, bool) {
    (request.as_bytes().to_vec(), true)
}

pub fn http(_: &str) -> (Vec<u8>, bool) {
    (
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
        false,
    )
}

pub fn changed(request: &str, from: &str, to: &str) -> (Vec<u8>, bool) {
    let text = String::from_utf8(response(request, "200 OK", "", "")).expect("ASCII");
    assert!(text.contains(from), "{from} is not in {text}");
    (text.replacen(from, to, 1).into_bytes(), true)
}

pub fn wrong_cseq(request: &str) -> (Vec<u8>, bool) {
    changed(request, "CSeq: 1 ", "CSeq: 2 ")
}

pub fn wrong_via(request: &str) -> (Vec<u8>, bool) {
    changed(request, "branch=z9hG4bK", "branch=z9hG4bKother")
}

pub fn wrong_call_id(request: &str) -> (Vec<u8>, bool) {
    changed(request, "Call-ID: ", "Call-ID: x")
}

pub fn two_lengths(request: &str) -> (Vec<u8>, bool) {
    changed(
        request,
        "Content-Length: 0",
        "Content-Length: 0\r\nContent-Length: 4",
    )
}

pub fn not_sip(_: &str) -> (Vec<u8>, bool) {
    (b"-ERR unknown command\r\n\r\n".to_vec(), true)
}
