//! What a media line of a peer's answer says about protection (RFC 4568 section 5, RFC 4566).

use zeroize::Zeroizing;

/// A media line (`m=`) of a peer's answer to a description of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MediaLine {
    /// `audio`, `video`, `image` and so on.
    pub kind: String,
    /// 0: the stream is declined or off.
    pub port: u16,
    /// The transport, `RTP/SAVP` for example.
    pub transport: String,
    /// The transport of our line that it answers.
    pub offered: String,
    /// That line has `a=crypto` and is not off.
    pub is_offered_sdes: bool,
    /// The values of its `a=crypto` attributes. They hold keys.
    pub crypto: Vec<Zeroizing<String>>,
    /// Its packets go over the transport, and with the keys, of a line before it (RFC 8843).
    pub is_bundled: bool,
}

/// Why a media line leaves audio or video without SDES.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It has no `a=crypto`.
    InClear,
    /// It has, under a profile that does not answer ours: with feedback (RFC 5124) where ours has none, without where ours
    /// has it, or with DTLS-SRTP's keys (RFC 5764).
    Profile,
    /// It has, and none was taken.
    NotTaken,
}

impl MediaLine {
    /// What is wrong, if audio or video is. `is_taken`: whether this value of `a=crypto` is the one whose keys are in force.
    ///
    /// A transport without SRTP in its name does no harm beside a key: both sides encrypt, and have said so (RFC 4568 does
    /// not say what such an answer means; pjproject and others send it).
    pub fn fault(&self, is_taken: impl Fn(&str) -> bool) -> Option<Fault> {
        let media = ["audio", "video"]
            .iter()
            .any(|kind| self.kind.eq_ignore_ascii_case(kind));
        if !media || !self.is_offered_sdes || self.port == 0 || self.is_bundled {
            return None;
        }
        if self.crypto.iter().any(|value| is_taken(value)) {
            return None;
        }
        Some(if self.crypto.is_empty() {
            Fault::InClear
        } else if has_feedback(&self.transport) != has_feedback(&self.offered)
            || self.transport.contains("UDP/TLS")
        {
            Fault::Profile
        } else {
            Fault::NotTaken
        })
    }
}

/// RFC 4585 and RFC 5124: `AVPF`, `SAVPF`.
fn has_feedback(transport: &str) -> bool {
    transport.ends_with('F')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: &str, transport: &str, crypto: &[&str]) -> MediaLine {
        MediaLine {
            kind: kind.to_owned(),
            port: 7000,
            transport: transport.to_owned(),
            offered: "RTP/SAVP".to_owned(),
            is_offered_sdes: true,
            crypto: crypto
                .iter()
                .map(|value| Zeroizing::new((*value).to_owned()))
                .collect(),
            is_bundled: false,
        }
    }

    fn fault(line: &MediaLine) -> Option<Fault> {
        line.fault(|value| value == "taken")
    }

    #[test]
    fn a_line_whose_key_is_in_force_is_encrypted_whatever_its_transport_is_called() {
        for kind in ["audio", "video", "AUDIO"] {
            for transport in ["RTP/SAVP", "RTP/AVP", "RTP/SAVPF"] {
                assert_eq!(fault(&line(kind, transport, &["taken"])), None);
                assert_eq!(fault(&line(kind, transport, &["other", "taken"])), None);
            }
        }
    }

    #[test]
    fn one_without_is_not() {
        for kind in ["audio", "video", "AUDIO"] {
            for (transport, crypto, why) in [
                ("RTP/SAVP", &[][..], Fault::InClear),
                ("RTP/AVP", &[], Fault::InClear),
                ("RTP/SAVPF", &[], Fault::InClear),
                ("RTP/SAVP", &["other"], Fault::NotTaken),
                ("RTP/AVP", &["other", "another"], Fault::NotTaken),
                ("RTP/SAVPF", &["other"], Fault::Profile),
                ("RTP/AVPF", &["other"], Fault::Profile),
                ("UDP/TLS/RTP/SAVP", &["other"], Fault::Profile),
            ] {
                assert_eq!(fault(&line(kind, transport, crypto)), Some(why));
            }
        }
        let mut feedback = line("audio", "RTP/SAVP", &["other"]);
        feedback.offered = "RTP/SAVPF".to_owned();
        assert_eq!(fault(&feedback), Some(Fault::Profile));
    }

    #[test]
    fn what_is_declined_or_bundled_or_no_media_has_no_fault() {
        let declined = MediaLine {
            port: 0,
            ..line("audio", "RTP/AVP", &[])
        };
        let bundled = MediaLine {
            is_bundled: true,
            ..line("video", "RTP/SAVP", &[])
        };
        let not_offered = MediaLine {
            is_offered_sdes: false,
            ..line("audio", "RTP/AVP", &[])
        };
        for line in [declined, bundled, not_offered, line("image", "udptl", &[])] {
            assert_eq!(fault(&line), None, "{line:?}");
        }
    }
}
