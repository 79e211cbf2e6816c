//! `ciphertrunk.conf`: reading it, and the last good state of it. What it can say is `crates/policy`.

#[cfg(feature = "pjsip")]
mod key_log;

use std::sync::Arc;
use std::time::SystemTime;

use policy::chan_sip;
pub use policy::config::{Config, Srtp};
use policy::config::{fallback, parse};
use policy::modules::ModulesConf;
use policy::rtp_conf::is_replay_protection_off;
#[cfg(feature = "pjsip")]
use sip_tls::KeyLog;

use crate::ffi::config::{self as file, Unread};
use crate::ffi::late;
use crate::ffi::libsrtp_guard::STOCK;
use crate::ffi::module_ref;
use crate::ffi::openssl;
use crate::ffi::sync::Mutex;

/// The file's name, below Asterisk's configuration directory.
pub const FILE: &str = "ciphertrunk.conf";

/// Why `[general] fips = yes` cannot be had.
const NO_FIPS: &str = "OpenSSL's algorithms are not those of a FIPS provider in this process. Install one (Debian: openssl-provider-fips) and have \
     OpenSSL's configuration activate it with `default_properties = fips=yes`, or say fips = no";

/// Whether OpenSSL is what the configuration in force wants.
///
/// # Errors
///
/// Why not, and what to do.
pub fn check_openssl() -> Result<(), String> {
    if current().fips && !openssl::is_fips() {
        return Err(format!("{FILE}: [general] fips = yes: {NO_FIPS}"));
    }
    Ok(())
}

/// What is in force.
struct State {
    config: Arc<Config>,
    /// `[tls] key_log`, open.
    #[cfg(feature = "pjsip")]
    key_log: Option<KeyLog>,
}

static FAILED: Mutex<Option<SystemTime>> = Mutex::new(None);

static CURRENT: Mutex<Option<State>> = Mutex::new(None);

/// The configuration, while the module is loaded; dropping it closes what it keeps open.
#[derive(Debug)]
pub struct InForce(());

impl InForce {
    /// Reads the file for the first time.
    pub fn load() -> Self {
        load();
        Self(())
    }
}

impl Drop for InForce {
    fn drop(&mut self) {
        *CURRENT.lock() = None;
    }
}

/// The state in force.
pub fn current() -> Arc<Config> {
    let current = CURRENT.lock();
    current.as_ref().map_or_else(
        || Arc::new(Config::default()),
        |state| Arc::clone(&state.config),
    )
}

/// The sink for the keys of TLS sessions, if one is configured and could be opened.
#[cfg(feature = "pjsip")]
pub fn key_log() -> Option<KeyLog> {
    let current = CURRENT.lock();
    current.as_ref()?.key_log.clone()
}

/// Reads the file and puts it in force. A bad file changes nothing: each problem is a line in the log, and the last good state stays. At
/// the first load there is none: the defaults are in force, with what the file demands as far as it can be read. What cannot be read
/// may demand anything, and no call of that endpoint, or of any, is good enough.
///
/// `false`: not all of it is in force.
pub fn load() -> bool {
    tell_of_rtp_conf();
    let read = match file::load(FILE) {
        Ok(sections) => parse(&sections).map_err(|problems| {
            for problem in &problems {
                log::error!("{FILE}: {problem}");
            }
            fallback(&sections, &problems)
        }),
        Err(Unread::Missing) if current().has_demands() => {
            log::error!("{FILE} is gone, and it had demands. An empty one takes them back");
            Err(unknown())
        }
        Err(Unread::Missing) => {
            log::debug!("there is no {FILE}: the defaults are in force");
            Ok(Config::default())
        }
        Err(Unread::Unreadable(reason)) => {
            log::error!("{FILE}: it cannot be read: {reason}");
            Err(unknown())
        }
        // Asterisk has said what is wrong.
        Err(Unread::Invalid) => Err(unknown()),
    };
    *FAILED.lock() = read.is_err().then(SystemTime::now);
    match read {
        Ok(config) if config.fips && is_loaded() && !openssl::is_fips() => {
            log::error!("{FILE}: [general] fips: {NO_FIPS}");
            log::error!("{FILE} is not used: the last good state stays in force");
            *FAILED.lock() = Some(SystemTime::now());
            false
        }
        Ok(config) => put(config),
        Err(_) if is_loaded() => {
            log::error!("{FILE} is not used: the last good state stays in force");
            false
        }
        Err(fallback) => {
            let demands = if fallback.has_demands() {
                ", and calls of which it demands something that cannot be read are refused"
            } else {
                ""
            };
            put(fallback);
            log::error!("{FILE} is not used: the defaults are in force{demands}");
            false
        }
    }
}

