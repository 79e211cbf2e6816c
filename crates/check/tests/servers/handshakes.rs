//! Handshakes that go wrong in ways of their own, and those that are rare and sound.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};

use openssl::ssl::{NameType, SniError, SslContextBuilder, SslVerifyMode, SslVersion};

use ciphertrunk_check::{Stage, check};

use crate::broken::{Table, only, options, today};
use crate::case::{PATIENCE, run};
use crate::pki::{Pki, Spec};
use crate::server::{context, cut, dripping, hello, mum, reset, serve, swallow, tcp, tls};
use crate::sip;

/// A ServerHello of TLS 1.2 and older in a record, with this version.
fn server_hello(version: [u8; 2]) -> Vec<u8> {
    let mut body = version.to_vec();
    body.extend([7; 32]);
    // No session; ECDHE-RSA-AES128-GCM-SHA256; no compression.
    body.extend([0, 0xc0, 0x2f, 0]);
    let length = u8::try_from(body.len()).expect("it is short");
    let mut record = vec![22, 3, 3, 0, length + 4, 2, 0, 0, length];
    record.extend(body);
    record
}

#[test]
fn no_handshake() {
    let pki = Pki::new();
    let mut table = Table::new(&pki);
    let good = pki.leaf(&Spec::default());
    for (name, answer, code) in [
        (
            "SIP that closes on garbage",
            &b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"[..],
            &["plain-sip"],
        ),
        (
            "a web server that closes on garbage",
            b"HTTP/1.1 501 Not Implemented\r\n\r\n",
            &["plain-http"],
        ),
    ] {
        let address = tcp(move |mut tcp| {
            let mut first = [0; 8];
            if tcp.read_exact(&mut first).is_ok() && &first == b"OPTIONS " {
                let _ = tcp.write_all(answer);
            }
            let _ = tcp.shutdown(Shutdown::Write);
            swallow(tcp);
        });
        table.add(name, address, code, &[]);
    }
    table.add(
        "a database",
        tcp(|mut tcp| {
            let _ = tcp.write_all(b"\x4a\0\0\0\x0a8.0.36\0\x0b\0\0\0");
            swallow(tcp);
        }),
        &["not-tls"],
        &[],
    );
    table.add(
        "a terminal server",
        tcp(|mut tcp| {
            let _ = tcp.write_all(b"\xff\xfd\x18\xff\xfd\x20");
            swallow(tcp);
        }),
        &["not-tls"],
        &[],
    );
    table.slow(
        "an empty line",
        tcp(|mut tcp| {
            let _ = tcp.write_all(b"\r\n");
            swallow(tcp);
        }),
        &["not-tls"],
    );
    table.add(
        "an echo",
        tcp(|mut tcp| {
            let first = hello(&mut tcp);
            let _ = tcp.write_all(&first);
            swallow(tcp);
        }),
        &["plain-other"],
        &[],
    );
    table.add(
        "half a handshake, then closed",
        cut(context(&[&good], today), 60, |tcp| {
            let _ = tcp.shutdown(Shutdown::Write);
            swallow(tcp);
        }),
        &["closed-in-handshake"],
        &[],
    );
    table.slow(
        "half a handshake, then silence",
        cut(context(&[&good], today), 60, swallow),
        &["handshake-timeout"],
    );
    table.add(
        "a version of the future",
        tcp(|mut tcp| {
            let _ = hello(&mut tcp);
            let _ = tcp.write_all(&server_hello([3, 9]));
            swallow(tcp);
        }),
        &["tls-version"],
        &[],
    );
    table.add(
        "SSL 3",
        tcp(|mut tcp| {
            let _ = hello(&mut tcp);
            let _ = tcp.write_all(&server_hello([3, 0]));
            swallow(tcp);
        }),
        &["tls-version"],
        &[],
    );
    table.add(
        "garbage in a record",
        tcp(|mut tcp| {
            let _ = hello(&mut tcp);
            let _ = tcp.write_all(&[22, 3, 3, 0, 5, 99, 0, 0, 1, 7]);
            swallow(tcp);
        }),
        &["tls-protocol"],
        &[],
    );
    let nameless = |builder: &mut SslContextBuilder| {
        today(builder);
        builder.set_servername_callback(|ssl, _| match ssl.servername(NameType::HOST_NAME) {
            Some(_) => Ok(()),
            None => Err(SniError::ALERT_FATAL),
        });
    };
    table.add(
        "a server name is needed, and an address was asked for",
        tls(&[&good], nameless, sip::sound),
        &["peer-unknown-name"],
        &[],
    );
    table.last().name = None;
    table.add(
        "a server name is needed",
        tls(&[&good], nameless, sip::sound),
        &[],
        &[],
    );
    for (name, version) in [
        (
            "a client certificate, without a word, TLS 1.2",
            SslVersion::TLS1_2,
        ),
        (
            "a client certificate, without a word, TLS 1.3",
            SslVersion::TLS1_3,
        ),
    ] {
        let asking = context(&[&good], |builder| {
            only(version)(builder);
            builder.set_verify(SslVerifyMode::PEER);
        });
        table.add(name, mum(asking), &["client-certificate-demanded"], &[]);
    }
    run("no handshake", table.cases);
}

