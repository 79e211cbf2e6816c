//! What the tests share: certificates, a host that writes down what it is told, and an engine with its threads.
#![allow(dead_code)] // Each test file uses its part.

pub mod certs;
pub mod tool;

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use openssl::ssl::{SslConnector, SslContext, SslMethod, SslStream, SslVerifyMode};
use sip_tls::frame::{Fault, FaultKind};
use sip_tls::verify::PeerName;
use sip_tls::*;

pub use certs::{Cert, Dir, Spec};

/// Before it there are no tickets with a message, so none of TLS 1.3, and nobody tells the group of an exchange.
pub fn is_openssl_3() -> bool {
    openssl::version::number() >= 0x3000_0000
}

/// A limit that only a hang reaches.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub const OPTIONS: &[u8] =
    b"OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/TLS x\r\nContent-Length: 0\r\n\r\n";
pub const OK: &[u8] =
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

#[derive(Debug)]
pub enum Event {
    Accepted(Conn, Box<TlsInfo>),
    Connected(Box<TlsInfo>),
    Refused(SocketAddr, Reason),
    Message(Conn, Vec<u8>),
    Malformed(FaultKind, Place),
    WriteDone(u64, Result<(), Reason>),
    Closed(Conn, Reason),
    Listener(ListenerEvent),
    LoopFailed(Failed),
}

/// Which loop failed, why, how many connections it had, and when it starts again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub index: usize,
    pub error: String,
    pub connections: usize,
    pub pause: Duration,
}

/// At this message the recorder leaves an error in OpenSSL's queue, as a host does that uses OpenSSL itself.
pub const LITTER: &[u8] =
    b"OPTIONS sip:litter@example.com SIP/2.0\r\nVia: SIP/2.0/TLS x\r\nContent-Length: 0\r\n\r\n";

/// The recorder panics at this message.
pub const PANIC: &[u8] =
    b"OPTIONS sip:panic@example.com SIP/2.0\r\nVia: SIP/2.0/TLS x\r\nContent-Length: 0\r\n\r\n";

/// The recorder waits at this message until [`Recorder::held`] is free.
pub const HOLD: &[u8] =
    b"OPTIONS sip:hold@example.com SIP/2.0\r\nVia: SIP/2.0/TLS x\r\nContent-Length: 0\r\n\r\n";

/// Sends every callback into a channel. Answers each request with 200 if told to.
pub struct Recorder {
    events: Mutex<Sender<Event>>,
    pub answer: bool,
    pub quiet: bool,
    pub refuse: bool,
    /// So many starts of loops find no memory.
    pub failing_starts: AtomicUsize,
    /// The next `closed` panics.
    pub panic_when_closed: Arc<AtomicBool>,
    pub held: Arc<Mutex<()>>,
}

impl Recorder {
    fn tell(&self, event: Event) {
        let _ = self.events.lock().unwrap().send(event);
    }
}

impl Host for Recorder {
    type Listener = ();
    type Conn = Conn;
    type Local = ();

    fn local(&self, _: usize) -> std::io::Result<()> {
        let fewer = |left: usize| left.checked_sub(1);
        match self.failing_starts.fetch_update(SeqCst, SeqCst, fewer) {
            Ok(_) => Err(std::io::ErrorKind::OutOfMemory.into()),
            Err(_) => Ok(()),
        }
    }

    fn accepted(&self, (): &(), conn: &Conn, info: TlsInfo) -> Option<Conn> {
        self.tell(Event::Accepted(conn.clone(), Box::new(info)));
        (!self.refuse).then(|| conn.clone())
    }

    fn refused(&self, (): &(), remote: SocketAddr, reason: Reason) {
        self.tell(Event::Refused(remote, reason));
    }

    fn connected(&self, _: &Conn, info: TlsInfo) {
        self.tell(Event::Connected(Box::new(info)));
    }

    fn message(&self, (): &mut (), conn: &Conn, message: &[u8]) {
        if message == PANIC {
            for token in 1..=3 {
                conn.send(OK, token).unwrap();
            }
            panic!("the host was told to");
        }
        if message == HOLD {
            self.tell(Event::Message(conn.clone(), message.to_vec()));
            drop(self.held.lock().unwrap());
            return;
        }
        if message == LITTER {
            let mut context = SslContext::builder(SslMethod::tls()).unwrap();
            context.set_ca_file("/nonexistent").unwrap_err().put();
        }
        if self.answer {
            let _ = conn.send(OK, 0);
        }
        if !self.quiet {
            self.tell(Event::Message(conn.clone(), message.to_vec()));
        }
    }

    fn malformed(&self, _: &Conn, fault: &Fault<'_>) {
        self.tell(Event::Malformed(fault.kind, fault.place));
    }

    fn write_done(&self, _: &Conn, token: u64, result: Result<(), Reason>) {
        if !self.quiet {
            self.tell(Event::WriteDone(token, result));
        }
    }

