//! What Asterisk's `rtp.conf` asks of an SRTP engine.

use crate::config::Section;
use crate::pjsip_conf::is_yes;

/// Whether `srtpreplayprotection` is switched off: Asterisk takes the first line of `[general]`, and whatever `ast_true` does
/// not know as no.
#[must_use]
pub fn is_replay_protection_off(sections: &[Section]) -> bool {
    let mut lines = sections
        .iter()
        .filter(|section| section.name.eq_ignore_ascii_case("general"))
        .flat_map(|section| &section.variables);
    let option = lines.find(|line| line.name.eq_ignore_ascii_case("srtpreplayprotection"));
    option.is_some_and(|line| !is_yes(&line.value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Variable;

    #[test]
    fn as_asterisk_reads_it() {
        let rows: [(&str, &[&str], bool); 7] = [
            ("general", &[], false),
            ("general", &["no"], true),
            ("general", &["Yes"], false),
            ("general", &["on"], false),
            ("general", &["off"], true),
            ("general", &["maybe"], true),
            ("other", &["no"], false),
        ];
        for (name, values, off) in rows {
            let variables = values.iter().map(|value| Variable {
                name: "srtpreplayprotection".to_owned(),
                value: (*value).to_owned(),
                line: 1,
            });
            let section = Section {
                name: name.to_owned(),
                variables: variables.collect(),
            };
            assert_eq!(
                is_replay_protection_off(&[section]),
                off,
                "{name} {values:?}"
            );
        }
    }
}
