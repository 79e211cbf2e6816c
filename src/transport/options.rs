//! From the words of `pjsip.conf` to a TLS profile and socket options.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sip_tls::{
    ConfigOption, Inputs, Keepalive, Method, Profile, ProfileConfig, SocketOptions, Warning,
};
use zeroize::Zeroizing;

use crate::ffi::host;
use crate::ffi::pjsip::sorcery::TlsTransport;
use crate::keylog;

/// A transport's profile, and what in it works and is probably not meant.
pub struct Loaded {
    pub profile: Arc<Profile>,
    /// What it was made of.
    pub inputs: Inputs,
    /// Sentences.
    pub warnings: Vec<String>,
}

/// The transport's options as the profile has them.
///
/// # Errors
///
/// A sentence that names the option and the reason.
fn read(transport: &TlsTransport) -> Result<(ProfileConfig, Option<Warning>), String> {
    let path = |name: &str| transport.option(name).map(PathBuf::from);
    let word = transport.option("method").unwrap_or_default();
    let (method, warning) = Method::from_word(word)
        .map_err(|_| format!("method: '{word}' is not one that Asterisk knows"))?;
    let config = ProfileConfig {
        name: transport.name.clone(),
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
    };
    Ok((config, warning))
}

/// What the transport's profile would be made of now. `None`: a word of it is wrong.
pub fn inputs(transport: &TlsTransport) -> Option<Inputs> {
    read(transport).ok().map(|(config, _)| of(&config))
}

/// The files that its profile is read from.
pub fn files(transport: &TlsTransport) -> Vec<PathBuf> {
    read(transport).map_or_else(|_| Vec::new(), |(config, _)| config.files())
}

/// A key log that was opened anew makes another profile.
fn of(config: &ProfileConfig) -> Inputs {
    let sink = crate::config::key_log().map(|it| Arc::as_ptr(&it).cast::<()>().addr());
    Inputs::of(config, &sink.unwrap_or_default().to_ne_bytes())
}

/// Loads the transport's profile. Warnings are logged. Where the transport is not ours yet, bad keys of session tickets are no reason to leave
/// it.
///
/// # Errors
///
/// A sentence that names the option, the file and the reason.
pub fn profile(transport: &TlsTransport, is_ours: bool) -> Result<Loaded, String> {
    let (mut config, warning) = read(transport)?;
    // Before the files are read: what changes meanwhile is seen later.
    let inputs = of(&config);
    let mut loaded = Profile::load(&config);
    let mut without_keys = None;
    if let Err(error) = &loaded
        && error.option == Some(ConfigOption::TicketKeys)
        && !is_ours
    {
        without_keys = Some(format!(
            "{error}; session tickets get keys of this node alone, until the file changes"
        ));
        config.ticket_keys = None;
        loaded = Profile::load(&config);
    }
    let (profile, warnings) = loaded.map_err(|error| {
        if error.is_denied() {
            format!(
                "{error}; Asterisk runs as {}: chown or chmod it",
                host::user()
            )
        } else {
            error.to_string()
        }
    })?;
    let warnings: Vec<String> = warning
        .into_iter()
        .chain(warnings)
        .map(|warning| warning.to_string())
        .chain(without_keys)
        .collect();
    for warning in &warnings {
        log::warn!("transport '{}': {warning}", transport.name);
    }
    Ok(Loaded {
        profile: Arc::new(profile),
        inputs,
        warnings,
    })
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
