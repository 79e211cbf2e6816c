//! What a SIP message on its way says of its call: read from the octets that leave or came, not from what was meant.

use srtp::Suite;

use crate::demand::DescribedMedia;

/// The head and the body of a message (RFC 3261 section 7).
fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let end = message.windows(4).position(|octets| octets == b"\r\n\r\n");
    end.map_or((message, &[][..]), |end| {
        (&message[..end], &message[end + 4..])
    })
}

/// The lines, however they end: pjmedia takes a lone CR for the end of one too.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|octet| matches!(octet, b'\n' | b'\r'))
        .map(<[u8]>::trim_ascii_end)
}

/// The tag of the side that sends `message`, which tells its dialog from all others of that side: of `From` in a request, of `To` in a
/// response (RFC 3261 section 12). `None`: it is in no dialog.
///
/// Not the `Call-ID`: two dialogs may share one (a proxy that leads a call back), and pjsip takes a request for a dialog's by its tags
/// alone.
pub fn own_tag(message: &[u8]) -> Option<Tag> {
    let (name, compact) = match is_response(message) {
        true => ("to", "t"),
        false => ("from", "f"),
    };
    let value = header(message, name).or_else(|| header(message, compact))?;
    Tag::new(tag_parameter(&value)?)
}

/// A tag, as pjsip compares it: whatever the case of its letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// `None`: there is none.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        (!text.is_empty()).then(|| Self(text.to_ascii_lowercase()))
    }
}

/// The value of the parameter `tag` behind an address (RFC 3261 section 20.10), which may be a display name in quotes and a URI in
/// angle brackets.
fn tag_parameter(address: &str) -> Option<&str> {
    let (mut is_quoted, mut is_escaped, mut is_in_uri) = (false, false, false);
    let mut parameters = Vec::new();
    for (at, octet) in address.bytes().enumerate() {
        match octet {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' if !is_in_uri => is_quoted = !is_quoted,
            _ if is_quoted => {}
            b'<' => is_in_uri = true,
            b'>' => is_in_uri = false,
            b';' if !is_in_uri => parameters.push(at + 1),
            _ => {}
        }
    }
    parameters.into_iter().find_map(|at| {
        let (name, value) = address[at..].split_once('=')?;
        let value = value.split([';', ',']).next()?;
        name.trim().eq_ignore_ascii_case("tag").then_some(value)
    })
}

/// The value of the first header of this name. `None`: there is none.
pub fn header(message: &[u8], wanted: &str) -> Option<String> {
    lines(split(message).0).find_map(|line| {
        let colon = line.iter().position(|octet| *octet == b':')?;
        let is_it = line[..colon]
            .trim_ascii()
            .eq_ignore_ascii_case(wanted.as_bytes());
        let value = line[colon + 1..].trim_ascii();
        is_it.then(|| String::from_utf8_lossy(value).into_owned())
    })
}

/// Which request of its side's a message is, or answers: number and method of `CSeq` (RFC 3261 section 20.16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CSeq {
    number: u32,
    method: String,
}

/// `None`: it has none that can be read.
pub fn cseq(message: &[u8]) -> Option<CSeq> {
    let value = header(message, "cseq")?;
    let (number, method) = value.split_once([' ', '\t'])?;
    Some(CSeq {
        number: number.parse().ok()?,
        method: method.trim().to_owned(),
    })
}

/// Whether it is a response.
pub fn is_response(message: &[u8]) -> bool {
    message.starts_with(b"SIP/2.0 ")
}

