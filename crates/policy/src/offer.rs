//! Why Asterisk refused the peer's offer, as far as that is a matter of encryption.

use crate::demand::DescribedMedia;
use crate::reasons::call::Offer;

/// What an endpoint's options say of media (`pjsip.conf`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// `media_encryption`.
    pub encryption: Encryption,
    /// `media_encryption_optimistic`: what is not encrypted is taken as well.
    pub is_optimistic: bool,
    /// `use_avpf`.
    pub uses_avpf: bool,
}

/// `media_encryption`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// `no`
    None,
    /// `sdes`
    Sdes,
    /// `dtls`
    Dtls,
}

impl Endpoint {
    /// From the options as Asterisk prints them. An option that is not there has its default.
    pub fn of<'a>(option: impl Fn(&str) -> Option<&'a str>) -> Self {
        let is_set = |name| option(name).is_some_and(is_yes);
        let encryption = option("media_encryption").unwrap_or("no");
        Self {
            encryption: if encryption.eq_ignore_ascii_case("sdes") {
                Encryption::Sdes
            } else if encryption.eq_ignore_ascii_case("dtls") {
                Encryption::Dtls
            } else {
                Encryption::None
            },
            is_optimistic: is_set("media_encryption_optimistic"),
            uses_avpf: is_set("use_avpf"),
        }
    }

    /// Why an offer of these lines is refused here; `None`: for another reason, or one that was told at an `a=crypto` line.
    pub fn refuses<'a>(&self, offer: &'a [DescribedMedia]) -> Option<(Offer, &'a DescribedMedia)> {
        offer
            .iter()
            .filter(|line| line.port != 0 && matches!(line.kind.as_str(), "audio" | "video"))
            .find_map(|line| Some((self.refuses_line(line)?, line)))
    }

    fn refuses_line(&self, line: &DescribedMedia) -> Option<Offer> {
        let profile = line.transport.to_ascii_uppercase();
        let is_secure = profile.contains("SAVP");
        let has_keys = !line.suites.is_empty();
        let is_dtls = profile.contains("UDP/TLS") || (line.has_fingerprint && !has_keys);
        match self.encryption {
            Encryption::None if is_secure => Some(Offer::Encrypted),
            Encryption::Sdes if is_dtls && is_secure => Some(Offer::Dtls),
            Encryption::Dtls if is_secure && !is_dtls => Some(Offer::Sdes),
            Encryption::Sdes | Encryption::Dtls
                if !is_secure && !has_keys && !self.is_optimistic =>
            {
                Some(Offer::InClear)
            }
            Encryption::Sdes if is_secure && !has_keys => Some(Offer::WithoutKeys),
            _ if !is_dtls && profile.ends_with('F') != self.uses_avpf => Some(Offer::Profile),
            _ => None,
        }
    }
}

fn is_yes(value: &str) -> bool {
    ["yes", "true", "on", "1"]
        .iter()
        .any(|yes| value.eq_ignore_ascii_case(yes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use srtp::Suite;

    fn line(transport: &str, has_key: bool, has_fingerprint: bool) -> DescribedMedia {
        DescribedMedia {
            kind: "audio".to_owned(),
            port: 4000,
            transport: transport.to_owned(),
            suites: if has_key {
                vec![Some(Suite::AesCm128HmacSha1_80)]
            } else {
                Vec::new()
            },
            has_fingerprint,
        }
    }

    fn refuses(options: &[(&str, &str)], line: DescribedMedia) -> Option<Offer> {
        let option = |name: &str| {
            let found = options.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| *value)
        };
        let offer = [line];
        Endpoint::of(option).refuses(&offer).map(|(why, _)| why)
    }

    #[test]
    fn what_an_endpoint_refuses() {
        const SDES: &[(&str, &str)] = &[("media_encryption", "sdes")];
        const DTLS: &[(&str, &str)] = &[("media_encryption", "dtls")];
        const NONE: &[(&str, &str)] = &[];
        const MAYBE: &[(&str, &str)] = &[
            ("media_encryption", "sdes"),
            ("media_encryption_optimistic", "true"),
        ];
        const AVPF: &[(&str, &str)] = &[("use_avpf", "true")];
        for (options, transport, key, fingerprint, expected) in [
            (SDES, "RTP/AVP", false, false, Some(Offer::InClear)),
            (SDES, "RTP/SAVP", true, false, None),
            (SDES, "UDP/TLS/RTP/SAVPF", false, true, Some(Offer::Dtls)),
            (SDES, "UDP/TLS/RTP/SAVP", false, true, Some(Offer::Dtls)),
            (SDES, "RTP/SAVP", false, true, Some(Offer::Dtls)),
            (SDES, "RTP/SAVP", false, false, Some(Offer::WithoutKeys)),
            (SDES, "RTP/SAVPF", true, false, Some(Offer::Profile)),
            (MAYBE, "RTP/AVP", false, false, None),
            (MAYBE, "RTP/AVP", true, false, None),
            (DTLS, "RTP/SAVP", true, false, Some(Offer::Sdes)),
            (DTLS, "RTP/AVP", false, false, Some(Offer::InClear)),
            (DTLS, "UDP/TLS/RTP/SAVPF", false, true, None),
            (NONE, "RTP/SAVP", true, false, Some(Offer::Encrypted)),
            (
                NONE,
                "UDP/TLS/RTP/SAVP",
                false,
                true,
                Some(Offer::Encrypted),
            ),
            (NONE, "RTP/AVP", false, false, None),
            (NONE, "RTP/AVPF", false, false, Some(Offer::Profile)),
            (AVPF, "RTP/AVPF", false, false, None),
            (AVPF, "RTP/AVP", false, false, Some(Offer::Profile)),
        ] {
            assert_eq!(
                refuses(options, line(transport, key, fingerprint)),
                expected,
                "{options:?} {transport} {key} {fingerprint}"
            );
        }
    }

    #[test]
    fn a_stream_that_is_off_and_a_fax_are_not_asked() {
        let endpoint = Endpoint::of(|name| (name == "media_encryption").then_some("sdes"));
        let mut off = line("RTP/AVP", false, false);
        off.port = 0;
        let mut fax = line("udptl", false, false);
        fax.kind = "image".to_owned();
        assert_eq!(endpoint.refuses(&[off, fax]), None);
        let both = [line("RTP/SAVP", true, false), line("RTP/AVP", false, false)];
        assert_eq!(endpoint.refuses(&both), Some((Offer::InClear, &both[1])));
    }
}
