//! The clients, the same for every server: each connection from an address of its own.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use host_harness::lab::Lab;
use host_harness::sip::Connection;
use openssl::ssl::{SslContext, SslMethod, SslMode, SslSessionRef, SslVersion};

use crate::servers::Talk;

/// After so long without an answer a client gives up.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// It takes every certificate.
pub fn context(version: Option<SslVersion>) -> SslContext {
    let mut context = SslContext::builder(SslMethod::tls_client()).expect("OpenSSL works");
    context
        .set_min_proto_version(version)
        .expect("it knows the version");
    context
        .set_max_proto_version(version)
        .expect("it knows the version");
    context.set_mode(SslMode::RELEASE_BUFFERS);
    context.build()
}

/// Where the client with this number is.
pub fn address(number: u32) -> Ipv4Addr {
    let [_, net, high, low] = (number + (1 << 16)).to_be_bytes();
    Ipv4Addr::new(127, net, high, low)
}

/// A handshake, in which a `session` is offered if there is one.
pub fn connect(
    lab: &Lab,
    context: &SslContext,
    number: u32,
    at: &str,
    session: Option<&SslSessionRef>,
) -> Result<Connection, String> {
    let text = |error: io::Error| format!("client {number}, {at}: {error}");
    let tcp = lab
        .tcp_from(&address(number).to_string(), at)
        .map_err(text)?;
    tcp.set_nodelay(true).map_err(text)?;
    let connection = match session {
        None => Connection::new(context, tcp),
        Some(session) => Connection::resuming_session(context, tcp, session),
    };
    let connection =
        connection.map_err(|error| format!("client {number}, handshake with {at}: {error}"))?;
    let socket = connection.stream.get_ref();
    socket.set_read_timeout(Some(PATIENCE)).map_err(text)?;
    Ok(connection)
}

/// A new OPTIONS request. Clients at several addresses may have the same port, and pjsip tells transactions by their branch alone.
pub fn options(connection: &Connection) -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let local = connection.local();
    format!(
        "OPTIONS sip:server SIP/2.0\r\nVia: SIP/2.0/TLS {local};rport;branch=z9hG4bKbench{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:probe@{local}>;tag={number}\r\nTo: <sip:server>\r\nCall-ID: {number}@bench\r\nCSeq: 1 OPTIONS\r\n\
         Contact: <sip:probe@{local};transport=tls>\r\nContent-Length: 0\r\n\r\n"
    )
}

/// A question and its answer; `false`: none, or one that says no.
pub fn ask(connection: &mut Connection, talk: Talk) -> bool {
    let (question, good): (&[u8], &[u8]) = match talk {
        Talk::Sip => {
            let question = options(connection);
            return connection.send(question.as_bytes()).is_ok()
                && connection
                    .try_receive()
                    .is_some_and(|answer| answer.starts_with("SIP/2.0 200 "));
        }
        Talk::Http => (b"GET / HTTP/1.1\r\nHost: server\r\n\r\n", b"HTTP/1.1 200 "),
        Talk::Line => (b"12\n", b"21\n"),
    };
    let mut answer = [0; 4096];
    connection.stream.write_all(question).is_ok()
        && connection
            .stream
            .read(&mut answer)
            .is_ok_and(|length| answer[..length].starts_with(good))
}

/// Ends it as a client does that has all it wants, and waits until the server has ended it too.
pub fn close(mut connection: Connection) {
    let _ = connection.stream.shutdown();
    let tcp = connection.stream.get_mut();
    let _ = tcp.shutdown(Shutdown::Write);
    let mut rest = [0; 4096];
    while matches!(tcp.read(&mut rest), Ok(1..)) {}
}
