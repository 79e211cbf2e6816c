//! Whether a leg that is up has what is demanded: judged by what is known of it, and not by a message.

use srtp::Suite;

use super::identity::Presented;
use super::{Demand, Exchange, KeySource, Link, TlsVersion, Unmet};
use crate::facts::{self, Facts, Signaling, Stream};

impl Demand {
    /// Whether who meets this meets the `other` as well.
    pub fn covers(&self, other: &Self) -> bool {
        let other = Self {
            both_legs: false,
            ..other.clone()
        };
        self.clone().and(&other) == *self
    }

    /// Whether a leg that is up may be heard by one that demands this.
    ///
    /// # Errors
    ///
    /// What it lacks.
    pub fn judge_leg(&self, facts: &Facts) -> Result<(), Unmet> {
        if let Some(reason) = &self.impossible {
            return Err(Unmet::Impossible(reason.clone()));
        }
        if !self.is_about_media_alone() {
            let signaling = facts.signaling.as_ref().map_err(|_| Unmet::Unseen)?;
            self.judge_signaling(&link(signaling))?;
        }
        if !self.media {
            return Ok(());
        }
        let streams = facts.media.as_ref().map_err(|_| Unmet::Unseen)?;
        streams
            .iter()
            .try_for_each(|stream| self.judge_stream(stream))
    }

    fn judge_stream(&self, stream: &Stream) -> Result<(), Unmet> {
        let Some(srtp) = &stream.srtp else {
            // What is neither in clear nor has a suite waits for its DTLS handshake.
            return match (stream.in_clear, self.keys) {
                (Ok(_), _) => Err(Unmet::MediaInClear(stream.kind.to_owned())),
                (Err(_), Some(wanted @ KeySource::Sdes)) => Err(Unmet::KeySource {
                    wanted,
                    found: KeySource::Dtls,
                }),
                (Err(_), _) => Ok(()),
            };
        };
        if srtp.is_unencrypted {
            return Err(Unmet::MediaInClear(stream.kind.to_owned()));
        }
        let found = match srtp.source {
            facts::KeySource::Sdes => KeySource::Sdes,
            facts::KeySource::DtlsSrtp => KeySource::Dtls,
        };
        if let Some(wanted) = self.keys
            && wanted != found
        {
            return Err(Unmet::KeySource { wanted, found });
        }
        let Some(wanted) = self.suite else {
            return Ok(());
        };
        let known: Vec<_> = srtp.suites.iter().flatten().collect();
        let is_good = !known.is_empty()
            && known
                .iter()
                .all(|name| Suite::from_name(name).is_some_and(|it| self.permits(it)));
        is_good.then_some(()).ok_or(Unmet::Suite(wanted))
    }
}

