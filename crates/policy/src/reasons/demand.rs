//! What is demanded of a call, and is not there.

use super::{Row, Side};
use crate::demand::Unmet;
use crate::demand::identity::Fault;

rows! {
    /// The row of what a leg lacks.
    pub fn of(Unmet), DEMANDS:
    Unmet::SignalingInClear(_) => "signaling-in-clear", "before a message left, or when one came", Either,
        "SIP over TLS is required, and the message goes, or came, over another transport",
        "give the endpoint or its contact a transport with protocol = tls, or have the peer use TLS";
    Unmet::Version { .. } => "signaling-version", "before a message left, or when one came", Either,
        "a later version of TLS is required than the connection has, or may get",
        "set method of the transport in pjsip.conf to that version, or have the peer speak it";
    Unmet::NotPostQuantum(_) => "not-post-quantum", "when the peer was known", Either,
        "a post-quantum key exchange is required, and the connection has another",
        "have the peer support X25519MLKEM768, or look whether groups of its profile in ciphertrunk.conf leaves it out; OpenSSL has it since 3.5";
    Unmet::NotOurs => "signaling-unknown", "before a message left, or when one came", Ours,
        "more than TLS is required, and the transport is pjproject's, of which nothing is known",
        "take the transport out of leave_alone in ciphertrunk.conf, or look in ciphertrunk show transports why it is not ours";
    Unmet::NotVerified => "not-verified", "before a message left, or when one came", Ours,
        "a verified certificate is required, and the peer's was not verified",
        "set verify_server = yes (calls out), or verify_client and require_client_cert = yes (calls in), at the transport";
    Unmet::Name(_) => "other-name", "before a message left, or when one came", Either,
        "a certificate with a certain name is required, and the peer's has others",
        "call the right peer, or correct the name in CIPHERTRUNK_REQUIRE(verified) or require_verified";
    Unmet::Certificate { fault: Fault::Missing, .. } => "no-certificate", "when the peer was known", Either,
        "the endpoint is bound to a certificate, and the peer presented none",
        "set verify_client = yes at the transport (or require_client_cert = yes, where the certificate is bound by SHA256), and have the peer send it";
    Unmet::Certificate { fault: Fault::Unverified, .. } => "certificate-not-verified", "when the peer was known", Ours,
        "the endpoint is bound to a name, and the certificate that the peer presented was not verified",
        "set verify_client = yes (calls in) or verify_server = yes (calls out) at the transport, or bind the endpoint by SHA256";
    Unmet::Certificate { fault: Fault::Other, .. } => "other-certificate", "when the peer was known", Either,
        "the endpoint is bound to another certificate than the peer presented",
        "another peer calls as this endpoint or is called, or the certificate is a new one, which belongs into the endpoint's section of ciphertrunk.conf";
    Unmet::MediaInClear(_) => "media-in-clear", "before a description left, or when one came", Either,
        "SRTP is required, and a media line has none",
        "set media_encryption = sdes (or dtls) for the endpoint in pjsip.conf, without media_encryption_optimistic, or have the peer offer SRTP";
    Unmet::Suite(_) | Unmet::DtlsSuite { .. } => "media-suite", "before a description left, or when one came, or behind the DTLS handshake", Either,
        "a certain crypto suite or a stronger one is required, and none is there",
        "add it to offer and accept of the endpoint's section in ciphertrunk.conf, or have the peer offer it; DTLS-SRTP has AES_CM_128_HMAC_SHA1_80, or _32 with srtp_tag_32 = yes, and no other";
    Unmet::KeySource { .. } => "media-key-source", "before a description left, or when one came", Either,
        "keys from SDES, or from DTLS-SRTP, are required, and they come from the other",
        "set media_encryption = sdes or dtls, as is required, for the endpoint in pjsip.conf";
    Unmet::Impossible(_) => "bad-demand", "before a message left, or when one came", Ours,
        "the demand cannot be met or was not understood, so that nothing meets it",
        "correct CIPHERTRUNK_REQUIRE in the dialplan, or require_... in ciphertrunk.conf; the log names the word";
    Unmet::Forwarded => "forwarded", "when the peer answered", Ours,
        "the peer forwards the call, and what an originate demands does not follow a forward",
        "originate a Local channel, whose dialplan dials";
    Unmet::Technology(_) => "other-technology", "before the call was made, or bridged", Ours,
        "more than `yes` is required, and the leg is chan_sip's, IAX2's or another's that tells nothing of its TLS, certificates, suites and keys",
        "dial the peer by PJSIP, or demand signaling=yes and media=yes alone";
    Unmet::Unseen => "unknown-leg", "when the dialplan demanded it", Ours,
        "both legs are required to be encrypted, and nothing is known of this one",
        "it is no call of PJSIP's that began after Ciphertrunk was loaded: leave both_legs out for it";
}