/// The status of a response (RFC 3261 section 7.2). `None`: it is a request.
pub fn status(message: &[u8]) -> Option<u16> {
    let digits = message.strip_prefix(b"SIP/2.0 ")?.get(..3)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Whether it is a request that can be refused for what it offers (RFC 3261 section 14.2, RFC 3311 section 5.2).
pub fn may_offer(message: &[u8]) -> bool {
    let first = lines(message).next().unwrap_or_default();
    first.starts_with(b"INVITE ") || first.starts_with(b"UPDATE ")
}

/// Whether it asks for nothing and gives nothing away: the end of a call or of a transaction (BYE, CANCEL, ACK, a refusal), or
/// `100 Trying`. Such a message leaves whatever a call lacks.
pub fn is_an_end(message: &[u8]) -> bool {
    let first = lines(message).next().unwrap_or_default();
    match first.strip_prefix(b"SIP/2.0 ") {
        Some(status) => status.starts_with(b"100") || !matches!(status.first(), Some(b'1' | b'2')),
        None => [&b"BYE "[..], b"CANCEL ", b"ACK "]
            .iter()
            .any(|method| first.starts_with(method)),
    }
}

/// The media lines of the descriptions (RFC 4566) in the body, also of a multipart one. Empty: it has none.
pub fn media(message: &[u8]) -> Vec<DescribedMedia> {
    media_of_body(split(message).1)
}

/// The same of a body.
pub fn media_of_body(body: &[u8]) -> Vec<DescribedMedia> {
    let mut found: Vec<DescribedMedia> = Vec::new();
    let mut session_fingerprint = false;
    for line in lines(body) {
        if line.starts_with(b"v=") {
            session_fingerprint = false;
        } else if let Some(line) = line.strip_prefix(b"m=") {
            let line = String::from_utf8_lossy(line);
            let mut words = line.split_ascii_whitespace();
            let kind = words.next().unwrap_or_default().to_owned();
            let port = words.next().unwrap_or_default();
            let port = port.split('/').next().unwrap_or_default();
            found.push(DescribedMedia {
                kind,
                // What is no number is no stream that is off.
                port: port.parse().unwrap_or(u16::MAX),
                transport: words.next().unwrap_or_default().to_owned(),
                suites: Vec::new(),
                has_fingerprint: session_fingerprint,
            });
        } else if line.starts_with(b"a=fingerprint:") {
            match found.last_mut() {
                Some(media) => media.has_fingerprint = true,
                None => session_fingerprint = true,
            }
        } else if let (Some(crypto), Some(media)) =
            (line.strip_prefix(b"a=crypto:"), found.last_mut())
        {
            media.suites.push(suite(&String::from_utf8_lossy(crypto)));
        }
    }
    found
}

/// The suite of a `tag suite keys parameters`. `None`: it is not known, or is taken back by a parameter that turns protection
/// off (RFC 4568 section 6.3).
fn suite(crypto: &str) -> Option<Suite> {
    // Wherever they stand and however they are written: no suite has them in its name.
    let words = crypto.to_ascii_uppercase();
    let is_weakened = words.contains("UNENCRYPTED_SRTP") || words.contains("UNAUTHENTICATED_SRTP");
    let name = crypto.split_ascii_whitespace().nth(1)?;
    Suite::from_name(name).filter(|_| !is_weakened)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TLS x\r\nCall-ID : abc@d \r\n\
        Content-Type: application/sdp\r\n\r\nv=0\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n\
        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n\
        a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:x UNENCRYPTED_SRTP\r\n\
        a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:x WSH=64,-unencrypted_srtp\r\n\
        a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:x UNENCRYPTED_SRTCP\r\nm=image 0 udptl t38\r\n";

    #[test]
    fn what_an_invite_says() {
        let media = media(INVITE.as_bytes());
        assert_eq!(media.len(), 2);
        let suite = Some(Suite::AesCm128HmacSha1_80);
        assert_eq!(media[0].suites, [suite, None, None, suite]);
        assert_eq!((media[0].port, media[1].port), (4000, 0));
        assert_eq!(media[1].transport, "udptl");
        assert!(!media[0].has_fingerprint);
    }

    #[test]
    fn a_fingerprint_of_the_session_is_every_lines() {
        let text = "SIP/2.0 200 OK\r\ni: q\r\n\r\nv=0\r\na=fingerprint:sha-256 00\r\n\
            m=audio 1 UDP/TLS/RTP/SAVPF 0\r\nm=video 2 UDP/TLS/RTP/SAVPF 0\r\n";
        assert!(media(text.as_bytes()).iter().all(|it| it.has_fingerprint));
        // The twin: only behind the first line.
        let text = text.replace(
            "a=fingerprint:sha-256 00\r\nm=audio 1 UDP/TLS/RTP/SAVPF 0\r\n",
            "m=audio 1 UDP/TLS/RTP/SAVPF 0\r\na=fingerprint:sha-256 00\r\n",
        );
        let found: Vec<_> = media(text.as_bytes())
            .iter()
            .map(|it| it.has_fingerprint)
            .collect();
        assert_eq!(found, [true, false]);
    }

    #[test]
    fn the_tag_of_who_sends() {
        let message = |first: &str, from: &str, to: &str| {
            let text = format!("{first}\r\nf: {from}\r\nTo : {to}\r\nCall-ID: x \r\n\r\n");
            own_tag(text.as_bytes())
        };
        let (request, response) = ("INVITE sip:a@b SIP/2.0", "SIP/2.0 200 OK");
        let ours = Tag::new("ours");
        let (other, none) = ("<sip:p@q>;tag=theirs", "<sip:p@q>");
        for address in [
            "<sip:a@b>;tag=ours",
            "<sip:a@b>; TAG = OURS ;x=y",
            "\"a\" <sip:a@b;tag=uri>;x=\"1;tag=quoted\";tag=ours",
            "\"a\\\";tag=name\" <sip:a@b>;tag=ours",
            "a;tag=ours",
            "\"<\" <sip:\"@b>;tag=ours",
        ] {
            assert_eq!(message(request, address, other), ours, "{address}");
            assert_eq!(message(response, other, address), ours, "{address}");
            // What pjsip has read of it, is the same.
            assert_eq!(Tag::new("OuRs"), ours);
        }
        assert_eq!(message(request, other, none), Tag::new("theirs"));
        assert_eq!(message(response, other, none), None);
        assert_eq!(message(response, other, "<sip:a>;tag="), None);
    }

    /// What pjmedia takes for a line is one.
    #[test]
    fn lines_end_as_pjmedia_ends_them() {
        for end in ["\r\n", "\n", "\r"] {
            let body = ["v=0", "m=audio 1 RTP/SAVP 0", "m=audio 2 RTP/AVP 0", ""].join(end);
            assert_eq!(media_of_body(body.as_bytes()).len(), 2, "{end:?}");
        }
    }

    #[test]
    fn what_ends() {
        for end in [
            "BYE sip:a SIP/2.0\r\n",
            "SIP/2.0 488 No\r\n",
            "SIP/2.0 100 Trying\r\n",
        ] {
            assert!(is_an_end(end.as_bytes()), "{end}");
        }
        for other in [
            "INVITE sip:a SIP/2.0\r\n",
            "SIP/2.0 200 OK\r\n",
            "SIP/2.0 183 P\r\n",
            "BYEBYE x\r\n",
        ] {
            assert!(!is_an_end(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn without_a_body_or_a_head() {
        assert!(media(b"BYE sip:a SIP/2.0\r\nCall-ID: x\r\n\r\n").is_empty());
        assert!(media(b"").is_empty());
        assert_eq!(
            own_tag(b"OPTIONS sip:a SIP/2.0\r\n\r\nFrom: <sip:a>;tag=body\r\n"),
            None
        );
    }
}
