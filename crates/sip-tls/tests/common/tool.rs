//! The `openssl` program as the other end.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running `openssl`; it ends when dropped.
pub struct Tool(Child);

impl Tool {
    pub fn run(args: &[&str]) -> Tool {
        let child = Command::new("openssl")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Tool(child)
    }

    pub fn say(&mut self, bytes: &[u8]) {
        let stdin = self.0.stdin.as_mut().unwrap();
        stdin.write_all(bytes).unwrap();
        stdin.flush().unwrap();
    }

    /// Reads standard output until it has `needle`.
    pub fn hear(&mut self, needle: &str) -> String {
        let mut all = Vec::new();
        let mut reader = BufReader::new(self.0.stdout.as_mut().unwrap());
        while !String::from_utf8_lossy(&all).contains(needle) {
            let chunk = reader.fill_buf().unwrap();
            assert!(
                !chunk.is_empty(),
                "no {needle:?} in {}",
                String::from_utf8_lossy(&all)
            );
            let used = chunk.len();
            all.extend_from_slice(chunk);
            reader.consume(used);
        }
        String::from_utf8_lossy(&all).into_owned()
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `openssl s_server` with a certificate, its key and further options, listening by now.
pub fn s_server(cert: &Path, key: &Path, more: &[&str]) -> (Tool, SocketAddr) {
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let base = [
        "s_server",
        "-accept",
        "127.0.0.1:0",
        "-cert",
        cert,
        "-key",
        key,
    ];
    let mut tool = Tool::run(&[&base[..], more].concat());
    // It tells its port: `ACCEPT 127.0.0.1:PORT`.
    let mut said = String::new();
    loop {
        said += &tool.hear("\n");
        let port = |line: &str| {
            line.strip_prefix("ACCEPT ")?
                .strip_suffix('\n')?
                .parse()
                .ok()
        };
        if let Some(address) = said.split_inclusive('\n').find_map(port) {
            return (tool, address);
        }
    }
}
