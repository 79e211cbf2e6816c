//! What a leg lacks, in a code and in words.

use std::fmt;

use srtp::Suite;

use super::identity::Fault;
use super::{KeySource, TlsVersion};

/// What a leg lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmet {
    /// The message would go over this transport.
    SignalingInClear(String),
    /// An earlier version of TLS.
    Version {
        /// What is demanded.
        wanted: TlsVersion,
        /// What there is.
        found: TlsVersion,
    },
    /// The key exchange is one that a quantum computer breaks: its group, if it is known.
    NotPostQuantum(Option<String>),
    /// The TLS is pjproject's, of which nothing is known.
    NotOurs,
    /// The peer's certificate was not verified.
    NotVerified,
    /// It does not have this name.
    Name(String),
    /// The endpoint is bound to other certificates.
    Certificate {
        /// What is wrong with the one that is there.
        fault: Fault,
        /// The certificates that would do.
        bound: String,
        /// What was presented.
        presented: String,
    },
    /// A media line of this kind without SRTP.
    MediaInClear(String),
    /// No suite is as strong as this one.
    Suite(Suite),
    /// The DTLS handshake brought keys for a weaker one.
    DtlsSuite {
        /// What is demanded.
        wanted: Suite,
        /// What there is.
        found: Suite,
    },
    /// Keys come from elsewhere.
    KeySource {
        /// What is demanded.
        wanted: KeySource,
        /// What there is.
        found: KeySource,
    },
    /// The demand is not one.
    Impossible(String),
    /// The peer forwards a call that an originate made, for which Asterisk makes a channel that knows nothing of the demand.
    Forwarded,
    /// The leg is of this technology, which tells no more of itself than whether it is encrypted.
    Technology(String),
    /// The leg is not one of PJSIP's, or its begin was not seen.
    Unseen,
}

impl Unmet {
    /// Whether the media lack it, and not the way that the message takes.
    pub fn is_of_media(&self) -> bool {
        matches!(
            self,
            Self::MediaInClear(_)
                | Self::Suite(_)
                | Self::DtlsSuite { .. }
                | Self::KeySource { .. }
        )
    }

    /// A stable code, for `${CIPHERTRUNK_REASON}`.
    pub fn code(&self) -> &'static str {
        crate::reasons::demand::of(self).code
    }
}

/// What is wrong, and which side changes what.
impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignalingInClear(transport) => write!(
                f,
                "SIP over TLS is required, and it goes over {transport}: give the endpoint or its contact a transport with \
                 protocol = tls"
            ),
            Self::Version { wanted, found } => write!(
                f,
                "{wanted} is required, and the connection has, or may get, {found}: set the transport's method, or have the \
                 peer speak {wanted}"
            ),
            Self::NotPostQuantum(group) => {
                f.write_str("a post-quantum key exchange is required, and the connection has ")?;
                match group {
                    Some(group) => write!(f, "the group {group}")?,
                    None => f.write_str("none")?,
                }
                f.write_str(
                    ": have the peer support X25519MLKEM768, or look whether groups of its profile here leaves it out; OpenSSL has it since \
                     3.5",
                )
            }
            Self::NotOurs => f.write_str(
                "more than TLS is required, and the transport is pjproject's, of which nothing is known: take it out of \
                 leave_alone",
            ),
            Self::NotVerified => f.write_str(
                "a verified certificate is required, and the peer's was not: set verify_server = yes (calls out), or \
                 verify_client and require_client_cert = yes (calls in), at the transport",
            ),
            Self::Name(name) => write!(
                f,
                "a certificate with the name {name} is required, and the peer's has others: call the right peer, or correct \
                 the demand"
            ),
            Self::Certificate {
                fault,
                bound,
                presented,
            } => {
                write!(
                    f,
                    "the endpoint is bound to the certificate {bound}, and the peer presented "
                )?;
                match fault {
                    Fault::Missing => f.write_str(
                        "none: set verify_client = yes at the transport (or require_client_cert = yes, where the certificate is \
                         bound by SHA256), and have the peer send it",
                    ),
                    Fault::Unverified => write!(
                        f,
                        "{presented}: set verify_client = yes (calls in) or verify_server = yes (calls out) at the transport, \
                         without which a name proves nothing, or bind the endpoint by SHA256"
                    ),
                    Fault::Other => write!(
                        f,
                        "{presented}: another peer is calling as this endpoint or is being called, or the certificate is a new \
                         one, which belongs into the endpoint's section of ciphertrunk.conf"
                    ),
                }
            }
            Self::MediaInClear(kind) => write!(
                f,
                "SRTP is required, and the {kind} line has none: set media_encryption of the endpoint, without \
                 media_encryption_optimistic, or have the peer offer SRTP"
            ),
            Self::Suite(wanted) => write!(
                f,
                "{} or a stronger suite is required, and none is there: add it to offer and accept of the endpoint's section \
                 in ciphertrunk.conf, or have the peer offer it",
                wanted.name()
            ),
            Self::DtlsSuite { wanted, found } => write!(
                f,
                "{} or a stronger suite is required, and the DTLS handshake brought keys for {}: Asterisk's DTLS-SRTP has \
                 AES_CM_128_HMAC_SHA1_80, or with srtp_tag_32 = yes AES_CM_128_HMAC_SHA1_32; other suites need media_encryption = sdes",
                wanted.name(),
                found.name()
            ),
            Self::KeySource { wanted, found } => write!(
                f,
                "keys from {wanted} are required, and they come from {found}: set media_encryption of the endpoint"
            ),
            Self::Impossible(reason) => write!(f, "the demand cannot be met: {reason}"),
            Self::Forwarded => f.write_str(
                "the peer forwards it, and what an originate demands does not follow a forward: originate a Local channel, whose \
                 dialplan dials",
            ),
            Self::Technology(technology) => write!(
                f,
                "more than encryption is required, and {technology} tells nothing of its TLS, certificates, suites and keys: dial the \
                 peer by PJSIP, or demand signaling=yes and media=yes alone"
            ),
            Self::Unseen => f.write_str(
                "the leg is required to be encrypted, and nothing is known of it: it is no call of PJSIP's that began \
                 after Ciphertrunk was loaded",
            ),
        }
    }
}
