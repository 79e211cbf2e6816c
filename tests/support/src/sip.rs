//! SIP over TLS by hand, for what no real peer does. The TLS is OpenSSL's, the TCP connection is on the lab's network.

use std::ffi::{c_int, c_void};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use foreign_types::ForeignTypeRef as _;
use openssl::pkey::PKey;
use openssl::ssl::{
    NameType, Ssl, SslContext, SslContextBuilder, SslMethod, SslSessionRef, SslStream, SslVersion,
};
use openssl::x509::X509;

use crate::certificates::Certificate;
use crate::lab::Lab;
use crate::wait;

unsafe extern "C" {
    fn SSL_renegotiate(ssl: *mut c_void) -> c_int;
    fn SSL_set_SSL_CTX(ssl: *mut c_void, context: *mut c_void) -> *mut c_void;
}

/// A TLS client to be.
pub struct Client {
    context: SslContextBuilder,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// It takes every certificate and has none.
    pub fn new() -> Self {
        let mut context = SslContextBuilder::new(SslMethod::tls_client()).expect("OpenSSL works");
        context.set_security_level(0);
        Self { context }
    }

    /// With this version alone.
    #[must_use]
    pub fn version(mut self, version: SslVersion) -> Self {
        self.context
            .set_min_proto_version(Some(version))
            .expect("a version");
        self.context
            .set_max_proto_version(Some(version))
            .expect("a version");
        self
    }

    /// With these ciphers of TLS 1.2.
    #[must_use]
    pub fn ciphers(mut self, list: &str) -> Self {
        self.context.set_cipher_list(list).expect("ciphers");
        self
    }

    /// With a certificate of its own.
    #[must_use]
    pub fn certificate(mut self, lab: &Lab, own: &Certificate) -> Self {
        present(&mut self.context, lab, own);
        self
    }

    /// Many connections of it.
    pub fn build(self) -> SslContext {
        self.context.build()
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// What TCP or TLS said.
    pub fn connect(self, lab: &Lab, peer: &str) -> Result<Connection, String> {
        Connection::new(
            &self.context.build(),
            lab.tcp(peer).map_err(|error| error.to_string())?,
        )
    }
}

fn present(context: &mut SslContextBuilder, lab: &Lab, own: &Certificate) {
    let (certificate, key) = (lab.read(&own.certificate), lab.read(&own.key));
    let certificate = X509::from_pem(&certificate).expect("a certificate");
    context
        .set_certificate(&certificate)
        .expect("a certificate");
    let key = PKey::private_key_from_pem(&key).expect("a key");
    context.set_private_key(&key).expect("its key");
}

/// A TLS server that accepts one connection at a time.
pub struct Server {
    context: SslContext,
    listener: TcpListener,
}

impl Server {
    /// Listens, with this certificate and whatever else is `set`.
    pub fn new(
        lab: &Lab,
        address: &str,
        own: &Certificate,
        set: impl FnOnce(&mut SslContextBuilder),
    ) -> Self {
        let mut context = SslContextBuilder::new(SslMethod::tls_server()).expect("OpenSSL works");
        context.set_security_level(0);
        present(&mut context, lab, own);
        context
            .set_session_id_context(b"test")
            .expect("a short one");
        set(&mut context);
        let listener = lab.listen(address);
        listener.set_nonblocking(true).expect("a socket");
        Self {
            context: context.build(),
            listener,
        }
    }

    /// The next connection.
    ///
    /// # Errors
    ///
    /// What TLS said.
    pub fn accept(&self) -> Result<Connection, String> {
        let what = format!("a connection to {:?}", self.listener.local_addr());
        let (tcp, _) = wait::until(
            &what,
            wait::SOON,
            || self.listener.accept().ok(),
            String::new,
        );
        self.shake(tcp)
    }

    /// A connection that is there already, and what became of its handshake.
    pub fn waiting(&self) -> Option<Result<Connection, String>> {
        self.listener.accept().ok().map(|(tcp, _)| self.shake(tcp))
    }

    fn shake(&self, tcp: TcpStream) -> Result<Connection, String> {
        tcp.set_nonblocking(false)
            .map_err(|error| error.to_string())?;
        Connection::handshake(&self.context, tcp, SslStream::accept)
    }

