//! From the words of `pjsip.conf`, and the profiles of `ciphertrunk.conf`, to a TLS profile and socket options.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sip_tls::{
    Inputs, Keepalive, Method, Named, NotLoaded, Profile, ProfileConfig, ProfileError,
    SocketOptions, TokenKeys, Warning,
};
use zeroize::Zeroizing;

use crate::ffi::host;
use crate::ffi::pjsip::sorcery::TlsTransport;
use crate::keylog;

/// A transport's profile with those of some of its peers, and what in them works and is probably not meant.
pub struct Loaded {
    pub profile: Arc<Profile>,
    /// What it was made of.
    pub inputs: Inputs,
    /// Sentences.
    pub warnings: Vec<String>,
    /// A profile of `ciphertrunk.conf` could not be loaded, and its peers get no connection.
    pub is_partial: bool,
}

/// A look at all transports.
#[derive(Default)]
pub struct Look {
    /// What was said of profiles; it is not said of each transport.
    said: BTreeSet<String>,
    /// Each token is asked once.
    keys: TokenKeys,
}

/// Loads the transport's profile, and those of `ciphertrunk.conf` over it. Warnings are logged, those about a profile once in a
/// `look`. Where nothing is `in_force` that could stay, a profile that is bad is not
/// one that is left out, and bad keys of session tickets are no reason to leave the transport.
///
/// # Errors
///
/// A sentence that names the option, the file and the reason.
pub fn profile(
    transport: &TlsTransport,
    in_force: Option<&Profile>,
    look: &mut Look,
) -> Result<Loaded, String> {
    let (mut config, warning) = config(transport)?;
    config.token_keys = look.keys.clone();
    // Before the files are read: what changes meanwhile is seen later.
    let inputs = inputs_of(&config);
    let mut warnings: Vec<String> = warning.iter().map(ToString::to_string).collect();
    if in_force.is_none()
        && let Some(error) = Profile::bad_ticket_keys(&config)
    {
        warnings.push(format!(
            "{}; session tickets get keys of this node alone, until the file changes",
            sentence(&error)
        ));
        config.ticket_keys = None;
    }
    for warning in &warnings {
        log::warn!("transport '{}': {warning}", transport.name);
    }
    let mut is_partial = false;
    let mut named = Vec::new();
    let mut doubtful = Vec::new();
    let configured = crate::config::current();
    for profile in &configured.profiles {
        let whose = format!("profile '{}'", profile.name);
        let loaded = match &profile.broken {
            Some(reason) => Err(reason.clone()),
            None => Profile::load(&profile.over(&config)).map_err(|error| sentence(&error)),
        };
        let loaded = match loaded {
            Ok((loaded, doubts)) => {
                doubtful.push((profile, doubts));
                Ok(Arc::new(loaded))
            }
            Err(reason) if is_missing(in_force, &profile.name) => {
                is_partial = true;
                log::error!(
                    "transport '{}', {whose} of ciphertrunk.conf: {reason}; its peers get no connection until that is put right",
                    transport.name
                );
                Err(NotLoaded(reason))
            }
            Err(reason) => {
                return Err(format!(
                    "{whose} of ciphertrunk.conf: {reason}; the options of the transport and of all profiles stay as they were"
                ));
            }
        };
        named.push(Named {
            name: profile.name.as_str().into(),
            selectors: profile.selectors.clone(),
            profile: loaded,
        });
    }
    let (profile, doubts) = Profile::load_with(&config, named).map_err(|error| sentence(&error))?;
    for (profile, its) in doubtful {
        // What it has from the transport is said of that.
        let has_own = profile.lines().any(|(option, _)| option == "cert_file");
        let its = its
            .iter()
            .filter(|it| **it != Warning::CannotListen && (has_own || !doubts.contains(it)));
        for doubt in its {
            let warning = format!("profile '{}': {doubt}", profile.name);
            if is_told_here(doubt) && look.said.insert(warning.clone()) {
                log::warn!("profile '{}' of ciphertrunk.conf: {doubt}", profile.name);
            }
            warnings.push(warning);
        }
    }
    for doubt in &doubts {
        if is_told_here(doubt) {
            log::warn!("transport '{}': {doubt}", transport.name);
        }
        warnings.push(doubt.to_string());
    }
    Ok(Loaded {
        profile: Arc::new(profile),
        inputs,
        warnings,
        is_partial,
    })
}

