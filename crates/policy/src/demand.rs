//! Demands on a call: what a leg must have before anything of it may leave, and whether it has.
//!
//! A demand is made in the dialplan (`CIPHERTRUNK_REQUIRE`), by Asterisk's own `CHANNEL(secure_bridge_...)`, or for an endpoint
//! in `ciphertrunk.conf`. Several are added up; none takes anything back.

mod leg;

use std::fmt;

use srtp::Suite;

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.0 (RFC 2246).
    V1_0,
    /// TLS 1.1 (RFC 4346).
    V1_1,
    /// TLS 1.2 (RFC 5246).
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

impl TlsVersion {
    const ALL: [(&str, Self); 4] = [
        ("tls1.0", Self::V1_0),
        ("tls1.1", Self::V1_1),
        ("tls1.2", Self::V1_2),
        ("tls1.3", Self::V1_3),
    ];

    /// By OpenSSL's name, e.g. `TLSv1.3`.
    pub fn from_openssl(name: &str) -> Option<Self> {
        match name {
            "TLSv1" => Some(Self::V1_0),
            "TLSv1.1" => Some(Self::V1_1),
            "TLSv1.2" => Some(Self::V1_2),
            "TLSv1.3" => Some(Self::V1_3),
            _ => None,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        let found = Self::ALL
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known));
        found.map(|(_, version)| *version)
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1_0 => "TLS 1.0",
            Self::V1_1 => "TLS 1.1",
            Self::V1_2 => "TLS 1.2",
            Self::V1_3 => "TLS 1.3",
        })
    }
}

/// Where the keys of SRTP come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySource {
    /// `a=crypto` lines (RFC 4568).
    Sdes,
    /// A DTLS handshake (RFC 5764).
    Dtls,
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sdes => "SDES",
            Self::Dtls => "DTLS-SRTP",
        })
    }
}

/// What is demanded of a leg. The default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// `signaling`: SIP over TLS, of this version or a later one.
    signaling: Option<TlsVersion>,
    /// `media`: SRTP.
    media: bool,
    /// The least suite; a stronger one is good too.
    suite: Option<Suite>,
    /// The only source of keys.
    keys: Option<KeySource>,
    /// `verified`: the peer's certificate was verified.
    verified: bool,
    /// ... and names this.
    name: Option<String>,
    /// `both_legs`: of the leg that makes the demand as well.
    both_legs: bool,
    /// Why nothing meets it: a demand that could not be understood is not one that is ignored.
    impossible: Option<String>,
}

/// Why a demand cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadDemand(String);

impl fmt::Display for BadDemand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn bad<T>(reason: String) -> Result<T, BadDemand> {
    Err(BadDemand(reason))
}

impl Demand {
    /// Signalling over TLS (`CHANNEL(secure_bridge_signaling)`).
    pub fn of_signaling() -> Self {
        Self {
            signaling: Some(TlsVersion::V1_0),
            ..Self::default()
        }
    }

    /// Media over SRTP (`CHANNEL(secure_bridge_media)`).
    pub fn of_media() -> Self {
        Self {
            media: true,
            ..Self::default()
        }
    }

    /// What nothing meets: in the place of a demand that cannot be made.
    pub fn impossible(reason: &BadDemand) -> Self {
        Self {
            impossible: Some(reason.0.clone()),
            ..Self::default()
        }
    }

    /// One word and its value, as `CIPHERTRUNK_REQUIRE(word)=value` and `require_word = value` have them.
    ///
    /// | word | value |
    /// |---|---|
    /// | `signaling` | `yes`, or the least version: `tls1.2`, `tls1.3` |
    /// | `media` | `yes`, or with commas between: the least suite, `sdes` or `dtls` |
    /// | `verified` | `yes`, or the name that the certificate must have |
    /// | `both_legs` | `yes` |
    ///
    /// # Errors
    ///
    /// Another word or value. `no` is one: a demand is not taken back.
    pub fn parse(word: &str, value: &str) -> Result<Self, BadDemand> {
        let mut demand = Self::default();
        let (word, value) = (word.trim().to_ascii_lowercase(), value.trim());
        let yes = is_yes(value);
        if value.is_empty() || is_no(value) {
            return bad(format!(
                "{word} = '{value}': a demand is not taken back; leave the word out where it is not wanted"
            ));
        }
        match word.as_str() {
            "signaling" => {
                demand.signaling = match TlsVersion::from_name(value) {
                    Some(version) => Some(version),
                    None if yes => Some(TlsVersion::V1_0),
                    None => {
                        return bad(format!(
                            "signaling = '{value}': there are yes, tls1.0, tls1.1, tls1.2, tls1.3"
                        ));
                    }
                }
            }
            "media" => {
                demand.media = true;
                for part in value.split([',', '&']).map(str::trim) {
                    demand.set_media(part)?;
                }
            }
            "verified" => {
                demand.verified = true;
                demand.name = (!yes).then(|| value.to_ascii_lowercase());
            }
            "both_legs" if yes => demand.both_legs = true,
            "both_legs" => return bad(format!("both_legs = '{value}': there is yes")),
            _ => {
                return bad(format!(
                    "'{word}' is not a word of a demand; there are: signaling, media, verified, both_legs"
                ));
            }
        }
        Ok(demand)
    }

