//! The lab's DNS: Asterisk asks it for carriers' names, and reads no `/etc/hosts` for them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::lab::Lab;

/// A name server with these names; it ends when dropped.
#[derive(Debug)]
pub struct Names {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Names {
    /// Serves addresses of names to the programs of a lab. Before they start.
    pub fn serve(lab: &Lab, names: &[(&str, &str)]) -> Self {
        lab.write("resolv.conf", "nameserver 127.0.0.1\n");
        lab.put_over("resolv.conf", "/etc/resolv.conf");
        let names: BTreeMap<String, Ipv4Addr> = names
            .iter()
            .map(|(name, address)| {
                (
                    (*name).to_owned(),
                    address.parse().expect("an IPv4 address"),
                )
            })
            .collect();
        let socket = lab.udp("127.0.0.1:53");
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("a socket");
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let thread = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                answer(&socket, &names);
            }
        });
        Self {
            end,
            thread: Some(thread),
        }
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers one query (RFC 1035 4.1), if one comes: A records for the names that there are, and nothing for all else.
fn answer(socket: &UdpSocket, names: &BTreeMap<String, Ipv4Addr>) {
    let mut query = [0; 512];
    let Ok((length, client)) = socket.recv_from(&mut query) else {
        return;
    };
    let mut labels = Vec::new();
    let mut at = 12;
    while let Some(count) = query[..length]
        .get(at)
        .map(|count| usize::from(*count))
        .filter(|count| *count > 0)
    {
        let Some(label) = query[..length].get(at + 1..at + 1 + count) else {
            return;
        };
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += 1 + count;
    }
    // The root's empty label, type and class.
    let Some(question) = query[..length].get(12..at + 5) else {
        return;
    };
    let is_a = question.ends_with(&[0, 1, 0, 1]);
    let address = names.get(&labels.join("."));
    let found = address.filter(|_| is_a);
    let mut reply = query[..2].to_vec();
    // A response, authoritative, recursion available; 3: no such name.
    reply.extend([
        0x85,
        if address.is_some() { 0x80 } else { 0x83 },
        0,
        1,
        0,
        u8::from(found.is_some()),
        0,
        0,
        0,
        0,
    ]);
    reply.extend(question);
    if let Some(address) = found {
        // The name of the question, A, IN, a minute, four octets.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        reply.extend(address.octets());
    }
    let _ = socket.send_to(&reply, client);
}