    fn closed(&self, conn: &Conn, reason: Reason) {
        self.tell(Event::Closed(conn.clone(), reason));
        assert!(!self.panic_when_closed.swap(false, SeqCst), "deliberate");
    }

    fn listener_event(&self, (): &(), event: ListenerEvent) {
        self.tell(Event::Listener(event));
    }

    fn loop_failed(&self, failure: &LoopFailure) {
        self.tell(Event::LoopFailed(Failed {
            index: failure.index,
            error: failure.error.to_string(),
            connections: failure.connections,
            pause: failure.pause,
        }));
    }
}

pub struct Engine {
    pub pool: Pool<Recorder>,
    pub events: Receiver<Event>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    pub fn new() -> Engine {
        Engine::with(PoolConfig::default(), |_| {})
    }

    pub fn with(config: PoolConfig, tune: impl FnOnce(&mut Recorder)) -> Engine {
        let (mut engine, loops) = Engine::make(config, tune);
        engine.threads = loops
            .into_iter()
            .map(|io| std::thread::spawn(move || io.run()))
            .collect();
        engine
    }

    /// Whose loops wait for their threads.
    pub fn unstarted(config: PoolConfig) -> (Engine, Vec<IoLoop<Recorder>>) {
        Engine::make(config, |_| {})
    }

    fn make(
        config: PoolConfig,
        tune: impl FnOnce(&mut Recorder),
    ) -> (Engine, Vec<IoLoop<Recorder>>) {
        let (sender, events) = channel();
        let mut recorder = Recorder {
            events: Mutex::new(sender),
            answer: false,
            quiet: false,
            refuse: false,
            failing_starts: AtomicUsize::new(0),
            panic_when_closed: Arc::default(),
            held: Arc::default(),
        };
        tune(&mut recorder);
        let (pool, loops) = Pool::new(Arc::new(recorder), config).unwrap();
        let engine = Engine {
            pool,
            events,
            threads: Vec::new(),
        };
        (engine, loops)
    }

    pub fn listen(&self, profile: &ProfileConfig) -> Listener<()> {
        self.listen_at("127.0.0.1:0", profile, SocketOptions::default())
    }

    pub fn listen_at(
        &self,
        at: &str,
        profile: &ProfileConfig,
        options: SocketOptions,
    ) -> Listener<()> {
        let config = ListenerConfig {
            address: at.parse().unwrap(),
            profile: load(profile),
            options,
        };
        self.pool.listen(config, ()).unwrap()
    }

    pub fn connect(&self, remote: SocketAddr, name: &str, profile: &ProfileConfig) -> Conn {
        let target = Target {
            remote,
            local: None,
            name: PeerName::parse(name),
            profile: load(profile),
            options: SocketOptions::default(),
        };
        self.pool.connect(target, Clone::clone).unwrap()
    }

    /// The next event.
    pub fn next(&self) -> Event {
        self.events
            .recv_timeout(PATIENCE)
            .expect("something should have happened")
    }