    fn set_media(&mut self, part: &str) -> Result<(), BadDemand> {
        let added = match part.to_ascii_lowercase().as_str() {
            "sdes" => Self {
                keys: Some(KeySource::Sdes),
                ..Self::default()
            },
            "dtls" => Self {
                keys: Some(KeySource::Dtls),
                ..Self::default()
            },
            _ if is_yes(part) => return Ok(()),
            _ => {
                let Some(suite) = Suite::from_name(part) else {
                    let known: Vec<&str> = Suite::ALL.iter().map(|suite| suite.name()).collect();
                    return bad(format!(
                        "media = '{part}': there are yes, sdes, dtls, {}",
                        known.join(", ")
                    ));
                };
                Self {
                    suite: Some(suite),
                    ..Self::default()
                }
            }
        };
        self.add(&added)
    }

    /// Demands that as well.
    ///
    /// # Errors
    ///
    /// Both together cannot be met, or not be compared. Nothing has changed then.
    pub fn add(&mut self, other: &Self) -> Result<(), BadDemand> {
        let suite = match (self.suite, other.suite) {
            (Some(one), Some(another)) if one.is_at_least(another) => Some(one),
            (Some(one), Some(another)) if another.is_at_least(one) => Some(another),
            (Some(one), Some(another)) => {
                return bad(format!(
                    "neither {} nor {} is the stronger suite: a call cannot be asked for both",
                    one.name(),
                    another.name()
                ));
            }
            (one, another) => one.or(another),
        };
        if let (Some(one), Some(another)) = (self.keys, other.keys)
            && one != another
        {
            return bad(format!("keys cannot come from {one} and from {another}"));
        }
        if let (Some(one), Some(another)) = (&self.name, &other.name)
            && one != another
        {
            return bad(format!(
                "a certificate is asked for the name {one} and for the name {another}"
            ));
        }
        self.suite = suite;
        self.signaling = self.signaling.max(other.signaling);
        self.media |= other.media;
        self.keys = self.keys.or(other.keys);
        self.verified |= other.verified;
        if self.name.is_none() {
            self.name.clone_from(&other.name);
        }
        self.both_legs |= other.both_legs;
        if self.impossible.is_none() {
            self.impossible.clone_from(&other.impossible);
        }
        Ok(())
    }

    /// Both together, or what is impossible where they cannot be.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        match self.add(other) {
            Ok(()) => self,
            Err(reason) => Self::impossible(&reason),
        }
    }

    /// Whether media are to be encrypted.
    pub fn is_of_media(&self) -> bool {
        self.media || self.impossible.is_some()
    }

    /// Whether the signalling is to be encrypted.
    pub fn is_of_signaling(&self) -> bool {
        !self.is_about_media_alone()
    }

    /// Whether the leg that makes the demand is asked as well.
    pub fn is_for_both_legs(&self) -> bool {
        self.both_legs
    }

    /// Whether nothing is demanded.
    pub fn is_nothing(&self) -> bool {
        self.is_about_media_alone() && !self.media
    }

    /// Whether nothing is demanded of the signalling.
    fn is_about_media_alone(&self) -> bool {
        self.signaling.is_none() && !self.verified && self.impossible.is_none()
    }

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
        // A list of which one line is good enough is judged by the line that is taken (`permits`).
        let weak = keys == KeySource::Sdes
            && !line
                .suites
                .iter()
                .any(|suite| suite.is_some_and(|suite| self.permits(suite)));
        match self.suite {
            Some(wanted) if weak => Err(Unmet::Suite(wanted)),
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
        let (version, verified) = match link {
            Link::InClear(transport) => return Err(Unmet::SignalingInClear(transport.clone())),
            // TLS it is; what else is not known.
            Link::Foreign if self.signaling <= Some(TlsVersion::V1_0) && !self.verified => {
                return Ok(());
            }
            Link::Foreign => return Err(Unmet::NotOurs),
            Link::Ours { version, verified } => (*version, verified),
        };
        if let Some(wanted) = self.signaling
            && version < wanted
        {
            return Err(Unmet::Version {
                wanted,
                found: version,
            });
        }
        match (self.verified, verified, &self.name) {
            (false, ..) | (true, Some(_), None) => Ok(()),
            (true, Some(names), Some(wanted)) => {
                let is_named = names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
                is_named
                    .then_some(())
                    .ok_or_else(|| Unmet::Name(wanted.clone()))
            }
            (true, None, _) => Err(Unmet::NotVerified),
        }
    }
}

