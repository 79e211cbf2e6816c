//! `ciphertrunk show config [ENDPOINT]`: what is in force, and where it comes from.

use policy::config::Srtp;
use srtp::sdes::MkiRule;

use crate::config;
use crate::console;
use crate::ffi::cli::{Console, Outcome};

use super::Rows;

pub fn show_config(console: &mut Console<'_>) -> Outcome {
    match console.words {
        [_, _, _] => general(console),
        [_, _, _, endpoint] => {
            let endpoint = endpoint.clone();
            of_endpoint(console, &endpoint);
        }
        _ => return Outcome::Usage,
    }
    Outcome::Done
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

fn general(console: &mut Console<'_>) {
    let config = config::current();
    let mut line = |section: &str, option: &str, value: String| {
        console!(
            console,
            "[{section}] {option} = {value} ({})",
            config.origin(&[section], option)
        );
    };
    line("general", "kernel", config.kernels.name().to_owned());
    line("general", "cdr", yes(config.cdr).to_owned());
    line("general", "cel", yes(config.cel).to_owned());
    let native_bridge = yes(config.native_bridge).to_owned();
    line("media", "native_bridge", native_bridge);
    for (option, value) in options(config.srtp_of(None)) {
        line("srtp", option, value);
    }
    line("tls", "leave_alone", config.leave_alone.join(", "));
    line("tls", "io_threads", config.io_threads.to_string());
    line(
        "tls",
        "handshake_timeout",
        config.handshake_timeout.as_secs().to_string(),
    );
    for (option, file) in [
        ("key_log", &config.key_log),
        ("ticket_keys", &config.ticket_keys),
    ] {
        let file = file.as_ref();
        let file = file.map_or_else(String::new, |path| path.display().to_string());
        line("tls", option, file);
    }
    line("tls", "watch_files", yes(config.watch_files).to_owned());
    for (option, value) in config.limits.shown() {
        line("tls", option, value);
    }
    let endpoints: Vec<&str> = config.endpoints().collect();
    let peers: Vec<&str> = config.peers().collect();
    console!(console, "Endpoints with a section: {}", some(&endpoints));
    console!(console, "Peers with a section: {}", some(&peers));
    #[cfg(feature = "pjsip")]
    for profile in &config.profiles {
        for (option, value) in profile.lines() {
            let origin = config.origin(&[&profile.name], option);
            console!(console, "[{}] {option} = {value} ({origin})", profile.name);
        }
    }
    if let Some(time) = config::failed() {
        console!(
            console,
            "WARNING: ciphertrunk.conf was read again at {}, and is not used: the log says why",
            super::reasons::when(time)
        );
    }
}

/// The first hundred names, and how many more there are.
fn some(names: &[&str]) -> String {
    let most = Rows::Some.most();
    let first: Vec<&str> = names.iter().copied().take(most).collect();
    let more = match names.len().saturating_sub(most) {
        0 => String::new(),
        more => format!(" and {more} more, which ciphertrunk.conf has"),
    };
    first.join(", ") + &more
}

/// The options of `[srtp]`, as the file writes them.
fn options(srtp: &Srtp) -> Vec<(&'static str, String)> {
    let suites = |suites: &[srtp::Suite]| {
        let names: Vec<&str> = suites.iter().map(|suite| suite.name()).collect();
        names.join(", ")
    };
    let allow = [
        ("UNENCRYPTED_SRTP", srtp.allow.unencrypted_srtp),
        ("UNENCRYPTED_SRTCP", srtp.allow.unencrypted_srtcp),
        ("UNAUTHENTICATED_SRTP", srtp.allow.unauthenticated_srtp),
    ];
    let allow: Vec<&str> = allow
        .into_iter()
        .filter_map(|(name, is)| is.then_some(name))
        .collect();
    vec![
        ("offer", suites(&srtp.offer)),
        ("accept", suites(&srtp.accept)),
        ("mki", yes(srtp.mki == MkiRule::Any).to_owned()),
        ("allow", allow.join(", ")),
        (
            "lifetime",
            srtp.lifetime
                .map_or_else(String::new, |packets| packets.to_string()),
        ),
        ("strict_lifetime", yes(srtp.strict_lifetime).to_owned()),
    ]
}

fn of_endpoint(console: &mut Console<'_>, endpoint: &str) {
    let config = config::current();
    #[cfg(feature = "pjsip")]
    print_pjsip(console, endpoint);
    for (option, value) in options(config.srtp_of(Some(endpoint))) {
        console!(
            console,
            "{option} = {value} ({})",
            config.origin(&[endpoint, "srtp"], option)
        );
    }
    for (option, line) in config.required_of(endpoint) {
        console!(
            console,
            "{option} is demanded (ciphertrunk.conf [{endpoint}], line {line})"
        );
    }
    console!(
        console,
        "The endpoint has {} in ciphertrunk.conf",
        if config.endpoints().any(|name| name == endpoint) {
            "a section of its own"
        } else {
            "no section of its own"
        }
    );
}

/// What pjsip.conf says of it that has to do with encryption.
#[cfg(feature = "pjsip")]
fn print_pjsip(console: &mut Console<'_>, endpoint: &str) {
    use crate::ffi::late;
    use crate::ffi::pjsip::endpoint::options_of;
    const OPTIONS: [&str; 7] = [
        "transport",
        "media_encryption",
        "media_encryption_optimistic",
        "srtp_tag_32",
        "use_avpf",
        "dtls_verify",
        "dtls_setup",
    ];
    let options = late::found().and_then(|pjsip| options_of(pjsip, endpoint));
    let Some(options) = options else {
        console!(console, "pjsip.conf has no endpoint '{endpoint}'");
        return;
    };
    for option in OPTIONS {
        let value = options.get(option).map_or("", |value| value.as_str());
        console!(console, "{option} = {value} (pjsip.conf [{endpoint}])");
    }
}

/// The endpoints that have a section.
pub fn endpoints(position: usize) -> Vec<String> {
    if position != 3 {
        return Vec::new();
    }
    let config = config::current();
    config.endpoints().map(str::to_owned).collect()
}
