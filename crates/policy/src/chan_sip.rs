//! What chan_sip's names say: the peer in a channel's name, and the peers of its configuration.

use crate::config::Section;

/// The peer of a channel of chan_sip's, by the channel's name: `carrier` of `SIP/carrier-0000001f`. Where a call was made to
/// an address, it is that address.
#[must_use]
pub fn peer_of_channel(name: &str) -> Option<&str> {
    let (peer, number) = name.strip_prefix("SIP/")?.rsplit_once('-')?;
    let is_number =
        |text: &str| text.len() == 8 && text.bytes().all(|octet| octet.is_ascii_hexdigit());
    (!peer.is_empty() && is_number(number)).then_some(peer)
}

/// Whether a peer is certain not to be there, by Asterisk's files: `sip` is `sip.conf` with what it includes, `users` and `ext`
/// are `users.conf` and `extconfig.conf`, as far as each could be read. A user of `users.conf` may be a peer, and what a
/// database has is not known.
#[must_use]
pub fn is_unknown_peer(peer: &str, sip: &[Section], users: &[Section], ext: &[Section]) -> bool {
    // Asterisk looks for a peer's name without regard to case.
    let has = |sections: &[Section]| {
        sections
            .iter()
            .any(|section| section.name.eq_ignore_ascii_case(peer))
    };
    let in_a_database = ext
        .iter()
        .flat_map(|section| &section.variables)
        .any(|line| line.name.eq_ignore_ascii_case("sippeers"));
    !in_a_database && !has(sip) && !has(users)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Variable;

    #[test]
    fn a_channel_has_its_peer_in_its_name() {
        for (name, peer) in [
            ("SIP/carrier-0000001f", "carrier"),
            ("SIP/new-york-2-00000000", "new-york-2"),
            ("SIP/192.0.2.7:5080-ffffffff", "192.0.2.7:5080"),
        ] {
            assert_eq!(peer_of_channel(name), Some(peer));
        }
        for name in [
            "",
            "SIP/",
            "SIP/carrier",
            "SIP/-0000001f",
            "SIP/carrier-0000001g",
            "SIP/carrier-1f",
            "SIP/carrier-0000001f<ZOMBIE>",
            "PJSIP/carrier-0000001f",
            "Local/carrier@default-0000001f;1",
        ] {
            assert_eq!(peer_of_channel(name), None, "{name}");
        }
    }

    #[test]
    fn a_peer_that_no_file_has_is_unknown() {
        let section = |name: &str, option: Option<&str>| Section {
            name: name.to_owned(),
            variables: option
                .map(|name| Variable {
                    name: name.to_owned(),
                    value: "odbc,asterisk".to_owned(),
                    line: 2,
                })
                .into_iter()
                .collect(),
        };
        let sip = [section("general", None), section("carrier", None)];
        let users = [section("alice", None)];
        assert!(is_unknown_peer("carier", &sip, &users, &[]));
        assert!(is_unknown_peer("carier", &[], &[], &[]));
        // The twins.
        assert!(!is_unknown_peer("carrier", &sip, &users, &[]));
        assert!(!is_unknown_peer("Carrier", &sip, &users, &[]));
        assert!(!is_unknown_peer("alice", &sip, &users, &[]));
        let ext = [section("settings", Some("sippeers"))];
        assert!(!is_unknown_peer("carier", &sip, &users, &ext));
        let other = [section("settings", Some("queues"))];
        assert!(is_unknown_peer("carier", &sip, &users, &other));
    }
}