fn is_yes(value: &str) -> bool {
    ["yes", "true", "y", "t", "1", "on"]
        .iter()
        .any(|yes| value.eq_ignore_ascii_case(yes))
}

fn is_no(value: &str) -> bool {
    ["no", "false", "n", "f", "0", "off"]
        .iter()
        .any(|no| value.eq_ignore_ascii_case(no))
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
    },
}

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
    /// The TLS is pjproject's, of which nothing is known.
    NotOurs,
    /// The peer's certificate was not verified.
    NotVerified,
    /// It does not have this name.
    Name(String),
    /// A media line of this kind without SRTP.
    MediaInClear(String),
    /// No suite is as strong as this one.
    Suite(Suite),
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
    /// The leg is not one of PJSIP's, or its begin was not seen.
    Unseen,
}

impl Unmet {
    /// Whether the media lack it, and not the way that the message takes.
    pub fn is_of_media(&self) -> bool {
        matches!(
            self,
            Self::MediaInClear(_) | Self::Suite(_) | Self::KeySource { .. }
        )
    }

    /// A stable code, for `${CIPHERTRUNK_REASON}`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SignalingInClear(_) => "signaling-in-clear",
            Self::Version { .. } => "signaling-version",
            Self::NotOurs => "signaling-unknown",
            Self::NotVerified => "not-verified",
            Self::Name(_) => "other-name",
            Self::MediaInClear(_) => "media-in-clear",
            Self::Suite(_) => "media-suite",
            Self::KeySource { .. } => "media-key-source",
            Self::Impossible(_) => "bad-demand",
            Self::Forwarded => "forwarded",
            Self::Unseen => "unknown-leg",
        }
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
            Self::KeySource { wanted, found } => write!(
                f,
                "keys from {wanted} are required, and they come from {found}: set media_encryption of the endpoint"
            ),
            Self::Impossible(reason) => write!(f, "the demand cannot be met: {reason}"),
            Self::Forwarded => f.write_str(
                "the peer forwards it, and what an originate demands does not follow a forward: originate a Local channel, whose \
                 dialplan dials",
            ),
            Self::Unseen => f.write_str(
                "the leg is required to be encrypted, and nothing is known of it: it is no call of PJSIP's that began \
                 after Ciphertrunk was loaded",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[(&str, &str)]) -> Demand {
        let mut demand = Demand::default();
        for (word, value) in words {
            let more = Demand::parse(word, value).expect("a good demand");
            demand.add(&more).expect("that can be met");
        }
        demand
    }

    fn line(transport: &str, suites: &[Suite], has_fingerprint: bool) -> DescribedMedia {
        DescribedMedia {
            kind: "audio".to_owned(),
            port: 4000,
            transport: transport.to_owned(),
            suites: suites.iter().copied().map(Some).collect(),
            has_fingerprint,
        }
    }

    fn ours(version: TlsVersion, verified: Option<&[&str]>) -> Link {
        Link::Ours {
            version,
            verified: verified.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
        }
    }

    const CM: Suite = Suite::AesCm128HmacSha1_80;
    const SHORT: Suite = Suite::AesCm128HmacSha1_32;
    const GCM: Suite = Suite::AeadAes256Gcm;

    #[test]
    fn words_and_values() {
        for (word, value) in [
            ("signaling", "yes"),
            ("Signaling", "TLS1.3"),
            ("media", "on"),
            ("media", "sdes, AEAD_AES_256_GCM"),
            ("media", "dtls"),
            ("verified", "sip.example.net"),
            ("both_legs", "1"),
        ] {
            assert!(Demand::parse(word, value).is_ok(), "{word} = {value}");
        }
        for (word, value) in [
            ("signaling", "tls2"),
            ("signalling", "yes"),
            ("media", "no"),
            ("media", "AES"),
            ("media", "sdes,dtls"),
            ("media", ""),
            ("verified", "no"),
            ("both_legs", "maybe"),
            ("", "yes"),
        ] {
            assert!(Demand::parse(word, value).is_err(), "{word} = {value}");
        }
    }

    #[test]
    fn demands_add_up_and_never_weaken() {
        let mut demand = of(&[("signaling", "tls1.3"), ("media", "AEAD_AES_256_GCM")]);
        let before = demand.clone();
        demand.add(&of(&[("signaling", "yes")])).expect("weaker");
        demand
            .add(&of(&[("media", "AES_CM_128_HMAC_SHA1_80")]))
            .expect("weaker");
        assert_eq!(demand, before);
        // Neither is the stronger: 256 bits of key, or 128 of tag.
        let other = of(&[("media", "AEAD_AES_128_GCM")]);
        let mut demand = of(&[("media", "AES_256_CM_HMAC_SHA1_80")]);
        assert!(demand.add(&other).is_err());
        let mut demand = of(&[("verified", "a.example")]);
        assert!(demand.add(&of(&[("verified", "b.example")])).is_err());
        assert!(demand.add(&of(&[("verified", "A.example")])).is_ok());
    }

    #[test]
    fn media() {
        let demand = of(&[("media", "yes")]);
        let cases = [
            (line("RTP/SAVP", &[CM], false), None),
            // What Asterisk offers with media_encryption_optimistic and answers in AVP with a key is SRTP.
            (line("RTP/AVP", &[CM], false), None),
            (line("UDP/TLS/RTP/SAVPF", &[], true), None),
            (line("RTP/AVP", &[], false), Some("media-in-clear")),
            (line("RTP/SAVP", &[], false), Some("media-in-clear")),
            // A fingerprint beside a profile in clear does not encrypt.
            (line("RTP/AVP", &[], true), Some("media-in-clear")),
            (line("udptl", &[], false), Some("media-in-clear")),
        ];
        for (line, unmet) in cases {
            let found = demand.judge_media(&line).err().map(|unmet| unmet.code());
            assert_eq!(found, unmet, "{line:?}");
            // Without the demand, and switched off, each is good.
            assert_eq!(of(&[("signaling", "yes")]).judge_media(&line), Ok(()));
            let off = DescribedMedia { port: 0, ..line };
            assert_eq!(demand.judge_media(&off), Ok(()));
        }
    }

    #[test]
    fn suites_and_key_sources() {
        let demand = of(&[("media", "AES_CM_128_HMAC_SHA1_80")]);
        let judge = |suites: &[Suite]| {
            let unmet = demand.judge_media(&line("RTP/SAVP", suites, false)).err();
            unmet.map(|unmet| unmet.code())
        };
        assert_eq!(judge(&[CM]), None);
        assert_eq!(judge(&[GCM]), None);
        assert_eq!(judge(&[SHORT, GCM]), None);
        assert_eq!(judge(&[SHORT]), Some("media-suite"));
        assert!(demand.permits(GCM) && !demand.permits(SHORT));
        let sdes = of(&[("media", "sdes")]);
        assert_eq!(sdes.judge_media(&line("RTP/SAVP", &[CM], false)), Ok(()));
        assert_eq!(
            sdes.judge_media(&line("UDP/TLS/RTP/SAVP", &[], true))
                .map_err(|unmet| unmet.code()),
            Err("media-key-source")
        );
    }

    #[test]
    fn signaling() {
        use TlsVersion::{V1_2, V1_3};
        let udp = Link::InClear("UDP".to_owned());
        let named: &[&str] = &["sip.example.net"];
        type Case = (
            &'static [(&'static str, &'static str)],
            Link,
            Option<&'static str>,
        );
        let cases: [Case; 11] = [
            (
                &[("signaling", "yes")],
                udp.clone(),
                Some("signaling-in-clear"),
            ),
            (&[("signaling", "yes")], Link::Foreign, None),
            (&[("signaling", "yes")], ours(V1_2, None), None),
            (
                &[("signaling", "tls1.3")],
                ours(V1_2, None),
                Some("signaling-version"),
            ),
            (&[("signaling", "tls1.3")], ours(V1_3, None), None),
            (
                &[("signaling", "tls1.3")],
                Link::Foreign,
                Some("signaling-unknown"),
            ),
            (
                &[("verified", "yes")],
                ours(V1_3, None),
                Some("not-verified"),
            ),
            (
                &[("verified", "yes")],
                udp.clone(),
                Some("signaling-in-clear"),
            ),
            (
                &[("verified", "SIP.example.net")],
                ours(V1_3, Some(named)),
                None,
            ),
            (
                &[("verified", "other.example")],
                ours(V1_3, Some(named)),
                Some("other-name"),
            ),
            (&[("media", "yes")], udp, None),
        ];
        for (words, link, unmet) in cases {
            let found = of(words).judge_signaling(&link).err();
            assert_eq!(found.map(|unmet| unmet.code()), unmet, "{words:?} {link:?}");
        }
    }
}
