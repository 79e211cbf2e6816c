//! OpenSSL's own tools.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

/// `openssl`, until it is dropped.
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
