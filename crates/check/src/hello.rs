//! A client's first TLS message (RFC 8446 4.1.2), as far as an operator wants to know it.

/// What it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ClientHello {
    /// The server name (RFC 6066 3).
    pub(crate) name: Option<String>,
    /// The versions, newest first, as on the wire: 0x0303 is TLS 1.2.
    pub(crate) versions: Vec<u16>,
    /// How many ciphers.
    pub(crate) ciphers: usize,
}

/// ContentType and HandshakeType (RFC 8446 5.1, 4).
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// Extensions (RFC 8446 4.2).
const SERVER_NAME: u16 = 0;
const SUPPORTED_VERSIONS: u16 = 43;

/// Octets that are taken from the front.
struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, octets: usize) -> Option<usize> {
        Some(
            self.take(octets)?
                .iter()
                .fold(0, |number, octet| number << 8 | usize::from(*octet)),
        )
    }

    /// What follows a length of so many octets.
    fn vector(&mut self, octets: usize) -> Option<Octets<'a>> {
        let length = self.number(octets)?;
        self.take(length).map(Octets)
    }
}

/// Reads the first octets of a connection; `None` if they are no whole ClientHello.
pub(crate) fn read(first: &[u8]) -> Option<ClientHello> {
    // It may be in several records.
    let mut message = Vec::new();
    let mut rest = Octets(first);
    while let Some(kind) = rest.take(1) {
        if kind != [HANDSHAKE] {
            break;
        }
        rest.take(2)?;
        message.extend_from_slice(rest.vector(2)?.0);
    }
    let mut message = Octets(&message);
    if message.take(1)? != [CLIENT_HELLO] {
        return None;
    }
    let mut body = message.vector(3)?;
    let legacy = u16::try_from(body.number(2)?).ok()?;
    body.take(32)?;
    body.vector(1)?;
    let ciphers = body.vector(2)?.0.len() / 2;
    body.vector(1)?;
    let mut hello = ClientHello {
        name: None,
        versions: vec![legacy],
        ciphers,
    };
    let Some(mut extensions) = body.vector(2) else {
        return Some(hello);
    };
    while let Some(kind) = extensions.number(2) {
        let mut data = extensions.vector(2)?;
        if kind == usize::from(SERVER_NAME) {
            let mut names = data.vector(2)?;
            names.take(1)?;
            hello.name = Some(String::from_utf8_lossy(names.vector(2)?.0).into_owned());
        } else if kind == usize::from(SUPPORTED_VERSIONS) {
            let list = data.vector(1)?.0;
            // GREASE (RFC 8701) has the same odd low halves.
            hello.versions = list
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .filter(|version| version & 0x0f0f != 0x0a0a)
                .collect();
        }
    }
    Some(hello)
}

impl ClientHello {
    /// The newest version that it speaks.
    pub(crate) fn newest(&self) -> u16 {
        self.versions.iter().copied().max().unwrap_or(0)
    }

    /// The versions by name.
    pub(crate) fn versions(&self) -> String {
        let names: Vec<String> = self
            .versions
            .iter()
            .map(|version| version_name(*version))
            .collect();
        names.join(", ")
    }
}

/// As people call it.
pub(crate) fn version_name(version: u16) -> String {
    match version {
        0x0300 => "SSL 3".to_owned(),
        0x0301 => "TLS 1.0".to_owned(),
        0x0302 => "TLS 1.1".to_owned(),
        0x0303 => "TLS 1.2".to_owned(),
        0x0304 => "TLS 1.3".to_owned(),
        other => format!("0x{other:04x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 4, 0x13, 1, 0x13, 2, 1, 0]);
        let name = b"\0\0\0\x08\0\x06\0\0\x03a.b";
        let versions = b"\0\x2b\0\x07\x06\x7a\x7a\x03\x04\x03\x03";
        body.extend((name.len() as u16 + versions.len() as u16).to_be_bytes());
        body.extend(name);
        body.extend(versions);
        let mut message = vec![1, 0, 0, body.len() as u8];
        message.extend(body);
        let mut record = vec![22, 3, 1, 0, message.len() as u8];
        record.extend(message);
        record
    }

    #[test]
    fn a_hello_is_read() {
        let read = read(&hello()).expect("it is one");
        assert_eq!(read.name.as_deref(), Some("a.b"));
        assert_eq!(read.versions, [0x0304, 0x0303]);
        assert_eq!((read.ciphers, read.newest()), (2, 0x0304));
    }

    #[test]
    fn every_beginning_of_one_is_none_and_no_panic() {
        let whole = hello();
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), None, "{end}");
        }
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 0xff;
            let _ = read(&other);
        }
    }
}
