//! What the tests share: certificates, a host that writes down what it is told, and an engine with its threads.
#![allow(dead_code)] // Each test file uses its part.

pub mod certs;

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sip_tls::verify::PeerName;
use sip_tls::*;

pub use certs::{Cert, Dir, Spec};

/// The limit of every wait. Only what hangs reaches it, however busy the machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

pub const OPTIONS: &[u8] =
    b"OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/TLS x\r\nContent-Length: 0\r\n\r\n";
pub const OK: &[u8] = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS x\r\nContent-Length: 0\r\n\r\n";

#[derive(Debug)]
pub enum Event {
    Accepted(Conn, Box<TlsInfo>),
    Connected(Box<TlsInfo>),
    Refused(SocketAddr, Reason),
    Message(Conn, Vec<u8>),
    WriteDone(u64, Result<(), Reason>),
    Closed(Conn, Reason),
    Listener(ListenerEvent),
}

/// Sends every callback into a channel. Answers each request with 200 if told to.
pub struct Recorder {
    events: Mutex<Sender<Event>>,
    pub answer: bool,
    pub quiet: bool,
    pub refuse: bool,
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

    fn accepted(&self, (): &mut (), (): &(), conn: &Conn, info: TlsInfo) -> Option<Conn> {
        self.tell(Event::Accepted(conn.clone(), Box::new(info)));
        (!self.refuse).then(|| conn.clone())
    }

    fn refused(&self, (): &mut (), (): &(), remote: SocketAddr, reason: Reason) {
        self.tell(Event::Refused(remote, reason));
    }

    fn connected(&self, (): &mut (), _: &Conn, info: TlsInfo) {
        self.tell(Event::Connected(Box::new(info)));
    }

    fn message(&self, (): &mut (), conn: &Conn, message: &[u8]) {
        if self.answer {
            let _ = conn.send(OK, 0);
        }
        if !self.quiet {
            self.tell(Event::Message(conn.clone(), message.to_vec()));
        }
    }

    fn write_done(&self, (): &mut (), _: &Conn, token: u64, result: Result<(), Reason>) {
        if !self.quiet {
            self.tell(Event::WriteDone(token, result));
        }
    }

    fn closed(&self, (): &mut (), conn: &Conn, reason: Reason) {
        self.tell(Event::Closed(conn.clone(), reason));
    }

    fn listener_event(&self, (): &mut (), (): &(), event: ListenerEvent) {
        self.tell(Event::Listener(event));
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
        let (sender, events) = channel();
        let mut recorder = Recorder {
            events: Mutex::new(sender),
            answer: false,
            quiet: false,
            refuse: false,
        };
        tune(&mut recorder);
        let (pool, loops) = Pool::new(Arc::new(recorder), config).unwrap();
        let threads = loops
            .into_iter()
            .map(|io| std::thread::spawn(move || io.run(&mut ()).unwrap()))
            .collect();
        Engine {
            pool,
            events,
            threads,
        }
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
