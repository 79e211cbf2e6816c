//! The PROXY protocol, versions 1 and 2: what a balancer says before a connection's first octet about who the client is.
//!
//! By "The PROXY protocol, Versions 1 & 2" of HAProxy (2020/03/05); sections are that document's. It parses; it has no socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Octets of a header at the most: 16 of version 2 and what its length says, of which this much is room for addresses and TLVs. A
/// header of HAProxy's with all its TLVs has a few hundred.
pub const MAX_HEADER: usize = 4096;
/// The longest line of version 1, with its CRLF (2.1).
const MAX_LINE: usize = 107;
/// How version 1 begins.
const LINE: &[u8] = b"PROXY ";
/// How version 2 begins (2.2).
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and protocol, length.
const FIXED: usize = SIGNATURE.len() + 4;

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// The balancer's own: its health check (`LOCAL`).
    Balancer,
    /// One of which it knows nothing (`UNKNOWN`).
    Unknown,
    /// A client's, with this address.
    At(SocketAddr),
}

/// What the octets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of a header.
    Partial,
    /// A header of so many octets. TLS begins behind it.
    Header(usize, Client),
    /// No header, or not one of a TCP connection.
    Invalid,
}

/// Whether octets from a peer's beginning are, or may become, a PROXY protocol header. `PROXY` and four octets of version 2 are nothing
/// that TLS or SIP begins with.
#[must_use]
pub fn begins_one(bytes: &[u8]) -> bool {
    const ENOUGH: usize = 5;
    let begins = |with: &[u8]| {
        let count = bytes.len().min(with.len());
        count >= ENOUGH && bytes[..count] == with[..count]
    };
    begins(LINE) || begins(SIGNATURE)
}

/// Reads a header from a connection's first octets.
#[must_use]
pub fn parse(bytes: &[u8]) -> Parsed {
    if is_or_begins(bytes, SIGNATURE) {
        binary(bytes)
    } else if is_or_begins(bytes, LINE) {
        line(bytes)
    } else {
        Parsed::Invalid
    }
}

fn is_or_begins(bytes: &[u8], with: &[u8]) -> bool {
    let count = bytes.len().min(with.len());
    bytes[..count] == with[..count]
}

/// Version 1 (2.1): `PROXY TCP4 192.0.2.1 198.51.100.7 51000 5061` and CRLF.
fn line(bytes: &[u8]) -> Parsed {
    let head = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = head.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < MAX_LINE {
            Parsed::Partial
        } else {
            Parsed::Invalid
        };
    };
    let client = std::str::from_utf8(&head[LINE.len().min(end)..end])
        .ok()
        .and_then(client_of_line);
    client.map_or(Parsed::Invalid, |client| Parsed::Header(end + 2, client))
}

fn client_of_line(fields: &str) -> Option<Client> {
    // What is behind UNKNOWN is to be ignored.
    if fields == "UNKNOWN" || fields.starts_with("UNKNOWN ") {
        return Some(Client::Unknown);
    }
    let fields: Vec<&str> = fields.split(' ').collect();
    let [family, source, destination, source_port, destination_port] = fields[..] else {
        return None;
    };
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::from),
            _ => None,
        }
    };
    address(destination)?;
    port(destination_port)?;
    Some(Client::At(SocketAddr::new(
        address(source)?,
        port(source_port)?,
    )))
}

/// Without a sign and without zeros before it (2.1).
fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|octet| octet.is_ascii_digit());
    let has_zeros = text.len() > 1 && text.starts_with('0');
    text.parse().ok().filter(|_| is_plain && !has_zeros)
}

/// Version 2 (2.2).
fn binary(bytes: &[u8]) -> Parsed {
    const VERSION: u8 = 0x20;
    const LOCAL: u8 = 0;
    const PROXY: u8 = 1;
    const UNSPECIFIED: u8 = 0x00;
    const TCP_OVER_IPV4: u8 = 0x11;
    const TCP_OVER_IPV6: u8 = 0x21;
    const IPV4: usize = 12;
    const IPV6: usize = 36;
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else {
        return Parsed::Partial;
    };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let size = match family {
        TCP_OVER_IPV4 => IPV4,
        TCP_OVER_IPV6 => IPV6,
        _ => 0,
    };
    let is_known = match command {
        // The family and what is behind are to be ignored.
        _ if command == VERSION | LOCAL => true,
        _ if command == VERSION | PROXY => (family == UNSPECIFIED || size > 0) && length >= size,
        _ => false,
    };
    if !is_known || FIXED + length > MAX_HEADER {
        return Parsed::Invalid;
    }
    let Some(body) = rest.get(..length) else {
        return Parsed::Partial;
    };
    let client = match (command & 0x0f, family) {
        (PROXY, TCP_OVER_IPV4) => source::<4>(body, 8).map(|(ip, port)| (ip.into(), port)),
        (PROXY, TCP_OVER_IPV6) => source::<16>(body, 32).map(|(ip, port)| (ip.into(), port)),
        _ => None,
    };
    let client = match client {
        Some((ip, port)) => Client::At(SocketAddr::new(ip, port)),
        None if command & 0x0f == LOCAL => Client::Balancer,
        None => Client::Unknown,
    };
    Parsed::Header(FIXED + length, client)
}

