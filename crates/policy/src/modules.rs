//! What Asterisk's `modules.conf` says of the module and of stock's SRTP engine.

use crate::config::Section;

/// The lines that make it certain that the module is the engine after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModulesConf {
    /// `require` (or `preload-require`) of the module: Asterisk does not come up without it.
    pub is_required: bool,
    /// `noload` of stock's engine.
    pub is_stock_kept_out: bool,
}

impl ModulesConf {
    /// Reads `[modules]`. `module` and `stock` are file names (`res_srtp.so`).
    #[must_use]
    pub fn of(sections: &[Section], module: &str, stock: &str) -> Self {
        let has = |words: &[&str], wanted: &str| {
            sections
                .iter()
                .filter(|section| section.name == "modules")
                .flat_map(|section| &section.variables)
                .any(|line| {
                    words
                        .iter()
                        .any(|word| line.name.eq_ignore_ascii_case(word))
                        && is_same_module(&line.value, wanted)
                })
        };
        Self {
            is_required: has(&["require", "preload-require"], module),
            is_stock_kept_out: has(&["noload"], stock),
        }
    }
}

/// As Asterisk compares them (`resource_name_match` in `main/loader.c`): the suffix may be missing, and case is nothing.
fn is_same_module(one: &str, other: &str) -> bool {
    stem(one).eq_ignore_ascii_case(stem(other))
}

fn stem(name: &str) -> &str {
    let (stem, suffix) = name
        .split_at_checked(name.len().saturating_sub(3))
        .unwrap_or((name, ""));
    if suffix.eq_ignore_ascii_case(".so") {
        stem
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Variable;

    fn read(section: &str, lines: &[(&str, &str)]) -> (bool, bool) {
        let variables = lines
            .iter()
            .map(|(name, value)| Variable {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
                line: 1,
            })
            .collect();
        let sections = [Section {
            name: section.to_owned(),
            variables,
        }];
        let conf = ModulesConf::of(&sections, "res_ciphertrunk.so", "res_srtp.so");
        (conf.is_required, conf.is_stock_kept_out)
    }

    #[test]
    fn both_lines_are_found() {
        let lines = [("require", "res_ciphertrunk.so"), ("noload", "res_srtp.so")];
        assert_eq!(read("modules", &lines), (true, true));
        assert_eq!(read("modules", &lines[..1]), (true, false));
        assert_eq!(read("modules", &lines[1..]), (false, true));
        assert_eq!(read("modules", &[]), (false, false));
    }

    #[test]
    fn names_are_compared_as_asterisk_does() {
        let lines = [
            ("preload-require", "res_ciphertrunk"),
            ("noload", "RES_SRTP"),
        ];
        assert_eq!(read("modules", &lines), (true, true));
        let others = [
            ("require", "res_ciphertrunk.so.1"),
            ("noload", "res_srtp_x"),
        ];
        assert_eq!(read("modules", &others), (false, false));
    }

    #[test]
    fn other_words_and_sections_do_not_count() {
        let lines = [("load", "res_ciphertrunk.so"), ("require", "res_srtp.so")];
        assert_eq!(read("modules", &lines), (false, false));
        let lines = [("require", "res_ciphertrunk.so"), ("noload", "res_srtp.so")];
        assert_eq!(read("global", &lines), (false, false));
    }
}
