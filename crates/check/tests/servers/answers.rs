//! Answers to OPTIONS.

use std::io::{Read, Write};

use openssl::ssl::SslStream;

use crate::broken::{Table, today};
use crate::case::run;
use crate::pki::{Pki, Spec};
use crate::server::{tls, tls_by};
use crate::sip::{self, Answer, changed, response};

/// The request, and then what `answer` writes; the peer is waited for.
fn after_the_request(
    answer: impl Fn(&str, &mut dyn Write) + Send + Sync + 'static,
) -> impl Fn(&mut SslStream<std::net::TcpStream>) + Send + Sync + 'static {
    move |stream| {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            let request = String::from_utf8_lossy(&buffer[..count]).into_owned();
            match request.trim().is_empty() {
                true => _ = stream.write_all(b"\r\n"),
                false => answer(&request, stream),
            }
        }
    }
}

#[test]
fn what_counts_as_an_answer() {
    let pki = Pki::new();
    let mut table = Table::new(&pki);
    let good = pki.leaf(&Spec::default());
    let answered: [(&str, Answer); 10] = [
        ("404", |request| {
            (response(request, "404 Not Found", "", ""), true)
        }),
        ("405", |request| {
            (response(request, "405 Method Not Allowed", "", ""), true)
        }),
        ("407", |request| {
            (
                response(request, "407 Proxy Authentication Required", "", ""),
                true,
            )
        }),
        ("480", |request| {
            (
                response(request, "480 Temporarily Unavailable", "", ""),
                true,
            )
        }),
        ("483", |request| {
            (response(request, "483 Too Many Hops", "", ""), true)
        }),
        ("501", |request| {
            (response(request, "501 Not Implemented", "", ""), true)
        }),
        ("603", |request| {
            (response(request, "603 Decline", "", ""), true)
        }),
        ("in compact form", |request| {
            let text = String::from_utf8(sip::sound(request).0).expect("ASCII");
            let text = text
                .replace("Via:", "v:")
                .replace("From:", "f:")
                .replace("To:", "t:")
                .replace("Call-ID:", "i:")
                .replace("Content-Length:", "l:");
            (text.into_bytes(), true)
        }),
        ("100 and 200", |request| {
            let mut both = response(request, "100 Trying", "", "");
            both.extend(sip::sound(request).0);
            (both, true)
        }),
        ("another port in Via, and rport", |request| {
            let port = sent_by_port(request);
            let (text, _) = changed(request, &format!(":{port};"), ":4;");
            let text = String::from_utf8(text).expect("ASCII");
            (
                text.replace(";rport;", &format!(";rport={port};"))
                    .into_bytes(),
                true,
            )
        }),
    ];
    for (name, answer) in answered {
        table.add(name, tls(&[&good], today, answer), &[], &[]);
    }
    table.add(
        "another port in Via",
        tls(&[&good], today, |request| {
            changed(request, &format!(":{};", sent_by_port(request)), ":4;")
        }),
        &["answer-wrong-via"],
        &[],
    );
    table.add(
        "500",
        tls(&[&good], today, |request| {
            (response(request, "500 Server Internal Error", "", ""), true)
        }),
        &["options-server-error"],
        &[],
    );
    table.add(
        "octet by octet, after a request of its own",
        tls_by(
            &[&good],
            today,
            after_the_request(|request, stream| {
                let own = "OPTIONS sip:check@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bKown\r\nFrom: <sip:a@b>;tag=a\r\n\
                           To: <sip:check@127.0.0.1>\r\nCall-ID: own\r\nCSeq: 7 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
                for octet in own.bytes().chain(sip::sound(request).0) {
                    let _ = stream.write_all(&[octet]);
                }
            }),
        ),
        &[],
        &[],
    );
    table.add(
        "an answer without end",
        tls_by(
            &[&good],
            today,
            after_the_request(|_, stream| {
                let _ = stream.write_all(b"SIP/2.0 200 OK\r\nX: ");
                while stream.write_all(&[b'x'; 4096]).is_ok() {}
            }),
        ),
        &["answer-malformed"],
        &[],
    );
    table.add(
        "octets that mean nothing",
        tls_by(
            &[&good],
            today,
            after_the_request(|_, stream| {
                let _ = stream.write_all(&[
                    0x81, 0, 0xff, 3, 0, 0, 9, 1, 2, 3, b'\r', b'\n', b'\r', b'\n',
                ]);
            }),
        ),
        &["answer-not-sip"],
        &[],
    );
    table.slow(
        "lines without CR",
        tls(&[&good], today, |request| {
            let text = String::from_utf8(sip::sound(request).0).expect("ASCII");
            (text.replace('\r', "").into_bytes(), true)
        }),
        &["answer-malformed"],
    );
    table.slow(
        "a body that does not come",
        tls(&[&good], today, |request| {
            changed(request, "Content-Length: 0", "Content-Length: 500")
        }),
        &["answer-malformed"],
    );
    table.slow(
        "100 alone",
        tls(&[&good], today, |request| {
            (response(request, "100 Trying", "", ""), true)
        }),
        &["options-unanswered"],
    );
    table.slow(
        "keepalives alone",
        tls_by(
            &[&good],
            today,
            after_the_request(|_, stream| while stream.write_all(b"\r\n").is_ok() {}),
        ),
        &["options-unanswered"],
    );
    run("answers", table.cases);
}

/// The port in a request's Via.
fn sent_by_port(request: &str) -> u16 {
    let via = sip::field(request, "Via").expect("it has one");
    let sent_by = via.split([' ', ';']).nth(1).expect("an address");
    sent_by.parse::<std::net::SocketAddr>().expect("one").port()
}