    /// Waits for an event that `pick` takes; the others are dropped.
    pub fn until<T>(&self, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(event) => {
                    if let Some(found) = pick(event) {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!(
                        "what was waited for did not happen; counts {:?}",
                        self.pool.counts()
                    )
                }
            }
        }
    }

    /// Waits until the engine's counts are as `is` wants them.
    pub fn wait_for(&self, what: &str, is: impl Fn(&Counts) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is(&self.pool.counts()) {
            assert!(
                Instant::now() < end,
                "waited {PATIENCE:?} in vain for {what}; counts {:?}",
                self.pool.counts()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn accepted(&self) -> (Conn, TlsInfo) {
        self.until(|event| match event {
            Event::Accepted(conn, info) => Some((conn, *info)),
            Event::Refused(_, reason) => panic!("refused: {reason:?} {reason}"),
            _ => None,
        })
    }

    pub fn refused(&self) -> Reason {
        self.until(|event| match event {
            Event::Refused(_, reason) => Some(reason),
            Event::Accepted(..) => panic!("accepted"),
            _ => None,
        })
    }

    pub fn connected(&self) -> TlsInfo {
        self.until(|event| match event {
            Event::Connected(info) => Some(*info),
            Event::Closed(_, reason) => panic!("closed: {reason:?} {reason}"),
            _ => None,
        })
    }

    /// How an outgoing connection failed before it was established.
    pub fn failed(&self) -> Reason {
        self.until(|event| match event {
            Event::Closed(_, reason) => Some(reason),
            Event::Connected(_) => panic!("connected"),
            _ => None,
        })
    }

    pub fn closed(&self) -> Reason {
        self.until(|event| match event {
            Event::Closed(_, reason) => Some(reason),
            _ => None,
        })
    }

    pub fn loop_failed(&self) -> Failed {
        self.until(|event| match event {
            Event::LoopFailed(failed) => Some(failed),
            _ => None,
        })
    }

    pub fn message(&self) -> Vec<u8> {
        self.until(|event| match event {
            Event::Message(_, message) => Some(message),
            Event::Closed(_, reason) => panic!("closed: {reason}"),
            _ => None,
        })
    }

    /// Shuts down, and hands out what is left to hear.
    pub fn finish(mut self) -> Vec<Event> {
        self.pool.shutdown();
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
        self.events.try_iter().collect()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.pool.shutdown();
        for thread in self.threads.drain(..) {
            let joined = thread.join();
            assert!(joined.is_ok() || std::thread::panicking());
        }
    }
}

pub fn load(config: &ProfileConfig) -> Arc<Profile> {
    Arc::new(Profile::load(config).unwrap().0)
}

/// A client that takes any certificate.
pub fn client(address: SocketAddr) -> SslStream<TcpStream> {
    let mut connector = SslConnector::builder(SslMethod::tls()).unwrap();
    connector.set_verify(SslVerifyMode::NONE);
    connector
        .build()
        .connect("sip.example.com", TcpStream::connect(address).unwrap())
        .unwrap()
}

pub fn hear(client: &mut SslStream<TcpStream>, expected: &[u8]) {
    let mut got = vec![0; expected.len()];
    client.read_exact(&mut got).unwrap();
    assert_eq!(got, expected);
}

/// A private CA with a good server certificate, and the profiles that go with them.
pub struct Pki {
    pub dir: Dir,
    pub ca: Cert,
    /// `ca_list_file`
    pub ca_file: std::path::PathBuf,
}

impl Pki {
    pub fn new() -> Pki {
        let dir = Dir::new();
        let ca = Cert::ca("Test CA");
        let (ca_file, _) = ca.write(&dir, "ca");
        Pki { dir, ca, ca_file }
    }

    /// A profile with a certificate of this CA.
    pub fn server(&self, spec: &Spec) -> ProfileConfig {
        self.own(&Cert::make(spec, Some(&self.ca)))
    }

    pub fn own(&self, cert: &Cert) -> ProfileConfig {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (cert_file, priv_key_file) = cert.write(&self.dir, &format!("own{number}"));
        ProfileConfig {
            cert_file: Some(cert_file),
            priv_key_file: Some(priv_key_file),
            ..ProfileConfig::default()
        }
    }

    /// A profile without a certificate that verifies servers by this CA.
    pub fn client(&self) -> ProfileConfig {
        ProfileConfig {
            ca_list_file: Some(self.ca_file.clone()),
            verify_server: true,
            ..ProfileConfig::default()
        }
    }
}

/// One handshake between two of our own engines; what the server and the client end say.
pub fn meet(
    server: &ProfileConfig,
    client: &ProfileConfig,
    name: &str,
) -> (Result<TlsInfo, Reason>, Result<TlsInfo, Reason>) {
    let ours = Engine::new();
    let theirs = Engine::new();
    let listener = ours.listen(server);
    theirs.connect(listener.address(), name, client);
    let client_side = theirs.until(|event| match event {
        Event::Connected(info) => Some(Ok(*info)),
        Event::Closed(_, reason) => Some(Err(reason)),
        _ => None,
    });
    let server_side = ours.until(|event| match event {
        Event::Accepted(_, info) => Some(Ok(*info)),
        Event::Refused(_, reason) => Some(Err(reason)),
        _ => None,
    });
    (server_side, client_side)
}

/// A revocation list of the CA, which names this certificate.
pub fn revocation_list(
    pki: &Pki,
    name: &str,
    revoked: Option<&openssl::x509::X509>,
) -> std::path::PathBuf {
    let dir = pki.dir.path();
    let index = revoked.map_or_else(String::new, |revoked| {
        let serial = revoked
            .serial_number()
            .to_bn()
            .unwrap()
            .to_hex_str()
            .unwrap();
        format!("R\t301231235959Z\t200101000000Z\t{serial}\tunknown\t/CN=x\n")
    });
    let index = pki.dir.write(&format!("{name}.index"), index.as_bytes());
    let section = format!(
        "[ca]\ndefault_ca=a\n[a]\ndatabase={}\ndefault_md=sha256\ndefault_crl_days=30\n",
        index.display()
    );
    let conf = pki.dir.write(&format!("{name}.cnf"), section.as_bytes());
    let out = dir.join(format!("{name}.crl"));
    make(
        std::process::Command::new("openssl")
            .args(["ca", "-gencrl", "-config"])
            .arg(&conf)
            .arg("-keyfile")
            .arg(dir.join("ca.key"))
            .arg("-cert")
            .arg(dir.join("ca.pem"))
            .arg("-out")
            .arg(&out),
    );
    out
}

/// Runs a command that must succeed.
pub fn make(command: &mut std::process::Command) {
    let made = command.output().unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}
