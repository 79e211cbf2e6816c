//! Certificates that are about to expire are told of, ours and those of connected peers: `policy::expiry` decides when.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use log::Level;
use policy::expiry::{End, Told, names};
use sip_tls::{CertInfo, OwnCertificate, TlsInfo};

use crate::ffi::sync::Mutex;
use crate::limited;

use super::connections::{self, About};

/// Ours, each with its transport's name, and what was told of them. A leaf among the locks, as the next.
static OWN: Mutex<Own> = Mutex::new(Own {
    certificates: Vec::new(),
    told: Told::new(),
});

/// What was told of peers' certificates.
static PEERS: Mutex<Told> = Mutex::new(Told::new());

struct Own {
    certificates: Vec<(String, OwnCertificate)>,
    told: Told,
}

/// How long a certificate has from now on.
pub fn end_of(certificate: &CertInfo) -> End {
    End {
        not_after: certificate.not_after,
        now: now(),
    }
}

/// Seconds since 1970 UTC.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// These are ours from here on, in the place of those before.
pub fn set_own(certificates: Vec<(String, OwnCertificate)>) {
    OWN.lock().certificates = certificates;
    look_at_own();
}

/// Tells of those whose end has come near. The watch asks, every few seconds.
pub fn look() {
    look_at_own();
    for (about, tls) in connections::come_near_their_end(now()) {
        look_at_peer(&about, &tls);
    }
}

fn look_at_own() {
    let now = now();
    let due: Vec<(String, OwnCertificate)> = {
        let Own { certificates, told } = &mut *OWN.lock();
        let due = certificates
            .iter()
            .filter(|(_, own)| told.is_due(&own.info.sha256, own.info.not_after, now));
        due.cloned().collect()
    };
    for (transport, own) in due {
        let OwnCertificate {
            file,
            position,
            of,
            info,
        } = own;
        let end = end_of(&info);
        let level = if end.days() < 0 {
            Level::Error
        } else {
            Level::Warn
        };
        log::log!(
            level,
            "transport '{transport}': certificate {position} of {of} in {} {end} (names: {}; issuer: {}): renew it and run \
             `ciphertrunk reload` (to change here)",
            file.display(),
            whose(&info),
            short(&info.issuer.info)
        );
    }
}

fn look_at_peer(about: &About, tls: &Arc<TlsInfo>) {
    let Some(peer) = &tls.peer else { return };
    if !PEERS.lock().is_due(&peer.sha256, peer.not_after, now()) {
        return;
    }
    let (wanted, source) = match about.wanted.as_str() {
        "" => (String::new(), about.remote.ip().to_string()),
        wanted => (format!("{wanted}, "), wanted.to_owned()),
    };
    limited::log(
        Level::Warn,
        "peer's certificate expires",
        &source,
        format_args!(
            "transport '{}': the certificate of the peer {wanted}{} {} (names: {}; issuer: {}): the other side must renew it (to change \
             there)",
            about.transport,
            about.remote,
            end_of(peer),
            whose(peer),
            short(&peer.issuer.info)
        ),
    );
}

/// Its names; its subject where it has none, as a CA's.
fn whose(certificate: &CertInfo) -> String {
    let found = certificate.names();
    if found.iter().all(String::is_empty) {
        return short(&certificate.subject.info);
    }
    names(&found)
}

fn short(name: &str) -> String {
    names(&[name.to_owned()])
}
