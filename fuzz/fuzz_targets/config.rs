//! Input: the text of a `ciphertrunk.conf`. It is a configuration, or a list of problems that each have a place; and what is
//! taken obeys its limits.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use policy::config::{Section, Variable, parse};

/// Sections and lines, as Asterisk's parser hands them over.
fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for (text, line) in text.lines().zip(1..) {
        if let Some(name) = text
            .strip_prefix('[')
            .and_then(|rest| rest.split(']').next())
        {
            sections.push(Section {
                name: name.to_owned(),
                variables: Vec::new(),
            });
        } else if let (Some(section), Some((name, value))) =
            (sections.last_mut(), text.split_once('='))
        {
            section.variables.push(Variable {
                name: name.trim().to_owned(),
                value: value.trim().to_owned(),
                line,
            });
        }
    }
    sections
}

fuzz_target!(|text: &str| {
    let sections = sections(text);
    let config = match parse(&sections) {
        Ok(config) => config,
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                let told = problem.to_string();
                assert!(told.contains('[') && told.contains("]"), "{told}");
            }
            return;
        }
    };
    assert!((1..=64).contains(&config.io_threads));
    let timeout = config.handshake_timeout;
    assert!(timeout >= Duration::from_secs(1) && timeout <= Duration::from_secs(300));
    for endpoint in config.endpoints().map(Some).chain([None]) {
        let srtp = config.srtp_of(endpoint);
        for suites in [&srtp.offer, &srtp.accept] {
            assert!(!suites.is_empty());
            assert!((1..suites.len()).all(|n| !suites[n..].contains(&suites[n - 1])));
        }
        assert!(srtp.lifetime.is_none_or(|packets| packets >= 1 << 20));
        assert!(srtp.lifetime.is_none_or(|packets| packets <= 1 << 48));
    }
    for doubt in config.offered_only() {
        assert!(
            !config
                .srtp_of(Some(&doubt.section))
                .accept
                .contains(&doubt.suite)
        );
    }
});