/// Whether nothing is in force for the peers of profile `name`: it is bad since the transport is ours.
fn is_missing(in_force: Option<&Profile>, name: &str) -> bool {
    in_force.is_none_or(|profile| {
        let mut named = profile.named().iter();
        named.any(|it| *it.name == *name && it.profile.is_err())
    })
}

/// The options of its profile and of those over it.
fn all(config: &ProfileConfig) -> Vec<ProfileConfig> {
    let profiles = &crate::config::current().profiles;
    let named = profiles.iter().map(|profile| profile.over(config));
    std::iter::once(config.clone()).chain(named).collect()
}

/// What the transport's profile would be made of now. `None`: a word of it is wrong.
pub fn inputs(transport: &TlsTransport) -> Option<Inputs> {
    config(transport).ok().map(|(config, _)| inputs_of(&config))
}

fn inputs_of(config: &ProfileConfig) -> Inputs {
    // A key log that was opened anew makes another profile, and so do other peers or another mistake.
    let sink = crate::config::key_log().map(|it| Arc::as_ptr(&it).cast::<()>().addr());
    let profiles = &crate::config::current().profiles;
    let profiles = profiles.iter().map(|it| (&it.selectors, &it.broken));
    let and = format!("{sink:?} {:?}", profiles.collect::<Vec<_>>());
    Inputs::of(&all(config), and.as_bytes())
}

/// The files that its profile is read from.
pub fn files(transport: &TlsTransport) -> Vec<PathBuf> {
    let Ok((config, _)) = config(transport) else {
        return Vec::new();
    };
    all(&config).iter().flat_map(ProfileConfig::files).collect()
}

/// Whether the log has it from here: of a certificate that has expired `expiry` tells, once and not at each reload.
fn is_told_here(doubt: &Warning) -> bool {
    *doubt != Warning::Expired
}

/// The transport's own options.
pub fn config(transport: &TlsTransport) -> Result<(ProfileConfig, Option<Warning>), String> {
    let path = |name: &str| transport.option(name).map(PathBuf::from);
    let word = transport.option("method").unwrap_or_default();
    let (method, warning) = Method::from_word(word)
        .map_err(|_| format!("method: '{word}' is not one that Asterisk knows"))?;
    let config = ProfileConfig {
        transport: transport.name.clone(),
        ticket_keys: crate::config::current().ticket_keys.clone(),
        cert_file: path("cert_file"),
        priv_key_file: path("priv_key_file"),
        password: transport
            .option("password")
            .map(|password| Zeroizing::new(password.to_owned())),
        ca_list_file: path("ca_list_file"),
        ca_list_path: path("ca_list_path"),
        method,
        cipher: transport.option("cipher").map(str::to_owned),
        verify_server: transport.flag("verify_server"),
        verify_client: transport.flag("verify_client"),
        require_client_cert: transport.flag("require_client_cert"),
        allow_wildcard_certs: transport.flag("allow_wildcard_certs"),
        key_log: keylog::sink(),
        ..ProfileConfig::default()
    };
    Ok((config, warning))
}

fn sentence(error: &ProfileError) -> String {
    if error.is_denied() {
        format!(
            "{error}; Asterisk runs as {}: chown or chmod it",
            host::user()
        )
    } else {
        error.to_string()
    }
}

/// `tos`, `cos` and `tcp_keepalive_*`.
pub fn socket(transport: &TlsTransport) -> SocketOptions {
    let octet = |name: &str| {
        transport
            .number(name)
            .and_then(|value| u8::try_from(value).ok())
            .filter(|value| *value != 0)
    };
    let seconds = |name: &str| {
        transport
            .number(name)
            .map(|seconds| Duration::from_secs(seconds.into()))
    };
    SocketOptions {
        tos: octet("tos"),
        cos: octet("cos"),
        keepalive: transport.flag("tcp_keepalive_enable").then(|| Keepalive {
            idle: seconds("tcp_keepalive_idle_time"),
            interval: seconds("tcp_keepalive_interval_time"),
            probes: transport.number("tcp_keepalive_probe_count"),
        }),
    }
}
