//! What is being written, and what has been.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use policy::keylog::{Direction, KeyLine, Media, Peer};
#[cfg(feature = "pjsip")]
use sip_tls::{KeyOwner, verify::PeerName};

use crate::ffi::channel;
use crate::ffi::rtp::RtpInstance;
use crate::media::session::Session;

use super::{End, State};

/// What a file may have: some 100,000 handshakes.
pub const MOST_OCTETS: u64 = 64 * 1024 * 1024;

/// A file that is being written.
#[derive(Debug)]
pub struct Recording {
    file: File,
    path: PathBuf,
    words: String,
    /// `None`: everybody.
    peer: Option<Peer>,
    until: Instant,
    octets: u64,
    secrets: u64,
    /// Hashes of the SRTP keys that are in the file.
    written: HashSet<u64>,
    failed: Option<io::ErrorKind>,
}

impl Recording {
    /// In an empty file.
    pub fn new(
        file: File,
        path: PathBuf,
        words: String,
        peer: Option<Peer>,
        until: Instant,
    ) -> Self {
        let mut recording = Self {
            file,
            path,
            words,
            peer,
            until,
            octets: 0,
            secrets: 0,
            written: HashSet::new(),
            failed: None,
        };
        // What a name has that would end the line is not a name.
        let words: String = recording
            .words
            .chars()
            .map(|it| if it.is_control() { '?' } else { it })
            .collect();
        recording.write(&format!(
            "# Keys of {words}: TLS in the format of SSLKEYLOGFILE, SRTP in lines that begin with #SRTP"
        ));
        recording
    }

    /// What there is to tell of it.
    pub fn state(&self) -> State {
        State {
            file: self.path.clone(),
            peer: self.words.clone(),
            left: self.until.saturating_duration_since(Instant::now()),
            secrets: self.secrets,
            keys: self.written.len() as u64,
        }
    }

    /// Why it has to end now, if it has to.
    pub fn due(&self) -> Option<End> {
        if let Some(error) = self.failed {
            return Some(End::Failed(error.to_string()));
        }
        if self.octets >= MOST_OCTETS {
            return Some(End::Full);
        }
        (self.until <= Instant::now()).then_some(End::Time)
    }

    /// Writes a line, until one cannot be written.
    fn write(&mut self, line: &str) -> bool {
        if self.failed.is_some() || self.octets >= MOST_OCTETS || self.until <= Instant::now() {
            return false;
        }
        let mut whole = zeroize::Zeroizing::new(String::with_capacity(line.len() + 1));
        whole.push_str(line);
        whole.push('\n');
        match self.file.write_all(whole.as_bytes()) {
            Ok(()) => self.octets += whole.len() as u64,
            Err(error) => self.failed = Some(error.kind()),
        }
        self.failed.is_none()
    }

    /// A TLS session's secret.
    #[cfg(feature = "pjsip")]
    pub fn secret(&mut self, owner: &KeyOwner, line: &str) {
        if self.has_connection(owner.remote, owner.wanted.as_ref()) && self.write(line) {
            self.secrets += 1;
        }
    }

    /// Whether a connection is the peer's.
    #[cfg(feature = "pjsip")]
    pub fn has_connection(&self, remote: SocketAddr, wanted: Option<&PeerName>) -> bool {
        let wanted = wanted.map(|name| match name {
            PeerName::Dns(name) => name.clone(),
            PeerName::Ip(address) => address.to_string(),
        });
        self.peer
            .as_ref()
            .is_none_or(|peer| peer.has_connection(remote, wanted.as_deref()))
    }

    /// An SRTP session's keys, those of them that are new.
    pub fn keys(&mut self, lines: &Lines) {
        let media = Media {
            endpoint: &lines.endpoint,
            address: lines.address,
            peer: &lines.peer,
        };
        if self
            .peer
            .as_ref()
            .is_some_and(|peer| !peer.has_media(media))
        {
            return;
        }
        for line in &lines.keys {
            let mut hasher = DefaultHasher::new();
            (line.direction, &line.channel, &line.call).hash(&mut hasher);
            line.policy.key().key_salt().hash(&mut hasher);
            line.policy.suite().name().hash(&mut hasher);
            let hash = hasher.finish();
            if !self.written.contains(&hash) && self.write(&line.to_text()) {
                self.written.insert(hash);
            }
        }
    }
}

/// The keys of a session, and whose they are.
#[derive(Debug)]
pub struct Lines {
    endpoint: String,
    address: Option<std::net::IpAddr>,
    peer: String,
    keys: Vec<KeyLine>,
}

/// What a session has.
pub fn lines(session: &Session, rtp: Option<RtpInstance<'_>>) -> Lines {
    let names = match rtp {
        Some(rtp) => session.refresh_names(rtp),
        None => session.names(),
    };
    let owner = session.owner();
    let endpoint = match owner.endpoint.is_empty() {
        false => owner.endpoint,
        true => endpoint_of(&names.channel).unwrap_or_default(),
    };
    let stats = session.stats();
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let held = session.history().held();
    let keys = held.into_iter().map(|(direction, policy)| KeyLine {
        time: time.as_secs(),
        direction,
        peer: names.peer.clone(),
        endpoint: endpoint.clone(),
        channel: names.channel.clone(),
        call: owner.call_id.clone(),
        roc: match direction {
            Direction::In => stats.remote_roc,
            Direction::Out => stats.local_roc,
        }
        .unwrap_or(0),
        policy,
    });
    Lines {
        address: names
            .peer
            .parse()
            .ok()
            .map(|address: SocketAddr| address.ip()),
        peer: owner.peer,
        keys: keys.collect(),
        endpoint,
    }
}

/// The endpoint of a channel by its unique id: `PJSIP/ENDPOINT-00000001` is its name. Any lock may be held.
fn endpoint_of(unique_id: &str) -> Option<String> {
    let name = channel::name_of(unique_id)?;
    let (endpoint, _) = name.strip_prefix("PJSIP/")?.rsplit_once('-')?;
    Some(endpoint.to_owned())
}