/// What the leg's messages go over.
fn link(signaling: &Signaling) -> Link {
    let tls = match &signaling.tls {
        _ if !signaling.is_secure => return Link::InClear(signaling.transport.clone()),
        Err(_) => return Link::Foreign,
        Ok(tls) => tls,
    };
    let names = || {
        let certificate = tls.certificate.iter();
        let alternative = certificate.flat_map(|certificate| &certificate.alt_names);
        let alternative =
            alternative.map(|name| name.split_once(':').map_or(&**name, |(_, it)| it));
        // A SIP URI is its host's name.
        let alternative = alternative.map(|name| name.strip_prefix("sip:").unwrap_or(name));
        let verified = tls.verified_name.iter().map(String::as_str);
        verified.chain(alternative).map(str::to_owned).collect()
    };
    Link::Ours {
        version: TlsVersion::from_openssl(&tls.version).unwrap_or(TlsVersion::V1_0),
        verified: tls.is_verified.then(names),
        exchange: Exchange::Done(tls.group.as_ref().ok().cloned()),
        presented: match &tls.certificate {
            Err(_) => Presented::Nothing,
            Ok(certificate) => Presented::Certificate {
                certificate: certificate.clone(),
                is_verified: tls.is_verified,
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Srtp, Tls};

    fn of(words: &[(&str, &str)]) -> Demand {
        words.iter().fold(Demand::default(), |all, (word, value)| {
            all.and(&Demand::parse(word, value).expect("a good demand"))
        })
    }

    fn signaling(version: Option<&str>, name: Option<&str>) -> Signaling {
        Signaling {
            transport: if version.is_some() { "TLS" } else { "UDP" }.to_owned(),
            is_secure: version.is_some(),
            was_in_clear: version.is_none(),
            tls: version.ok_or("not TLS").map(|version| Tls {
                version: version.to_owned(),
                cipher: String::new(),
                group: Err("none"),
                is_resumed: false,
                is_verified: name.is_some(),
                verified_name: name.map(str::to_owned).ok_or("no name"),
                certificate: Err("none"),
            }),
        }
    }

    fn stream(suite: Option<&'static str>) -> Stream {
        Stream {
            kind: "audio",
            srtp: suite.map(|suite| Srtp {
                suites: [Ok(suite), Err("no packet has come")],
                source: facts::KeySource::Sdes,
                replays: 0,
                failures: 0,
                roc: [Ok(0), Ok(0)],
                rekeys: 0,
                is_unencrypted: false,
            }),
            packets: Ok([0, 0]),
            lost: Ok(0),
            in_clear: Ok(suite.is_none()),
        }
    }

    /// Each demand is met by one leg, and not by another that differs in one property.
    #[test]
    fn a_leg_that_is_up() {
        const AES: Option<&str> = Some("AES_CM_128_HMAC_SHA1_80");
        const SHORT: Option<&str> = Some("AES_CM_128_HMAC_SHA1_32");
        let tls = |version, name| Ok(signaling(Some(version), name));
        let udp = || Ok(signaling(None, None));
        let with_group = |group: &str| {
            let mut signaling = signaling(Some("TLSv1.3"), None);
            if let Ok(tls) = &mut signaling.tls {
                tls.group = Ok(group.to_owned());
            }
            Ok(signaling)
        };
        let rows = [
            (("media", "yes"), udp(), Ok(AES), None),
            (("media", "yes"), udp(), Ok(None), Some("media-in-clear")),
            (("media", "yes"), udp(), Err("none"), Some("unknown-leg")),
            (("media", "AES_CM_128_HMAC_SHA1_80"), udp(), Ok(AES), None),
            (
                ("media", "AES_CM_128_HMAC_SHA1_80"),
                udp(),
                Ok(SHORT),
                Some("media-suite"),
            ),
            (("media", "sdes"), udp(), Ok(AES), None),
            (("media", "dtls"), udp(), Ok(AES), Some("media-key-source")),
            (("signaling", "yes"), tls("TLSv1.2", None), Ok(None), None),
            (
                ("signaling", "yes"),
                udp(),
                Ok(AES),
                Some("signaling-in-clear"),
            ),
            (
                ("signaling", "yes"),
                Err("none"),
                Ok(AES),
                Some("unknown-leg"),
            ),
            (("signaling", "tls1.3"), tls("TLSv1.3", None), Ok(AES), None),
            (
                ("signaling", "tls1.3"),
                tls("TLSv1.2", None),
                Ok(AES),
                Some("signaling-version"),
            ),
            (
                ("signaling", "pq"),
                with_group("X25519MLKEM768"),
                Ok(AES),
                None,
            ),
            (
                ("signaling", "pq"),
                with_group("X25519"),
                Ok(AES),
                Some("not-post-quantum"),
            ),
            (
                ("signaling", "pq"),
                tls("TLSv1.3", None),
                Ok(AES),
                Some("not-post-quantum"),
            ),
            (
                ("signaling", "pq"),
                udp(),
                Ok(AES),
                Some("signaling-in-clear"),
            ),
            (("verified", "a"), tls("TLSv1.3", Some("a")), Ok(AES), None),
            (
                ("verified", "a"),
                tls("TLSv1.3", Some("b")),
                Ok(AES),
                Some("other-name"),
            ),
            (
                ("verified", "a"),
                tls("TLSv1.3", None),
                Ok(AES),
                Some("not-verified"),
            ),
        ];
        for (word, signaling, suite, unmet) in rows {
            let facts = Facts {
                signaling,
                media: suite.map(|suite| vec![stream(suite)]),
            };
            let found = of(&[word]).judge_leg(&facts).err();
            assert_eq!(found.map(|it| it.code()), unmet, "{word:?} {facts:?}");
        }
    }

    #[test]
    fn who_meets_one_meets_the_other() {
        let strong = of(&[
            ("media", "AES_CM_128_HMAC_SHA1_80"),
            ("signaling", "tls1.2"),
        ]);
        assert!(strong.covers(&of(&[("media", "yes"), ("both_legs", "yes")])));
        assert!(strong.covers(&of(&[("signaling", "tls1.2")])));
        assert!(!strong.covers(&of(&[("signaling", "tls1.3")])));
        assert!(!strong.covers(&of(&[("media", "dtls")])));
        assert!(!of(&[("media", "yes")]).covers(&strong));
        assert!(Demand::default().covers(&Demand::default()));
    }
}
