//! Calls that are refused before they live, connections without SIP, and packets that are not heard.

use super::{Row, Side};

/// Why our answer to the peer's offer was a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// It offered no SRTP, and the endpoint requires it.
    InClear,
    /// It offered keys by DTLS-SRTP where the endpoint takes SDES.
    Dtls,
    /// It offered keys by SDES where the endpoint takes DTLS-SRTP.
    Sdes,
    /// It offered `RTP/SAVP` and no key at all.
    WithoutKeys,
    /// It offered SRTP where the endpoint has none.
    Encrypted,
    /// It offered another profile (AVP, AVPF) than the endpoint has.
    Profile,
}

rows! {
    /// The row of an offer that was refused.
    pub fn of_offer(Offer), OFFERS:
    Offer::InClear => "offer-in-clear", "when its offer came", Either,
        "it offers media in clear, and the endpoint's media_encryption requires SRTP, so the call is refused with 488",
        "switch SRTP on there, or set media_encryption_optimistic = yes (or media_encryption = no) for the endpoint here";
    Offer::Dtls => "offer-dtls", "when its offer came", Either,
        "it offers DTLS-SRTP, and the endpoint has media_encryption = sdes, so the call is refused with 488",
        "set media_encryption = dtls for the endpoint here, or have it offer SDES";
    Offer::Sdes => "offer-sdes", "when its offer came", Either,
        "it offers SDES, and the endpoint has media_encryption = dtls, so the call is refused with 488",
        "set media_encryption = sdes for the endpoint here, or have it offer DTLS-SRTP";
    Offer::WithoutKeys => "offer-without-keys", "when its offer came", Theirs,
        "it offers RTP/SAVP, and neither an a=crypto line nor a fingerprint, so the call is refused with 488",
        "have it offer keys: SDES or DTLS-SRTP may be switched off there";
    Offer::Encrypted => "offer-encrypted", "when its offer came", Either,
        "it demands SRTP, and the endpoint has media_encryption = no, so the call is refused with 488",
        "set media_encryption = sdes (or dtls) for the endpoint here, or have it offer media in clear";
    Offer::Profile => "offer-profile", "when its offer came", Either,
        "it offers another RTP profile than the endpoint has, so the call is refused with 488",
        "set use_avpf = yes for the endpoint here if it offers RTP/SAVPF or RTP/AVPF, and no if it offers RTP/SAVP or RTP/AVP";
}

/// Why a call of ours did not come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remote {
    /// It refused an offer of SRTP.
    RefusedSrtp,
    /// It refused an offer in clear.
    RefusedClear,
    /// The name that was to be called has no address.
    NoAddress,
}

rows! {
    /// The row of a call of ours that did not come about.
    pub fn of_remote(Remote), REMOTE:
    Remote::RefusedSrtp => "remote-refused-srtp", "when it answered our offer", Either,
        "it refuses our offer of SRTP (488, 606 or 415)",
        "compare what was offered with what it takes: it may have no SRTP, another crypto suite (offer in ciphertrunk.conf), or keys \
         from elsewhere (media_encryption of the endpoint); codecs are another possible reason";
    Remote::RefusedClear => "remote-refused-clear", "when it answered our offer", Either,
        "it refuses our offer of media in clear (488, 606 or 415)",
        "it may demand SRTP: set media_encryption = sdes (or dtls) for the endpoint here; codecs are another possible reason";
    Remote::NoAddress => "no-address", "before anything was sent", Ours,
        "the DNS has no address for its name, and nothing was sent",
        "correct the name in the contact, outbound_proxy or server_uri in pjsip.conf, or this machine's DNS (/etc/resolv.conf)";
}

/// What is wrong with how SIP messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signaling {
    /// A server took TLS, and nothing of SIP came.
    Unanswered,
    /// Keys of SDES went over a transport that does not encrypt.
    KeysInClear,
    /// A transport could not be taken over.
    NotAdopted,
    /// PJSIP took no connection.
    NotTaken,
}

rows! {
    /// The row of what is wrong.
    pub fn of_signaling(Signaling), SIGNALING:
    Signaling::Unanswered => "sip-unanswered", "while it was up", Theirs,
        "it took the TLS connection and has not answered any SIP message on it",
        "look whether that port is a SIP server's, and whether its log says that it ignores us";
    Signaling::KeysInClear => "keys-in-clear", "when a description came or was sent", Either,
        "the keys of SRTP (SDES) travel in SIP messages that are not encrypted: whoever sees those can decrypt the call",
        "give the endpoint a transport with protocol = tls, or require it (require_signaling in ciphertrunk.conf)";
    Signaling::NotAdopted => "transport-not-adopted", "when transports were taken over", Ours,
        "a protocol=tls transport could not be taken over and is pjproject's",
        "`ciphertrunk show transports` says why: correct it in pjsip.conf, and `module reload res_pjsip.so`";
    Signaling::NotTaken => "connection-not-taken", "when the handshake was done", Ours,
        "pjsip took no connection",
        "the line of pjproject before it may say why; a full memory is one reason";
}

/// Why packets of a peer are not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// They verify under no key.
    NotAuthentic,
    /// Their index was used or may have been.
    Index,
}

rows! {
    /// The row of packets that are not heard.
    pub fn of_media(Media), MEDIA:
    Media::NotAuthentic => "packets-not-authentic", "during the call", Theirs,
        "its SRTP packets do not authenticate",
        "it has to use the key that it announced, and to count its packets on; or somebody else sends to this port";
    Media::Index => "packets-index", "during the call", Theirs,
        "its SRTP packets are dropped for their index, which was received before or may have been",
        "it must not set its sequence number or rollover counter back under a key: a new key, a new SSRC, or counting on; or somebody \
         sends recorded packets again";
}
