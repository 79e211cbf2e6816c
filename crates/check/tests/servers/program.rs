//! Servers that are programs of others: started, waited for, and ended.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use crate::case::PATIENCE;
use crate::pki::Dir;

/// A running server; it ends with this value.
pub struct Program {
    child: Child,
    pub address: SocketAddr,
    /// By SIGTERM: it has children.
    pub is_asked_to_end: bool,
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.is_asked_to_end {
            let _ = Command::new("kill")
                .arg(self.child.id().to_string())
                .status();
        } else {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// A port that is free, and the next one too, which baresip takes besides. It is below those that the system gives to outgoing
/// connections: of them one could be taken until the program listens.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    /// How many processes have ports of their own, and how many each.
    const PROCESSES: u32 = 250;
    const EACH: u16 = 80;
    let of_process = u16::try_from(std::process::id() % PROCESSES).expect("it is below it") * EACH;
    loop {
        let step = NEXT.fetch_add(2, Ordering::Relaxed);
        assert!(step < EACH, "no free port");
        let port = 10_000 + of_process + step;
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(port) && is_free(port + 1) {
            return port;
        }
    }
}

/// A tool of this machine's.
pub fn tool(name: &str) -> Command {
    let path = ["/usr/bin", "/usr/sbin", "/usr/local/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists());
    Command::new(path.unwrap_or_else(|| {
        panic!("{name} is not there: make test installs it (gnutls-bin, libnss3-tools, python3)")
    }))
}

/// Debian's root of the host tests.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build/root");
    root.canonicalize()
        .expect("build/root is not there: run make root")
}

/// A program of that root, with the root's own libraries, without its being root.
pub fn rooted(name: &str) -> Command {
    let root = root();
    let libraries = root.join("usr/lib");
    let mut found: Vec<PathBuf> = std::fs::read_dir(&libraries)
        .expect("libraries")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("libc.so.6").exists())
        .collect();
    found.push(libraries);
    let loader = std::fs::read_dir(root.join("usr/lib64"))
        .or_else(|_| std::fs::read_dir(root.join("usr/lib")))
        .expect("a loader")
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("ld-linux"))
        })
        .expect("a loader");
    let loader = follow(&root, loader);
    let mut command = Command::new(loader);
    command
        .arg("--library-path")
        .arg(std::env::join_paths(found).expect("paths"))
        .arg(root.join("usr/bin").join(name));
    command
}

/// A link in the root that may be absolute, as seen from inside.
fn follow(root: &Path, path: PathBuf) -> PathBuf {
    match std::fs::read_link(&path) {
        Ok(target) if target.is_absolute() => {
            root.join(target.strip_prefix("/").expect("absolute"))
        }
        _ => path,
    }
}

impl Program {
    /// Starts it and waits until `port` answers.
    pub fn start(mut command: Command, port: u16, log: &Dir) -> Program {
        let file = log.path().join(format!("{port}.log"));
        let out = File::create(&file).expect("a file");
        command
            .stdin(Stdio::piped())
            .stdout(out.try_clone().expect("a file"))
            .stderr(out);
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            let log = || std::fs::read_to_string(&file).unwrap_or_default();
            if let Ok(Some(status)) = child.try_wait() {
                panic!("{command:?} ended with {status}: {}", log());
            }
            assert!(
                Instant::now() < end,
                "{command:?} does not listen at {port}: {}",
                log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Program {
            child,
            address,
            is_asked_to_end: false,
        }
    }
}
