//! What `pjsip.conf` says of a transport's TLS.
//!
//! Asterisk reads a transport's options at each reload and keeps some of the old ones where the transport has `allow_reload = no`; its
//! own view of the transport does not tell which. The file does.

use std::collections::BTreeMap;

use crate::config::Section;

/// The options of a transport that a new handshake depends on, as `pjsip.conf` names them.
pub const TLS_OPTIONS: [&str; 11] = [
    "allow_wildcard_certs",
    "ca_list_file",
    "ca_list_path",
    "cert_file",
    "cipher",
    "method",
    "password",
    "priv_key_file",
    "require_client_cert",
    "verify_client",
    "verify_server",
];

/// Those of them that are yes or no.
const FLAGS: [&str; 4] = [
    "allow_wildcard_certs",
    "require_client_cert",
    "verify_client",
    "verify_server",
];

/// Where transports stand if `sorcery.conf` does not say otherwise.
const DEFAULT: &str = "pjsip.conf";

/// What Asterisk's `ast_true` takes for a yes.
#[must_use]
pub fn is_yes(value: &str) -> bool {
    ["yes", "true", "y", "t", "1", "on"]
        .iter()
        .any(|yes| value.eq_ignore_ascii_case(yes))
}

/// The files that transports are read from, by `sorcery.conf`. None: they are in a database.
#[must_use]
pub fn files(sorcery: &[Section]) -> Vec<String> {
    let lines = sorcery
        .iter()
        .filter(|section| section.name == "res_pjsip")
        .flat_map(|section| &section.variables);
    // `transport/cache` and the like are of the same type.
    let mappings: Vec<&str> = lines
        .filter(|line| line.name.split('/').next() == Some("transport"))
        .map(|line| line.value.as_str())
        .collect();
    if mappings.is_empty() {
        return vec![DEFAULT.to_owned()];
    }
    let file = |value: &str| {
        let mut parts = value.split(',').map(str::trim);
        (parts.next() == Some("config")).then(|| parts.next().unwrap_or(DEFAULT).to_owned())
    };
    mappings.into_iter().filter_map(file).collect()
}

/// The TLS options of transport `name`, without those that are not set or say no. `None`: it does not stand there.
#[must_use]
pub fn tls_options(sections: &[Section], name: &str) -> Option<BTreeMap<&'static str, String>> {
    let section = sections.iter().find(|section| {
        let is_transport = section
            .variables
            .iter()
            .rev()
            .find(|line| line.name.eq_ignore_ascii_case("type"));
        section.name == name && is_transport.is_some_and(|line| line.value == "transport")
    })?;
    let mut options: BTreeMap<&'static str, String> = BTreeMap::new();
    for line in &section.variables {
        let known = TLS_OPTIONS
            .into_iter()
            .find(|option| line.name.eq_ignore_ascii_case(option));
        let Some(option) = known else { continue };
        if FLAGS.contains(&option) {
            // The last line decides.
            options.remove(option);
            if is_yes(&line.value) {
                options.insert(option, "yes".to_owned());
            }
        } else if line.value.is_empty() {
            // Asterisk ignores an empty name of a file.
            continue;
        } else if option == "cipher" {
            // Asterisk adds each line's ciphers to those before.
            let all = options.entry(option).or_default();
            if !all.is_empty() {
                all.push(',');
            }
            all.push_str(&line.value);
        } else {
            options.insert(option, line.value.clone());
        }
    }
    Some(options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Variable;

    fn section(name: &str, lines: &[(&str, &str)]) -> Section {
        let variables = lines.iter().map(|(name, value)| Variable {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            line: 1,
        });
        Section {
            name: name.to_owned(),
            variables: variables.collect(),
        }
    }

    #[test]
    fn a_transports_section_and_no_others() {
        let sections = [
            section("tls", &[("type", "endpoint"), ("cert_file", "/wrong")]),
            section("other", &[("type", "transport"), ("cert_file", "/wrong")]),
            section(
                "tls",
                &[
                    ("type", "transport"),
                    ("bind", "0.0.0.0"),
                    ("Method", "tlsv1_2"),
                    ("method", "tlsv1_3"),
                    ("cipher", "A,B"),
                    ("cipher", "C"),
                    ("ca_list_file", ""),
                    ("verify_server", "On"),
                    ("verify_client", "yes"),
                    ("verify_client", "no"),
                    ("require_client_cert", "off"),
                ],
            ),
        ];
        let options = tls_options(&sections, "tls").expect("it is there");
        let expected = [
            ("cipher", "A,B,C"),
            ("method", "tlsv1_3"),
            ("verify_server", "yes"),
        ];
        let expected = expected.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(options, BTreeMap::from(expected));
        assert_eq!(tls_options(&sections, "TLS"), None);
        assert_eq!(tls_options(&sections[..2], "tls"), None);
    }

    #[test]
    fn where_transports_stand() {
        type Lines<'a> = &'a [(&'a str, &'a str)];
        let rows: [(Lines<'_>, &[&str]); 5] = [
            (&[], &["pjsip.conf"]),
            (&[("endpoint", "realtime,ps_endpoints")], &["pjsip.conf"]),
            (&[("transport", "realtime,ps_transports")], &[]),
            (
                &[
                    ("transport", "config,trunks.conf,criteria=type=transport"),
                    ("transport/cache", "memory_cache"),
                ],
                &["trunks.conf"],
            ),
            (&[("transport", "config")], &["pjsip.conf"]),
        ];
        for (lines, expected) in rows {
            assert_eq!(files(&[section("res_pjsip", lines)]), expected, "{lines:?}");
        }
        let other = section("res_pjsip_publish", &[("transport", "realtime,x")]);
        assert_eq!(files(&[other]), ["pjsip.conf"]);
    }
}
