//! SIP messages: ours as text, and what is needed of a peer's.

use std::net::SocketAddr;

use openssl::rand::rand_bytes;

/// Octets that nobody else has, as hexadecimal digits.
pub(crate) fn token() -> String {
    let mut octets = [0; 8];
    // Without random octets the identifiers are the same, and nothing worse.
    let _ = rand_bytes(&mut octets);
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The two ends of what we ask.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    pub(crate) local: SocketAddr,
    /// The URI of our From.
    pub(crate) from: String,
    /// The host part of the peer's URI, with its port if one was given.
    pub(crate) peer: String,
}

/// A transaction of ours: what its answers have to repeat.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) uri: String,
    pub(crate) branch: String,
    pub(crate) tag: String,
    pub(crate) call_id: String,
    pub(crate) cseq: u32,
    /// With the tag of the other side, where there is a dialog.
    pub(crate) to: String,
    /// Where it is sent from: what its Via says.
    pub(crate) local: SocketAddr,
}

impl Request {
    pub(crate) fn new(method: &'static str, uri: String, local: SocketAddr) -> Request {
        Request {
            method,
            to: format!("<{uri}>"),
            uri,
            branch: format!("z9hG4bK{}", token()),
            tag: token(),
            call_id: token(),
            cseq: 1,
            local,
        }
    }

    /// Its text. `headers` are whole lines.
    pub(crate) fn text(&self, who: &Who, headers: &str, body: &str) -> String {
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/TLS {local};branch={branch};rport;alias\r\nMax-Forwards: 70\r\nFrom: <{from}>;tag={tag}\r\n\
             To: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:check@{local};transport=tls>\r\nUser-Agent: ciphertrunk-check\r\n\
             {headers}Content-Length: {length}\r\n\r\n{body}",
            method = self.method,
            uri = self.uri,
            local = self.local,
            branch = self.branch,
            from = who.from,
            tag = self.tag,
            to = self.to,
            call_id = self.call_id,
            cseq = self.cseq,
            length = body.len(),
        )
    }
}

/// A message of the peer's.
#[derive(Debug, Clone)]
pub(crate) struct Message(String);

impl Message {
    pub(crate) fn new(octets: &[u8]) -> Message {
        Message(String::from_utf8_lossy(octets).into_owned())
    }

    fn head(&self) -> &str {
        let end = self
            .0
            .find("\r\n\r\n")
            .or_else(|| self.0.find("\n\n"))
            .unwrap_or(self.0.len());
        &self.0[..end]
    }

    pub(crate) fn body(&self) -> &str {
        let head = self.head().len();
        self.0[head..].trim_start_matches(['\r', '\n'])
    }

    pub(crate) fn start_line(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }

    /// Of a response.
    pub(crate) fn status(&self) -> Option<u16> {
        let mut words = self.start_line().split_whitespace();
        words
            .next()
            .filter(|version| version.eq_ignore_ascii_case("SIP/2.0"))?;
        words.next()?.parse().ok()
    }

    /// Of a response: number and phrase.
    pub(crate) fn status_text(&self) -> &str {
        self.start_line().get(8..).unwrap_or_default()
    }

    /// Of a request.
    pub(crate) fn method(&self) -> Option<&str> {
        if self.status().is_some() {
            None
        } else {
            self.start_line().split_whitespace().next()
        }
    }

    /// The first field of this name, or of its compact form (RFC 3261 7.3.3), unfolded.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers(name).into_iter().next()
    }

    pub(crate) fn headers(&self, name: &str) -> Vec<String> {
        const COMPACT: [(&str, &str); 5] = [
            ("Via", "v"),
            ("From", "f"),
            ("To", "t"),
            ("Call-ID", "i"),
            ("Contact", "m"),
        ];
        let short = COMPACT
            .iter()
            .find(|(long, _)| long.eq_ignore_ascii_case(name))
            .map(|(_, short)| *short);
        let mut found: Vec<String> = Vec::new();
        let mut ours = false;
        for line in self.head().lines().skip(1) {
            if line.starts_with([' ', '\t']) {
                if let (true, Some(last)) = (ours, found.last_mut()) {
                    last.push(' ');
                    last.push_str(line.trim());
                }
                continue;
            }
            let Some((field, value)) = line.split_once(':') else {
                continue;
            };
            let field = field.trim();
            ours = field.eq_ignore_ascii_case(name)
                || short.is_some_and(|short| field.eq_ignore_ascii_case(short));
            if ours {
                found.push(value.trim().to_owned());
            }
        }
        found
    }

    /// A parameter of a field's value.
    pub(crate) fn param(value: &str, name: &str) -> Option<String> {
        // Behind the address: a URI has parameters of its own.
        let rest = value.rsplit_once('>').map_or(value, |(_, rest)| rest);
        rest.split(';').skip(1).find_map(|param| {
            let (key, value) = param.split_once('=').unwrap_or((param, ""));
            key.trim().eq_ignore_ascii_case(name).then(|| {
                value
                    .trim()
                    .split(',')
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            })
        })
    }
}

/// A response to a request of a peer's. `headers` are whole lines.
pub(crate) fn response(request: &Message, status: &str, headers: &str) -> String {
    let via: String = request
        .headers("Via")
        .iter()
        .map(|via| format!("Via: {via}\r\n"))
        .collect();
    let get = |name| request.header(name).unwrap_or_default();
    let to = get("To");
    let tag = if Message::param(&to, "tag").is_some() {
        String::new()
    } else {
        format!(";tag={}", token())
    };
    format!(
        "SIP/2.0 {status}\r\n{via}From: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n{headers}Content-Length: 0\r\n\r\n",
        get("From"),
        get("Call-ID"),
        get("CSeq"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_response() {
        let message = Message::new(
            b"SIP/2.0 200 OK\r\nv: SIP/2.0/TLS 127.0.0.1:5;rport=5;branch=z9hG4bKa, SIP/2.0/TCP x\r\nf: <sip:a@b;tag=no>;tag=one\r\nCall-id : 7\r\n\
              CSeq: 1\r\n OPTIONS\r\nContent-Length: 4\r\n\r\nv=0\n",
        );
        assert_eq!(message.status(), Some(200));
        assert_eq!(message.status_text(), "200 OK");
        assert_eq!(message.method(), None);
        assert_eq!(
            Message::param(&message.header("Via").unwrap(), "branch").unwrap(),
            "z9hG4bKa"
        );
        assert_eq!(
            Message::param(&message.header("From").unwrap(), "tag").unwrap(),
            "one"
        );
        assert_eq!(message.header("Call-ID").unwrap(), "7");
        assert_eq!(message.header("cseq").unwrap(), "1 OPTIONS");
        assert_eq!(message.body(), "v=0\n");
        assert_eq!(Message::new(b"HTTP/1.1 400 Bad\r\n\r\n").status(), None);
    }
}
