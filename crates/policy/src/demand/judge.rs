//! Whether a leg has what is demanded.

use srtp::Suite;

use super::identity::Presented;
use super::{Demand, KeySource, TlsVersion, Unmet};

impl Demand {
    /// Whether a suite may be negotiated.
    pub fn permits(&self, suite: Suite) -> bool {
        self.suite.is_none_or(|least| suite.is_at_least(least))
    }

    /// Whether a media line may be sent, or be taken from the peer.
    ///
    /// # Errors
    ///
    /// What it lacks.
    pub fn judge_media(&self, line: &DescribedMedia) -> Result<(), Unmet> {
        if let Some(reason) = &self.impossible {
            return Err(Unmet::Impossible(reason.clone()));
        }
        if !self.media || line.port == 0 {
            return Ok(());
        }
        let is_secure = line.is_secure();
        let keys = match (line.has_fingerprint, line.suites.is_empty()) {
            (true, _) if is_secure => KeySource::Dtls,
            (false, false) => KeySource::Sdes,
            _ => return Err(Unmet::MediaInClear(line.kind.clone())),
        };
        if let Some(wanted) = self.keys
            && wanted != keys
        {
            return Err(Unmet::KeySource {
                wanted,
                found: keys,
            });
        }
        if keys == KeySource::Dtls {
            return Ok(());
        }
        // A list of which one line is good enough is judged by the line that is taken (`permits`). A line that is not known, or that
        // takes protection away, is none.
        let mut suites = line.suites.iter().flatten().peekable();
        if suites.peek().is_none() {
            return Err(Unmet::MediaInClear(line.kind.clone()));
        }
        match self.suite {
            Some(wanted) if !suites.any(|suite| self.permits(*suite)) => Err(Unmet::Suite(wanted)),
            _ => Ok(()),
        }
    }

    /// Whether media may go with the keys that a DTLS handshake has brought. What a description says of it is [judged](Self::judge_media)
    /// before; the suite is known behind it.
    ///
    /// # Errors
    ///
    /// What they lack.
    pub fn judge_dtls(&self, found: Suite) -> Result<(), Unmet> {
        if let Some(reason) = &self.impossible {
            return Err(Unmet::Impossible(reason.clone()));
        }
        if self.keys == Some(KeySource::Sdes) {
            return Err(Unmet::KeySource {
                wanted: KeySource::Sdes,
                found: KeySource::Dtls,
            });
        }
        match self.suite {
            Some(wanted) if !found.is_at_least(wanted) => Err(Unmet::DtlsSuite { wanted, found }),
            _ => Ok(()),
        }
    }

    /// Whether a message may go over a connection, or be taken from it.
    ///
    /// # Errors
    ///
    /// What it lacks.
    pub fn judge_signaling(&self, link: &Link) -> Result<(), Unmet> {
        if let Some(reason) = &self.impossible {
            return Err(Unmet::Impossible(reason.clone()));
        }
        if self.is_about_media_alone() {
            return Ok(());
        }
        let (version, verified, presented, exchange) = match link {
            Link::InClear(transport) => return Err(Unmet::SignalingInClear(transport.clone())),
            // TLS it is; what else is not known.
            Link::Foreign
                if self.signaling <= Some(TlsVersion::V1_0)
                    && !self.post_quantum
                    && !self.verified
                    && self.certificate.is_none() =>
            {
                return Ok(());
            }
            Link::Foreign => return Err(Unmet::NotOurs),
            Link::Ours {
                version,
                verified,
                presented,
                exchange,
            } => (*version, verified, presented, exchange),
        };
        if let Some(wanted) = self.signaling
            && version < wanted
        {
            return Err(Unmet::Version {
                wanted,
                found: version,
            });
        }
        self.judge_exchange(exchange)?;
        match presented {
            // Its names are not known yet: the handshake judges.
            Presented::Awaited if self.verified && verified.is_none() => Err(Unmet::NotVerified),
            Presented::Awaited => Ok(()),
            _ => self.judge_peer(verified.as_deref(), presented),
        }
    }

