//! The audio line of a session description (RFC 4566, RFC 4568).

use std::net::IpAddr;

use srtp::Suite;
use srtp::sdes::{CryptoLine, MkiRule, Rules};

/// What is read with: everything that the module knows.
pub(crate) const RULES: Rules<'static> = Rules {
    suites: &Suite::ALL,
    mki: MkiRule::Any,
    params: srtp::SessionParams {
        unencrypted_srtp: false,
        unencrypted_srtcp: false,
        unauthenticated_srtp: false,
    },
};

/// `m=audio` and what belongs to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Audio {
    /// 0: declined.
    pub(crate) port: u16,
    pub(crate) transport: String,
    /// The values of `a=crypto`. They hold keys.
    pub(crate) crypto: Vec<String>,
    /// `a=fingerprint`, of this line or of the session: DTLS-SRTP.
    pub(crate) fingerprint: bool,
}

/// The first audio line.
pub(crate) fn audio(description: &str) -> Option<Audio> {
    let mut found: Option<Audio> = None;
    let mut session_fingerprint = false;
    let mut media = 0;
    for line in description.lines().map(str::trim_end) {
        if let Some(value) = line.strip_prefix("m=") {
            if found.is_some() {
                break;
            }
            media += 1;
            let mut words = value.split_whitespace();
            if words.next() == Some("audio") {
                let port = words
                    .next()
                    .and_then(|port| port.split('/').next()?.parse().ok());
                found = Some(Audio {
                    port: port.unwrap_or(0),
                    transport: words.next().unwrap_or_default().to_owned(),
                    crypto: Vec::new(),
                    fingerprint: session_fingerprint,
                });
            }
        } else if line.starts_with("a=fingerprint:") {
            match &mut found {
                Some(audio) => audio.fingerprint = true,
                None => session_fingerprint |= media == 0,
            }
        } else if let (Some(value), Some(audio)) = (line.strip_prefix("a=crypto:"), &mut found) {
            audio.crypto.push(value.to_owned());
        }
    }
    found
}

/// Our offer: G.711, with this crypto line or in clear.
pub(crate) fn offer(address: IpAddr, port: u16, crypto: Option<&CryptoLine>) -> String {
    let family = if address.is_ipv6() { "IP6" } else { "IP4" };
    let transport = if crypto.is_some() {
        "RTP/SAVP"
    } else {
        "RTP/AVP"
    };
    let line = crypto
        .map(|line| format!("a=crypto:{}\r\n", line.to_sdp().as_str()))
        .unwrap_or_default();
    format!(
        "v=0\r\no=check 1 1 IN {family} {address}\r\ns=check\r\nc=IN {family} {address}\r\nt=0 0\r\nm=audio {port} {transport} 0 8 101\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n{line}a=sendrecv\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_audio_line_is_read() {
        let text = "v=0\r\na=fingerprint:sha-256 AA\r\nm=video 5 RTP/SAVP 31\r\na=crypto:1 V x\r\nm=audio 7000/2 RTP/SAVP 0\r\na=crypto:1 A x\r\na=crypto:2 B y\r\nm=audio 1 RTP/AVP 0\r\na=crypto:3 C z\r\n";
        let found = audio(text).expect("it has one");
        assert_eq!(
            (found.port, found.transport.as_str(), found.fingerprint),
            (7000, "RTP/SAVP", true)
        );
        assert_eq!(found.crypto, ["1 A x", "2 B y"]);
        assert_eq!(audio("v=0\r\nm=image 9 udptl t38\r\n"), None);
    }

    #[test]
    fn our_offer_is_read_as_it_is_meant() {
        let clear = audio(&offer([192, 0, 2, 1].into(), 4000, None)).expect("audio");
        assert_eq!(
            (clear.port, clear.transport.as_str(), clear.crypto.len()),
            (4000, "RTP/AVP", 0)
        );
    }
}