    /// Whether somebody connects within `limit`.
    pub fn is_called(&self, limit: Duration) -> bool {
        wait::poll(limit, || self.listener.accept().ok()).is_some()
    }
}

/// A connection whose handshake is done.
#[derive(Debug)]
pub struct Connection {
    /// The stream, for bytes that are not SIP.
    pub stream: SslStream<TcpStream>,
    received: Vec<u8>,
    requests: u32,
}

impl Connection {
    /// The handshake on a TCP connection.
    ///
    /// # Errors
    ///
    /// What TLS said.
    pub fn new(context: &SslContext, tcp: TcpStream) -> Result<Self, String> {
        Self::handshake(context, tcp, SslStream::connect)
    }

    /// The handshake on another TCP connection, in which `earlier`'s session is offered to be resumed.
    ///
    /// # Errors
    ///
    /// What TLS said.
    pub fn resuming(context: &SslContext, tcp: TcpStream, earlier: &Self) -> Result<Self, String> {
        let session = earlier.stream.ssl().session().ok_or("it has no session")?;
        Self::resuming_session(context, tcp, session)
    }

    /// The same with a session that was kept, of a connection of this context.
    ///
    /// # Errors
    ///
    /// What TLS said.
    pub fn resuming_session(
        context: &SslContext,
        tcp: TcpStream,
        session: &SslSessionRef,
    ) -> Result<Self, String> {
        tcp.set_read_timeout(Some(wait::SOON))
            .map_err(|error| error.to_string())?;
        let mut ssl = Ssl::new(context).map_err(|error| error.to_string())?;
        // SAFETY: the session is of a connection of the same context.
        unsafe { ssl.set_session(session) }.map_err(|error| error.to_string())?;
        let mut stream = SslStream::new(ssl, tcp).map_err(|error| error.to_string())?;
        stream.connect().map_err(|error| error.to_string())?;
        Ok(Self {
            stream,
            received: Vec::new(),
            requests: 0,
        })
    }

    fn handshake(
        context: &SslContext,
        tcp: TcpStream,
        shake: impl FnOnce(&mut SslStream<TcpStream>) -> Result<(), openssl::ssl::Error>,
    ) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        tcp.set_read_timeout(Some(wait::SOON))
            .map_err(|error| text(&error))?;
        tcp.set_nodelay(true).map_err(|error| text(&error))?;
        let ssl = Ssl::new(context).map_err(|error| text(&error))?;
        let mut stream = SslStream::new(ssl, tcp).map_err(|error| text(&error))?;
        shake(&mut stream).map_err(|error| text(&error))?;
        Ok(Self {
            stream,
            received: Vec::new(),
            requests: 0,
        })
    }

    /// Asks for a new handshake (TLS 1.2): a server sends HelloRequest, a client begins and waits for the answer.
    ///
    /// # Errors
    ///
    /// What TLS said.
    pub fn renegotiate(&mut self) -> Result<(), String> {
        // SAFETY: a live connection, of which this is the only use.
        let begun = unsafe { SSL_renegotiate(self.stream.ssl().as_ptr().cast()) };
        assert_eq!(begun, 1, "OpenSSL does not renegotiate");
        self.stream
            .do_handshake()
            .map_err(|error| error.to_string())
    }

    /// Ends it by a TCP reset.
    pub fn reset(self) {
        let now = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        // SAFETY: an open socket, and a value of the size that is said, which lives during the call.
        let set = unsafe {
            libc::setsockopt(
                self.stream.get_ref().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                (&raw const now).cast(),
                size_of_val(&now) as libc::socklen_t,
            )
        };
        assert_eq!(set, 0, "{}", io::Error::last_os_error());
    }

    /// At its next handshake it shows the certificate of another server.
    pub fn become_other(&mut self, other: &Server) {
        // SAFETY: a live connection, of which this is the only use, and a live context, which it counts.
        unsafe {
            SSL_set_SSL_CTX(
                self.stream.ssl().as_ptr().cast(),
                other.context.as_ptr().cast(),
            )
        };
    }

    /// The server name that the client asked for.
    pub fn sni(&self) -> Option<&str> {
        self.stream.ssl().servername(NameType::HOST_NAME)
    }

    /// Answers a request with 200.
    ///
    /// # Errors
    ///
    /// What TLS said.
    pub fn accept_request(&mut self, request: &str) -> io::Result<()> {
        self.send(response(request, "200 OK").as_bytes())
    }

    /// Its own address.
    pub fn local(&self) -> SocketAddr {
        self.stream.get_ref().local_addr().expect("a socket")
    }

