//! A SIP URI, as far as it says where requests go (RFC 3261 19.1.1).

/// Where a URI leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipUri {
    /// `HOST` or `HOST:PORT`, as it stands there.
    pub place: String,
    /// It says TLS: `sips:`, or `transport=tls`.
    pub is_tls: bool,
}

impl SipUri {
    /// Reads one, with or without angle brackets. `None`: it is no SIP URI, or has no host.
    #[must_use]
    pub fn parse(text: &str) -> Option<SipUri> {
        let bare = match text.split_once('<') {
            Some((_, rest)) => rest.split_once('>')?.0,
            None => text,
        };
        let (scheme, rest) = bare.trim().split_once(':')?;
        let is_sips = scheme.eq_ignore_ascii_case("sips");
        if !is_sips && !scheme.eq_ignore_ascii_case("sip") {
            return None;
        }
        let rest = rest.split('?').next().unwrap_or_default();
        // A user may have a semicolon; a host and its parameters have no @.
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        let mut parts = rest.split(';').map(str::trim);
        let place = parts.next().filter(|place| !place.is_empty())?;
        let is_tls = parts.any(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("transport")
                    && value.trim().eq_ignore_ascii_case("tls")
            })
        });
        Some(SipUri {
            place: place.to_owned(),
            is_tls: is_tls || is_sips,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::SipUri;

    #[test]
    fn where_uris_lead() {
        for (text, place, is_tls) in [
            ("sip:sip.example.com", "sip.example.com", false),
            ("sip:a@192.0.2.1:5061;transport=tls", "192.0.2.1:5061", true),
            (
                "sip:a;b@sip.example.com;lr;Transport=TLS?x=y",
                "sip.example.com",
                true,
            ),
            ("<sips:[2001:db8::1]:5062;lr>", "[2001:db8::1]:5062", true),
            ("\"A\" <sip:a@b;transport=tcp>;transport=tls", "b", false),
        ] {
            let place = place.to_owned();
            assert_eq!(
                SipUri::parse(text),
                Some(SipUri { place, is_tls }),
                "{text}"
            );
        }
        for text in ["", "sip:", "sip:a@", "tel:+49", "<sip:a", "sip.example.com"] {
            assert_eq!(SipUri::parse(text), None, "{text}");
        }
    }
}