    /// Whether the keys of a connection come from where they are to come from.
    ///
    /// # Errors
    ///
    /// What they lack.
    pub fn judge_exchange(&self, exchange: &Exchange) -> Result<(), Unmet> {
        match exchange {
            Exchange::Done(group) if self.post_quantum && !is_post_quantum(group.as_deref()) => {
                Err(Unmet::NotPostQuantum(group.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Whether the peer is the one that is demanded, as its handshake has shown it. `verified`: the names of its certificate, if that was
    /// verified.
    ///
    /// # Errors
    ///
    /// What it lacks.
    pub fn judge_peer(
        &self,
        verified: Option<&[String]>,
        presented: &Presented,
    ) -> Result<(), Unmet> {
        match (self.verified, verified, &self.name) {
            (false, ..) | (true, Some(_), None) => {}
            (true, Some(names), Some(wanted)) => {
                if !names.iter().any(|name| name.eq_ignore_ascii_case(wanted)) {
                    return Err(Unmet::Name(wanted.clone()));
                }
            }
            (true, None, _) => return Err(Unmet::NotVerified),
        }
        self.judge_certificate(presented)
    }

    /// Whether a leg may be one of a technology that tells no more of itself than whether it is encrypted, and is asked that itself.
    ///
    /// # Errors
    ///
    /// More is demanded, or what nothing meets.
    pub fn judge_technology(&self, technology: &str) -> Result<(), Unmet> {
        if let Some(reason) = &self.impossible {
            return Err(Unmet::Impossible(reason.clone()));
        }
        let is_more = self.signaling > Some(TlsVersion::V1_0)
            || self.post_quantum
            || self.suite.is_some()
            || self.keys.is_some()
            || self.verified
            || self.certificate.is_some();
        match is_more {
            true => Err(Unmet::Technology(technology.to_owned())),
            false => Ok(()),
        }
    }

    /// Whether the peer is one that the call is bound to.
    ///
    /// # Errors
    ///
    /// What it has presented.
    pub fn judge_certificate(&self, presented: &Presented) -> Result<(), Unmet> {
        match &self.certificate {
            Some(binding) => binding.judge(presented),
            None => Ok(()),
        }
    }
}

/// A media line of a description, as far as a demand asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedMedia {
    /// `audio`, `video`, `image`...
    pub kind: String,
    /// 0: the stream is off.
    pub port: u16,
    /// `RTP/SAVP`, `udptl`...
    pub transport: String,
    /// The suites of its `a=crypto` lines; `None` for one that is not known.
    pub suites: Vec<Option<Suite>>,
    /// Whether it, or the session, has `a=fingerprint`.
    pub has_fingerprint: bool,
}

impl DescribedMedia {
    /// Whether its profile is one of SRTP's.
    fn is_secure(&self) -> bool {
        self.transport
            .split('/')
            .any(|part| part.eq_ignore_ascii_case("SAVP") || part.eq_ignore_ascii_case("SAVPF"))
    }

    /// Whether it has keys, and leaves it to the other side to use them.
    pub fn is_optional(&self) -> bool {
        !self.is_secure() && !self.suites.is_empty()
    }
}

/// What a message goes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Not TLS: this transport, e.g. `UDP`.
    InClear(String),
    /// TLS of pjproject's.
    Foreign,
    /// TLS of ours.
    Ours {
        /// What was negotiated; before the handshake the least that can be.
        version: TlsVersion,
        /// The names of the peer's certificate, if it was verified, or cannot but be in the handshake to come.
        verified: Option<Vec<String>>,
        /// What the peer has presented.
        presented: Presented,
        /// Where its keys come from.
        exchange: Exchange,
    },
}

/// The key exchange of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchange {
    /// The handshake is still to come.
    Awaited,
    /// It is done, with this group; `None`: with none, or one that is not told.
    Done(Option<String>),
}

/// The groups of TLS that hold against a quantum computer: hybrids with ML-KEM (FIPS 203), and ML-KEM alone, by OpenSSL's names.
fn is_post_quantum(group: Option<&str>) -> bool {
    const GROUPS: [&str; 6] = [
        "X25519MLKEM768",
        "SecP256r1MLKEM768",
        "SecP384r1MLKEM1024",
        "MLKEM512",
        "MLKEM768",
        "MLKEM1024",
    ];
    group.is_some_and(|group| GROUPS.iter().any(|known| group.eq_ignore_ascii_case(known)))
}