    /// The SHA-256 of the server's certificate, in hexadecimal.
    pub fn server_sha256(&self) -> String {
        let certificate = self
            .stream
            .ssl()
            .peer_certificate()
            .expect("a server has one");
        let digest = certificate
            .digest(openssl::hash::MessageDigest::sha256())
            .expect("a digest");
        digest.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    /// A new OPTIONS request with these further header lines and this body. Its branch has the address in it, and not the port alone, which
    /// connections of several addresses may have in common: pjsip tells transactions by their branch.
    pub fn request(&mut self, headers: &str, body: &str) -> String {
        self.requests += 1;
        let (local, number) = (self.local(), self.requests);
        let client = local.to_string().replace(':', "-");
        format!(
            "OPTIONS sip:server SIP/2.0\r\nVia: SIP/2.0/TLS {local};rport;branch=z9hG4bK{client}x{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:probe@{local}>;tag={number}\r\nTo: <sip:server>\r\nCall-ID: {client}-{number}@probe\r\n\
             CSeq: {number} OPTIONS\r\nContact: <sip:probe@{local};transport=tls>\r\n{headers}Content-Length: {length}\r\n\r\n{body}",
            length = body.len()
        )
    }

    /// Sends bytes.
    ///
    /// # Errors
    ///
    /// What TLS said.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads one message.
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub fn receive(&mut self) -> io::Result<String> {
        let begin = Instant::now();
        loop {
            if let Some(message) = self.take_message() {
                return Ok(message);
            }
            let mut buffer = [0; 16384];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                // Keepalives go on for ever.
                Ok(count) if begin.elapsed() < wait::SOON => {
                    self.received.extend_from_slice(&buffer[..count]);
                }
                Err(error) if !is_late(&error) => return Err(error),
                _ => panic!(
                    "waited {:?} in vain for a SIP message on the connection at {}; it began with {:?}",
                    wait::SOON,
                    self.local(),
                    String::from_utf8_lossy(&self.received)
                ),
            }
        }
    }

    /// A message that is there already.
    fn take_message(&mut self) -> Option<String> {
        // PJSIP's keepalives (RFC 5626 section 3.5.1), every 90 seconds.
        let is_empty = |octet: &&u8| matches!(**octet, b'\r' | b'\n');
        let keepalive = self.received.iter().take_while(is_empty).count();
        self.received.drain(..keepalive);
        let length = message_length(&self.received)?;
        let message: Vec<u8> = self.received.drain(..length).collect();
        Some(String::from_utf8_lossy(&message).into_owned())
    }

    /// Reads one message, if it comes within the stream's read timeout.
    pub fn try_receive(&mut self) -> Option<String> {
        loop {
            if let Some(message) = self.take_message() {
                return Some(message);
            }
            let mut buffer = [0; 16384];
            match self.stream.read(&mut buffer) {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// Asks OPTIONS; the status of the answer.
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub fn options(&mut self) -> io::Result<u16> {
        let request = self.request("", "");
        self.send(request.as_bytes())?;
        self.receive().map(|answer| status(&answer))
    }

    /// Waits for the end of the connection; `false`: it is still up after a while.
    pub fn ends(&mut self, limit: Duration) -> bool {
        let _ = self.stream.get_ref().set_read_timeout(Some(limit));
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return !is_late(&error),
            }
        }
    }
}

/// Whether a read ended because nothing came in time.
fn is_late(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// The status of a response; 0 for anything else.
pub fn status(message: &str) -> u16 {
    message
        .strip_prefix("SIP/2.0 ")
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .unwrap_or(0)
}

/// A header line's value.
pub fn header<'m>(message: &'m str, name: &str) -> Option<&'m str> {
    message
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The length of the message that `bytes` begins with, if it is all there.
fn message_length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..end]);
    let body = text
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length:")?
                .trim()
                .parse::<usize>()
                .ok()
        })
        .unwrap_or(0);
    (bytes.len() >= end + body).then_some(end + body)
}

/// The answer to a request, with what it repeats.
pub fn response(request: &str, status: &str) -> String {
    let mut answer = format!("SIP/2.0 {status}\r\n");
    for line in request.lines().take_while(|line| !line.is_empty()) {
        if ["Via:", "From:", "Call-ID:", "CSeq:"]
            .iter()
            .any(|name| line.starts_with(name))
        {
            answer += &format!("{line}\r\n");
        } else if line.starts_with("To:") {
            answer += &format!("{line};tag=answer\r\n");
        }
    }
    answer + "Content-Length: 0\r\n\r\n"
}
