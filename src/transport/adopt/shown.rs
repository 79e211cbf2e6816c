//! What is told of the transports.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sip_tls::{Named, OwnCertificate};

use super::{Adopter, words};

/// A line about a transport.
#[derive(Debug, Clone)]
pub struct Listening {
    /// Its name.
    pub name: String,
    /// Where.
    pub address: String,
    /// Its certificate: subject, and the SHA-256 of the certificate in hexadecimal.
    pub certificate: String,
    /// The TLS options that are in force for new connections.
    pub options: String,
    /// Whether its files are watched: `yes`, or why not.
    pub watch: String,
    /// The profiles of some of its peers.
    pub profiles: Vec<Named>,
    /// What in its configuration works and is probably not meant, a sentence each.
    pub warnings: Vec<String>,
}

impl Adopter {
    /// Whether the latest look could put everything in force that is configured.
    pub fn is_whole(&self) -> bool {
        !self.failed.load(Ordering::Relaxed)
    }

    /// The `protocol=tls` transports that are not ours, and why.
    pub fn left(&self) -> Vec<(String, String)> {
        let left = self.left.lock();
        left.iter()
            .map(|(name, reason)| (name.clone(), reason.clone()))
            .collect()
    }

    /// The certificates of those that are ours and their chains, by transport, with those that its profiles have besides.
    pub fn certificates(&self) -> Vec<(String, OwnCertificate)> {
        let mut all = Vec::new();
        for (name, adopted) in self.adopted.lock().iter() {
            let profile = Arc::clone(&adopted.endpoint.state.lock().profile);
            let of_profiles = profile
                .named()
                .iter()
                .filter_map(|it| it.profile.as_ref().ok());
            let mut known: Vec<[u8; 32]> = Vec::new();
            for profile in std::iter::once(&profile).chain(of_profiles) {
                for own in profile.own_chains() {
                    if !known.contains(&own.info.sha256) {
                        known.push(own.info.sha256);
                        all.push((name.clone(), own.clone()));
                    }
                }
            }
        }
        all
    }

    /// What listens.
    pub fn listening(&self) -> Vec<Listening> {
        let watch = self.watch_state();
        self.adopted
            .lock()
            .iter()
            .map(|(name, adopted)| {
                let state = adopted.endpoint.state.lock();
                let address = state.listener.as_ref().map(|it| it.address().to_string());
                let certificate = state.profile.own_certificate().map(|it| {
                    let hex: String = it.sha256.iter().map(|it| format!("{it:02x}")).collect();
                    format!("{} sha256 {hex}", it.subject.info)
                });
                Listening {
                    name: name.clone(),
                    address: address.unwrap_or_else(|| "-".to_owned()),
                    certificate: certificate.unwrap_or_else(|| "none".to_owned()),
                    options: words::line(&adopted.transport),
                    watch: watch.clone(),
                    profiles: state.profile.named().to_vec(),
                    warnings: adopted.warnings.clone(),
                }
            })
            .collect()
    }
}
