//! From the words of `pjsip.conf` to a TLS profile and socket options.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sip_tls::{Keepalive, KeyLog, Method, Profile, ProfileConfig, SocketOptions};
use zeroize::Zeroizing;

use crate::ffi::host;
use crate::ffi::pjsip::sorcery::TlsTransport;

/// A transport's profile, and what in it works and is probably not meant.
pub struct Loaded {
    pub profile: Arc<Profile>,
    /// Sentences.
    pub warnings: Vec<String>,
}

/// Loads the transport's profile. Warnings are logged.
///
/// # Errors
///
/// A sentence that names the option, the file and the reason.
pub fn profile(transport: &TlsTransport, key_log: Option<KeyLog>) -> Result<Loaded, String> {
    let path = |name: &str| transport.option(name).map(PathBuf::from);
    let word = transport.option("method").unwrap_or_default();
    let (method, warning) = Method::from_word(word)
        .map_err(|_| format!("method: '{word}' is not one that Asterisk knows"))?;
    let config = ProfileConfig {
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
        key_log,
    };
    let (profile, warnings) = Profile::load(&config).map_err(|error| {
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
        .collect();
    for warning in &warnings {
        log::warn!("transport '{}': {warning}", transport.name);
    }
    Ok(Loaded {
        profile: Arc::new(profile),
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
