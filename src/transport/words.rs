//! Which TLS words of a transport are in force.
//!
//! All of them change at a reload of PJSIP, whatever `allow_reload` says: a new handshake costs nobody a connection. Asterisk keeps some
//! of the old ones where the transport has `allow_reload = no`, so they are read where they stand. Of a transport that stands in no file
//! (a realtime configuration) none changes: what Asterisk tells of it is half old and half new.

use policy::pjsip_conf::{self, TLS_OPTIONS};

use crate::ffi::config::{self as file};
use crate::ffi::pjsip::sorcery::TlsTransport;

/// `pjsip.conf`, or what `sorcery.conf` names for it.
pub struct Written(Vec<policy::config::Section>);

impl Written {
    /// Reads it. What cannot be read, Asterisk has said.
    pub fn read() -> Self {
        let sorcery = file::load("sorcery.conf").unwrap_or_default();
        let files = pjsip_conf::files(&sorcery);
        Self(
            files
                .iter()
                .filter_map(|name| file::load(name).ok())
                .flatten()
                .collect(),
        )
    }

    /// Puts in the words that are to be in force; `before` are those that were wanted last, if the transport is ours.
    pub fn put_into(&self, transport: &mut TlsTransport, before: Option<&TlsTransport>) {
        if let Some(before) = before
            && before.created == transport.created
        {
            // Asterisk has not read the section since, or has refused it.
            transport.keep_options(&TLS_OPTIONS, before);
            return;
        }
        match (pjsip_conf::tls_options(&self.0, &transport.name), before) {
            (Some(options), _) => transport.set_options(&TLS_OPTIONS, options),
            (None, Some(before)) if !transport.flag("allow_reload") => {
                transport.keep_options(&TLS_OPTIONS, before);
            }
            (None, _) => {}
        }
    }
}

/// The words that differ.
pub fn changed(before: &TlsTransport, after: &TlsTransport) -> Vec<&'static str> {
    let differs = |option: &&str| before.option(option) != after.option(option);
    TLS_OPTIONS.into_iter().filter(differs).collect()
}

/// The words in a line, without the password.
pub fn line(transport: &TlsTransport) -> String {
    let words = TLS_OPTIONS.into_iter().filter_map(|name| {
        let value = transport.option(name)?;
        let value = if name == "password" { "..." } else { value };
        Some(format!("{name} = {value}"))
    });
    words.collect::<Vec<_>>().join("; ")
}
