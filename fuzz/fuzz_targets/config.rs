//! Input: the text of a `ciphertrunk.conf`. It is a configuration, or a list of problems that each have a place; what is
//! taken obeys its limits; and what is in force at a first load in spite of problems demands no less.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use policy::config::{Config, Section, TlsProfile, Variable, fallback, parse};
use sip_tls::select::{Destination, Selectors};
use sip_tls::verify::PeerName;
use sip_tls::{ProfileConfig, Version};

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

/// What a section is, where it is neither `[general]` nor `[srtp]` nor `[tls]`.
fn kind(section: &Section) -> Option<&str> {
    let mut variables = section.variables.iter();
    let kind = variables.find(|variable| variable.name == "type")?;
    let is_general = matches!(section.name.as_str(), "general" | "srtp" | "tls");
    (!is_general).then_some(kind.value.as_str())
}

/// Whose a profile is reads the same again, and chooses it.
fn check_selectors(selectors: &Selectors) {
    let all = selectors.destinations.iter();
    for word in all.chain(&selectors.server_names) {
        let again = Destination::parse(&word.to_string());
        assert_eq!(again.as_ref(), Ok(word));
    }
    for word in &selectors.destinations {
        let fit = match word {
            Destination::Host(name) => selectors.outgoing(&PeerName::parse(name)),
            Destination::Domain(name) => selectors.outgoing(&PeerName::parse(&format!("a.{name}"))),
            Destination::Net(network) => {
                let network = network.to_string();
                let (address, _) = network.split_once('/').expect("with its length");
                selectors.incoming(address.parse().expect("an address"))
            }
        };
        assert!(fit.is_some(), "{word}");
    }
}

/// What a profile asks is in its options, over whichever of a transport.
fn check_profile(profile: &TlsProfile) {
    check_selectors(&profile.selectors);
    let lax = profile.over(&ProfileConfig::default());
    let strict = profile.over(&ProfileConfig {
        verify_server: true,
        verify_client: true,
        require_client_cert: true,
        ..ProfileConfig::default()
    });
    assert_eq!(lax.name.as_deref(), Some(profile.name.as_str()));
    let mut asked = false;
    for (option, _) in profile.lines() {
        assert_ne!(option, "password");
        match option {
            "pin" => assert!(!lax.pins.is_empty()),
            "verify_name" => assert!(!lax.verify_names.is_empty()),
            "verify_server" => asked = true,
            _ => {}
        }
    }
    assert_eq!(lax.verify_server == strict.verify_server, asked);
    if let Some(highest) = lax.max_version {
        let given = profile
            .lines()
            .filter(|(option, _)| *option == "min_version");
        let lowest = given.last().and_then(|(_, word)| Version::from_word(word));
        assert!(lowest.is_none_or(|lowest| lowest <= highest));
    }
}

/// With problems elsewhere, what is good is in force; where the problems are, nothing is had for less.
fn check_fallback(
    sections: &[Section],
    problems: &[policy::config::Problem],
    whole: Option<&Config>,
) {
    let poor = fallback(sections, problems);
    if let Some(whole) = whole {
        assert_eq!(poor.limits, whole.limits);
        assert!(poor.fips || !whole.fips);
        assert_eq!(poor.leave_alone, whole.leave_alone);
        for endpoint in whole.endpoints() {
            let demanded = whole.demand_of(endpoint);
            assert!(poor.demand_of(endpoint).covers(demanded), "{endpoint}");
        }
        let selectors = |config: &Config| -> Vec<Selectors> {
            config
                .profiles
                .iter()
                .map(|it| it.selectors.clone())
                .collect()
        };
        assert_eq!(selectors(&poor), selectors(whole));
        assert!(poor.profiles.iter().all(|it| it.broken.is_none()));
    }
    for problem in problems {
        let told = problem.to_string();
        let place = told
            .strip_prefix("line ")
            .and_then(|it| it.split_once(": "));
        let place = place.map_or(told.as_str(), |(_, place)| place);
        let is_in = |it: &&Section| place.starts_with(&format!("[{}]", it.name));
        for section in sections.iter().filter(is_in) {
            match kind(section) {
                Some("endpoint") => assert!(!poor.demand_of(&section.name).is_nothing()),
                Some("tls") => {
                    let mut profiles = poor.profiles.iter();
                    assert!(profiles.any(|it| it.name == section.name && it.broken.is_some()));
                }
                _ => {}
            }
        }
    }
}

fuzz_target!(|text: &str| {
    let sections = sections(text);
    let config = match parse(&sections) {
        Ok(config) => config,
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in &problems {
                let told = problem.to_string();
                assert!(told.contains('[') && told.contains("]"), "{told}");
            }
            check_fallback(&sections, &problems, None);
            return;
        }
    };
    check_fallback(&sections, &[], Some(&config));
    config.profiles.iter().for_each(check_profile);
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
