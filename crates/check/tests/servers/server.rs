//! Servers of this process: TCP scripts, and TLS by the system's OpenSSL.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslMethod, SslSessionCacheMode, SslStream};

use crate::pki::Cert;
use crate::sip::{self, Answer};

/// Serves each connection on a thread of its own until the process ends.
pub fn tcp(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    tcp_at("127.0.0.1:0", serve)
}

pub fn tcp_at(at: &str, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind(at).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// A server that shows this chain, tuned, and answers SIP so.
pub fn tls(
    chain: &[&Cert],
    tune: impl FnOnce(&mut SslContextBuilder),
    answer: Answer,
) -> SocketAddr {
    let context = context(chain, tune);
    tcp(move |tcp| serve(&context, tcp, answer))
}

pub fn serve(context: &SslContext, tcp: TcpStream, answer: Answer) {
    let mut stream =
        SslStream::new(Ssl::new(context).expect("a connection"), tcp).expect("a stream");
    if stream.accept().is_ok() {
        sip::talk(&mut stream, answer);
        let _ = stream.shutdown();
    }
}

pub fn context(chain: &[&Cert], tune: impl FnOnce(&mut SslContextBuilder)) -> SslContext {
    let mut builder = SslContext::builder(SslMethod::tls_server()).expect("a context");
    builder.set_security_level(0);
    builder.set_session_cache_mode(SslSessionCacheMode::SERVER);
    builder.set_session_id_context(b"test").expect("a context");
    builder
        .set_certificate(&chain[0].x509)
        .expect("a certificate");
    builder.set_private_key(&chain[0].key).expect("a key");
    for cert in &chain[1..] {
        builder
            .add_extra_chain_cert(cert.x509.clone())
            .expect("a chain");
    }
    tune(&mut builder);
    builder.build()
}

/// The same, and what is done once the handshake is over.
pub fn tls_by(
    chain: &[&Cert],
    tune: impl FnOnce(&mut SslContextBuilder),
    talk: impl Fn(&mut SslStream<TcpStream>) + Send + Sync + 'static,
) -> SocketAddr {
    let context = context(chain, tune);
    tcp(move |tcp| {
        let mut stream =
            SslStream::new(Ssl::new(&context).expect("a connection"), tcp).expect("a stream");
        if stream.accept().is_ok() {
            talk(&mut stream);
        }
    })
}

/// Resets the connection.
pub fn reset(tcp: TcpStream) {
    let _ = socket2::SockRef::from(&tcp).set_linger(Some(std::time::Duration::ZERO));
}

/// The first octets that come, at most one record's.
pub fn hello(tcp: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 5];
    if tcp.read_exact(&mut head).is_err() {
        return Vec::new();
    }
    let mut body = vec![0; u16::from_be_bytes([head[3], head[4]]).into()];
    let _ = tcp.read_exact(&mut body);
    [&head[..], &body].concat()
}

/// Reads until the peer goes.
pub fn swallow(mut tcp: TcpStream) {
    let mut buffer = [0; 4096];
    while tcp.read(&mut buffer).is_ok_and(|count| count > 0) {}
}

/// A fatal alert in a record of its own.
pub fn alert(tcp: &mut TcpStream, description: u8) {
    let _ = tcp.write_all(&[21, 3, 3, 0, 2, 2, description]);
}

/// A server of which only the first octets come through, and then `after` has the connection.
pub fn cut(context: SslContext, most: usize, after: fn(TcpStream)) -> SocketAddr {
    let inner = tcp(move |tcp| serve(&context, tcp, sip::sound));
    tcp(move |mut client| {
        let first = hello(&mut client);
        let Ok(mut server) = TcpStream::connect(inner) else {
            return;
        };
        let mut octets = vec![0; most];
        if server
            .write_all(&first)
            .and_then(|()| server.read_exact(&mut octets))
            .is_ok()
        {
            let _ = client.write_all(&octets);
            after(client);
        }
    })
}

/// A server behind a box that ends the connection without a word when the client says more than its first message.
pub fn mum(context: SslContext) -> SocketAddr {
    let inner = tcp(move |tcp| serve(&context, tcp, sip::sound));
    tcp(move |mut client| {
        let first = hello(&mut client);
        let Ok(mut server) = TcpStream::connect(inner) else {
            return;
        };
        let _ = server.write_all(&first);
        let (Ok(mut from), Ok(mut to)) = (server.try_clone(), client.try_clone()) else {
            return;
        };
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = client.read(&mut [0; 4096]);
        let _ = server.shutdown(std::net::Shutdown::Both);
        let _ = client.shutdown(std::net::Shutdown::Write);
        swallow(client);
    })
}

/// A server whose octets come one by one.
pub fn dripping(context: SslContext) -> SocketAddr {
    let inner = tcp(move |tcp| serve(&context, tcp, sip::sound));
    tcp(move |client| {
        let Ok(server) = TcpStream::connect(inner) else {
            return;
        };
        let (Ok(mut from), Ok(mut to)) = (client.try_clone(), server.try_clone()) else {
            return;
        };
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
        let _ = client.set_nodelay(true);
        let mut client = client;
        for octet in BufReader::new(server).bytes().map_while(Result::ok) {
            if client.write_all(&[octet]).is_err() {
                return;
            }
        }
        let _ = client.shutdown(std::net::Shutdown::Both);
    })
}

/// A server behind a box that drops each first message of a client that is longer than `most` octets.
pub fn narrow(context: SslContext, most: usize, answer: Answer) -> SocketAddr {
    let inner = tcp(move |tcp| serve(&context, tcp, answer));
    tcp(move |mut client| {
        let first = hello(&mut client);
        if first.len() > most {
            return swallow(client);
        }
        let Ok(mut server) = TcpStream::connect(inner) else {
            return;
        };
        let _ = server.write_all(&first);
        let (Ok(mut from), Ok(mut to)) = (client.try_clone(), server.try_clone()) else {
            return;
        };
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
        let _ = std::io::copy(&mut server, &mut client);
        let _ = client.shutdown(std::net::Shutdown::Both);
    })
}