/// The source's address, which the body begins with, and its port.
fn source<const N: usize>(body: &[u8], port: usize) -> Option<([u8; N], u16)> {
    let address = *body.first_chunk::<N>()?;
    let port = *body.get(port..)?.first_chunk::<2>()?;
    Some((address, u16::from_be_bytes(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        let mut header = SIGNATURE.to_vec();
        header.extend([command, family, length[0], length[1]]);
        header.extend(body);
        header
    }

    fn at(text: &str) -> Client {
        Client::At(text.parse().unwrap())
    }

    /// Addresses and ports of two ends.
    fn v4() -> Vec<u8> {
        let mut body = vec![192, 0, 2, 1, 198, 51, 100, 7];
        body.extend(51000_u16.to_be_bytes());
        body.extend(5061_u16.to_be_bytes());
        body
    }

    fn v6() -> Vec<u8> {
        let mut body: Vec<u8> = "2001:db8::1".parse::<Ipv6Addr>().unwrap().octets().into();
        body.extend("2001:db8::2".parse::<Ipv6Addr>().unwrap().octets());
        body.extend(51000_u16.to_be_bytes());
        body.extend(5061_u16.to_be_bytes());
        body
    }

    fn good() -> Vec<(Vec<u8>, Client)> {
        let with_tlvs = [v4(), vec![0x04, 0, 3, 1, 2, 3]].concat();
        vec![
            (
                b"PROXY TCP4 192.0.2.1 198.51.100.7 51000 5061\r\n".to_vec(),
                at("192.0.2.1:51000"),
            ),
            (
                b"PROXY TCP6 2001:db8::1 2001:db8::2 51000 5061\r\n".to_vec(),
                at("[2001:db8::1]:51000"),
            ),
            (
                b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n".to_vec(),
                at("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), Client::Unknown),
            (
                b"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n".to_vec(),
                Client::Unknown,
            ),
            (v2(0x21, 0x11, &v4()), at("192.0.2.1:51000")),
            (v2(0x21, 0x11, &with_tlvs), at("192.0.2.1:51000")),
            (v2(0x21, 0x21, &v6()), at("[2001:db8::1]:51000")),
            (v2(0x20, 0x00, &[]), Client::Balancer),
            (v2(0x20, 0x11, &v4()), Client::Balancer),
            (v2(0x21, 0x00, &[]), Client::Unknown),
        ]
    }

    #[test]
    fn headers_are_read_whole_and_split_at_every_octet() {
        for (header, client) in good() {
            let whole = Parsed::Header(header.len(), client);
            assert_eq!(parse(&header), whole, "{}", header.escape_ascii());
            // TLS is behind it, at once.
            let with_more = [header.as_slice(), b"\x16\x03\x01"].concat();
            assert_eq!(parse(&with_more), whole);
            for at in 0..header.len() {
                assert_eq!(
                    parse(&header[..at]),
                    Parsed::Partial,
                    "{} of {}",
                    at,
                    header.escape_ascii()
                );
            }
            assert!(begins_one(&header));
        }
    }

    #[test]
    fn what_is_no_header_is_none() {
        let long = vec![0; MAX_HEADER];
        let mut endless = b"PROXY TCP4 ".to_vec();
        endless.resize(MAX_LINE, b'1');
        let bad: Vec<Vec<u8>> = vec![
            b"\x16\x03\x01\x02\x00\x01".to_vec(),
            b"OPTIONS sip:a SIP/2.0\r\n".to_vec(),
            b"PROXX".to_vec(),
            b"\r\n\r\n\0\r\nQUIT\r".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.7 51000\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.7 51000 5061 1\r\n".to_vec(),
            b"PROXY TCP4  192.0.2.1 198.51.100.7 51000 5061\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 2001:db8::2 51000 5061\r\n".to_vec(),
            b"PROXY TCP6 192.0.2.1 198.51.100.7 51000 5061\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.7 65536 5061\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.7 051 5061\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.7 +51 5061\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 nowhere 51 5061\r\n".to_vec(),
            b"PROXY UDP4 192.0.2.1 198.51.100.7 51000 5061\r\n".to_vec(),
            b"PROXY UNKNOWNS\r\n".to_vec(),
            b"PROXY \r\n".to_vec(),
            endless,
            // Another version, another command, UDP, a path, and addresses that are cut.
            v2(0x31, 0x11, &v4()),
            v2(0x22, 0x11, &v4()),
            v2(0x21, 0x12, &v4()),
            v2(0x21, 0x31, &[0; 216]),
            v2(0x21, 0x11, &v4()[..11]),
            v2(0x21, 0x21, &v4()),
            v2(0x21, 0x11, &long),
            v2(0x20, 0x00, &long),
        ];
        for bytes in bad {
            assert_eq!(parse(&bytes), Parsed::Invalid, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_begins_one_is_told_from_tls_and_sip() {
        for (bytes, begins) in [
            (&b"PROXY TCP4 1"[..], true),
            (b"PROXY", true),
            (b"PROX", false),
            (b"\r\n\r\n\0\r\nQUI", true),
            (b"\r\n\r\nOPTIONS", false),
            (b"\r\n\r\n", false),
            (b"\x16\x03\x01\x00\x05", false),
        ] {
            assert_eq!(begins_one(bytes), begins, "{}", bytes.escape_ascii());
        }
    }
}
