//! One NOTICE of what is in force: at load, and after a reload that changed something.

use crate::config;
use crate::ffi::srtp::{self, Owner};
use crate::ffi::sync::Mutex;
#[cfg(feature = "pjsip")]
use crate::transport;

/// What was in force when it was told last.
static TOLD: Mutex<String> = Mutex::new(String::new());

/// The sentence, and all that is in force, also what it does not name.
fn now() -> (String, String) {
    let parts = [
        format!(
            "the SRTP engine is {} (kernel {})",
            match srtp::owner() {
                Owner::Ours => "ours",
                Owner::Another | Owner::Nobody => "NOT ours",
            },
            config::current().kernels.name()
        ),
        transports(),
    ];
    let sentence = parts.concat();
    let all = format!("{sentence} {:?}", config::current());
    (sentence, all)
}

#[cfg(not(feature = "pjsip"))]
fn transports() -> String {
    String::new()
}

#[cfg(feature = "pjsip")]
fn transports() -> String {
    let Some(tls) = transport::current() else {
        return String::new();
    };
    let list = |names: Vec<String>| match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    };
    let ours = tls
        .listening()
        .into_iter()
        .map(|it| format!("{} ({})", it.name, it.address));
    let ours = list(ours.collect());
    let left: Vec<String> = tls.left().into_iter().map(|(name, _)| name).collect();
    if left.is_empty() {
        return format!("; TLS transports that are ours: {ours}");
    }
    format!(
        "; TLS transports that are ours: {ours}; NOT ours: {} (ciphertrunk show transports says why)",
        list(left)
    )
}

/// Tells it.
pub fn tell() {
    let (sentence, all) = now();
    *TOLD.lock() = all;
    log::info!(
        "version {} is in force: {sentence}",
        env!("CARGO_PKG_VERSION")
    );
}

/// Tells it if it has changed since it was told last.
pub fn tell_if_changed() {
    let (sentence, all) = now();
    let before = std::mem::replace(&mut *TOLD.lock(), all.clone());
    if before != all {
        log::info!("after the reload is in force: {sentence}");
    }
}
