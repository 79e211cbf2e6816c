//! One question to the name servers (RFC 1035), over UDP, and over TCP where the answer is too long.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::tls::wait;
use simple_dns::rdata::RData;
use simple_dns::{
    CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE,
};

/// RFC 1035 4.2
const PORT: u16 = 53;
/// How often a server is asked that does not answer.
const TRIES: u32 = 2;
/// CNAMEs that are followed.
const CHAIN: usize = 8;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The name does not exist (NXDOMAIN).
    UnknownName,
    /// A server answered with another failure.
    Failed(String),
    /// None answered.
    NoAnswer(String),
}

/// A record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    Address(IpAddr),
    Srv {
        priority: u16,
        weight: u16,
        port: u16,
        target: String,
    },
    Naptr {
        order: u16,
        preference: u16,
        flags: String,
        service: String,
        replacement: String,
    },
}

/// Whom to ask.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    servers: Vec<SocketAddr>,
    timeout: Duration,
    end: Option<Instant>,
}

impl Client {
    /// `server`, or those of `/etc/resolv.conf`; each question has `timeout`, and all of them have until `end`.
    pub(crate) fn new(
        server: Option<SocketAddr>,
        timeout: Duration,
        end: Option<Instant>,
    ) -> Client {
        let servers = match server {
            Some(server) => vec![server],
            None => servers_of(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default()),
        };
        Client {
            servers,
            timeout,
            end,
        }
    }

    /// The records of this type that `name` has; none if it exists without any.
    pub(crate) fn ask(&self, name: &str, kind: TYPE) -> Result<Vec<Record>, Trouble> {
        let mut last = Trouble::NoAnswer("there is none in /etc/resolv.conf".to_owned());
        let end = Instant::now() + wait(self.timeout, self.end);
        for attempt in 1..=TRIES {
            for (i, server) in self.servers.iter().enumerate() {
                // What is left is shared by those who have not been asked.
                let rest = self.servers.len() as u32 * (TRIES - attempt + 1) - i as u32;
                let left = end.saturating_duration_since(Instant::now()) / rest;
                match exchange(*server, name, kind, left.max(Duration::from_millis(50))) {
                    Ok(Ok(records)) => return Ok(records),
                    Ok(Err(Trouble::UnknownName)) => return Err(Trouble::UnknownName),
                    Ok(Err(trouble)) => last = trouble,
                    Err(error) => {
                        if !matches!(last, Trouble::Failed(_)) {
                            last = Trouble::NoAnswer(format!("{server}: {error}"));
                        }
                    }
                }
            }
        }
        Err(last)
    }
}

/// `nameserver ADDRESS` lines; at most three count (resolv.conf(5)).
fn servers_of(text: &str) -> Vec<SocketAddr> {
    text.lines()
        .filter_map(|line| {
            line.trim()
                .strip_prefix("nameserver")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .map(|address: IpAddr| SocketAddr::new(address, PORT))
        .take(3)
        .collect()
}

fn exchange(
    server: SocketAddr,
    name: &str,
    kind: TYPE,
    timeout: Duration,
) -> std::io::Result<Result<Vec<Record>, Trouble>> {
    let mut seed = [0; 2];
    openssl::rand::rand_bytes(&mut seed).map_err(std::io::Error::other)?;
    let id = u16::from_ne_bytes(seed);
    let invalid = |error: simple_dns::SimpleDnsError| std::io::Error::other(error.to_string());
    let mut query = Packet::new_query(id);
    query.set_flags(PacketFlag::RECURSION_DESIRED);
    query.questions.push(Question::new(
        Name::new(name).map_err(invalid)?,
        QTYPE::TYPE(kind),
        QCLASS::CLASS(CLASS::IN),
        false,
    ));
    let query = query.build_bytes_vec().map_err(invalid)?;

    let local: SocketAddr = if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(local)?;
    socket.connect(server)?;
    socket.send(&query)?;
    let end = Instant::now() + timeout;
    let mut buffer = vec![0; 65_535];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let count = match socket.recv(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                return Err(std::io::ErrorKind::TimedOut.into());
            }
            Err(error) => return Err(error),
        };
        // Somebody else's.
        let Ok(reply) = Packet::parse(&buffer[..count]) else {
            continue;
        };
        if reply.id() != id || !reply.has_flags(PacketFlag::RESPONSE) {
            continue;
        }
        if reply.has_flags(PacketFlag::TRUNCATION) {
            let whole = over_tcp(server, &query, end)?;
            let reply = Packet::parse(&whole).map_err(invalid)?;
            return Ok(read(&reply, name, kind));
        }
        return Ok(read(&reply, name, kind));
    }
}

