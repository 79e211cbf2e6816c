//! What a media line of a session description says about protection, apart from its keys (RFC 4568 section 5, RFC 4566).

/// A media line (`m=`) of a peer's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaLine {
    /// `audio`, `video`, `image` and so on.
    pub kind: String,
    /// 0: the stream is declined or off.
    pub port: u16,
    /// The transport, `RTP/SAVP` for example.
    pub transport: String,
    /// Whether an `a=crypto` attribute stands below it.
    pub has_crypto: bool,
}

impl MediaLine {
    /// Whether the line carries audio or video that SDES does not protect: under a profile without SRTP, or without a key.
    ///
    /// A profile of SRTP is one with `SAVP` in its name (RFC 3711 section 12: `RTP/SAVP`; RFC 5124: `RTP/SAVPF`).
    pub fn is_in_clear(&self) -> bool {
        let media = ["audio", "video"]
            .iter()
            .any(|kind| self.kind.eq_ignore_ascii_case(kind));
        media && self.port != 0 && !(self.transport.contains("SAVP") && self.has_crypto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: &str, port: u16, transport: &str, has_crypto: bool) -> MediaLine {
        MediaLine {
            kind: kind.to_owned(),
            port,
            transport: transport.to_owned(),
            has_crypto,
        }
    }

    #[test]
    fn audio_and_video_need_a_profile_of_srtp_and_a_key() {
        for kind in ["audio", "video", "AUDIO"] {
            assert!(!line(kind, 7000, "RTP/SAVP", true).is_in_clear());
            assert!(!line(kind, 7000, "RTP/SAVPF", true).is_in_clear());
            assert!(line(kind, 7000, "RTP/SAVP", false).is_in_clear());
            assert!(line(kind, 7000, "RTP/AVP", true).is_in_clear());
            assert!(line(kind, 7000, "RTP/AVP", false).is_in_clear());
        }
    }

    #[test]
    fn what_is_declined_or_no_media_is_not_in_clear() {
        assert!(!line("audio", 0, "RTP/AVP", false).is_in_clear());
        assert!(!line("image", 7000, "udptl", false).is_in_clear());
    }
}