/// When the file was read last, if that could not be used.
pub fn failed() -> Option<SystemTime> {
    *FAILED.lock()
}

/// In the place of a file of which nothing is known.
fn unknown() -> Config {
    Config::unknown("ciphertrunk.conf cannot be read, so nobody knows what it demands")
}

/// Says what of `rtp.conf` is not honoured. What is wrong with that file is Asterisk's to say.
fn tell_of_rtp_conf() {
    if file::load("rtp.conf").is_ok_and(|sections| is_replay_protection_off(&sections)) {
        log::warn!(
            "rtp.conf: srtpreplayprotection = no is not honoured: Ciphertrunk always drops a packet that was received before. \
             A phone that sets its sequence number back after a hold or a re-INVITE needs no option: it is heard where it has \
             not been before under its key, and a WARNING tells where it has"
        );
    }
}

/// What `modules.conf` says of us now.
///
/// # Errors
///
/// Why it cannot be read.
pub fn modules_conf() -> Result<ModulesConf, String> {
    match file::load("modules.conf") {
        Ok(sections) => Ok(ModulesConf::of(&sections, module_ref::MODULE, STOCK)),
        Err(Unread::Missing) => Ok(ModulesConf::of(&[], module_ref::MODULE, STOCK)),
        Err(Unread::Unreadable(reason)) => Err(format!("it cannot be read: {reason}")),
        Err(Unread::Invalid) => Err("Asterisk cannot parse it".to_owned()),
    }
}

fn is_loaded() -> bool {
    CURRENT.lock().is_some()
}

/// Puts a configuration in force, and tells what is doubtful about it. `false`: a file that it names cannot be written.
fn put(config: Config) -> bool {
    for doubt in config.offered_only() {
        log::warn!("{FILE}: {doubt}");
    }
    for name in config.endpoints() {
        if let Some(reason) = without_calls(name) {
            log::warn!(
                "{FILE}: [{name}] is the section of an endpoint {reason}, so it is used for no call"
            );
        }
    }
    warn_of_peers(&config);
    #[cfg(feature = "pjsip")]
    let is_new = current().key_log != config.key_log;
    #[cfg(feature = "pjsip")]
    let key_log = config
        .key_log
        .as_deref()
        .and_then(|path| key_log::open(path, is_new));
    #[cfg(feature = "pjsip")]
    let is_whole = config.key_log.is_some() == key_log.is_some();
    #[cfg(not(feature = "pjsip"))]
    let is_whole = true;
    let state = State {
        config: Arc::new(config),
        #[cfg(feature = "pjsip")]
        key_log,
    };
    *CURRENT.lock() = Some(state);
    is_whole
}

/// Tells of the sections for peers of chan_sip's that are not there, if that is certain.
fn warn_of_peers(config: &Config) {
    if config.peers().next().is_none() {
        return;
    }
    let read = |file: &str| match file::load(file) {
        Ok(sections) => Some(sections),
        Err(Unread::Missing) => Some(Vec::new()),
        Err(Unread::Unreadable(_) | Unread::Invalid) => None,
    };
    let (Some(sip), Some(users), Some(ext)) =
        (read("sip.conf"), read("users.conf"), read("extconfig.conf"))
    else {
        return;
    };
    for name in config.peers() {
        if chan_sip::is_unknown_peer(name, &sip, &users, &ext) {
            log::warn!(
                "{FILE}: [{name}] is the section of a peer that sip.conf does not have, so it is used for no call"
            );
        }
    }
}

/// Why no call is endpoint `name`'s; `None`: calls may be.
fn without_calls(name: &str) -> Option<&'static str> {
    match late::found() {
        None => Some("of PJSIP, which is not in use"),
        #[cfg(feature = "pjsip")]
        Some(pjsip) if !crate::ffi::pjsip::endpoint::exists(pjsip, name) => {
            Some("that pjsip.conf does not have")
        }
        Some(_) => None,
    }
}

/// The distribution's crypto policy, which OpenSSL's configuration has included (Fedora and its kin).
pub fn crypto_policy() -> String {
    const POLICY: &str = "/etc/crypto-policies/config";
    let text = std::fs::read_to_string(POLICY).unwrap_or_default();
    let mut lines = text.lines().map(str::trim);
    match lines.find(|line| !line.is_empty() && !line.starts_with('#')) {
        Some(policy) => format!("{policy} ({POLICY})"),
        None => "that of OpenSSL's configuration".to_owned(),
    }
}
