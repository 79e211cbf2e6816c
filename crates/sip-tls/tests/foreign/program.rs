//! The programs at the other end.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::common::{Cert, Pki};

/// A program, until it is dropped.
pub struct Tool(Child);

impl Tool {
    pub fn run(name: &str, args: &[&str]) -> Self {
        let child = Command::new(name)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap_or_else(|error| panic!("{name}: {error}; make test installs it")))
    }

    pub fn say(&mut self, octets: &[u8]) {
        self.0.stdin.as_mut().unwrap().write_all(octets).unwrap();
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `peer.py`, which says what it can.
pub struct Python {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Python {
    pub fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign/peer.py");
        let mut child = Command::new("python3")
            .args(["-W", "ignore", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3: make test installs it");
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said }
    }

    fn tell(&mut self, role: &str, act: &str, port: Option<u16>, files: &[&Path]) {
        let mut line = format!("{role} {act}");
        line.extend(port.map(|port| format!(" {port}")));
        line.extend(files.iter().map(|file| format!(" {}", file.display())));
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// A client of ours at this address.
    pub fn client(&mut self, act: &str, address: SocketAddr, files: &[&Path]) {
        self.tell("client", act, Some(address.port()), files);
    }

    /// Whoever waits does so no longer.
    pub fn go_on(&mut self) {
        self.tell("go", "on", None, &[]);
    }

    /// A server, and where it is. `files`: its certificate and key.
    pub fn server(&mut self, act: &str, files: &[&Path]) -> SocketAddr {
        self.tell("server", act, None, files);
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        format!("127.0.0.1:{}", line.trim())
            .parse()
            .expect("a port")
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A list of the CA's, with this certificate in it (`openssl ca -gencrl`).
pub fn revocation_list(pki: &Pki, revoked: &Cert) -> PathBuf {
    let folder = pki.dir.path();
    let serial = revoked.x509.serial_number().to_bn().unwrap();
    let index = format!(
        "R\t491231235959Z\t240101000000Z\t{}\tunknown\t/CN=phone\n",
        serial.to_hex_str().unwrap()
    );
    pki.dir.write("index.txt", index.as_bytes());
    let (ca, key) = pki.ca.write(&pki.dir, "issuer");
    let settings = format!(
        "[ca]\ndefault_ca = own\n[own]\ndatabase = {}/index.txt\ndefault_md = sha256\ndefault_crl_days = 30\n",
        folder.display()
    );
    let settings = pki.dir.write("ca.cnf", settings.as_bytes());
    let list = folder.join("crl.pem");
    let made = Command::new("openssl")
        .args(["ca", "-gencrl", "-config"])
        .arg(settings)
        .arg("-cert")
        .arg(ca)
        .arg("-keyfile")
        .arg(key)
        .arg("-out")
        .arg(&list)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    list
}