#[test]
fn rare_and_sound() {
    let pki = Pki::new();
    let mut table = Table::new(&pki);
    let good = pki.leaf(&Spec::default());
    let rsa = pki.leaf(&Spec {
        rsa: 2048,
        ..Spec::default()
    });
    for (name, groups) in [
        ("X448 only", "X448"),
        ("P-521 only", "P-521"),
        ("ffdhe2048 only", "ffdhe2048"),
    ] {
        let tune = |builder: &mut SslContextBuilder| {
            only(SslVersion::TLS1_3)(builder);
            builder.set_groups_list(groups).expect("a group");
        };
        table.add(name, tls(&[&good], tune, sip::sound), &[], &[]);
    }
    table.add(
        "CBC with SHA-1 only",
        tls(
            &[&rsa],
            |builder| {
                only(SslVersion::TLS1_2)(builder);
                builder
                    .set_cipher_list("ECDHE-RSA-AES128-SHA")
                    .expect("a cipher");
            },
            sip::sound,
        ),
        &["only-old-ciphers"],
        &[],
    );
    table.add(
        "octet by octet",
        dripping(context(&[&good], today)),
        &[],
        &[],
    );
    let odd = pki.leaf(&Spec {
        curve: "secp256k1",
        ..Spec::default()
    });
    table.add(
        "a key on a curve that was not offered",
        tls(&[&odd], only(SslVersion::TLS1_2), sip::sound),
        &["peer-handshake-failure"],
        &[],
    );
    let first = AtomicBool::new(true);
    let inner = context(&[&good], today);
    table.add(
        "one connection, and no more",
        tcp(move |tcp| {
            // One that says nothing does not count.
            if tcp.peek(&mut [0]).is_ok_and(|count| count == 0) {
                return;
            }
            if first.swap(false, Ordering::Relaxed) {
                serve(&inner, tcp, sip::sound);
            } else {
                reset(tcp);
            }
        }),
        &[],
        &["no-more-connections"],
    );
    run("rare", table.cases);
}

/// A key on P-256 is no reason to say that a server of TLS 1.2 does not take X25519.
#[test]
fn groups_beside_a_key_of_another_curve() {
    let pki = Pki::new();
    let good = pki.leaf(&Spec::default());
    for (groups, wanted) in [
        (
            "X25519:P-256",
            [
                "X25519: taken",
                "P-256: taken",
                "P-384: not chosen where there is another",
            ],
        ),
        (
            "P-256",
            [
                "X25519: not chosen where there is another",
                "P-256: taken",
                "P-384: not chosen where there is another",
            ],
        ),
    ] {
        let address = tls(
            &[&good],
            |builder| {
                only(SslVersion::TLS1_2)(builder);
                builder.set_groups_list(groups).expect("groups");
            },
            sip::sound,
        );
        let report = check(&options(&pki, address, PATIENCE));
        let step = report.steps.iter().find(|step| step.stage == Stage::Groups);
        assert_eq!(step.expect("a step").facts[..3], wanted, "{groups}");
    }
}
