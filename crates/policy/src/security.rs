//! Which refusals are a matter of security, and which of Asterisk's security events each is.
//!
//! The events are Asterisk's own (`security_events_defs.h`, the same from 16 on): no module can add one. Only what a peer did that came
//! to us is one, and never what this side has to change: whoever reads these events bans addresses.

/// An event of Asterisk's security framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// What came is not what is spoken on this port.
    RequestBadFormat,
    /// A handshake asked for what this side does not have.
    RequestNotSupported,
    /// What was asked is understood, and not allowed here.
    RequestNotAllowed,
    /// The peer was to prove with a certificate who it is, and could not. TLS's `CertificateRequest` is a challenge and the client's
    /// signature the response to it, so this is the same to whoever reads the events as a wrong password.
    ChallengeResponseFailed,
    /// A call came over a transport that does not encrypt: TCP, WS.
    InvalidTransport,
    /// The access list does not permit its address.
    FailedAcl,
    /// Its address has as many connections or handshakes as it may.
    SessionLimit,
}

/// The events, and the codes of each.
const EVENTS: &[(Event, &[&str])] = &[
    (
        Event::RequestBadFormat,
        &[
            "plain-sip",
            "plain-http",
            "not-tls",
            "handshake-too-long",
            "tls-protocol",
            "not-sip",
            "message-too-long",
            "sip-filler",
            "empty-tls",
            "no-content-length",
            "bad-content-length",
        ],
    ),
    (
        Event::RequestNotSupported,
        &[
            "tls-version",
            "no-shared-cipher",
            "no-shared-algorithm",
            "weak-key-exchange",
        ],
    ),
    (
        Event::RequestNotAllowed,
        &[
            "renegotiation-refused",
            "offer-in-clear",
            "media-in-clear",
            "media-suite",
            "media-key-source",
            "signaling-version",
        ],
    ),
    (
        Event::ChallengeResponseFailed,
        &[
            "no-client-certificate",
            "cert-expired",
            "cert-not-yet-valid",
            "cert-self-signed",
            "cert-untrusted",
            "cert-weak",
            "cert-revoked",
            "cert-purpose",
            "cert-invalid",
            "cert-pin",
            "no-certificate",
            "other-certificate",
            "other-name",
        ],
    ),
    (Event::InvalidTransport, &["signaling-in-clear"]),
    (Event::FailedAcl, &["acl-denied"]),
    (
        Event::SessionLimit,
        &[
            "too-many-of-source",
            "too-many-handshakes-of-source",
            "connection-rate",
        ],
    ),
];

// Not among them, and why: packets that do not authenticate or come again have a sender's address that nobody has proved, and whoever
// bans it can be made to ban a carrier; so has an INVITE over UDP. A peer that says nothing, or leaves in the handshake, is a health check
// or a bad line as often as a scanner. Alerts about our certificate are for this side to heed. Lines of a=crypto that are refused are
// faults of telephones.

/// The event that a refusal with this code is, of what came over this transport (pjsip's name: `TLS`, `UDP`), if it is one.
#[must_use]
pub fn of(code: &str, over: &str) -> Option<Event> {
    if over.starts_with("UDP") {
        return None;
    }
    let found = EVENTS.iter().find(|(_, codes)| codes.contains(&code));
    found.map(|(event, _)| *event)
}

/// A text of the peer's for a field of such an event. The log has fields between quotes and does not mark quotes in them
/// (`res_security_log.c`): with one a peer could end its field, and write an address of its choice behind it.
#[must_use]
pub fn field(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' => '\'',
            c if c.is_control() => '?',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reasons::{self, Side};

    #[test]
    fn every_code_is_one_and_is_there_once() {
        let mut codes: Vec<&str> = EVENTS
            .iter()
            .flat_map(|(_, codes)| codes.iter().copied())
            .collect();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
        #[cfg(feature = "tls")]
        for code in codes {
            assert!(reasons::find(code).is_some(), "{code} has no row");
        }
    }

    #[test]
    fn nobody_is_banned_for_what_is_to_be_changed_here() {
        let mut events = 0;
        for row in reasons::all() {
            if of(row.code, "TLS").is_some() {
                events += 1;
                assert!(
                    matches!(row.side, Side::Theirs | Side::Either),
                    "{}: {:?}",
                    row.code,
                    row.side
                );
            }
        }
        assert!(events > 5, "{events}");
        for ours in ["peer-bad-certificate", "not-verified", "nothing-sent"] {
            assert_eq!(of(ours, "TLS"), None, "{ours}");
        }
    }

    #[test]
    fn nobody_is_banned_for_an_address_that_nobody_has_proved() {
        for over in ["TCP", "WS"] {
            let event = of("signaling-in-clear", over);
            assert_eq!(event, Some(Event::InvalidTransport), "{over}");
        }
        for code in ["signaling-in-clear", "offer-in-clear", "media-suite"] {
            assert!(of(code, "TLS").is_some());
            assert_eq!(of(code, "UDP"), None, "{code}");
        }
    }

    #[test]
    fn a_peer_cannot_end_its_field() {
        let text = "x\",RemoteAddress=\"IPV4/TLS/192.0.2.1/1\"\r\n";
        assert_eq!(field(text), "x',RemoteAddress='IPV4/TLS/192.0.2.1/1'??");
        assert_eq!(field("a84b4c76e66710@pc33"), "a84b4c76e66710@pc33");
    }
}