/// RFC 1035 4.2.2: two octets of length before each message.
fn over_tcp(server: SocketAddr, query: &[u8], end: Instant) -> std::io::Result<Vec<u8>> {
    let left = || {
        end.saturating_duration_since(Instant::now())
            .max(Duration::from_millis(50))
    };
    let mut tcp = TcpStream::connect_timeout(&server, left())?;
    tcp.set_read_timeout(Some(left()))?;
    tcp.set_write_timeout(Some(left()))?;
    let length = u16::try_from(query.len()).map_err(std::io::Error::other)?;
    tcp.write_all(&length.to_be_bytes())?;
    tcp.write_all(query)?;
    let mut length = [0; 2];
    tcp.read_exact(&mut length)?;
    let mut reply = vec![0; u16::from_be_bytes(length).into()];
    tcp.read_exact(&mut reply)?;
    Ok(reply)
}

fn read(reply: &Packet<'_>, name: &str, kind: TYPE) -> Result<Vec<Record>, Trouble> {
    match reply.rcode() {
        RCODE::NoError => {}
        RCODE::NameError => return Err(Trouble::UnknownName),
        other => return Err(Trouble::Failed(format!("{other:?}"))),
    }
    let mut name = name.to_owned();
    for _ in 0..CHAIN {
        let of_name =
            |record: &&ResourceRecord<'_>| record.name.to_string().eq_ignore_ascii_case(&name);
        let found: Vec<Record> = reply
            .answers
            .iter()
            .filter(of_name)
            .filter_map(|record| record_of(record, kind))
            .collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let alias = reply
            .answers
            .iter()
            .filter(of_name)
            .find_map(|record| match &record.rdata {
                RData::CNAME(alias) => Some(alias.0.to_string()),
                _ => None,
            });
        match alias {
            Some(alias) => name = alias,
            None => break,
        }
    }
    Ok(Vec::new())
}

fn record_of(record: &ResourceRecord<'_>, kind: TYPE) -> Option<Record> {
    Some(match (&record.rdata, kind) {
        (RData::A(a), TYPE::A) => Record::Address(Ipv4Addr::from(a.address).into()),
        (RData::AAAA(aaaa), TYPE::AAAA) => Record::Address(Ipv6Addr::from(aaaa.address).into()),
        (RData::SRV(srv), TYPE::SRV) => Record::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: srv.target.to_string(),
        },
        (RData::NAPTR(naptr), TYPE::NAPTR) => Record::Naptr {
            order: naptr.order,
            preference: naptr.preference,
            flags: naptr.flags.to_string(),
            service: naptr.services.to_string(),
            replacement: naptr.replacement.to_string(),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_of_resolv_conf() {
        let text = "# a comment\nsearch example.com\nnameserver 192.0.2.1\n nameserver  2001:db8::1 # second\nnameserver fe80::1%eth0\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n";
        let found: Vec<String> = servers_of(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.3:53"]);
    }

    #[test]
    fn an_answer_is_followed_through_aliases() {
        let mut reply = Packet::new_reply(1);
        let name = |name: &'static str| Name::new(name).expect("a name");
        let record = |owner, rdata| ResourceRecord::new(owner, CLASS::IN, 60, rdata);
        reply.answers.push(record(
            name("sip.example.com"),
            RData::CNAME(simple_dns::rdata::CNAME(name("edge.example.net"))),
        ));
        reply.answers.push(record(
            name("Edge.example.net"),
            RData::A(simple_dns::rdata::A {
                address: 0xc000_0201,
            }),
        ));
        reply.answers.push(record(
            name("other.example.net"),
            RData::A(simple_dns::rdata::A {
                address: 0xc000_0202,
            }),
        ));
        let address = Record::Address([192, 0, 2, 1].into());
        assert_eq!(read(&reply, "sip.example.com", TYPE::A), Ok(vec![address]));
        assert_eq!(read(&reply, "sip.example.com", TYPE::AAAA), Ok(vec![]));
        assert_eq!(read(&reply, "none.example.com", TYPE::A), Ok(vec![]));
        *reply.rcode_mut() = RCODE::NameError;
        assert_eq!(
            read(&reply, "sip.example.com", TYPE::A),
            Err(Trouble::UnknownName)
        );
        *reply.rcode_mut() = RCODE::ServerFailure;
        assert!(matches!(
            read(&reply, "sip.example.com", TYPE::A),
            Err(Trouble::Failed(_))
        ));
    }
}
